"""Killed processes and full disks: what is there is whole, and what was there is untouched."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from aigc_desktop.core.config import check
from aigc_desktop.core.events import Result
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.freeze import FreezeConfig, freeze
from aigc_desktop.data.scan import ScanConfig, scan
from tests.data.conftest import encoded, leftovers, picture, tree_hash

resource = pytest.importorskip("resource")
ROOT = Path(__file__).parents[2]
WORKER = textwrap.dedent("""
    import json, resource, signal, sys
    from pathlib import Path
    from aigc_desktop.core.config import check
    from aigc_desktop.core.job import run_job
    from aigc_desktop.core.run import Run
    from aigc_desktop.data import freeze, scan
    task, folder, values, limit = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3]), int(sys.argv[4])
    if limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    config, job = {"scan": (scan.ScanConfig, scan.scan), "freeze": (freeze.FreezeConfig, freeze.freeze)}[task]
    for event in run_job(job, check(config, values), Run(folder, folder)):
        print(type(event).__name__, getattr(event, "message", ""), getattr(event, "hint", ""), flush=True)
""")


def worker(task: str, workspace: Workspace, values: dict, limit: int = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, task, str(workspace.folder), json.dumps(values), str(limit)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, encoding="utf-8",
    )  # fmt: skip


def fill(folder: Path, count: int) -> None:
    for number in range(count):
        (folder / f"{number:04d}.png").write_bytes(encoded(picture(number, side=48)))


def kill_after_events(process: subprocess.Popen[str], count: int) -> None:
    """Kill the process with SIGKILL when it has told `count` events, wherever it is by then."""
    assert process.stdout is not None
    for _number in range(count):
        if not process.stdout.readline():
            break
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()


def test_kill_during_scan_and_freeze_leaves_partials_only(workspace: Workspace, source: Path) -> None:
    fill(source, 150)
    before = tree_hash(source)
    rng = random.Random(5)
    for _attempt in range(3):
        kill_after_events(worker("scan", workspace, {"source": str(source), "title": "t"}), rng.randint(1, 3))
        assert not [path for path in (workspace.folder / "datasets").iterdir() if path.suffix != ".partial"]
        assert workspace.datasets() == []
    workspace.remove_leftovers(0)
    assert not list((workspace.folder / "datasets").iterdir())
    run = Run(workspace.folder, workspace.folder)
    made = [e for e in scan(check(ScanConfig, {"source": str(source), "title": "t"}), run) if isinstance(e, Result)]
    dataset = workspace.dataset(made[0].data["id"])
    for _attempt in range(3):
        kill_after_events(worker("freeze", workspace, {"dataset": dataset.id, "size": "256"}), rng.randint(1, 4))
        assert not workspace.dataset(dataset.id).info.frozen
        assert not dataset.snapshot.exists()
    workspace.remove_leftovers(0)
    list(freeze(check(FreezeConfig, {"dataset": dataset.id, "size": "32"}), run))
    assert workspace.dataset(dataset.id).info.train == 135
    assert not leftovers(workspace)
    assert tree_hash(source) == before


def test_a_scan_continues_after_a_kill_without_doubles(workspace: Workspace, source: Path) -> None:
    fill(source, 60)
    kill_after_events(worker("scan", workspace, {"source": str(source), "title": "t"}), 2)
    for path in [*(workspace.folder / "datasets").rglob("*")]:
        os.utime(path, (0, 0))
    run = Run(workspace.folder, workspace.folder)
    result = next(
        e for e in scan(check(ScanConfig, {"source": str(source), "title": "t"}), run) if isinstance(e, Result)
    )
    assert (result.data["id"], result.data["usable"], result.data["problems"]) == ("t", 60, {})


@pytest.mark.parametrize("limit", [1, 3_000, 12_000])
def test_a_scan_that_cannot_write_leaves_nothing(workspace: Workspace, source: Path, limit: int) -> None:
    fill(source, 100)
    before = tree_hash(source)
    out, _err = worker("scan", workspace, {"source": str(source)}, limit).communicate()
    assert out.splitlines()[-1].startswith("Failed The disk reported an error: the disk takes no file of this size.")
    assert "Check the disk, or choose another folder" in out.splitlines()[-1]
    assert not list((workspace.folder / "datasets").iterdir())
    assert tree_hash(source) == before


@pytest.mark.parametrize("limit", [100, 20_000, 300_000])
def test_a_freeze_that_cannot_write_leaves_the_data_set_as_it_was(
    workspace: Workspace, source: Path, limit: int
) -> None:
    fill(source, 50)
    run = Run(workspace.folder, workspace.folder)
    result = next(e for e in scan(check(ScanConfig, {"source": str(source)}), run) if isinstance(e, Result))
    before = tree_hash(workspace.folder)
    out, _err = worker("freeze", workspace, {"dataset": result.data["id"], "size": "64"}, limit).communicate()
    assert out.splitlines()[-1].startswith("Failed The disk reported an error")
    assert tree_hash(workspace.folder) == before


TMPFS = textwrap.dedent("""
    import json, shutil, subprocess, sys
    from pathlib import Path
    from aigc_desktop.core.config import check
    from aigc_desktop.core.files import need_space
    from aigc_desktop.core.job import run_job
    from aigc_desktop.core.run import Run
    from aigc_desktop.core.workspace import Workspace
    from aigc_desktop.core.events import Failed, Result
    from aigc_desktop.data import freeze, scan
    source, disk = sys.argv[1], Path(sys.argv[2])
    told = []
    def small(_folder, _count, reserve=0): pass  # the check before is tested elsewhere; here the disk fills up midway
    for size in json.loads(sys.argv[3]):
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(disk)], check=True)
        folder = Workspace.open(disk).folder
        keep = folder / "library" / "kept"
        keep.write_bytes(b"kept")
        run = Run(folder, folder)
        if not told:
            last = list(run_job(scan.scan, check(scan.ScanConfig, {"source": source}), run))[-1]
            left = sorted(p.name for p in (folder / "datasets").iterdir())
            told.append([size, last.kind, last.message, last.hint, left])
        scan.need_space = freeze.need_space = small
        events = list(run_job(scan.scan, check(scan.ScanConfig, {"source": source, "title": "t"}), run))
        last = events[-1]
        if not isinstance(last, Failed):
            values = {"dataset": "t", "size": 64}
            last = list(run_job(freeze.freeze, check(freeze.FreezeConfig, values), run))[-1]
        names = sorted(str(p.relative_to(folder / "datasets")) for p in (folder / "datasets").rglob("*"))
        assert keep.read_bytes() == b"kept"
        outcome = [last.kind, last.message, last.hint] if isinstance(last, Failed) else ["Finished", "", ""]
        told.append([size, *outcome, names])
        subprocess.run(["umount", str(disk)], check=True)
    print(json.dumps(told))
