"""What the picture formats share: Pillow in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from aigc_desktop.export.label import label_in_xmp, settings_in_xmp
from aigc_desktop.export.piece import Options, Piece, parse_settings

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def to_pillow(piece: Piece) -> Image.Image:
    """Return a piece's pixels as a Pillow picture."""
    pixels = piece.pixels
    values = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    return Image.fromarray(np.ascontiguousarray(values), _MODES[pixels.shape[2]])


def flattened(piece: Piece, options: Options) -> Image.Image:
    """Return a piece's pixels without transparency, laid on the background colour."""
    image = to_pillow(piece)
    if image.mode != "RGBA":
        return image
    below = Image.new("RGBA", image.size, (*options.background, 255))
    return Image.alpha_composite(below, image).convert("RGB")


def read_xmp(path: Path, kind: str) -> bytes:
    """Return the XMP packet of a picture of one format, empty when it has none or is no such picture."""
    try:
        with Image.open(path, formats=(kind,)) as image:
            packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return b""
    return packet.encode() if isinstance(packet, str) else bytes(packet)


def xmp_label(kind: str) -> Any:
    """Return a reader of the label in a format's XMP packet."""
    return lambda path: label_in_xmp(read_xmp(path, kind))


def xmp_settings(kind: str) -> Any:
    """Return a reader of our settings in a format's XMP packet."""
    return lambda path: parse_settings(settings_in_xmp(read_xmp(path, kind)))
