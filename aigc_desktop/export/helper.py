"""This program started once more for one piece of work: what would hold up its threads, or must not run on one."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from aigc_desktop.core import paths
from aigc_desktop.core.engine_process import HIDDEN


def ask_helper(arguments: Sequence[str], data: bytes = b"", limit_s: float = 300) -> bytes:
    """Return what the helper writes to its output; subprocess.SubprocessError when it fails or takes too long."""
    done = subprocess.run(
        [*paths.command(), *arguments], input=data, capture_output=True, timeout=limit_s, check=True,
        creationflags=HIDDEN,
    )  # fmt: skip
    return done.stdout