""")


def _can_mount() -> bool:
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return False
    probe = ["unshare", "-m", "sh", "-c", "mount -t tmpfs tmpfs /mnt"]
    try:
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not _can_mount(), reason="needs the right to mount a small disk in a namespace of its own")
def test_a_disk_that_fills_up_at_any_moment(source: Path, tmp_path: Path) -> None:
    fill(source, 40)
    before = tree_hash(source)
    disk = tmp_path / "disk"
    disk.mkdir()
    sizes = [8, 12, 20, 24, 28, 48, 64, 120, 200, 400, 560, 4000]
    done = subprocess.run(
        ["unshare", "-m", sys.executable, "-c", TMPFS, str(source), str(disk), json.dumps(sizes)],
        cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    checked, *told = json.loads(done.stdout)
    assert checked[1] == "OutOfSpace" and "Not enough space" in checked[2] and checked[4] == []
    for _size, kind, message, hint, names in told:
        assert not any(name.endswith(".partial") or ".partial/" in name for name in names)
        if kind != "Finished":
            assert (kind, message) == ("OutOfSpace", f"The disk that holds {disk} is full.")
            assert "Free some space" in hint
            assert names in ([], ["t", "t/dataset.json", "t/items.jsonl"])
    assert told[0][1] == "OutOfSpace" and told[-1][1] == "Finished"
    assert {tuple(names[:1]) for _s, kind, _m, _h, names in told if kind != "Finished"} == {(), ("t",)}
    assert tree_hash(source) == before


def test_files_are_closed_as_the_import_goes(workspace: Workspace, source: Path) -> None:
    fill(source, 300)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").is_dir() else 100
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, used + 60), hard))
    try:
        run = Run(workspace.folder, workspace.folder)
        result = next(e for e in scan(check(ScanConfig, {"source": str(source)}), run) if isinstance(e, Result))
        list(freeze(check(FreezeConfig, {"dataset": result.data["id"]}), run))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert workspace.dataset(result.data["id"]).info.frozen
