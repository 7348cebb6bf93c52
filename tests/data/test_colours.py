"""Pictures with a foreign ICC profile and a camera's rotation look the same wherever the program reads them.

The profiles are written here number by number, and what their colours are in sRGB is computed here too.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aigc_desktop.data.pictures import cut_picture, fit_picture, rgba_picture
from aigc_desktop.data.preview import load_thumbnail
from aigc_desktop.editing.pictures import open_picture as open_for_editing
from tests.data.conftest import Import, encoded

SIDE = 64
D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_D65 = (0.3127, 0.3290)
PRIMARIES = {
    "srgb": ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)), "p3": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    "adobe": ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)),
}  # fmt: skip
BACK = {
    1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}  # fmt: skip


FORTH = {6: Image.Transpose.ROTATE_270, 8: Image.Transpose.ROTATE_90}  # the others undo themselves


def _xyz(place: tuple[float, float]) -> np.ndarray:
    x, y = place
    return np.array([x / y, 1.0, (1 - x - y) / y])


def to_d50(space: str) -> np.ndarray:
    """Return the matrix from linear colours to XYZ as ICC profiles have it: under D50."""
    columns = np.array([_xyz(place) for place in PRIMARIES[space]]).T
    white = _xyz(_D65)
    matrix = columns * np.linalg.solve(columns, white)
    scale = np.diag((_BRADFORD @ D50) / (_BRADFORD @ white))
    return np.linalg.inv(_BRADFORD) @ scale @ _BRADFORD @ matrix


def srgb_curve(value: np.ndarray) -> np.ndarray:
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def encode_srgb(linear: np.ndarray) -> np.ndarray:
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


CURVES = {"srgb": srgb_curve, "adobe": lambda value: value ** (563 / 256), "linear": lambda value: value}


def _tag(kind: bytes, body: bytes) -> bytes:
    data = kind + b"\0" * 4 + body
    return data + b"\0" * (-len(data) % 4)


def _fixed(values: np.ndarray) -> bytes:
    return b"".join(struct.pack(">i", round(float(value) * 65536)) for value in values)


def _text(name: str) -> bytes:
    words = name.encode() + b"\0"
    return _tag(b"desc", struct.pack(">I", len(words)) + words + b"\0" * (4 + 4 + 2 + 1 + 67))


def profile(tags: dict[bytes, bytes], space: bytes, inner: bytes, kind: bytes = b"mntr") -> bytes:
    """Return an ICC profile of version 2 with these tags."""
    body, table = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data
    head = struct.pack(">I4sI4s4s4s", start + len(body), b"test", 0x02400000, kind, space, inner)
    head += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + b"\0" * 24 + struct.pack(">I", 0)
    head += _fixed(D50) + b"test" + b"\0" * 44
    return head[:128] + struct.pack(">I", len(tags)) + table + body


def matrix_profile(primaries: str, curve: str, name: str) -> bytes:
    matrix, steps = to_d50(primaries), np.linspace(0, 1, 4096)
    values = np.rint(CURVES[curve](steps) * 65535).astype(">u2")
    tone = _tag(b"curv", struct.pack(">I", len(values)) + values.tobytes())
    columns = {
        key: _tag(b"XYZ ", _fixed(matrix[:, i])) for i, key in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))
    }  # fmt: skip
    tags = {b"desc": _text(name), b"cprt": _tag(b"text", b"none\0"), b"wtpt": _tag(b"XYZ ", _fixed(D50))}
    return profile(tags | columns | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), tone), b"RGB ", b"XYZ ")


def grey_profile(gamma: float) -> bytes:
    tone = _tag(b"curv", struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0")
    tags = {b"desc": _text("grey"), b"cprt": _tag(b"text", b"none\0"), b"wtpt": _tag(b"XYZ ", _fixed(D50))}
    return profile(tags | {b"kTRC": tone}, b"GRAY", b"XYZ ")


def in_srgb(pixels: np.ndarray, primaries: str, curve: str) -> np.ndarray:
    """Return what colours (..., 3) of a space are in sRGB, 0 to 255."""
    linear = CURVES[curve](pixels / 255.0) @ to_d50(primaries).T @ np.linalg.inv(to_d50("srgb")).T
    return 255 * encode_srgb(linear)


def patches(width: int = SIDE, height: int = SIDE) -> np.ndarray:
    """Return a picture of flat squares of 8 pixels, no two rows or columns alike."""
    colours = np.random.default_rng(4).integers(0, 256, (height // 8, width // 8, 3), np.uint8)
    colours[0, :4] = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255))
    return colours.repeat(8, 0).repeat(8, 1)


def cmyk_profile() -> bytes:
    """Return a profile of inks: a table of two steps each, of the Lab colours in `corner_lab`."""
    grid = np.array([corner_lab(*inks) for inks in np.ndindex(2, 2, 2, 2)])
    table = np.rint(np.stack([grid[:, 0] * 2.55, grid[:, 1] + 128, grid[:, 2] + 128], -1)).astype(np.uint8)
    line = bytes(range(256))
    body = struct.pack(">4B", 4, 3, 2, 0) + _fixed(np.eye(3).ravel()) + line * 4 + table.tobytes() + line * 3
    tags = {b"desc": _text("inks"), b"cprt": _tag(b"text", b"none\0"), b"wtpt": _tag(b"XYZ ", _fixed(D50))}
    return profile(tags | {b"A2B0": _tag(b"mft1", body)}, b"CMYK", b"Lab ", b"prtr")


def corner_lab(*inks: int) -> tuple[float, float, float]:
    """Return a colour for full and empty inks, none of them out of reach of sRGB."""
    cyan, magenta, yellow, black = inks
    light = 100 - 20 * cyan - 24 * magenta - 6 * yellow
    a, b = 25 * magenta - 15 * cyan, 30 * yellow - 20 * cyan
    return light * (1 - 0.8 * black), a * (1 - black), b * (1 - black)


def lab_to_xyz(lab: tuple[float, float, float]) -> np.ndarray:
    y = (lab[0] + 16) / 116
    roots = np.array([y + lab[1] / 500, y, y - lab[2] / 200])
    return D50 * np.where(roots > 6 / 29, roots**3, 3 * (6 / 29) ** 2 * (roots - 4 / 29))


def ink_in_srgb(*inks: int) -> np.ndarray:
    """Return the colour of inks as screens show it: all inks together are its black, as print is usually shown."""
    black = lab_to_xyz(corner_lab(1, 1, 1, 1))
    xyz = D50 * (lab_to_xyz(corner_lab(*inks)) - black) / (D50 - black)
    return 255 * encode_srgb(np.linalg.inv(to_d50("srgb")) @ xyz)


SPACES = {
    "p3": ("p3", "srgb", "Display P3"), "adobe": ("adobe", "adobe", "Adobe RGB (1998)"),
    "linear": ("srgb", "linear", "sRGB, linear"),
}  # fmt: skip
OPTIONS = {"PNG": {}, "JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}, "TIFF": {}}


@pytest.mark.parametrize("format_name", OPTIONS)
@pytest.mark.parametrize("space", SPACES)
def test_foreign_profiles_end_in_srgb_everywhere(
    do_scan: Import, do_freeze, source: Path, space: str, format_name: str
) -> None:
    from aigc_desktop.engine.diffusion.given import open_whole
    from aigc_desktop.engine.pictures.common import open_picture

    primaries, curve, name = SPACES[space]
    options = {**OPTIONS[format_name], "icc_profile": matrix_profile(primaries, curve, name)}
    shown = Image.fromarray(patches())
    for orientation, back in BACK.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        lying = shown if back is None else shown.transpose(back)
        stored = Image.open(io.BytesIO(encoded(lying, format_name, **OPTIONS[format_name])))  # JPEG rounds a little
        upright = stored if back is None else stored.transpose(FORTH.get(orientation, back))
        expected = in_srgb(np.asarray(upright), primaries, curve)
        file = source / f"{orientation}.{format_name.lower()}"
        file.write_bytes(encoded(lying, format_name, exif=exif, **options))
        learned = open_picture(file, SIDE)[0].permute(1, 2, 0).numpy()
        ways = {
            "preview": load_thumbnail(file, SIDE), "editing": open_for_editing(file)[..., :3],
            "training": cut_picture(file.read_bytes(), SIDE, SIDE),
            "with transparency": cut_picture(file.read_bytes(), SIDE, SIDE, transparent=True)[..., :3],
            "projection": 127.5 * (learned + 1), "diffusion": open_whole(file),
        }  # fmt: skip
        for way, pixels in ways.items():
            off = np.abs(pixels.astype(float) - expected)
            assert off.max() <= 2, (orientation, way, off.max())


@pytest.mark.parametrize("format_name", ["JPEG", "TIFF"])
def test_inks_are_shown_by_their_profile(format_name: str) -> None:
    inks = np.array(list(np.ndindex(2, 2, 2, 2)), np.uint8).reshape(4, 4, 4) * 255
    image = Image.fromarray(inks.repeat(16, 0).repeat(16, 1), "CMYK")
    options = {"quality": 100, "subsampling": 0} if format_name == "JPEG" else {}
    shown = fit_picture(encoded(image, format_name, icc_profile=cmyk_profile(), **options), SIDE)
    expected = [ink_in_srgb(*each) for each in np.ndindex(2, 2, 2, 2)]
    assert np.abs(shown[8::16, 8::16].reshape(16, 3) - np.array(expected)).max() <= 2


@pytest.mark.parametrize("format_name", ["PNG", "TIFF"])
@pytest.mark.parametrize("mode", ["L", "LA"])
def test_greys_have_profiles_too_beside_transparency(format_name: str, mode: str) -> None:
    grey = np.linspace(0, 255, SIDE).astype(np.uint8)[None].repeat(SIDE, 0)
    data = encoded(Image.fromarray(grey).convert(mode), format_name, icc_profile=grey_profile(1.5))
    expected = 255 * encode_srgb((grey / 255.0) ** 1.5)[..., None]
    for pixels in (fit_picture(data, SIDE), rgba_picture(data)[..., :3]):
        assert np.abs(pixels - expected).max() <= 2


@pytest.mark.parametrize("space", SPACES)
def test_transparent_pictures_keep_cover_and_colours(space: str) -> None:
    primaries, curve, name = SPACES[space]
    cover = np.linspace(0, 255, SIDE).astype(np.uint8)[None].repeat(SIDE, 0)
    image = Image.fromarray(np.dstack([patches(), cover]))
    data = encoded(image, icc_profile=matrix_profile(primaries, curve, name))
    expected = in_srgb(patches(), primaries, curve)
    shown = rgba_picture(data)
    assert (shown[..., 3] == cover).all() and np.abs(shown[..., :3] - expected).max() <= 2
    laid = expected * cover[..., None] / 255.0 + (255 - cover[..., None].astype(float))
    assert np.abs(fit_picture(data, SIDE) - laid).max() <= 2


def test_the_frozen_pictures_and_a_mask_in_another_space_are_right(do_scan: Import, do_freeze, source: Path) -> None:
    from aigc_desktop.engine.pictures.common import open_mask

    exif = Image.Exif()
    exif[0x0112] = 6
    for name, pixels in (("wide", patches(96, 64)), ("mask", np.full((64, 96, 3), 255, np.uint8))):
        if name == "mask":
            pixels[:, :48] = 0
        lying = Image.fromarray(pixels).transpose(BACK[6])
        data = encoded(lying, exif=exif, icc_profile=matrix_profile("p3", "srgb", "Display P3"))
        (source / f"{name}.png").write_bytes(data)
    marked = open_mask(source / "mask.png", SIDE, source / "wide.png")[0, 0].numpy()
    assert (marked[:, : SIDE // 2] == 0).all() and (marked[:, SIDE // 2 :] == 1).all()
    (source / "mask.png").unlink()
    frozen = do_freeze(do_scan(source).dataset, size=64, validation=0).dataset
    expected = in_srgb(patches(96, 64)[:, 16:80], "p3", "srgb")
    assert np.abs(frozen.images("train")[0] - expected).max() <= 2
