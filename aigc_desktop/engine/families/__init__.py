"""Model families, one file each, found by their constant FAMILY."""

from __future__ import annotations

import sys
from functools import cache

from aigc_desktop.core.discover import discover
from aigc_desktop.core.family import Family


@cache
def load_families() -> dict[str, Family]:
    """Return the model families, by name."""
    return {family.name: family for family in discover(sys.modules[__name__], "FAMILY")}
