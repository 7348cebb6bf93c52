"""Animated WebP: a film that repeats, with all colours and transparency. Label and settings in the XMP chunk."""

from __future__ import annotations

from pathlib import Path

from aigc_desktop.core.i18n import N_
from aigc_desktop.export.film import frame_ms, frames
from aigc_desktop.export.label import AigcLabel, xmp_packet
from aigc_desktop.export.piece import Format, Options, Piece, settings_json
from aigc_desktop.export.pixels import for_webp, xmp_label, xmp_settings


def write(path: Path, pieces: list[Piece], label: AigcLabel, options: Options) -> None:
    """Write all pieces as the frames of one film."""
    first, *rest = frames(pieces, options, opaque=False)
    for_webp(first).save(
        path, "WEBP", save_all=True, append_images=rest, duration=frame_ms(options), loop=0, quality=options.quality,
        xmp=xmp_packet(label, settings_json(pieces[0])),
    )  # fmt: skip


FORMAT = Format(
    "webp-film", N_("WebP film, all colours"), ".webp", "image", write, xmp_label("WEBP"), xmp_settings("WEBP"),
    together=True, order=50, film=True,
)  # fmt: skip
