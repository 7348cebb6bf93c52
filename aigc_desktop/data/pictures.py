"""Decode foreign pictures: by content, within limits, upright, in sRGB, on white where they are transparent.

Every picture is decoded whole, so a damaged one is found before training. What a damaged file can make Pillow
raise is a fixed list; each becomes an ItemProblem.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import struct
import threading
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, TiffImagePlugin, WebPImagePlugin  # noqa: F401 - two formats register on import

from aigc_desktop.core.errors import readable_size, system_reason
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.data.colours import has_alpha, to_rgb, to_rgba
from aigc_desktop.data.problems import ItemProblem

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP")
SUFFIXES = {
    ".png": "PNG", ".apng": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".mpo": "JPEG",
    ".webp": "WEBP", ".gif": "GIF", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP", ".dib": "BMP",
}  # fmt: skip
MAX_PIXELS = 64_000_000
MAX_SIDE = 32_768
MAX_BYTES = 512_000_000
_BIG_PIXELS = 8_000_000
_HASHED_PIXELS = 1_000_000  # at once
_BIG_LOCK = threading.Lock()  # one large picture at a time: memory stays bounded whatever the folder holds
_DECODE_ERRORS = (
    OSError, SyntaxError, ValueError, EOFError, TypeError, AttributeError, AssertionError, LookupError,
    ArithmeticError, RuntimeError, struct.error, zlib.error, Image.DecompressionBombError, Warning,
)  # fmt: skip

_KINDS: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", N_("a PDF document")), (b"8BPS", N_("a Photoshop picture")), (b"%!PS", N_("a PostScript file")),
    (b"\xc5\xd0\xd3\xc6", N_("a PostScript file")), (b"PK\x03\x04", N_("an archive or an Office document")),
    (b"\x00\x00\x01\x00", N_("an icon file")), (b"\x1f\x8b", N_("an archive or an Office document")),
    (b"7z\xbc\xaf", N_("an archive or an Office document")), (b"Rar!", N_("an archive or an Office document")),
    (b"\x00\x00\x00\x0cjP", N_("a JPEG 2000 picture")), (b"\xff\x0a", N_("a JPEG XL picture")),
)  # fmt: skip

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # fmt: skip
"""EXIF orientation -> what makes the picture upright."""

warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


@dataclass(frozen=True)
class PictureFacts:
    """What a whole decoding found: size as shown, after the camera's rotation, and a hash of the pixels as shown.

    `pixels` is the SHA-256 of what pictures share that show the same in whatever file format, in hexadecimal.
    """

    format: str
    width: int
    height: int
    animated: bool
    pixels: str


def read_file(path: str | Path, limit: int = MAX_BYTES) -> bytes:
    """Return a file's content; ItemProblem for missing, empty, too large, special, unreadable ones. It never hangs."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with open(handle, "rb") as f:
            facts = os.fstat(handle)
            if not stat.S_ISREG(facts.st_mode):
                raise ItemProblem("special")
            if facts.st_size > limit:
                raise ItemProblem("too_large", size=readable_size(facts.st_size), limit=readable_size(limit))
            data = f.read(limit)
    except FileNotFoundError as error:
        raise ItemProblem("missing") from error
    except OSError as error:
        raise ItemProblem("unreadable", reason=system_reason(error)) from error
    if not data:
        raise ItemProblem("empty")
    return data


def read_head(path: str | Path, count: int = 4096) -> bytes:
    """Return the first bytes of an ordinary file; OSError when it cannot be read."""
    with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)), "rb") as f:
        return f.read(count)


def inspect_picture(data: bytes) -> PictureFacts:
    """Decode a picture whole and return what it is; ItemProblem if it cannot be used."""
    with _guarded(data) as (image, format_name):
        animated = _is_animated(image)
        shown = _upright(image, transparent=has_alpha(image))
        return PictureFacts(format_name, shown.width, shown.height, animated, _pixels_hash(shown))


def cut_picture(data: bytes, width: int, height: int, transparent: bool = False) -> npt.NDArray[np.uint8]:
    """Return the middle of a picture as uint8 (height, width, 3), as much of it as fits, with antialiasing.

    With `transparent` there are four channels.
    """
    with _guarded(data) as (image, _format):
        least = 2 * max(width, height)
        image.draft(None, (least, least))  # JPEG decodes at a fraction of its size where that is enough
        upright = _upright(image, transparent)
        scale = min(upright.width / width, upright.height / height)  # of the picture to what is asked for
        left, top = (upright.width - scale * width) / 2, (upright.height - scale * height) / 2
        filter_ = Image.Resampling.LANCZOS if scale >= 1 else Image.Resampling.BICUBIC
        box = (left, top, left + scale * width, top + scale * height)
        return np.asarray(upright.resize((width, height), filter_, box))


def fit_picture(
    data: bytes, side: int, max_pixels: int = MAX_PIXELS, transparent: bool = False
) -> npt.NDArray[np.uint8]:
    """Return a picture as uint8 (H, W, 3) that fits into a square of `side`; with `transparent` in four channels."""
    with _guarded(data) as (image, format_name):
        image.draft(None, (side, side))
        if image.width * image.height > max_pixels and format_name != "JPEG":
            raise ItemProblem("too_large", size=_pixels(image), limit=_("{count} pixels").format(count=max_pixels))
        whole = _upright(image, transparent)
        whole.thumbnail((side, side), Image.Resampling.BOX if max(whole.size) > 4 * side else Image.Resampling.BICUBIC)
        return np.asarray(whole)


