"""Logs hold no private names, rotate, and a crash is known at the next start."""

import getpass
import logging
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from aigc_desktop.core import logs


@pytest.fixture
def private_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "home" / "wanglei"
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.setattr(getpass, "getuser", lambda: "wanglei")
    logs._private.cache_clear()
    yield home
    logs._private.cache_clear()


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield root
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    logging.captureWarnings(False)


def test_home_and_user_are_taken_out_of_texts(private_names: Path):
    text = f"{private_names}/Bilder/a.png by wanglei; wangleis and {private_names}x stay"
    clean = logs.scrub(text)
    assert clean.startswith("~/Bilder/a.png by <user>; wangleis and ")


def test_the_log_holds_no_private_names_also_not_in_tracebacks(private_names: Path, root_logger: logging.Logger):
    path = logs.start_logging("test")
    try:
        raise FileNotFoundError(2, "missing", str(private_names / "x.png"))
    except FileNotFoundError:
        logging.getLogger("data").exception("cannot read %s", private_names / "x.png")
    text = path.read_text(encoding="utf-8")
    assert "~/x.png" in text and "Traceback" in text
    assert "wanglei" not in text


def test_entries_come_back_with_level_and_their_further_lines(root_logger: logging.Logger):
    path = logs.start_logging("test")
    logging.getLogger("a").warning("first\nsecond line")
    logging.getLogger("b").info("图")
    entries = logs.read_log(path)
    assert [entry.text for entry in entries] == ["first\nsecond line", "图"]
    assert [(entry.level, entry.source) for entry in entries] == [("WARNING", "a"), ("INFO", "b")]
    assert logs.read_log(path.with_name("none.log")) == []


def test_files_rotate_before_they_fill_the_disk(root_logger: logging.Logger, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(logs, "_BYTES", 2000)
    path = logs.start_logging("test")
    for number in range(400):
        logging.getLogger("x").info("entry %d of a long log", number)
    files = sorted(path.parent.glob("test.log*"))
    assert len(files) == logs._FILES
    assert all(file.stat().st_size <= 2000 for file in files)


def test_a_crash_is_told_at_the_next_start_and_only_once():
    program = (
        "import os; from aigc_desktop.core.logs import watch_for_crashes;"
        "print('before', bool(watch_for_crashes('crashed'))); os.abort()"
    )
    crashed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert crashed.returncode != 0 and "before False" not in crashed.stderr
    trace = logs.watch_for_crashes("crashed")
    logs.stop_watching()
    assert "Fatal Python error: Aborted" in trace
    assert logs.watch_for_crashes("crashed") == ""
    logs.stop_watching()
    assert "Aborted" in (logs.logs_dir() / "crashed-crash.txt").read_text()


def test_a_start_that_ended_in_good_order_leaves_nothing_to_tell():
    assert logs.watch_for_crashes("good") == ""
    logs.stop_watching()
    assert logs.watch_for_crashes("good") == ""
    logs.stop_watching()


def test_an_error_that_the_program_got_over_was_no_crash():
    logs.watch_for_crashes("dialog")
    os.write(logs._crash_file.fileno(), b"Windows fatal exception: code 0x8001010d\n")  # what a dialog of files causes
    logs.stop_watching()
    assert logs.watch_for_crashes("dialog") == ""
    logs.stop_watching()


def test_a_report_holds_details_and_logs_without_private_names(private_names: Path, tmp_path: Path):
    folder = logs.logs_dir()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "window.log").write_text(f"opened {private_names}/x", encoding="utf-8")
    for private in (False, True):
        path = tmp_path / f"report{private}.zip"
        logs.write_report(path, f"failed in {private_names}", "AIGC Desktop", private=private)
        with zipfile.ZipFile(path) as report:
            texts = {name: report.read(name).decode() for name in report.namelist()}
        assert {"details.txt", "facts.txt", "logs/window.log"} <= texts.keys()
        assert any("wanglei" in text for text in texts.values()) is private
