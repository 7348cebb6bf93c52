"""Facts about this program and machine, for the about box and for reports."""

from __future__ import annotations

import platform
import sys

import PySide6

from aigc_desktop import __version__
from aigc_desktop.core.errors import readable_size
from aigc_desktop.core.i18n import ngettext
from aigc_desktop.core.machine import Machine, inspect_machine


def machine_facts(machine: Machine | None = None) -> str:
    """Return version, system, processor, memory and graphics card, one to a line, as they are copied."""
    machine = machine or inspect_machine()
    build = "frozen" if getattr(sys, "frozen", False) else "source"
    lines = [
        f"AIGC Desktop {__version__} ({build})",
        f"Python {platform.python_version()}, Qt {PySide6.__version__}",
        f"{platform.system()} {platform.release()} {platform.machine()}",
        f"{machine.processor or platform.machine()}, cores: {machine.cores}, {readable_size(machine.memory)}",
        device_words(machine),
    ]
    return "\n".join(lines)


def device_words(machine: Machine) -> str:
    """Return where models run, in a few words: the graphics card with its memory, or the processor."""
    if machine.weak:
        text = ngettext("processor, {count} core", "processor, {count} cores", machine.cores)
        return text.format(count=machine.cores)
    return f"{machine.device_name or machine.device}, {readable_size(machine.device_memory)}"
