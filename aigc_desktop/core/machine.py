"""What this machine is: cores, memory, disk and, where the engine found one, a graphics card."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass

THREADS_VARIABLE = "AIGC_DESKTOP_THREADS"


@dataclass(frozen=True)
class Machine:
    """Facts that plans and presets depend on; sizes in bytes. `device` is torch's name for where models run."""

    cores: int
    memory: int
    processor: str
    device: str = "cpu"
    device_name: str = ""
    device_memory: int = 0
    bfloat16: bool = False

    @property
    def weak(self) -> bool:
        """Return whether training from nothing is slow here: no graphics card."""
        return self.device == "cpu"


def inspect_machine() -> Machine:
    """Return what can be known without torch; the engine fills in the rest."""
    return Machine(usable_cores(), _memory(), platform.processor() or platform.machine())


def usable_cores() -> int:
    """Return how many cores this process may use, which in a container is fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> int:
    """Return the bytes of memory; where the system tells them itself, without psutil, for the start of the window."""
    if hasattr(os, "sysconf"):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    import psutil

    return int(psutil.virtual_memory().total)


def engine_threads() -> int:
    """Return how many threads a computation may use: beside a window one core stays free, headless none needs to."""
    wanted = os.environ.get(THREADS_VARIABLE, "")
    return int(wanted) if wanted.isdecimal() and int(wanted) else max(1, usable_cores() - 1)
