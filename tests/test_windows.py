"""What Windows does otherwise, where a stand-in can do the same: streams, pipes, consoles, addresses, languages."""

import contextlib
import ctypes
import errno
import io
import itertools
import locale
import os
import subprocess
import sys
import types

import pytest

from aigc_desktop import worker
from aigc_desktop.__main__ import BROKEN, main
from aigc_desktop.core.i18n import system_language
from aigc_desktop.data.sources import find_files, join_sources, parse_sources
from aigc_desktop.terminal import Shell

NOBODY_READS = OSError(errno.EINVAL, "Invalid argument")
"""What writing into a pipe without a reader raises there, instead of BrokenPipeError."""


class DeadPipe(io.BytesIO):
    """A pipe whose reader is gone."""

    def write(self, data):
        raise NOBODY_READS


@pytest.fixture
def windows(monkeypatch):
    """Say that this is Windows, and return the functions of its libraries to be filled in."""
    kernel32, user32 = types.SimpleNamespace(), types.SimpleNamespace()
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "windll", types.SimpleNamespace(kernel32=kernel32, user32=user32), raising=False)
    return kernel32


def test_a_command_without_any_stream_ends_in_good_order():
    program = (
        "import sys; sys.stdin = sys.stdout = sys.stderr = None;"  # as of a program without a console
        "from aigc_desktop.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    for arguments, code in [(["--help"], 0), (["runs", "--sort"], 2), (["trian"], 2)]:
        assert subprocess.run([sys.executable, "-c", program, *arguments], timeout=60).returncode == code


def test_no_exception_leaves_a_helper_as_a_dialog_would_wait_for_somebody(capsys):
    assert main(["--trace", "many"]) == BROKEN
    assert "ValueError" in capsys.readouterr().err


def test_a_host_that_is_gone_is_no_error_of_the_engine():
    with pytest.raises(BrokenPipeError):
        worker._send(DeadPipe(), {"is": "stopping"})


def test_the_machine_stays_awake_while_a_job_runs_and_no_longer(windows):
    told = []
    windows.SetThreadExecutionState = told.append
    with pytest.raises(KeyError), worker.awake():
        assert told == [0x80000001]
        raise KeyError
    assert told == [0x80000001, 0x80000000]


def test_the_language_is_that_of_the_system_not_that_of_its_formats(monkeypatch, windows):
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(locale, "getlocale", lambda: ("English_United States", "1252"))
    windows.GetUserDefaultUILanguage = lambda: 0x0804  # Chinese, mainland
    assert system_language() == "zh_CN"
    windows.GetUserDefaultUILanguage = lambda: 0x0407  # German
    monkeypatch.setattr(locale, "getlocale", lambda: ("Chinese (Simplified)_China", "936"))
    assert system_language() == "en"


@pytest.mark.parametrize("follows", [True, False])
def test_a_console_is_asked_to_follow_codes_before_they_are_used(monkeypatch, windows, follows):
    asked = []
    windows.SetConsoleMode = lambda handle, mode: asked.append((handle, mode)) or int(follows)
    monkeypatch.setitem(sys.modules, "msvcrt", types.SimpleNamespace(get_osfhandle=lambda number: 40 + number))
    monkeypatch.setattr(sys, "stderr", types.SimpleNamespace(isatty=lambda: True, fileno=lambda: 2))
    assert Shell(as_json=False).bar is follows
    assert asked == [(42, 7)]


def test_addresses_of_drives_and_servers_become_paths(monkeypatch, windows):
    monkeypatch.setattr("os.path.lexists", lambda path: True)
    addresses = "file:///C:/Users/me/my%20cats\nfile://server/share/cat.png"
    assert parse_sources(addresses) == ["C:/Users/me/my cats", "//server/share/cat.png"]


def test_junctions_are_links_and_lead_into_no_circle(tmp_path, monkeypatch, windows):
    (tmp_path / "cats" / "loop").mkdir(parents=True)
    (tmp_path / "cats" / "a.png").touch()

    class Entry:
        """What Windows tells of a file or folder; “loop” is a junction that leads back."""

        def __init__(self, entry):
            self.name, self.path, self._entry = entry.name, entry.path, entry

        def is_symlink(self):
            return False

        def is_dir(self, follow_symlinks=True):
            return self._entry.is_dir(follow_symlinks=follow_symlinks)

        def stat(self, follow_symlinks=True):
            tag = 0xA0000003 if self.name == "loop" else 0
            return types.SimpleNamespace(st_mode=self._entry.stat().st_mode, st_reparse_tag=tag)

    really = os.scandir

    @contextlib.contextmanager
    def scandir(path):
        folder = path.replace("loop", "..")
        with really(folder) as entries:
            yield [Entry(entry) for entry in entries]

    monkeypatch.setattr(os, "scandir", scandir)
    found = list(itertools.islice(find_files(str(tmp_path / "cats"), ""), 9))
    assert [(each.name, each.problem) for each in found] == [("a.png", ""), ("loop", "link")]


def test_names_that_need_an_address_come_back(tmp_path):
    paths = [str(tmp_path / name) for name in ("a\nb", "c ", "d%20?#é", "e\udcff")]
    for path in paths:
        with open(path, "w"):
            pass
    assert parse_sources(join_sources(paths)) == paths
