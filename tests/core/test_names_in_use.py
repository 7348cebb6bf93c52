"""Windows renames and removes nothing that another program has open: what is done about it, and what is said."""

import os
from pathlib import Path

import pytest

from aigc_desktop.core import errors, files
from aigc_desktop.core.files import atomic_file, atomic_folder, move, remove, safe_name
from aigc_desktop.core.library import Library


def refused(number: int, source: Path, target: Path | None = None) -> PermissionError:
    """Return what Windows raises with this number for a name, or for one that is to become another."""
    error = PermissionError(13, "refused", str(source), None, *([str(target)] if target else []))
    error.winerror = number
    return error


class Reader:
    """Another program that has everything open for a number of tries."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
        self.times = times
        monkeypatch.setattr(files, "PATIENCE_S", 0.5)
        for name in ("replace", "rename"):
            monkeypatch.setattr(os, name, self._renames(getattr(os, name)))
        monkeypatch.setattr(Path, "unlink", self._removes(Path.unlink))

    def _renames(self, really):
        def rename(source, target):
            self._stand_in_the_way(source, target)
            really(source, target)

        return rename

    def _removes(self, really):
        def unlink(path, missing_ok=False):
            self._stand_in_the_way(path)
            really(path, missing_ok)

        return unlink

    def _stand_in_the_way(self, *names) -> None:
        if self.times > 0:
            self.times -= 1
            raise refused(32, *names)


def test_a_file_is_replaced_once_its_reader_is_done(tmp_path, monkeypatch):
    path = tmp_path / "run.json"
    path.write_text("old")
    Reader(monkeypatch, times=3)
    with atomic_file(path, "w") as f:
        f.write("new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_takes_its_name_once_its_files_were_looked_at(tmp_path, monkeypatch):
    Reader(monkeypatch, times=3)
    with atomic_folder(tmp_path / "000500") as folder:
        (folder / "model.safetensors").write_bytes(b"weights")
    assert (tmp_path / "000500" / "model.safetensors").read_bytes() == b"weights"


def test_a_file_is_removed_once_its_reader_is_done(tmp_path, monkeypatch):
    path = tmp_path / "train_state.json"
    path.write_text("{}")
    Reader(monkeypatch, times=3)
    remove(path)
    assert not path.exists()


def test_patience_ends(tmp_path, monkeypatch):
    (tmp_path / "a").write_text("a")
    monkeypatch.setattr(files, "PATIENCE_S", 0.05)
    Reader(monkeypatch, times=10**6)
    monkeypatch.setattr(files, "PATIENCE_S", 0.05)
    with pytest.raises(PermissionError):
        move(tmp_path / "a", tmp_path / "b")


def test_a_work_whose_picture_is_open_elsewhere_stays_whole(tmp_path, monkeypatch):
    library = Library(tmp_path)
    card = library.add("image", b"picture", "cat")
    really = os.replace

    def replace(source, target):
        if str(source).endswith(".png"):
            raise refused(32, source, target)
        really(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(PermissionError):
        library.delete([card.id])
    assert library.get(card.id) == card
    assert [each.id for each in library.search()] == [card.id]
    assert library.trashed() == []
    library.close()


def test_the_state_of_a_folder_is_its_own_not_what_the_folder_above_remembers(tmp_path, monkeypatch):
    library = Library(tmp_path)
    card = library.add("text", b"old", "old")
    library.close()
    shard = library.items / card.id[:2]
    stale = shard.stat()
    library.path(card).unlink()
    library._card_path(card.id).unlink()

    class Remembered:
        """A folder as Windows lists it, with the times of before."""

        def __init__(self, entry):
            self.name, self.path, self.is_dir = entry.name, entry.path, entry.is_dir

        def stat(self):
            return stale

        def __fspath__(self):
            return self.path

    really = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: [Remembered(entry) for entry in really(path)])
    again = Library(tmp_path)
    assert again.search() == []
    again.close()


def test_what_is_to_be_replaced_is_said_to_be_open_elsewhere(tmp_path):
    target = tmp_path / "poem.docx"
    target.write_text("open in a word processor")
    failed = errors.failure_of(refused(32, tmp_path / ".poem.docx.partial.docx", target))
    assert failed.kind == "FileInUse" and failed.hint == "Close it there, then try again."
    assert "poem.docx open" in failed.message and ".partial" not in failed.message


def test_where_windows_only_denies_a_new_name_both_reasons_are_told(tmp_path):
    folder = tmp_path / "datasets" / "cats"
    failed = errors.failure_of(refused(5, folder, tmp_path / "trash" / "1__cats"))
    assert str(folder) in failed.message and "open" in failed.message and "ermission" in failed.message


def test_a_file_that_may_not_be_opened_is_still_a_matter_of_permission(tmp_path):
    assert errors.failure_of(refused(5, tmp_path / "a")).kind == "PermissionError"
    assert errors.failure_of(refused(32, tmp_path / "a")).kind == "FileInUse"
    assert errors.system_reason(refused(32, tmp_path / "a")) == "another program is using it"


def test_a_paging_file_that_is_too_small_is_a_lack_of_memory():
    error = OSError(22, "The paging file is too small for this operation to complete")
    error.winerror = 1455
    assert errors.failure_of(error).kind == "OutOfMemory"


@pytest.mark.parametrize("name", ["con", "CON .png", "nul.tar.gz", "com1"])
def test_names_of_devices_are_no_names_of_files(name):
    assert safe_name(name).startswith("_")
