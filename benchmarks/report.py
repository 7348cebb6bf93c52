"""Write the figures of a benchmark, with what is needed to judge and repeat them."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
DATA = Path(__file__).parent / ".data"


@dataclass(frozen=True)
class Figure:
    """One measured value; `target` is a sentence such as "<= 1.80", `holds` is None where nothing is promised."""

    figure: str
    value: float
    unit: str
    target: str
    holds: bool | None


def figure(name: str, value: float, unit: str = "", target: str = "", holds: bool | None = None) -> Figure:
    """Return a figure and print it."""
    row = Figure(name, float(f"{value:.6g}"), unit, target, None if holds is None else bool(holds))
    verdict = {True: "holds", False: "FALLS SHORT", None: ""}[row.holds]
    print(f"{name:60} {row.value:>12} {unit:12} {target:24} {verdict}", flush=True)
    return row


def write(name: str, rows: list[Figure]) -> Path:
    """Write results/NAME.json: the figures with the command, machine and commit that made them."""
    about = {"command": command(), "machine": machine(), "commit": commit()}
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps([{**asdict(row), **about} for row in rows], indent=1) + "\n", encoding="utf-8")
    return path


def update(name: str, rows: list[Figure]) -> Path:
    """Write as `write` does; figures that were measured before and not now stay, with their own command and commit."""
    path = RESULTS / f"{name}.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    now = json.loads(write(name, rows).read_text(encoding="utf-8"))
    merged = {row["figure"]: row for row in (*before, *now)}
    path.write_text(json.dumps(list(merged.values()), indent=1) + "\n", encoding="utf-8")
    return path


def command() -> str:
    """Return the command line of this process as one would type it in the project's folder."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    program = f"-m {spec.name}" if spec else Path(sys.argv[0]).name
    return " ".join(["python", program, *map(shlex.quote, sys.argv[1:])])


def machine() -> str:
    """Return processor, usable cores, memory, graphics card, system, and the versions of Python and torch."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parts = [f"{_processor()}, {cores} cores"]
    if hasattr(os, "sysconf"):
        parts.append(f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB")
    if torch.cuda.is_available():
        parts.append(torch.cuda.get_device_name())
    parts += [platform.platform(terse=True), f"Python {platform.python_version()}", f"torch {torch.__version__}"]
    return "; ".join(parts)


def commit() -> str:
    """Return the commit, with "+changes" if a module that this process loaded differs from it; empty outside git."""
    root = Path(__file__).resolve().parents[1]
    loaded = [Path(file) for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))]
    ours = [str(file) for file in loaded if file.is_relative_to(root) and not file.is_relative_to(root / ".venv")]
    try:
        head = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=root, capture_output=True, text=True)
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--", *ours], cwd=root, capture_output=True, text=True
        )
    except FileNotFoundError:
        return ""
    return head.stdout.strip() + ("+changes" if changed.stdout.strip() else "")


def data_folder() -> Path:
    """Return the folder of the benchmark data: AIGC_BENCH_DATA, or `shared/data` beside the project."""
    return Path(os.environ.get("AIGC_BENCH_DATA", Path(__file__).parents[2] / "shared" / "data"))


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
