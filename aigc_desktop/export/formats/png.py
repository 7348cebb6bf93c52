"""PNG: without loss; label in the XMP chunk, settings in a text chunk of our own.

The file is read back chunk by chunk, not with the program that wrote it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import PngImagePlugin

from aigc_desktop.core.i18n import N_
from aigc_desktop.export.label import AigcLabel, label_in_xmp, xmp_packet
from aigc_desktop.export.piece import Format, Options, Piece, parse_settings, settings_json
from aigc_desktop.export.pixels import to_pillow

SETTINGS_KEY = "aigc-desktop"
XMP_KEY = "XML:com.adobe.xmp"
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_LONGEST = 1 << 20


def write(path: Path, pieces: list[Piece], label: AigcLabel, options: Options) -> None:
    """Write one picture."""
    info = PngImagePlugin.PngInfo()
    info.add_itxt(SETTINGS_KEY, settings_json(pieces[0]))
    info.add_itxt(XMP_KEY, xmp_packet(label).decode())
    to_pillow(pieces[0], options).save(path, "PNG", pnginfo=info)


def read_label(path: Path) -> dict[str, Any] | None:
    """Return the label of a PNG file."""
    return label_in_xmp(text_chunks(path).get(XMP_KEY, "").encode())


def read_settings(path: Path) -> dict[str, Any] | None:
    """Return our settings of a PNG file."""
    return parse_settings(text_chunks(path).get(SETTINGS_KEY, ""))


def text_chunks(path: Path) -> dict[str, str]:
    """Return the international text chunks of a PNG file by keyword; nothing for a file that is none."""
    try:
        return dict(_texts(path))
    except (OSError, ValueError, struct.error, zlib.error):
        return {}


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    room = 4 * _LONGEST
    for kind, data in _chunks(path):
        if kind == b"iTXt":
            key, text = _text(data)
            room -= len(text)
            if room < 0:
                raise ValueError("more text than a picture needs")
            yield key, text


def _chunks(path: Path) -> Iterator[tuple[bytes, bytes]]:
    with path.open("rb") as f:
        if f.read(8) != _SIGNATURE:
            return
        while len(head := f.read(8)) == 8:
            size, kind = struct.unpack(">I4s", head)
            if kind == b"iTXt" and size <= _LONGEST:
                data = f.read(size)
                if zlib.crc32(kind + data) != struct.unpack(">I", f.read(4))[0]:
                    raise ValueError("checksum of a chunk")
                yield kind, data
            else:
                f.seek(size + 4, 1)


def _text(data: bytes) -> tuple[str, str]:
    """Return keyword and text: keyword, 0, compressed?, method, language, 0, translated keyword, 0, text."""
    key, rest = data.split(b"\0", 1)
    compressed, rest = rest[:1] == b"\1", rest[2:]
    _language, _translated, text = rest.split(b"\0", 2)
    if compressed:
        text = zlib.decompressobj().decompress(text, _LONGEST)
    return key.decode("latin-1"), text.decode("utf-8")


FORMAT = Format("png", N_("PNG picture, without loss"), ".png", "image", write, read_label, read_settings, order=10)
