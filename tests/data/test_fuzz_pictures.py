"""Mutated pictures are decoded or refused with a code; nothing else ever comes out of the decoder."""

from __future__ import annotations

import random
import struct
import zlib
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from aigc_desktop.data.pictures import cut_picture, fit_picture, inspect_picture
from aigc_desktop.data.problems import PROBLEMS, ItemProblem
from tests.data.conftest import encoded, picture

SEEDS = {
    "PNG": lambda: [
        encoded(picture(1, 24)), encoded(picture(2, 24, "P"), "PNG", transparency=3), encoded(picture(3, 24, "LA")),
        encoded(Image.fromarray(np.arange(576, dtype=np.uint16).reshape(24, 24) * 100)),
        encoded(picture(4, 24), save_all=True, append_images=[picture(5, 24)]),
    ],
    "JPEG": lambda: [
        encoded(picture(1, 24), "JPEG"), encoded(picture(2, 24, "CMYK"), "JPEG"),
        encoded(picture(3, 24), "JPEG", progressive=True, exif=_exif()),
    ],
    "WEBP": lambda: [
        encoded(picture(1, 24), "WEBP"), encoded(picture(2, 24, "RGBA"), "WEBP", lossless=True, exif=_exif()),
        encoded(picture(4, 24), "WEBP", save_all=True, append_images=[picture(5, 24)]),
    ],
    "GIF": lambda: [
        encoded(picture(1, 24, "P"), "GIF"),
        encoded(picture(4, 24), "GIF", save_all=True, append_images=[picture(5, 24)]),
    ],
    "TIFF": lambda: [
        encoded(picture(1, 24), "TIFF"), encoded(picture(2, 24), "TIFF", compression="tiff_lzw"),
        encoded(picture(3, 24, "CMYK"), "TIFF"), encoded(picture(4, 24), "TIFF", compression="tiff_adobe_deflate"),
        encoded(picture(4, 24), "TIFF", save_all=True, append_images=[picture(5, 24)]),
    ],
    "BMP": lambda: [encoded(picture(1, 24, mode), "BMP") for mode in ("RGB", "P", "1", "L")],
}  # fmt: skip


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def mutate(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _change in range(rng.randint(1, 8)):
        match rng.randrange(5):
            case 0 | 1:
                at = rng.randrange(min(len(changed), 80) if rng.random() < 0.6 else len(changed))
                changed[at] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
            case 2:
                at = rng.randrange(len(changed))
                changed[at : at + 4] = rng.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"))
            case 3:
                at = rng.randrange(len(changed))
                del changed[at : at + rng.randint(1, 20)]
            case 4:
                at, length = rng.randrange(len(changed)), rng.randint(1, 30)
                changed[at:at] = changed[at : at + length]
        if not changed:
            break
    if rng.random() < 0.1:
        del changed[rng.randrange(len(changed) + 1) :]
    return bytes(changed)


def with_right_checksums(data: bytes) -> bytes:
    """Recompute the checksum of every PNG chunk, so that mutants get past it into the decoder."""
    out, at = bytearray(data[:8]), 8
    while at + 12 <= len(data):
        length = min(struct.unpack(">I", data[at : at + 4])[0], len(data) - at - 12)
        body = data[at + 4 : at + 8 + length]
        out += struct.pack(">I", length) + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return bytes(out + data[at:])


def fuzz(format_name: str, count: int) -> None:
    rng = random.Random(count)
    seeds = SEEDS[format_name]()
    outcomes: Counter[str] = Counter()
    for number in range(count):
        data = mutate(rng.choice(seeds), rng)
        if format_name == "PNG" and rng.random() < 0.8:
            data = with_right_checksums(data)
        decode = (inspect_picture, lambda d: cut_picture(d, 16, 16), lambda d: fit_picture(d, 16))[number % 3]
        try:
            decode(data)
            outcomes["good"] += 1
        except ItemProblem as problem:
            assert problem.code in PROBLEMS
            outcomes[problem.code] += 1
    assert outcomes["good"] > 0
    assert outcomes["corrupt"] + outcomes["truncated"] > 0


@pytest.mark.parametrize("format_name", SEEDS)
def test_1000_mutants_are_decoded_or_refused(format_name: str) -> None:
    fuzz(format_name, 1000)


@pytest.mark.slow
@pytest.mark.parametrize("format_name", SEEDS)
def test_10000_mutants_are_decoded_or_refused(format_name: str) -> None:
    fuzz(format_name, 10_000)
