"""JPEG: small, for photographs; no transparency. Label and settings in the XMP segment, at most 65,504 bytes."""

from __future__ import annotations

from pathlib import Path

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.export.label import AigcLabel, xmp_packet
from aigc_desktop.export.piece import Format, Options, Piece, settings_json
from aigc_desktop.export.pixels import flattened, xmp_label, xmp_settings

_ROOM = 65_504


def write(path: Path, pieces: list[Piece], label: AigcLabel, options: Options) -> None:
    """Write one picture; UserError when its settings do not fit."""
    packet = xmp_packet(label, settings_json(pieces[0]))
    if len(packet) > _ROOM:
        raise UserError(_("The settings of “{title}” are too long for a JPEG file.").format(title=pieces[0].title),
                        _("Export it as PNG or WebP."))  # fmt: skip
    flattened(pieces[0], options).save(path, "JPEG", quality=options.quality, subsampling=0, xmp=packet)


FORMAT = Format(
    "jpeg", N_("JPEG picture, small"), ".jpg", "image", write, xmp_label("JPEG"), xmp_settings("JPEG"), order=20
)
