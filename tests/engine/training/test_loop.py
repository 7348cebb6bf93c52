import math
import os
import random
import subprocess
import sys
import time
from contextlib import closing

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from aigc_desktop.core.errors import OutOfSpace
from aigc_desktop.core.events import Checkpoint, Failed, Finished, Metric, Note, Progress, Stopped
from aigc_desktop.core.files import read_json, sha256_file, write_json
from aigc_desktop.core.job import run_job
from aigc_desktop.core.run import MANIFEST
from aigc_desktop.engine import weights
from aigc_desktop.engine.training import saving
from aigc_desktop.engine.training.checkpoint import part, read_model, read_state
from tests.engine.toy import ToyConfig, arguments, losses, new_run, toy_job, weights_hash

CONFIG = ToyConfig(dataset="none")


def drive(job, config, run, stop_after: int | None = None, requests=()):
    """Run a job to its end, or stop it after so many events."""
    events, asked = [], iter(requests)
    for event in run_job(job, config, run, lambda: len(events) == stop_after, lambda: next(asked, None)):
        events.append(event)
    return events


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The uninterrupted run that others are compared with."""
    from aigc_desktop.core.workspace import Workspace

    run = new_run(Workspace.open(tmp_path_factory.mktemp("straight")))
    events = drive(toy_job(), CONFIG, run)
    assert isinstance(events[-1], Finished), events[-1]
    return events, run


def test_a_training_tells_every_step_and_ends(straight):
    events, run = straight
    assert [e.step for e in events if isinstance(e, Progress) and not e.phase] == list(range(1, 13))
    assert [step for step, _loss in losses(events)] == list(range(1, 13))
    assert [step for step, _loss in losses(events, "val_loss")] == [4, 8, 12]
    assert all(math.isfinite(v) for e in events if isinstance(e, Metric) for v in e.values.values())
    last = [e for e in events if isinstance(e, Progress)][-1]
    assert last.rate > 0 and last.unit == "items" and last.eta_s == 0
    assert run.info.best == "000012" and run.info.total == 12


def test_checkpoints_that_are_no_longer_needed_are_removed(straight):
    assert resumable(straight[1]) == ["000010", "000012"]


def test_every_step_that_was_shown_can_generate(straight):
    shown = [e.message.split()[1] for e in straight[0] if isinstance(e, Note) and e.message.startswith("preview")]
    assert shown and {f"{int(step):06d}" for step in shown} <= set(straight[1].checkpoints())


def resumable(run):
    return [name for name in run.checkpoints() if (run.checkpoints_dir / name / "train_state.json").exists()]


@pytest.mark.parametrize("stop_after", range(1, 40, 3))
def test_a_stopped_training_goes_on_to_the_same_bits(workspace, straight, stop_after):
    run = new_run(workspace)
    first = drive(toy_job(), CONFIG, run, stop_after)
    rest = drive(toy_job(), CONFIG, run)
    assert isinstance(first[-1], Stopped) and isinstance(rest[-1], Finished)
    assert losses(first) + losses(rest) == losses(straight[0])
    assert losses(first, "val_loss") + losses(rest, "val_loss") == losses(straight[0], "val_loss")
    assert weights_hash(run) == weights_hash(straight[1])


def test_stopping_again_and_again_changes_nothing(workspace, straight):
    run, told = new_run(workspace), []
    for _session in range(40):
        events = drive(toy_job(), CONFIG, run, stop_after=4)
        told += losses(events)
        if isinstance(events[-1], Finished):
            break
    assert told == losses(straight[0])
    assert weights_hash(run) == weights_hash(straight[1])


def test_saves_and_previews_do_not_change_the_result(workspace, straight):
    run = new_run(workspace)
    often = CONFIG.model_copy(update={"checkpoint_every": 1, "sample_every": 1, "autosave_s": 10})
    assert losses(drive(toy_job(), often, run)) == losses(straight[0])
    state, other = read_state(run.checkpoint("last")), read_state(straight[1].checkpoint("last"))
    assert all(torch.equal(tensor, other.model[name]) for name, tensor in state.model.items())


def test_autosave_by_the_clock(workspace, monkeypatch):
    monkeypatch.setattr("aigc_desktop.engine.training.meters.Stopwatch.seconds", property(lambda self: next(clock)))
    clock = iter(range(0, 10**6, 7))
    config = CONFIG.model_copy(update={"checkpoint_every": 0, "validate_every": 0, "autosave_s": 10})
    events = drive(toy_job(), config, new_run(workspace))
    assert len([e for e in events if isinstance(e, Checkpoint)]) > 5


def test_requests_of_the_host(workspace):
    config = CONFIG.model_copy(update={"checkpoint_every": 0, "validate_every": 0})
    requests = [None, None, "save", None, None, None, None, None, "sample"]
    events = drive(toy_job(), config, new_run(workspace), requests=requests)
    saved = [e.step for e in events if isinstance(e, Checkpoint)]
    shown = [e.message for e in events if isinstance(e, Note) and e.message.startswith("preview")]
    assert saved == [0, 2, 4, 12]
    assert shown == ["preview 4", "preview 12"]


def test_stop_saves_the_last_step_at_once(workspace):
    run = new_run(workspace)
    config = CONFIG.model_copy(update={"checkpoint_every": 0, "validate_every": 0, "steps": 1000})
    started = None
    stream = run_job(toy_job(), config, run)
    for event in stream:
        if isinstance(event, Progress) and event.step == 7:
            started = time.monotonic()
            stream.close()
            break
    assert started is not None and time.monotonic() - started < 2
    card, weights = read_model(run.checkpoint("last"))
    assert card.step == 7 and set(part(weights, "net")) == {"0.weight", "0.bias", "2.weight", "2.bias"}


def test_progress_does_not_count_the_time_of_the_reader(workspace):
    rates = []
    with closing(toy_job()(CONFIG, new_run(workspace))) as events:
        for event in events:
            if isinstance(event, Progress):
                deadline = time.perf_counter() + 0.05
                while time.perf_counter() < deadline:
                    pass
                rates.append((event.rate, event.eta_s))
    assert rates[-2][0] > 8 / 0.05  # more steps per second than the reader lets through
    assert rates[-2][1] < 0.05


def resumed_with(workspace, computed_by):
    """Return the notes of a training that was computed by something else before."""
    run = new_run(workspace)
    drive(toy_job(), CONFIG, run, stop_after=9)
    folder = run.checkpoint("last")
    file = folder / "train_state.json"
    write_json(file, {**read_json(file), "computed_by": computed_by})
    manifest = read_json(folder / MANIFEST)
    manifest["files"]["train_state.json"] = {"size": file.stat().st_size, "sha256": sha256_file(file)}
    write_json(folder / MANIFEST, manifest)
    return [e.message for e in drive(toy_job(), CONFIG, run) if isinstance(e, Note)]


def test_a_change_of_device_or_software_is_told(workspace):
    assert any("processor" in note for note in resumed_with(workspace, ["cuda", torch.__version__, 1]))
    assert any("last bit" in note for note in resumed_with(workspace, ["cpu", "1.0", 1]))


# memory


def test_short_memory_halves_the_pieces_and_keeps_the_effect(workspace, straight):
    def injected(toy):
        def fail(number, size):
            if size > 2:
                raise torch.OutOfMemoryError("injected")

        toy.before_step = fail

    def still(toy):
        toy.net[1].p = 0.0

    def both(toy):
        still(toy)
        injected(toy)

    events = drive(toy_job(both), CONFIG, new_run(workspace))
    whole = drive(toy_job(still), CONFIG, new_run(workspace))
    notes = [e.message for e in events if isinstance(e, Note) and e.level == "warning"]
    assert len(notes) == 2 and "4 items" in notes[0] and "2 items" in notes[1]
    for (step, mine), (other_step, theirs) in zip(losses(events), losses(whole), strict=True):
        assert step == other_step and float.fromhex(mine) == pytest.approx(float.fromhex(theirs), rel=1e-4)


def test_memory_may_run_out_while_moments_are_made(workspace, monkeypatch):
    made, make = [], torch.zeros_like

    def short(*given, **named):
        made.append(given)
        if len(made) == 2:  # Adam makes two for each weight
            raise torch.OutOfMemoryError("no room")
        return make(*given, **named)

    monkeypatch.setattr(torch, "zeros_like", short)
    events = drive(toy_job(), CONFIG, new_run(workspace))
    assert isinstance(events[-1], Finished) and len(made) > 2
    assert any("4 items" in e.message for e in events if isinstance(e, Note))


class Shortage(TorchDispatchMode):
    """Lets memory run out once, when torch computes for the `place`th time."""

    def __init__(self, place=0):
        super().__init__()
        self.place, self.count = place, 0

    def __torch_dispatch__(self, function, _types, args=(), kwargs=None):
        self.count += 1
        if self.count == self.place:
            raise torch.OutOfMemoryError("no room")
        return function(*args, **(kwargs or {}))


def test_memory_may_run_out_at_any_place_of_a_training(workspace):
    config = CONFIG.model_copy(update={"sample_every": 6})
    whole = Shortage()
    with whole:
        drive(toy_job(), config, new_run(workspace))
    assert whole.count > 1000
    for place in [408, *range(60, whole.count, 300)]:  # 408 is between a step and its being counted
        run = new_run(workspace)
        with Shortage(place) as short:
            events = drive(toy_job(), config, run)
        assert isinstance(events[-1], Finished), (place, events[-1])
        assert short.count >= place and [step for step, _loss in losses(events)] == list(range(1, 13))
        assert all(tensor.isfinite().all() for tensor in read_model(run.checkpoint("last"))[1].values())


def test_a_file_is_not_called_damaged_when_memory_is_short(straight, monkeypatch):
    def short(_path):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(weights, "load_file", short)
    with pytest.raises(RuntimeError, match="DefaultCPUAllocator"):
        weights.read_tensors(straight[1].checkpoint("last") / "model.safetensors")


def test_too_little_memory_for_one_item_is_said_plainly(workspace):
    def fail(number, size):
        if number == 3:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    run = new_run(workspace)
    events = drive(toy_job(lambda toy: setattr(toy, "before_step", fail)), CONFIG, run)
    assert isinstance(events[-1], Failed) and events[-1].kind == "OutOfMemory" and "one item" in events[-1].message
    assert run.checkpoints()[-1] == "000003"


def test_other_errors_are_not_taken_for_short_memory(workspace):
    def fail(number, size):
        raise RuntimeError("shapes do not match")

    events = drive(toy_job(lambda toy: setattr(toy, "before_step", fail)), CONFIG, new_run(workspace))
    assert isinstance(events[-1], Failed) and "shapes do not match" in events[-1].message


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("no room"), RuntimeError("MPS backend out of memory")])
def test_checks_and_samples_that_do_not_fit_are_left_out_and_training_goes_on(workspace, straight, error):
    def full(toy):
        def fail(*_given):
            raise error
            yield

        toy.validate = toy.preview = fail

    config = CONFIG.model_copy(update={"sample_every": 6})
    events = drive(toy_job(full), config, new_run(workspace))
    notes = [(e.step, e.message) for e in events if isinstance(e, Note) and e.level == "warning"]
    assert isinstance(events[-1], Finished) and losses(events) == losses(straight[0])
    assert [step for step, message in notes if "held-out" in message] == [4, 8, 12]
    assert [step for step, message in notes if "samples" in message] == [6, 12]


def test_other_errors_of_a_preview_are_told(workspace):
    def broken(toy):
        def fail(*_given):
            raise RuntimeError("shapes do not match")
            yield

        toy.preview = fail

    events = drive(toy_job(broken), CONFIG, new_run(workspace))
    assert isinstance(events[-1], Failed) and "shapes do not match" in events[-1].message


def test_showing_an_earlier_best_version_does_not_take_back_the_steps(workspace):
    def worse_at_last(toy):
        toy.validations = [1.0, 2.0, 3.0]

        def preview(step, _models):
            yield Progress(step, 12, "Making samples")

        toy.preview = preview

    events = drive(toy_job(worse_at_last), CONFIG, new_run(workspace))
    steps = [e.step for e in events if isinstance(e, Progress)]
    assert 4 in steps[steps.index(12) :] and steps[-1] == 12


# numbers that are not finite


def poison(steps: set[int], times: int = 10**9):
    """Make the data of some steps NaN, each at most `times` times."""
    seen: dict[int, int] = {}

    def change(toy):
        clean = toy.x.clone()

        def before_step(number, size):
            toy.x = clean
            seen[number] = seen.get(number, 0) + 1
            if number in steps and seen[number] <= times:
                toy.x = torch.full_like(clean, torch.nan)

        toy.before_step = before_step

    return change


def test_a_bad_step_is_left_out(workspace):
    run = new_run(workspace)
    events = drive(toy_job(poison({4})), CONFIG, run)
    assert isinstance(events[-1], Finished)
    notes = [e.message for e in events if isinstance(e, Note) and e.level == "warning"]
    assert notes == ["No finite numbers at step 5: the update was left out."]
    assert 5 not in [step for step, _loss in losses(events)]
    assert all(t.isfinite().all() for t in read_model(run.checkpoint("last"))[1].values())


def test_three_bad_steps_roll_back_with_half_the_rate(workspace):
    run, rates = new_run(workspace), []

    def change(toy):
        poison({6, 7, 8}, times=1)(toy)
        inner = toy.before_step

        def before_step(number, size):
            rates.append((number, toy.optimizer.param_groups[0]["lr"]))
            inner(number, size)

        toy.before_step = before_step

    config = CONFIG.model_copy(update={"schedule": "constant", "warmup": 0})
    events = drive(toy_job(change), config, run)
    assert isinstance(events[-1], Finished)
    back = [e.message for e in events if isinstance(e, Note) and "going back" in e.message]
    assert back == ["No finite numbers at step 9: going back to step 5 with half the learning rate."]
    assert [rate for number, rate in rates if number == 5] == [config.lr, config.lr / 2]
    assert all(t.isfinite().all() for t in read_model(run.checkpoint("last"))[1].values())


def test_a_training_that_stays_unstable_ends_and_keeps_its_good_weights(workspace):
    run = new_run(workspace)
    events = drive(toy_job(poison(set(range(6, 12)))), CONFIG, run)
    assert isinstance(events[-1], Failed) and events[-1].kind == "NotFinite"
    assert len([e for e in events if isinstance(e, Note) and "going back" in e.message]) == 3
    assert run.checkpoints()[-1] == "000005"
    assert all(t.isfinite().all() for t in read_model(run.checkpoint("last"))[1].values())


def test_weights_that_are_not_finite_never_replace_good_ones(workspace):
    def change(toy):
        def before_step(number, size):
            if number == 8:
                toy.net[0].weight.data.fill_(torch.nan)

        toy.before_step = before_step

    run = new_run(workspace)
    events = drive(toy_job(change), CONFIG.model_copy(update={"checkpoint_every": 1, "ema": 0.0}), run)
    assert isinstance(events[-1], Failed)
    for name in run.checkpoints():
        assert all(t.isfinite().all() for t in read_model(run.checkpoint(name))[1].values())


# early stopping


def test_training_ends_when_validation_stops_improving_and_the_best_is_restored(workspace):
    values = [0.5, 0.3, 0.4, 0.45, 0.1]
    config = CONFIG.model_copy(update={"steps": 100, "validate_every": 2, "patience": 2, "checkpoint_every": 3})
    run = new_run(workspace)
    events = drive(toy_job(lambda toy: setattr(toy, "validations", values)), config, run)
    assert isinstance(events[-1], Finished)
    assert run.info.best == "000004" and run.checkpoint("best").name == "000004"
    assert [e.step for e in events if isinstance(e, Progress)][-1] == 8
    notes = [e.message for e in events if isinstance(e, Note)]
    assert any("best version is of step 4" in note for note in notes)
    assert notes[-1] == "preview 4"
    assert resumable(run) == ["000004", "000006", "000008"]


def test_without_patience_training_goes_on(workspace):
    config = CONFIG.model_copy(update={"validate_every": 1})
    values = [0.1, *(0.2 for _step in range(20))]
    events = drive(toy_job(lambda toy: setattr(toy, "validations", values)), config, new_run(workspace))
    assert isinstance(events[-1], Finished) and losses(events)[-1][0] == 12


# the disk


def test_a_full_disk_waits_then_fails_and_harms_nothing(workspace, monkeypatch):
    run = new_run(workspace)
    monkeypatch.setattr(saving, "SPACE_PATIENCE_S", 0.3)
    real = saving.write_checkpoint

    def full(run, state, write_files):
        if state.card.step >= 7:
            raise OutOfSpace(10**9, 5, "/disk")
        return real(run, state, write_files)

    monkeypatch.setattr(saving, "write_checkpoint", full)
    events = drive(toy_job(), CONFIG, run)
    assert isinstance(events[-1], Failed) and events[-1].kind == "OutOfSpace"
    assert "1.0 GB" in events[-1].message
    assert any(isinstance(e, Progress) and "Waiting" in e.phase for e in events)
    assert run.checkpoints()[-1] == "000005"
    read_state(run.checkpoint("last"))


def test_space_that_comes_back_lets_the_training_go_on(workspace, monkeypatch, straight):
    run, refused = new_run(workspace), []
    real = saving.write_checkpoint

    def full_for_a_while(run, state, write_files):
        if state.card.step == 5 and len(refused) < 2:
            refused.append(5)
            raise OutOfSpace(10**9, 5, "/disk")
        return real(run, state, write_files)

    monkeypatch.setattr(saving, "write_checkpoint", full_for_a_while)
    events = drive(toy_job(), CONFIG, run)
    assert isinstance(events[-1], Finished) and len(refused) == 2
    assert losses(events) == losses(straight[0])
    assert weights_hash(run) == weights_hash(straight[1])


# kills


@pytest.mark.parametrize("kills", [2, pytest.param(30, marks=pytest.mark.slow)])
def test_a_killed_training_goes_on_to_the_same_bits(workspace, straight, kills):
    """SIGKILL at random moments, then resume: what was told last for each step must be equal."""
    run, told = new_run(workspace), {}
    program, values = arguments("toy_job()"), CONFIG.model_copy(update={"checkpoint_every": 2}).model_dump_json()
    command = [sys.executable, "-c", program, str(workspace.folder), run.id, values]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    chance = random.Random(7)
    for attempt in range(kills + 1):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
            left = chance.randint(1, 4) if attempt < kills else math.inf
            for line in process.stdout:  # to the end of the pipe: what was told before the kill counts
                if line.startswith("ended") or not line.endswith("\n"):
                    break
                step, loss = line.split()
                told[int(step)] = loss
                left -= 1
                if not left:
                    deadline = time.perf_counter() + chance.uniform(0, 0.01)  # anywhere in a step or a save
                    while time.perf_counter() < deadline:
                        pass
                    process.kill()
    assert sorted(told.items()) == losses(straight[0])
    state, other = read_state(run.checkpoint("last")), read_state(straight[1].checkpoint("last"))
    assert state.card.step == 12
    assert all(torch.equal(tensor, other.model[name]) for name, tensor in state.model.items())