def rgba_picture(data: bytes) -> npt.NDArray[np.uint8]:
    """Return a whole picture as uint8 (H, W, 4), with its transparency; of an animated one the first frame."""
    with _guarded(data) as (image, _format):
        return np.asarray(_upright(image, transparent=True))


def sniff(data: bytes) -> str:
    """Return one of FORMATS for bytes that begin like a picture, else ""."""
    if data.startswith(b"\x89PNG"):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return "GIF"
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "TIFF"
    return "BMP" if data[:2] == b"BM" else ""


def kind_of(data: bytes) -> str:
    """Return in the user's language what bytes seem to be that are none of FORMATS; "" where nothing tells."""
    for magic, title in _KINDS:
        if data.startswith(magic):
            return _(title)
    if data[4:8] == b"ftyp":
        still = data[8:12] in (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis")
        return _("a HEIC or AVIF picture") if still else _("a video")
    if b"<svg" in data[:4096].lower():
        return _("an SVG drawing")
    return ""


class _guarded:  # noqa: N801 - used like a function
    """Open a picture within the limits; in the block every error of the decoder becomes an ItemProblem."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.locked = False

    def __enter__(self) -> tuple[Image.Image, str]:
        format_name = sniff(self.data)
        if not format_name:
            kind = kind_of(self.data)
            raise ItemProblem("unsupported", kind=kind) if kind else ItemProblem("not_picture")
        try:
            image = Image.open(io.BytesIO(self.data), formats=(format_name,))
            if image.width * image.height > MAX_PIXELS or max(image.size) > MAX_SIDE:
                raise ItemProblem("too_large", size=_pixels(image), limit=_limit())
        except (*_DECODE_ERRORS, MemoryError) as error:
            raise self._problem(error) from error
        if image.width * image.height > _BIG_PIXELS:
            _BIG_LOCK.acquire()
            self.locked = True
        return image, format_name

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self.locked:
            _BIG_LOCK.release()
        if isinstance(error, (*_DECODE_ERRORS, MemoryError)):
            raise self._problem(error) from error

    def _problem(self, error: BaseException) -> ItemProblem:
        if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning | MemoryError):
            return ItemProblem("too_large", size=_("more pixels than fit into memory"), limit=_limit())
        cut = isinstance(error, EOFError) or "truncated" in str(error).lower() or _is_cut(self.data)
        return ItemProblem("truncated" if cut else "corrupt")


def _upright(image: Image.Image, transparent: bool = False) -> Image.Image:
    image.load()  # Pillow turns TIFFs by itself here, and forgets the rotation then
    orientation = _orientation(image)
    colours = to_rgba(image) if transparent else to_rgb(image)
    return colours.transpose(_TURNS[orientation]) if orientation > 1 else colours


def _pixels_hash(shown: Image.Image) -> str:
    """Return the SHA-256 of size and pixels of a picture in RGB or RGBA; colours that nobody sees do not count."""
    if shown.mode == "RGBA" and shown.getchannel("A").getextrema() == (255, 255):
        shown = shown.convert("RGB")
    digest = hashlib.sha256(f"{shown.mode} {shown.width} {shown.height}".encode())
    rows = max(1, _HASHED_PIXELS // shown.width)  # in strips: another whole copy of a large picture takes much memory
    for top in range(0, shown.height, rows):
        strip = shown.crop((0, top, shown.width, min(shown.height, top + rows)))
        if shown.mode == "RGBA":
            pixels = np.array(strip)
            pixels[pixels[..., 3] == 0] = 0
            digest.update(pixels.tobytes())
        else:
            digest.update(strip.tobytes())
    return digest.hexdigest()


def _orientation(image: Image.Image) -> int:
    """Return the camera's rotation, 1 to 8; damaged camera data count as none."""
    try:
        value = image.getexif().get(0x0112, 1)
    except _DECODE_ERRORS:
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _is_animated(image: Image.Image) -> bool:
    try:
        animated = bool(getattr(image, "is_animated", False))
        if animated:
            image.seek(0)
    except _DECODE_ERRORS:
        return False  # what follows the first picture is damaged, and nobody needs it
    return animated


def _is_cut(data: bytes) -> bool:
    """Return whether the format's own end mark or length says that bytes are missing."""
    match sniff(data):
        case "PNG":
            return b"IEND" not in data[-64:]
        case "JPEG":
            return b"\xff\xd9" not in data[-64:]
        case "WEBP" if len(data) >= 8:
            return int.from_bytes(data[4:8], "little") + 8 > len(data)
        case "BMP" if len(data) >= 6:
            return int.from_bytes(data[2:6], "little") > len(data)
    return False


def _pixels(image: Image.Image) -> str:
    return _("{width} × {height} pixels").format(width=image.width, height=image.height)


def _limit() -> str:
    return _("{megapixels} megapixels and {side} pixels a side").format(
        megapixels=MAX_PIXELS // 1_000_000, side=MAX_SIDE
    )
