import json
import os
import random
import resource
import shutil
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from aigc_desktop.core.errors import BadInput, UserError
from aigc_desktop.core.events import Failed, Finished, Note
from aigc_desktop.core.files import read_json, write_json
from aigc_desktop.core.job import run_job
from aigc_desktop.core.run import MANIFEST
from aigc_desktop.data.safetensors_header import check_header
from aigc_desktop.engine.training.checkpoint import (
    Card,
    State,
    newest_good,
    prune,
    read_model,
    read_state,
    verify,
    write_checkpoint,
)
from aigc_desktop.engine.weights import read_tensors, write_tensors
from tests.engine.toy import ToyConfig, arguments, losses, new_run, toy_job

CONFIG = ToyConfig(dataset="none")


def state_of(step: int) -> State:
    tensors = {"net.weight": torch.full((3, 4), float(step))}
    return State(Card("toy", step, {}), tensors, {"rng.cpu": torch.get_rng_state()}, {"position": [0, step]})


@pytest.fixture
def run(workspace):
    return new_run(workspace)


def test_what_is_written_is_read_back(run):
    folder = write_checkpoint(run, state_of(7), lambda folder: (folder / "tokenizer.json").write_text("{}"))
    state = read_state(folder)
    assert folder.name == "000007" and run.checkpoints() == ["000007"]
    assert state.card == Card("toy", 7, {}) and state.numbers == {"position": [0, 7]}
    assert torch.equal(state.model["net.weight"], torch.full((3, 4), 7.0))
    assert set(read_json(folder / MANIFEST)["files"]) == {
        "model.safetensors", "model.json", "train_state.safetensors", "train_state.json", "tokenizer.json",
    }  # fmt: skip


FILES = ["model.safetensors", "model.json", "train_state.safetensors", "train_state.json", MANIFEST]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "empty"])
def test_a_damaged_file_is_found_and_the_older_version_used(run, name, damage):
    for step in (1, 2):
        write_checkpoint(run, state_of(step))
    file = run.checkpoints_dir / "000002" / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1 << 6
    match damage:
        case "flip":
            file.write_bytes(data)
        case "cut":
            file.write_bytes(data[:-3])
        case "remove":
            file.unlink()
        case "empty":
            file.write_bytes(b"")
    state, damaged = newest_good(run)
    assert state is not None and state.card.step == 1
    assert damaged == ([] if (damage, name) == ("remove", MANIFEST) else ["000002"])
    if name.startswith("model") and damaged:
        with pytest.raises(BadInput, match="damaged"):
            read_model(run.checkpoints_dir / "000002")


def test_a_training_says_which_step_was_lost(workspace):
    run = new_run(workspace)
    list(run_job(toy_job(), CONFIG, run))
    weights = run.checkpoints_dir / "000012" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\xff")
    events = list(run_job(toy_job(), CONFIG, run))
    notes = [e.message for e in events if isinstance(e, Note)]
    assert notes[0] == "The saved version of step 12 is damaged; training goes on from step 10."
    assert isinstance(events[-1], Finished)
    assert [step for step, _loss in losses(events)] == [11, 12]
    assert run.checkpoints()[-2:] == ["000010", "000012"]
    assert (run.checkpoints_dir / "damaged-000012").is_dir()


@pytest.mark.parametrize("change", ["remove", "shorten"])
def test_a_version_without_its_random_state_is_not_used(run, change):
    good = state_of(1)
    bad = {} if change == "remove" else {"rng.cpu": torch.zeros(10, dtype=torch.uint8)}
    write_checkpoint(run, good)
    write_checkpoint(run, replace(state_of(2), tensors=bad))
    state, damaged = newest_good(run)
    assert state is not None and state.card.step == 1 and damaged == ["000002"]


def test_a_version_of_a_newer_program_is_refused_not_skipped(run):
    folder = write_checkpoint(run, state_of(3))
    write_json(folder / MANIFEST, {**read_json(folder / MANIFEST), "format": 99})
    with pytest.raises(UserError, match="newer version"):
        newest_good(run)
    assert run.checkpoints() == ["000003"]


def test_pruning_keeps_the_newest_and_the_best(run):
    for step in range(1, 7):
        write_checkpoint(run, state_of(step))
    assert prune(run, 2, "000002") == ["000001", "000003", "000004"]
    assert len(run.checkpoints()) == 6
    for name in run.checkpoints():
        read_model(run.checkpoints_dir / name)
    state, damaged = newest_good(run)
    assert (state.card.step, damaged) == (6, [])


