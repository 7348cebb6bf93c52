"""A workspace is copied whole or not at all."""

from pathlib import Path

import pytest

from aigc_desktop.core.errors import OutOfSpace, UserError
from aigc_desktop.core.moving import Cancelled, copy_workspace
from aigc_desktop.core.workspace import Workspace


@pytest.fixture
def old(workspace: Workspace) -> Path:
    (workspace.folder / "runs" / "a").mkdir()
    (workspace.folder / "runs" / "a" / "big.bin").write_bytes(b"x" * 9_000_000)
    (workspace.folder / "runs" / "a" / "half.partial").write_bytes(b"x")
    (workspace.folder / ".lock").touch()
    (workspace.folder / "library" / "链接").symlink_to("../runs")
    return workspace.folder


def test_everything_but_leftovers_is_copied_and_progress_told(old: Path, tmp_path: Path):
    told: list[tuple[int, int]] = []
    copy_workspace(old, tmp_path / "new", lambda done, total: told.append((done, total)))
    names = {path.relative_to(tmp_path / "new").as_posix() for path in (tmp_path / "new").rglob("*")}
    assert {"runs/a/big.bin", "library/链接", "datasets"} <= names
    assert not names & {".lock", "runs/a/half.partial"}
    assert len(told) == 3 and told[-1][0] == 9_000_000
    copied, original = tmp_path / "new" / "runs" / "a" / "big.bin", old / "runs" / "a" / "big.bin"
    assert copied.stat().st_mtime == original.stat().st_mtime and copied.read_bytes() == original.read_bytes()


def test_a_cancelled_copy_leaves_nothing(old: Path, tmp_path: Path):
    with pytest.raises(Cancelled):
        copy_workspace(old, tmp_path / "new", lambda done, total: None, lambda: True)
    assert [path.name for path in tmp_path.iterdir()] == [old.name]


def test_places_that_cannot_be_used_are_refused(old: Path, tmp_path: Path):
    full = tmp_path / "full"
    full.mkdir()
    (full / "x").touch()
    for place in (full, old / "inside", old, tmp_path / "none" / "deeper"):
        with pytest.raises(UserError) as error:
            copy_workspace(old, place, lambda done, total: None)
        assert error.value.hint
    assert (full / "x").exists()


def test_an_empty_folder_is_a_place(old: Path, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    copy_workspace(old, tmp_path / "empty", lambda done, total: None)
    assert (tmp_path / "empty" / "runs" / "a" / "big.bin").exists()


def test_too_little_space_is_told_before_anything_is_copied(old: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")(10, 5, 5)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(OutOfSpace):
        copy_workspace(old, tmp_path / "new", lambda done, total: None)
    assert not (tmp_path / "new").exists()
