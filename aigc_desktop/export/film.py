"""What the formats of films share: frames of one size, how long each is shown, and the note with label and settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from PIL import Image

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.export.label import AigcLabel, parse_label
from aigc_desktop.export.piece import Options, Piece, parse_settings, settings_json
from aigc_desktop.export.pixels import flattened, to_pillow

_BEGIN = '{"AIGC": '
_LONGEST = 1 << 24


def frames(pieces: list[Piece], options: Options, *, opaque: bool) -> Iterator[Image.Image]:
    """Yield the pieces as pictures of one size; UserError when they differ in size."""
    sizes = {piece.pixels.shape[:2] for piece in pieces}
    if len(sizes) > 1:
        raise UserError(
            _("A film needs pictures of one size; these have {count} sizes.").format(count=len(sizes)),
            _("Choose pictures of one size."),
        )
    for piece in pieces:
        yield flattened(piece, options).convert("RGB") if opaque else to_pillow(piece, options)


def frame_ms(options: Options) -> int:
    """Return how long a frame is shown, in milliseconds; many viewers slow down what is shown for less than 20."""
    return max(20, round(1000 / options.fps))


def note(pieces: list[Piece], label: AigcLabel) -> str:
    """Return label and settings as one JSON text, for formats with a place for a comment."""
    return json.dumps({"AIGC": label.values(), "settings": settings_json(pieces[0])})


def read_note(content: bytes) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return label and settings of the first note in the bytes of a file, None where there are none."""
    start = content[:_LONGEST].find(_BEGIN.encode())
    if start < 0:
        return None, None
    try:
        values, _end = json.JSONDecoder().raw_decode(content[start:_LONGEST].decode("ascii", "replace"))
    except (ValueError, RecursionError):
        return None, None
    return parse_label(json.dumps(values)), parse_settings(str(values.get("settings", "")))
