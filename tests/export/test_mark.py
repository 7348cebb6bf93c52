"""The label people see on a picture: high enough, legible on anything, in a corner, and only where it is wanted."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from aigc_desktop.export.export import export_pieces, format_named, label_of
from aigc_desktop.export.label import MARKS
from aigc_desktop.export.mark import LEGIBLE_PX, _fitting, draw_plate, letter_height, mark_picture
from aigc_desktop.export.piece import LEAST, Options, Piece, labelled
from aigc_desktop.export.pixels import enlarged

SIZES = ((16, 16), (32, 32), (64, 48), (128, 128), (512, 768), (1024, 1024), (4096, 300), (300, 4096))
every_words = pytest.mark.parametrize("words", MARKS.values())
every_size = pytest.mark.parametrize("size", SIZES)


@every_words
@every_size
def test_the_letters_are_at_least_a_twentieth_of_the_shorter_side(words: str, size: tuple[int, int]):
    font, _margin = _fitting(words, size)
    assert letter_height(font) >= 0.05 * min(size)
    if min(size) >= 128:
        assert font.size >= LEGIBLE_PX


@every_words
@every_size
def test_the_label_lies_whole_in_the_corner(words: str, size: tuple[int, int]):
    plate = draw_plate(words, size)
    assert plate.width <= size[0] and plate.height <= size[1]
    if min(size) > 16:
        assert plate.height < 0.6 * size[1]
        assert plate.getpixel((plate.width - 1, 0))[3] == plate.getpixel((0, plate.height - 1))[3] < 255  # its margin
    marked = np.asarray(mark_picture(Image.new("RGB", size, (90, 120, 40)), words)).astype(int)
    touched = np.argwhere(np.abs(marked - (90, 120, 40)).max(axis=-1) > 0)
    assert touched.min(axis=0).tolist() == [size[1] - plate.height, size[0] - plate.width]


@every_words
@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (128, 128, 128), (255, 210, 0)])
def test_letters_stand_out_on_light_and_dark(words: str, colour: tuple[int, int, int]):
    marked = mark_picture(Image.new("RGB", (512, 512), colour), words)
    plate = draw_plate(words, marked.size)
    corner = np.asarray(marked)[-plate.height :, -plate.width :].reshape(-1, 3)
    luminance = sorted(_luminance(pixel) for pixel in corner)
    assert (luminance[-1] + 0.05) / (luminance[0] + 0.05) >= 4.5


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_the_kind_of_picture_stays(mode: str):
    image = Image.new(mode, (200, 100))
    marked = mark_picture(image, MARKS["zh_CN"])
    assert (marked.mode, marked.size) == (mode, image.size)
    assert image.tobytes() == Image.new(mode, (200, 100)).tobytes()  # what was given is as it was


@pytest.mark.parametrize("name", ["png", "jpeg", "webp"])
def test_every_format_shows_it_beside_the_hidden_label(name: str, tmp_path):
    piece = Piece("image", "cup", np.full((200, 300, 3), 200, np.uint8))
    to = format_named(name, "image")
    [marked] = export_pieces([piece], tmp_path, to, options=Options(mark=MARKS["en"]))
    [plain] = export_pieces([piece], tmp_path, to)
    assert label_of(marked) and label_of(plain)
    corner = np.asarray(Image.open(marked).convert("L"))[-20:, -60:]
    assert np.ptp(corner) > 150 and np.ptp(np.asarray(Image.open(plain).convert("L"))) < 8


def test_the_language_in_use_decides_unless_one_is_named():
    assert labelled("auto", "end").mark == MARKS["en"]
    assert labelled("zh_CN", "start") == Options(least=LEAST, mark="AI生成", line="start")
    assert labelled("none", "none") == Options(least=LEAST, line="none")


def test_small_pictures_are_enlarged_by_a_whole_factor_when_wanted():
    small = Image.new("RGB", (40, 30))
    assert enlarged(small, 0) is small and enlarged(small, 30) is small
    assert enlarged(small, 256).size == (360, 270)
    assert enlarged(Image.new("L", (4000, 2)), 256).size == (4000, 2)


def _luminance(pixel) -> float:
    """Return the relative luminance of WCAG 2.1."""
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in pixel / 255]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))
