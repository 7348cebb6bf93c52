"""SVG: a picture traced as curves that stay sharp at any size. Label and settings in the XMP of its metadata."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from aigc_desktop.core.i18n import N_
from aigc_desktop.export.label import AigcLabel, label_in_xmp, settings_in_xmp, xmp_packet
from aigc_desktop.export.mark import SHARE
from aigc_desktop.export.piece import Format, Options, Piece, parse_settings, settings_json
from aigc_desktop.export.pixels import unmarked
from aigc_desktop.export.tracing import trace

_HEAD = 4 << 20
_METADATA = re.compile(rb"<metadata>(.*?)</metadata>", re.DOTALL)
_CAPITALS = 0.7
"""How high capitals are in an em; the label is as high as export/mark.py asks."""


def write(path: Path, pieces: list[Piece], label: AigcLabel, options: Options) -> None:
    """Write one picture."""
    packet = xmp_packet(label, settings_json(pieces[0])).decode()
    path.write_text(drawing(pieces[0], options, f"<metadata>{packet}</metadata>\n"), encoding="utf-8", newline="\n")


def drawing(piece: Piece, options: Options, metadata: str = "") -> str:
    """Return a piece as an SVG document, as large and marked as the options say."""
    image = unmarked(piece, options)
    width, height = image.size
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">\n'
        f"{metadata}{trace(image, options.quality)}\n{_mark(options.mark, width, height)}</svg>\n"
    )


def _mark(words: str, width: int, height: int) -> str:
    """Return the label people see as a text on a plate in the lower right corner, "" for none."""
    if not words:
        return ""
    size = SHARE * min(width, height) / _CAPITALS
    em = sum(1.0 if ord(letter) > 0x2E7F else 0.62 for letter in words)
    size = min(size, width / (em + 1))
    across, down = size * (em + 0.8), size * 1.5
    return (
        f'<rect x="{width - across:.2f}" y="{height - down:.2f}" width="{across:.2f}" height="{down:.2f}"'
        ' fill="#000" fill-opacity="0.63"/>\n'
        f'<text x="{width - across / 2:.2f}" y="{height - 0.42 * size:.2f}" font-size="{size:.2f}"'
        f' font-family="sans-serif" text-anchor="middle" fill="#fff">{escape(words)}</text>\n'
    )


def _packet(path: Path) -> bytes:
    try:
        with path.open("rb") as f:
            found = _METADATA.search(f.read(_HEAD))
    except OSError:
        return b""
    return found[1] if found else b""


def read_label(path: Path) -> dict[str, Any] | None:
    """Return the label of an SVG file."""
    return label_in_xmp(_packet(path))


def read_settings(path: Path) -> dict[str, Any] | None:
    """Return our settings of an SVG file."""
    return parse_settings(settings_in_xmp(_packet(path)))


FORMAT = Format("svg", N_("SVG drawing, traced as curves"), ".svg", "image", write, read_label, read_settings, order=40)