def test_an_old_checkpoint_generates_but_is_not_resumed_from(run):
    for step in (1, 2, 3):
        write_checkpoint(run, state_of(step))
    prune(run, 1, "")
    assert not (run.checkpoints_dir / "000001" / "train_state.safetensors").exists()
    shutil.rmtree(run.checkpoints_dir / "000003")
    assert newest_good(run) == (None, [])  # nothing is damaged, there is only nothing to go on from


def test_the_history_has_a_limit(run):
    for step in range(1, 7):
        write_checkpoint(run, state_of(step))
    prune(run, 2, "000002", history=0)
    assert run.checkpoints() == ["000002", "000005", "000006"]


def test_the_rest_of_an_interrupted_removal_is_no_obstacle(run):
    folder = write_checkpoint(run, state_of(4))
    (folder / MANIFEST).unlink()
    write_checkpoint(run, state_of(4))
    verify(folder)


FULL_DISK = """
import resource, sys
from pathlib import Path
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.core.job import run_job
from aigc_desktop.engine.training import saving
from tests.engine.toy import ToyConfig, toy_job
saving.SPACE_PATIENCE_S = 0.0
run = Workspace(Path(sys.argv[1])).run(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), -1))
*_, last = run_job(toy_job(), ToyConfig(dataset="none", steps=20, width=512), run)
print(type(last).__name__, getattr(last, "kind", ""))
"""


def run_program(program: str, *arguments: str, **options) -> str:
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_files_that_may_not_grow_leave_older_versions_whole(workspace):
    run = new_run(workspace)
    config = ToyConfig(dataset="none", steps=10, width=512)
    list(run_job(toy_job(), config, run))
    before = {p: p.read_bytes() for p in run.checkpoints_dir.rglob("*") if p.is_file()}
    assert run_program(FULL_DISK, str(workspace.folder), run.id, "60000") == "Failed OutOfSpace"
    assert {p: p.read_bytes() for p in run.checkpoints_dir.rglob("*") if p.is_file()} == before


@pytest.mark.skipif(not shutil.which("unshare") or os.name != "posix", reason="needs a mount namespace")
@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", range(40, 640, 30))
def test_a_disk_of_any_size_is_filled_without_harm(workspace, kilobytes):
    run = new_run(workspace)
    target = run.folder / "checkpoints"
    target.mkdir()
    program = FULL_DISK.replace("resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), -1))", "")
    program += "\nfrom aigc_desktop.engine.training.checkpoint import verify\n"
    program += "for name in run.checkpoints(): verify(run.checkpoints_dir / name)\n"
    program += "assert not list(run.checkpoints_dir.glob('*.partial'))\nprint('whole')"
    shell = f'mount -t tmpfs -o size={kilobytes}k none "$0" && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", shell, str(target), sys.executable, "-c", program,
               str(workspace.folder), run.id]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip("no right to mount")
    assert done.stdout.splitlines()[-1] == "whole", done.stderr


def test_a_kill_while_writing_leaves_nothing_that_counts(workspace):
    """Die in the middle of a checkpoint: at the next start its remains are gone and training goes on."""
    run = new_run(workspace)
    program = "import os\nfrom aigc_desktop.engine.training import checkpoint\n"
    program += "real = checkpoint.write_manifest\n"
    program += "def die(f, h): os.kill(os.getpid(), 9) if f.name[:6] == '000005' else real(f, h)\n"
    program += "checkpoint.write_manifest = die\n"
    command = [sys.executable, "-c", program + arguments("toy_job()"), str(workspace.folder), run.id,
               CONFIG.model_dump_json()]  # fmt: skip
    assert subprocess.run(command, capture_output=True, check=False).returncode == -9
    assert (run.checkpoints_dir / "000005.partial").is_dir()
    assert run.checkpoints() == ["000000", "000004"]
    assert isinstance(list(run_job(toy_job(), CONFIG, run))[-1], Finished)
    assert not list(run.checkpoints_dir.glob("*.partial"))


# safetensors of others


