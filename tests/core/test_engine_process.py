"""The engine process seen from its host, with a small engine that speaks the real protocol."""

import math
import sys
import textwrap
import threading
import time

import pytest

from aigc_desktop.core.engine_process import STOP_PATIENCE_S, EngineProcess
from aigc_desktop.core.events import Failed, Finished, Progress, Stopped
from aigc_desktop.core.request import JobRequest

ENGINE = """
import sys, time, os, signal
from aigc_desktop import worker
from aigc_desktop.core.events import Progress
from aigc_desktop.core.job import run_job
import types
host = types.ModuleType("aigc_desktop.engine.host")
def execute(request, should_stop, next_request):
    def job(config, run):
        if request.task == "stuck": time.sleep(60)
        yield Progress(0, 0, "begin")
        if request.task == "segv": os.kill(os.getpid(), signal.SIGSEGV)
        if request.task == "killed": os.kill(os.getpid(), signal.SIGKILL)
        if request.task == "prints": os.write(1, b"noise on standard output")
        for step in range(int(request.values.get("steps", 3))):
            if request.values.get("slow"): time.sleep(0.01)
            yield Progress(step + 1, 10**6)
    return run_job(job, None, None, should_stop, next_request)
host.execute = execute
catalog = types.ModuleType("aigc_desktop.engine.catalog"); catalog.describe_catalogue = lambda: []
device = types.ModuleType("aigc_desktop.engine.device")
from aigc_desktop.core.machine import inspect_machine
device.describe_machine = inspect_machine
for m in (host, catalog, device): sys.modules[m.__name__] = m
sys.exit(worker.main())
"""


@pytest.fixture
def engine(tmp_path):
    script = tmp_path / "engine.py"
    script.write_text(textwrap.dedent(ENGINE), encoding="utf-8")
    engine = EngineProcess([sys.executable, str(script)], tmp_path / "logs" / "engine.log")
    yield engine
    engine.kill()
    engine.process.stdin.close()
    engine.process.stdout.close()


def run(engine, task="count", **values):
    engine.begin()
    return engine.events(JobRequest(task, values))


def test_jobs_one_after_another_on_one_process(engine):
    for _ in range(3):
        events = list(run(engine, steps=2))
        assert events[0] == Progress(0, 0, "begin") and events[-1] == Finished()


def test_prints_do_not_break_the_stream(engine):
    assert list(run(engine, "prints"))[-1] == Finished()


def test_stop_takes_effect_at_once(engine):
    stream = run(engine, steps=10**6, slow=True)
    next(stream)
    start = time.monotonic()
    engine.stop()
    assert list(stream)[-1] == Stopped()
    assert time.monotonic() - start < 1.5
    assert list(run(engine))[-1] == Finished()  # and the engine is as good as new


def test_a_stop_that_comes_too_late_leaves_the_next_job_alone(engine):
    assert list(run(engine))[-1] == Finished()
    engine.stop()
    assert list(run(engine, steps=250, slow=True))[-1] == Finished()  # longer than the patience of the stop
    assert engine.alive


def test_a_stop_before_the_job_is_not_lost(engine):
    engine.begin()
    engine.stop()
    assert list(engine.events(JobRequest("count", {"steps": 10**6, "slow": True})))[-1] == Stopped()


def test_a_stuck_engine_is_ended_within_two_seconds(engine):
    engine.wait_ready()
    engine.begin()
    start = time.monotonic()
    engine.stop()
    assert list(engine.events(JobRequest("stuck"))) == [Stopped(forced=True)]
    assert time.monotonic() - start < STOP_PATIENCE_S + 2  # half a second on a machine that is not busy
    assert not engine.alive


def test_a_patient_stop_waits_until_a_second_one_does_not(engine):
    engine.wait_ready()
    engine.begin()
    engine.stop(math.inf)
    threading.Timer(STOP_PATIENCE_S + 0.5, engine.stop, (0.0,)).start()
    start = time.monotonic()
    assert list(engine.events(JobRequest("stuck"))) == [Stopped(forced=True)]
    assert STOP_PATIENCE_S < time.monotonic() - start < STOP_PATIENCE_S + 3


@pytest.mark.parametrize(("task", "word"), [("segv", "crashed (signal 11)"), ("killed", "ended by the system")])
def test_a_crash_is_a_plain_sentence_with_details(engine, task, word):
    ending = list(run(engine, task))[-1]
    assert isinstance(ending, Failed) and ending.kind == "EngineDied"
    assert word in ending.message and "Traceback" not in ending.message
    if task == "segv":
        assert "Segmentation fault" in ending.details


@pytest.mark.parametrize(
    ("parent", "version", "kept"),
    [
        ("", "", "Nothing"), ("runs", "", "Nothing"), ("runs", "000010", "up to the last save"),
        ("results", "", "finished"),
    ],
)  # fmt: skip
def test_a_crash_tells_what_is_left_of_its_job(engine, tmp_path, parent, version, kept):
    folder = tmp_path / parent / "a"
    if version:
        (folder / "checkpoints" / version).mkdir(parents=True)
        (folder / "checkpoints" / version / "MANIFEST.json").touch()
    engine.begin()
    request = JobRequest("killed", {}, str(tmp_path), str(folder) if parent else "")
    ending = list(engine.events(request))[-1]
    assert isinstance(ending, Failed) and kept in ending.hint and "again" in ending.hint


def test_pause_holds_the_stream_and_resume_lets_it_go(engine):
    stream = run(engine, steps=10**6, slow=True)
    for _ in range(3):
        next(stream)
    engine.control("pause")
    seen = []
    reader = threading.Thread(target=lambda: seen.extend(stream), daemon=True)
    reader.start()
    reader.join(0.5)
    engine.control("resume")
    engine.stop()
    reader.join(5)
    assert not reader.is_alive() and seen[-1] == Stopped()


def test_the_engine_leaves_when_its_host_is_gone(engine):
    stream = run(engine, steps=10**6, slow=True)
    next(stream)
    engine.process.stdin.close()
    engine.process.wait(timeout=5)
    assert list(stream)[-1] == Stopped()


def test_an_engine_that_does_not_start_is_a_failure(tmp_path):
    engine = EngineProcess([sys.executable, "-c", "raise SystemExit('broken installation')"], tmp_path / "log")
    ending = list(run(engine))[-1]
    assert ending.kind == "EngineDied" and "broken installation" in ending.details
    engine.process.stdin.close()
    engine.process.stdout.close()


def test_the_codes_of_crashes_on_windows_are_written_as_its_manuals_do(engine, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(engine.process, "wait", lambda: 0xC0000005)
        assert "(code 0xc0000005)" in engine._death(JobRequest("toy.train")).message


def test_an_engine_starts_where_its_log_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    engine = EngineProcess([sys.executable, "-c", "raise SystemExit(3)"], tmp_path / "file" / "engine.log")
    engine.begin()
    (ending,) = engine.events(JobRequest("toy.train", {}, str(tmp_path)))
    assert isinstance(ending, Failed) and ending.kind == "EngineDied" and not ending.details
