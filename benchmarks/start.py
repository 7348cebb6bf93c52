"""Time from the command to the painted window, from source and frozen.

Xvfb maps its screen into a file; the window counts as painted when samples of that file show many colours, which a
window that is only mapped (one colour) does not.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil

from benchmarks.report import Figure, figure, write

ROOT = Path(__file__).resolve().parents[1]
FROZEN = ROOT / "dist" / "aigc-desktop" / "aigc-desktop"
LIMIT_S = 30.0
COLOURS = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9, help="starts of each kind; the first is not counted")
    runs = parser.parse_args().runs
    commands = {"source": [sys.executable, str(ROOT / "main.py")]}
    if FROZEN.is_file():
        commands["frozen"] = [str(FROZEN)]
    rows: list[Figure] = []
    with tempfile.TemporaryDirectory() as name, virtual_screen(Path(name)) as (display, screen):
        for kind, command in commands.items():
            first, *others = [start(command, display, screen, Path(name)) for _ in range(runs)]
            median, used = (statistics.median(values) for values in zip(*others, strict=True))
            rows.append(figure(f"app.start.{kind}_s", median, "s", "<= 0.5", median <= 0.5))
            rows.append(figure(f"app.start.{kind}_first_s", first[0], "s"))
            rows.append(figure(f"app.start.{kind}_best_s", min(others)[0], "s"))
            rows.append(figure(f"app.start.{kind}_cpu_s", used, "s"))  # the same on a busy machine
    rows.append(figure("app.start.load_average", os.getloadavg()[0], "processes"))
    write("start", rows)


@contextlib.contextmanager
def virtual_screen(folder: Path) -> Iterator[tuple[str, np.memmap]]:
    """Run an X server whose screen lies in a file; yield its display name and the pixels."""
    reader, writer = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writer), "-screen", "0", "1440x900x24", "-nolisten", "tcp", "-fbdir", str(folder)],
        pass_fds=[writer], stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(writer)
    try:
        with os.fdopen(reader) as stream:
            display = f":{stream.readline().strip()}"
        yield display, np.memmap(folder / "Xvfb_screen0", np.uint32, "r")
    finally:
        server.terminate()
        server.wait()


def start(command: list[str], display: str, screen: np.memmap, folder: Path) -> tuple[float, float]:
    """Start the app, wait for its painted window, end it; return the seconds on the clock and of processor."""
    home = folder / "home"
    environment = os.environ | {
        "DISPLAY": display, "QT_QPA_PLATFORM": "xcb", "AIGC_DESKTOP_WORKSPACE": str(home / "workspace"),
        "AIGC_DESKTOP_CONFIG": str(home / "config"), "AIGC_DESKTOP_CACHE": str(home / "cache"),
    }  # fmt: skip
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # a user's Python keeps what it has compiled
    begin = time.perf_counter()
    app = subprocess.Popen(command, env=environment, start_new_session=True, stdout=subprocess.DEVNULL)
    try:
        while not painted(screen):
            if app.poll() is not None or time.perf_counter() - begin > LIMIT_S:
                sys.exit(f"{command[0]} showed no window (exit code {app.poll()})")
            time.sleep(0.002)
        seconds = time.perf_counter() - begin
        fields = Path(f"/proc/{app.pid}/stat").read_text().rpartition(")")[2].split()
        used = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    finally:
        end(app)
    while painted(screen):
        time.sleep(0.01)
    return seconds, used


def end(app: subprocess.Popen[bytes]) -> None:
    """End the app and its engine, which would load its models beside the next start."""
    with contextlib.suppress(psutil.NoSuchProcess):
        family = [*psutil.Process(app.pid).children(recursive=True), psutil.Process(app.pid)]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, timeout=10)
    app.wait()


def painted(screen: np.memmap) -> bool:
    """Tell whether the screen shows more than a plain surface."""
    return len(np.unique(screen[1024::61])) >= COLOURS


if __name__ == "__main__":
    main()
