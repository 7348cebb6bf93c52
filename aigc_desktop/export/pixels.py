"""What the picture formats share: Pillow in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.export.label import label_in_xmp, settings_in_xmp
from aigc_desktop.export.mark import mark_picture
from aigc_desktop.export.piece import Options, Piece, parse_settings

LONGEST = 8192
"""A longer side that enlarging never goes beyond."""
WEBP_SIDE = 16383
"""The longest side that the WebP format knows."""
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def to_pillow(piece: Piece, options: Options) -> Image.Image:
    """Return a piece's pixels as a Pillow picture, as large and marked as the options say."""
    image = unmarked(piece, options)
    return mark_picture(image, options.mark) if options.mark else image


def unmarked(piece: Piece, options: Options) -> Image.Image:
    """Return a piece's pixels as large as the options say."""
    pixels = piece.pixels
    values = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    return enlarged(Image.fromarray(np.ascontiguousarray(values), _MODES[pixels.shape[2]]), options.least)


def enlarged(image: Image.Image, least: int) -> Image.Image:
    """Return a picture enlarged by the whole factor that makes its shorter side `least` pixels or more, or itself."""
    factor = -(-least // min(image.size))
    if factor <= 1 or factor * max(image.size) > LONGEST:
        return image
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.LANCZOS)


def for_webp(image: Image.Image) -> Image.Image:
    """Return a picture that fits the WebP format; UserError for one with a longer side."""
    if max(image.size) > WEBP_SIDE:
        raise UserError(
            _("A WebP picture has {most} pixels a side at most; this one has {width} × {height}.").format(
                most=WEBP_SIDE, width=image.width, height=image.height
            ),
            _("Choose another format, or make the picture smaller first."),
        )
    return image


def flattened(piece: Piece, options: Options) -> Image.Image:
    """Return a piece's pixels without transparency, laid on the background colour."""
    image = to_pillow(piece, options)
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
