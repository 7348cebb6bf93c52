"""Log files: rotating, without the user's name, and the trace a crash leaves for the next start.

Nothing is sent anywhere; a report is a file the user may hand on.
"""

from __future__ import annotations

import contextlib
import faulthandler
import getpass
import io
import logging
import logging.handlers
import os
import platform
import re
import zipfile
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import IO

from aigc_desktop.core.files import atomic_file
from aigc_desktop.core.paths import cache_dir

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_BYTES, _FILES = 1_000_000, 5
_LINE = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (DEBUG|INFO|WARNING|ERROR|CRITICAL) (\S+): (.*)$")
_crash_file: IO[str] | None = None


@dataclass(frozen=True)
class LogLine:
    """One entry of a log; continuation lines, as of a traceback, belong to its `text`."""

    time: str
    level: str
    source: str
    text: str


def logs_dir() -> Path:
    """Return the folder of the log files."""
    return cache_dir() / "logs"


def start_logging(name: str = "window", level: int = logging.INFO) -> Path:
    """Write the log of this process to `<name>.log`, at most five files of 1 MB, and return its path."""
    path = logs_dir() / f"{name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=_BYTES, backupCount=_FILES - 1, encoding="utf-8")
    handler.setFormatter(_Scrubbing("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%d %H:%M:%S"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level)
    logging.captureWarnings(True)
    return path


def watch_for_crashes(name: str = "window") -> str:
    """Return the trace the last crash of this program left, or "", and record the next one.

    The old trace is kept beside as `<name>-crash.txt`, so it can be reported later too.
    """
    global _crash_file
    path = logs_dir() / f"{name}.crash"
    path.parent.mkdir(parents=True, exist_ok=True)
    trace = scrub(path.read_text(encoding="utf-8", errors="replace")) if path.is_file() else ""
    if trace.strip():
        (logs_dir() / f"{name}-crash.txt").write_text(trace, encoding="utf-8")
    _crash_file = path.open("w", encoding="utf-8")
    faulthandler.enable(_crash_file, all_threads=True)
    return trace.strip()


def stop_watching() -> None:
    """Empty and close the crash record in good order, at the end of the program.

    What it holds by then was no crash: on Windows it also gets the errors inside system dialogs that these get over.
    """
    global _crash_file
    if _crash_file is not None:
        faulthandler.disable()
        with contextlib.suppress(OSError):
            os.ftruncate(_crash_file.fileno(), 0)
        _crash_file.close()
        _crash_file = None


def scrub(text: str) -> str:
    """Return `text` without the user's home folder, name and machine: they become ~, <user> and <machine>."""
    for pattern, replacement in _private():
        text = pattern.sub(replacement, text)
    return text


def read_log(path: Path, limit: int = 400_000) -> list[LogLine]:
    """Return the entries in the last `limit` bytes of a log file, oldest first."""
    if not path.is_file():
        return []
    with path.open("rb") as f:
        f.seek(max(0, path.stat().st_size - limit))
        lines = f.read().decode("utf-8", errors="replace").splitlines()
    entries: list[LogLine] = []
    for line in lines:
        found = _LINE.match(line)
        if found:
            entries.append(LogLine(*found.groups()))
        elif entries:
            last = entries.pop()
            entries.append(LogLine(last.time, last.level, last.source, f"{last.text}\n{line}"))
    return entries


def write_report(path: Path, details: str, facts: str, *, private: bool = False) -> None:
    """Write a zip with the details of a failure, facts of the machine and the logs.

    Without `private` the user's name and home folder are taken out of everything, also out of older logs.
    """
    clean = (lambda text: text) if private else scrub
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as report:
        report.writestr("details.txt", clean(details))
        report.writestr("facts.txt", clean(facts))
        for log in sorted(logs_dir().glob("*")):
            if log.is_file() and log.suffix in (".log", ".txt"):
                report.writestr(f"logs/{log.name}", clean(log.read_text(encoding="utf-8", errors="replace")))
        report.writestr("created.txt", f"{datetime.now():%Y-%m-%d %H:%M}\n")
    with atomic_file(path) as f:
        f.write(whole.getvalue())


class _Scrubbing(logging.Formatter):
    """Formats a record, then takes private names out of the whole of it, traceback included."""

    def format(self, record: logging.LogRecord) -> str:
        return scrub(super().format(record))


@lru_cache(maxsize=1)
def _private() -> list[tuple[re.Pattern[str], str]]:
    """Return what must not be in logs; names of one or two letters would blank out ordinary words."""
    home = str(Path.home())
    spellings = {home, home.replace("\\", "/"), home.replace("\\", "\\\\")} if len(home) > 1 else set()
    found = [(re.compile(re.escape(spelled) + r"(?![\w-])"), "~") for spelled in sorted(spellings)]
    names = ((_user(), "<user>"), (platform.node(), "<machine>"))
    found += [
        (re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])"), replacement)
        for name, replacement in names
        if len(name) > 2 and name not in ("root", "user", "localhost")
    ]
    return found


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""
