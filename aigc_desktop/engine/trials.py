"""What was found to be fastest on this machine, remembered for all processes.

A trial by the clock may end otherwise in the next process, and two trainings with the same seed would then compute with
other roundings. So the first answer holds, as a small file in the cache folder, until machine or torch change.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

from aigc_desktop.core.paths import cache_dir

_ANSWERS = {"yes": True, "no": False}


def remembered(name: str, trial: Callable[[], bool]) -> bool:
    """Return the answer of the trial called `name`, which is made when there is none yet.

    Where nothing can be kept, each process has an answer of its own.
    """
    machine = (platform.node(), platform.machine(), platform.processor(), torch.backends.cpu.get_cpu_capability())
    key = hashlib.sha256("\0".join((name, *machine, torch.__version__)).encode()).hexdigest()[:16]
    file = cache_dir() / "trials" / f"{name}-{key}"
    known = _answer(file)
    if known is not None:
        return known
    found = trial()
    own = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        own.write_text("yes" if found else "no", encoding="ascii")
        with suppress(FileExistsError):
            os.link(own, file)  # whole, and only if nobody else was first
    except OSError:  # also where a disk knows no links
        return found
    finally:
        with suppress(OSError):
            own.unlink()
    known = _answer(file)
    return found if known is None else known


def _answer(file: Path) -> bool | None:
    """Return what a file says, None without one; a damaged one is removed."""
    try:
        told = file.read_text(encoding="ascii")
    except (OSError, ValueError):
        told = ""
    if told not in _ANSWERS:
        with suppress(OSError):
            file.unlink()
        return None
    return _ANSWERS[told]
