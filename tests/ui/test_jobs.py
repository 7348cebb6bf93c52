"""JobCenter and JobThread: events in batches on the main thread, control, crashes, the end of the window."""

from __future__ import annotations

import queue
import sys
import threading
import time

import pytest

from aigc_desktop.core.engine_process import EngineFacts
from aigc_desktop.core.events import Failed, Finished, Metric, Progress, Stopped
from aigc_desktop.core.job import run_job
from aigc_desktop.core.machine import inspect_machine
from aigc_desktop.core.request import JobRequest
from aigc_desktop.ui.jobs import JobCenter


class ScriptedEngine:
    """An engine whose jobs are written here; it obeys control words like the real one."""

    alive, pid = True, 0

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.stopped = threading.Event()
        self.closed = False

    def begin(self):
        self.stopped.clear()
        self.go_on.set()

    def wait_ready(self):
        return EngineFacts({}, inspect_machine(), False)

    def events(self, request):
        if request.task == "died":
            yield Progress(0, 0)
            yield Failed("EngineDied", "The engine process crashed (signal 11).", "Go on.")
            return

        def job(config, run):
            for step in range(request.values["steps"]):
                if request.values.get("slow"):
                    self.stopped.wait(0.002)
                yield Metric(step, {"loss": 1.0})

        yield from run_job(job, None, None, self.should_stop)

    def should_stop(self):
        self.go_on.wait()
        return self.stopped.is_set()

    def control(self, word):
        {"pause": self.go_on.clear, "resume": self.go_on.set}.get(word, lambda: None)()

    def stop(self, patience_s=0.0):
        self.stopped.set()
        self.go_on.set()

    def close(self):
        self.closed = True

    kill = stop


@pytest.fixture
def jobs(qtbot):
    center = JobCenter(ScriptedEngine)
    yield center
    center.shut_down()
    assert all(engine.closed for engine in center.pool.all)


def collect(handle):
    seen, threads = [], []
    handle.events.connect(lambda batch: (seen.extend(batch), threads.append(threading.get_ident())))
    return seen, threads


def test_a_job_that_is_over_is_not_followed_anew_by_who_hears_of_its_end(jobs, qtbot):
    handle = jobs.run(JobRequest("count", {"steps": 3}, "w"))
    running = []
    handle.ended.connect(lambda _ending: running.extend(jobs.handles))
    with qtbot.waitSignal(handle.ended):
        pass
    assert running == [] and handle.status == "ended"


def test_events_come_in_batches_on_the_main_thread(jobs, qtbot):
    handle = jobs.run(JobRequest("count", {"steps": 20_000}))
    seen, threads = collect(handle)
    with qtbot.waitSignal(handle.ended, timeout=10_000) as ending:
        pass
    assert ending.args == [Finished()]
    assert [event.step for event in seen[:-1]] == list(range(20_000))
    assert set(threads) == {threading.main_thread().ident}
    assert len(threads) < 200


def test_a_flood_of_events_does_not_block_the_window(jobs, qtbot):
    handle = jobs.run(JobRequest("count", {"steps": 100_000}))
    gaps, last = [], time.monotonic()
    with qtbot.waitSignal(handle.ended, timeout=30_000, raising=True):
        while handle.status != "ended":
            qtbot.wait(5)
            now = time.monotonic()
            gaps.append(now - last)
            last = now
    assert max(gaps) < 0.5


def test_pause_holds_and_resume_goes_on(jobs, qtbot):
    handle = jobs.run(JobRequest("count", {"steps": 10**6, "slow": True}))
    seen, _ = collect(handle)
    qtbot.waitUntil(lambda: len(seen) > 3, timeout=5000)
    handle.pause()
    assert handle.status == "paused"
    qtbot.waitUntil(lambda: handle.thread_.inbox.empty(), timeout=2000)
    handle.resume()
    count = len(seen)
    qtbot.waitUntil(lambda: len(seen) > count + 3, timeout=5000)
    with qtbot.waitSignal(handle.ended, timeout=2000) as ending:
        handle.stop()
    assert ending.args == [Stopped()]


def test_a_stop_at_once_is_not_lost(jobs, qtbot):
    handle = jobs.run(JobRequest("count", {"steps": 10**6, "slow": True}))
    with qtbot.waitSignal(handle.ended, timeout=5000) as ending:
        handle.stop()
    assert ending.args == [Stopped()]


def test_a_dead_engine_is_a_sentence_and_the_next_job_runs(jobs, qtbot):
    handle = jobs.run(JobRequest("died"))
    with qtbot.waitSignal(handle.ended, timeout=5000) as ending:
        pass
    assert ending.args[0].kind == "EngineDied"
    again = jobs.run(JobRequest("count", {"steps": 3}))
    with qtbot.waitSignal(again.ended, timeout=5000) as ending:
        pass
    assert ending.args == [Finished()]


def test_closing_stops_what_runs(qtbot):
    center = JobCenter(ScriptedEngine)
    handle = center.run(JobRequest("count", {"steps": 10**6, "slow": True}))
    qtbot.waitUntil(lambda: handle.progress is not None or handle.status == "running", timeout=5000)
    endings = []
    handle.ended.connect(endings.append)
    center.shut_down()
    assert endings == [Stopped()]
    assert center.handles == []


def test_two_jobs_run_side_by_side(jobs, qtbot):
    slow = jobs.run(JobRequest("count", {"steps": 10**6, "slow": True}))
    quick = jobs.run(JobRequest("count", {"steps": 3}))
    with qtbot.waitSignal(quick.ended, timeout=5000):
        pass
    assert slow.status == "running"


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="None is immortal from Python 3.12 on")
def test_qt_calls_lose_no_reference_to_none(qtbot):
    """PySide6 6.12.0 on Python 3.11 drops one per call and ends in an abort within seconds (PYSIDE-3474)."""
    from PySide6.QtWidgets import QLabel

    label = QLabel()
    qtbot.addWidget(label)
    before = sys.getrefcount(None)
    for number in range(2000):
        label.setText(str(number))
    assert sys.getrefcount(None) > before - 100


def test_facts_that_come_while_the_thread_is_asked_are_not_lost(qtbot):
    center = JobCenter(ScriptedEngine)
    facts = EngineFacts({"a.train": None}, inspect_machine(), False)

    class Ending:
        """A warm-up that brings its facts and ends in the moment it is asked."""

        inbox = queue.SimpleQueue()

        def wait(self, _patience):
            center.pool.facts = facts
            return True

    ready = []
    center.ready.connect(lambda: ready.append(center.catalogue))
    center._warming = Ending()
    center._deliver()
    assert ready == [facts.catalogue] and center._warming is None


@pytest.mark.parametrize("task", ["slow", "died"])
def test_nothing_begins_once_the_window_closes(qtbot, task):
    center = JobCenter(ScriptedEngine)
    center.warm_up()
    qtbot.waitUntil(lambda: center._warming is None, timeout=5000)
    asked = []
    handle = center.run(JobRequest(task, {"steps": 10**6, "slow": True}, ""), quiet=True)
    handle.ended.connect(lambda _end: asked.append(center.run(JobRequest("slow", {"steps": 10**6, "slow": True}, ""))))
    qtbot.waitUntil(lambda: handle.thread_.engine is not None, timeout=5000)
    center.shut_down()
    assert [again.thread_.isRunning() for again in asked] == [False] and center._warming is None
    assert isinstance(handle.ending, Stopped if task == "slow" else Failed)
    center.deleteLater()
