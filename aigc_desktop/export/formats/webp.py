"""WebP: smaller than JPEG, with transparency. Label and settings in the XMP chunk."""

from __future__ import annotations

from pathlib import Path

from aigc_desktop.core.i18n import N_
from aigc_desktop.export.label import AigcLabel, xmp_packet
from aigc_desktop.export.piece import Format, Options, Piece, settings_json
from aigc_desktop.export.pixels import for_webp, to_pillow, xmp_label, xmp_settings


def write(path: Path, pieces: list[Piece], label: AigcLabel, options: Options) -> None:
    """Write one picture."""
    packet = xmp_packet(label, settings_json(pieces[0]))
    for_webp(to_pillow(pieces[0], options)).save(path, "WEBP", quality=options.quality, method=6, xmp=packet)


FORMAT = Format(
    "webp", N_("WebP picture, smallest"), ".webp", "image", write, xmp_label("WEBP"), xmp_settings("WEBP"), order=30
)
