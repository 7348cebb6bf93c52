"""GIF: a film that plays anywhere and repeats, in 256 colours a frame. Label and settings in its comment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PIL import Image

from aigc_desktop.core.i18n import N_
from aigc_desktop.export.film import frame_ms, frames, note, read_note
from aigc_desktop.export.label import AigcLabel
from aigc_desktop.export.piece import Format, Options, Piece


def write(path: Path, pieces: list[Piece], label: AigcLabel, options: Options) -> None:
    """Write all pieces as the frames of one film."""
    first, *rest = frames(pieces, options, opaque=True)
    first.save(
        path, "GIF", save_all=True, append_images=rest, duration=frame_ms(options), loop=0,
        comment=note(pieces, label).encode(),
    )  # fmt: skip


def read_label(path: Path) -> dict[str, Any] | None:
    """Return the label of a GIF file."""
    return read_note(_comment(path))[0]


def read_settings(path: Path) -> dict[str, Any] | None:
    """Return our settings of a GIF file."""
    return read_note(_comment(path))[1]


def _comment(path: Path) -> bytes:
    try:
        with Image.open(path, formats=("GIF",)) as image:
            found = image.info.get("comment", b"")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return b""
    return found if isinstance(found, bytes) else str(found).encode()


FORMAT = Format(
    "gif", N_("GIF film, plays anywhere"), ".gif", "image", write, read_label, read_settings, together=True, order=40,
    film=True,
)  # fmt: skip
