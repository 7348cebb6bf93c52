import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aigc_desktop.core.dataset import DatasetInfo, write_info
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.files import write_json
from aigc_desktop.core.run import MANIFEST
from aigc_desktop.core.workspace import Workspace, workspace_lock


def test_a_run_describes_itself(workspace):
    run = workspace.new_run("image_gan.train", {"dataset": "cups", "steps": 5}, "杯子")
    again = workspace.run(run.id)
    assert again.config_values == {"dataset": "cups", "steps": 5}
    assert (again.info.title, again.info.dataset, again.info.status) == ("杯子", "cups", "new")
    assert [r.id for r in workspace.runs()] == [run.id]


def test_two_runs_in_one_second_get_two_folders(workspace):
    assert workspace.new_run("gpt.train", {}).folder != workspace.new_run("gpt.train", {}).folder


def test_a_run_that_cannot_be_written_leaves_no_folder(workspace, monkeypatch):
    def full(_handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        workspace.new_run("gpt.generate", {"run": "gone"}, parent="results")
    assert list((workspace.folder / "results").iterdir()) == []


def test_what_a_model_makes_is_called_after_the_model(workspace):
    run = workspace.new_run("gpt.train", {}, "诗 poems")
    assert workspace.new_run("gpt.generate", {"run": run.id}, parent="results").info.title == "诗 poems"
    assert workspace.new_run("gpt.generate", {"run": run.id}, "own", parent="results").info.title == "own"
    gone = workspace.new_run("gpt.generate", {"run": "gone"}, parent="results")
    assert gone.id.startswith(gone.info.title)


def test_a_copied_workspace_keeps_the_order_of_its_runs(workspace):
    names = [f"2026-11-2{day}_120000_gpt" for day in (1, 2, 3)]
    for name in (names[1], names[2], names[0]):  # a copy is made in any order
        folder = workspace.folder / "runs" / name
        folder.mkdir()
        write_json(folder / "run.json", {})
    assert [run.id for run in workspace.runs()] == names[::-1]


def test_only_complete_checkpoints_count(workspace):
    run = workspace.new_run("gpt.train", {})
    for name in ("000010", "000020"):
        (run.checkpoints_dir / name).mkdir(parents=True)
    write_json(run.checkpoints_dir / "000010" / MANIFEST, {})
    assert run.checkpoints() == ["000010"]
    assert run.checkpoint("last").name == "000010"
    assert run.checkpoint("best").name == "000010"  # nothing was validated yet
    with pytest.raises(UserError):
        run.checkpoint("000020")


def test_a_cut_line_of_metrics_is_left_out(workspace):
    run = workspace.new_run("gpt.train", {})
    run.metrics_file.write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo', encoding="utf-8")
    assert run.metrics() == [{"step": 1, "loss": 2.0}]


@pytest.mark.parametrize("name", ["../outside", "", "/etc", "a/b", ".."])
def test_names_never_lead_out_of_the_workspace(workspace, name):
    with pytest.raises(UserError):
        workspace.run(name)


def test_what_comes_back_from_the_trash_stands_beside_what_has_its_name_now(workspace):
    folder = workspace.new_dataset_folder("cups")
    folder.mkdir()
    (folder / "old").touch()
    trashed = workspace.trash(folder)
    folder.mkdir()
    (folder / "new").touch()
    assert workspace.restore(trashed, folder) == folder.with_name("cups 2")
    assert (folder.with_name("cups 2") / "old").exists() and (folder / "new").exists()


def test_trash_and_restore(workspace):
    run = workspace.new_run("gpt.train", {})
    trashed = workspace.trash(run.folder)
    assert workspace.runs() == []
    workspace.restore(trashed, run.folder)
    assert [r.id for r in workspace.runs()] == [run.id]


def test_leftovers_of_a_crash_are_removed(workspace):
    (workspace.folder / "datasets" / "cups.partial").mkdir()
    (workspace.folder / "datasets" / "cups.partial" / "images.npy").write_bytes(b"half")
    own = workspace.folder / "download.partial"
    own.write_bytes(b"the user's")
    assert workspace.remove_leftovers() == []  # another program may be at it
    assert len(workspace.remove_leftovers(0)) == 1
    assert not (workspace.folder / "datasets" / "cups.partial").exists() and own.is_file()


@pytest.mark.skipif(os.name != "posix", reason="folders cannot be held there")
def test_a_folder_that_is_written_stays_however_old_and_goes_soon_after_its_writer_was_killed(workspace, monkeypatch):
    write = (
        "import sys, time; from pathlib import Path; from aigc_desktop.core.files import atomic_folder\n"
        "with atomic_folder(Path(sys.argv[1])) as f:\n"
        "    (f / 'a').write_text('x'); print('writing', flush=True); time.sleep(60)"
    )
    folder = workspace.folder / "datasets" / "cups"
    with subprocess.Popen([sys.executable, "-c", write, str(folder)], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"writing\n"
        partial = folder.with_name("cups.partial")
        for path in (partial / "a", partial):
            os.utime(path, (0, 0))
        assert workspace.remove_leftovers() == []
        other.kill()
        other.wait()
    assert workspace.remove_leftovers() == [partial] and not partial.exists()


def test_leftovers_that_go_or_stay_meanwhile_stop_nothing(workspace, monkeypatch):
    for name in ("a.partial", "b.partial", "c.partial"):
        (workspace.folder / "models" / name).mkdir()
    remove = shutil.rmtree

    def not_this_one(path, *rest, **more):
        if path.name == "b.partial":
            raise PermissionError(errno.EACCES, "another's", str(path))
        remove(path, *rest, **more)

    monkeypatch.setattr(shutil, "rmtree", not_this_one)
    assert len(workspace.remove_leftovers(0)) == 2
    assert [path.name for path in (workspace.folder / "models").iterdir()] == ["b.partial"]


def imported(workspace, name):
    folder = workspace.folder / "datasets" / name
    folder.mkdir()
    write_info(folder, DatasetInfo(name, name, "text", "a.txt", "2026-11-27T10:00:00"))
    return folder


def test_a_damaged_data_set_hides_no_other(workspace):
    imported(workspace, "good")
    (imported(workspace, "bad") / "dataset.json").write_text("{")
    unreadable = []
    assert [dataset.id for dataset in workspace.datasets(unreadable)] == ["good"]
    assert len(unreadable) == 1 and "bad" in unreadable[0].message
    assert [dataset.id for dataset in workspace.datasets()] == ["good"]


def test_a_data_set_that_was_copied_or_renamed_is_known_by_its_folder(workspace):
    folder = imported(workspace, "cups")
    shutil.copytree(folder, folder.with_name("cups copy"))
    ids = {dataset.id for dataset in workspace.datasets()}
    assert ids == {"cups", "cups copy"} == {workspace.dataset(name).info.id for name in ids}


def test_what_is_removed_while_the_workspace_is_listed_is_left_out(workspace, monkeypatch):
    kept, gone = workspace.new_run("gpt.train", {}), workspace.new_run("gpt.train", {})
    listed = Path.glob

    def glob(path, pattern):
        found = list(listed(path, pattern))
        shutil.rmtree(gone.folder, ignore_errors=True)
        return found

    monkeypatch.setattr(Path, "glob", glob)
    assert [run.id for run in workspace.runs()] == [kept.id]


def test_the_lock_ends_with_its_process(workspace):
    hold = (
        "import sys, time; from pathlib import Path; from aigc_desktop.core.workspace import workspace_lock\n"
        "with workspace_lock(Path(sys.argv[1])) as held: print(held, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", hold, str(workspace.folder)], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"True\n"
        with workspace_lock(workspace.folder) as held:
            assert not held
        other.kill()
        other.wait()
    with workspace_lock(workspace.folder) as held:
        assert held


def test_a_file_is_no_workspace(tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(UserError, match="cannot be used as a workspace"):
        Workspace.open(tmp_path / "file")
