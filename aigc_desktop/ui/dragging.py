"""Files for what is dragged out of the window: exported into the cache, cleared away a day later."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aigc_desktop.core.paths import cache_dir

if TYPE_CHECKING:
    from aigc_desktop.core.settings import Preferences
    from aigc_desktop.export.piece import Piece

LIMIT = 200
"""Works that are dragged at once at most: the window waits for their files."""
_DAY_NS = 86_400 * 10**9


def files_to_drag(pieces: Sequence[Piece], preferences: Preferences) -> list[Path]:
    """Export pieces of one kind, labelled like any export, and return the files."""
    from aigc_desktop.export.export import export_pieces, format_named
    from aigc_desktop.export.piece import labelled

    if not pieces:
        return []
    folder = cache_dir() / "dragged"
    for old in folder.glob("*"):
        if old.name.isdecimal() and time.time_ns() - int(old.name) > _DAY_NS:
            shutil.rmtree(old, ignore_errors=True)
    options = labelled(preferences.picture_label, preferences.text_label)
    return export_pieces(pieces, folder / str(time.time_ns()), format_named("", pieces[0].kind), options=options)
