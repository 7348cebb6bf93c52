"""The models that ship with the program, and copying them into a workspace."""

import shutil

import pytest

from aigc_desktop.core import starters
from aigc_desktop.core.errors import OutOfSpace, UserError
from aigc_desktop.core.files import write_json


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    folder = tmp_path / "starters" / "emoji64"
    (folder / "checkpoints" / "000010").mkdir(parents=True)
    write_json(folder / "run.json", {"task": "image_flow.train", "title": "x", "created": "2026-01-01T00:00:00+00:00"})
    write_json(folder / "checkpoints" / "000010" / "MANIFEST.json", {"files": {}})
    (folder / "README.md").write_text("card", encoding="utf-8")
    monkeypatch.setattr(starters, "resources", lambda: tmp_path)
    return folder


def test_a_starter_becomes_a_run_once(shelf, workspace):
    (starter,) = starters.starters()
    assert (starter.name, starter.family) == ("emoji64", "image_flow") and starter.bytes > 0
    run = starters.bring_in(workspace, "emoji64")
    assert run.info.title == starter.title and run.info.created > "2026-01-01" and run.checkpoints() == ["000010"]
    run.update(title="mine")
    assert starters.bring_in(workspace, "emoji64").info.title == "mine"
    assert [found.id for found in workspace.runs()] == [run.id]


@pytest.mark.parametrize("name", ["nothing", "../emoji64", "", ".."])
def test_what_does_not_ship_is_one_sentence(shelf, workspace, name):
    with pytest.raises(UserError, match="not part of this installation"):
        starters.bring_in(workspace, name)
    assert not workspace.runs()


def test_a_full_disk_leaves_nothing(shelf, workspace, monkeypatch):
    usage = shutil.disk_usage(workspace.folder)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage)
    with pytest.raises(OutOfSpace):
        starters.bring_in(workspace, "emoji64")
    assert not list((workspace.folder / "runs").iterdir())


def test_a_copy_that_breaks_off_leaves_nothing(shelf, workspace, monkeypatch):
    def broken(*_arguments, **_named):
        raise OSError("unplugged")

    monkeypatch.setattr(starters.shutil, "copytree", broken)
    with pytest.raises(OSError, match="unplugged"):
        starters.bring_in(workspace, "emoji64")
    assert not list((workspace.folder / "runs").iterdir())