def safetensors(header: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def entry(start: int, end: int, shape: list[int], dtype: str = "F32") -> dict:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def told(**entries) -> bytes:
    return json.dumps(entries).encode()


LIES = {
    "empty file": b"",
    "seven bytes": b"1234567",
    "length of 2^62": safetensors(b"{}", length=1 << 62),
    "length beyond the file": safetensors(b"{}", length=100),
    "no JSON": safetensors(b"{hello"),
    "a list": safetensors(b"[]"),
    "deep": safetensors(b"[" * 100_000 + b"]" * 100_000),
    "bad UTF-8": safetensors(b'{"\xff\xfe": 1}'),
    "same name twice": safetensors(
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
        bytes(4),
    ),
    "name is a path": safetensors(json.dumps({"../../evil": entry(0, 4, [1])}).encode(), bytes(4)),
    "name with NUL": safetensors(json.dumps({"a\0b": entry(0, 4, [1])}).encode(), bytes(4)),
    "overlap": safetensors(told(a=entry(0, 8, [2]), b=entry(4, 12, [2])), bytes(12)),
    "hole": safetensors(told(a=entry(0, 4, [1]), b=entry(8, 12, [1])), bytes(12)),
    "bytes left over": safetensors(told(a=entry(0, 4, [1])), bytes(9)),
    "shape too large": safetensors(told(a=entry(0, 4, [1 << 40, 1 << 40])), bytes(4)),
    "shape of a product that wraps": safetensors(told(a=entry(0, 0, [1 << 32, 1 << 32])), b""),
    "negative shape": safetensors(told(a=entry(0, 4, [-1, -1])), bytes(4)),
    "shape of truth": safetensors(told(a=entry(0, 4, [True])), bytes(4)),
    "unknown type": safetensors(told(a=entry(0, 4, [1], "F99")), bytes(4)),
    "end before start": safetensors(told(a=entry(4, 0, [1])), bytes(4)),
    "offsets of one": safetensors(told(a={"dtype": "F32", "shape": [1], "data_offsets": [0]}), bytes(4)),
    "entry is text": safetensors(told(a="F32"), bytes(4)),
    "metadata is a number": safetensors(json.dumps({"__metadata__": {"a": 1}}).encode()),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_header_is_refused(tmp_path, lie):
    path = tmp_path / "model.safetensors"
    path.write_bytes(LIES[lie])
    with pytest.raises(BadInput, match=r"model\.safetensors"):
        read_tensors(path)


def test_files_of_the_library_are_read_and_ours_by_the_library(tmp_path):
    tensors = {
        "a.weight": torch.randn(3, 5), "b": torch.arange(7), "c_half": torch.ones(2, dtype=torch.bfloat16),
        "empty": torch.zeros(0, 4), "flag": torch.tensor(True), "d-1": torch.zeros(3, dtype=torch.uint8),
    }  # fmt: skip
    save_file(tensors, tmp_path / "theirs.safetensors", {"format": "pt"})
    write_tensors(tmp_path / "ours.safetensors", tensors)
    for name in ("theirs", "ours"):
        loaded = read_tensors(tmp_path / f"{name}.safetensors")
        assert loaded.keys() == tensors.keys()
        for key, tensor in tensors.items():
            assert torch.equal(loaded[key], tensor) and loaded[key].dtype == tensor.dtype


def mutate(chance: random.Random, data: bytes) -> bytes:
    """Change the header where it hurts: bytes, digits, pieces, lengths."""
    out = bytearray(data)
    for _change in range(chance.randint(1, 4)):
        at = chance.randrange(len(out)) if chance.random() < 0.3 else chance.randrange(min(200, len(out)))
        match chance.randrange(5):
            case 0:
                out[at] ^= 1 << chance.randrange(8)
            case 1:
                out[at] = chance.choice(b'0123456789"{}[],:\x00\xff')
            case 2:
                del out[at : at + chance.randint(1, 20)]
            case 3:
                out[at:at] = out[at : at + chance.randint(1, 40)]
            case 4:
                out[:8] = struct.pack("<Q", chance.choice([0, 1, 7, len(out), 1 << 31, (1 << 64) - 1, len(out) - 9]))
        if len(out) < 9:
            break
    return bytes(out)


def test_ten_thousand_mutants_are_refused_or_read_and_nothing_else(tmp_path):
    path = tmp_path / "model.safetensors"
    write_tensors(path, {"first.weight": torch.randn(4, 4), "second.bias": torch.randn(4), "n": torch.arange(3)})
    original = path.read_bytes()
    chance, refused = random.Random(1), 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _mutant in range(10_000):
        path.write_bytes(mutate(chance, original))
        try:
            check_header(path)
            read_tensors(path)
        except BadInput:
            refused += 1
    assert 5_000 < refused < 10_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss <= max(4_000_000, most)


def test_errors_of_the_disk_other_than_full_are_passed_on(run, monkeypatch):
    def broken(path: Path, tensors):
        raise PermissionError(13, "denied", str(path))

    monkeypatch.setattr("aigc_desktop.engine.training.checkpoint.write_tensors", broken)
    with pytest.raises(PermissionError):
        write_checkpoint(run, state_of(1))
    assert list(run.checkpoints_dir.iterdir()) == []


def test_settings_that_do_not_fit_the_saved_version_are_said_plainly(workspace):
    run = new_run(workspace)
    list(run_job(toy_job(), CONFIG, run))
    *_, last = run_job(toy_job(), CONFIG.model_copy(update={"width": 17, "steps": 20}), run)
    assert isinstance(last, Failed) and "does not fit" in last.message
