"""SVG drawings: the picture's shapes and colours as curves, labelled like all exports."""

from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from aigc_desktop.core import paths
from aigc_desktop.core.errors import UserError
from aigc_desktop.export.export import export_pieces, format_named, label_of
from aigc_desktop.export.piece import Options, Piece
from aigc_desktop.export.tracing import trace

SVG = "{http://www.w3.org/2000/svg}"


def square(channels=3, size=64):
    pixels = np.full((size, size, channels), 255, np.uint8)
    if channels == 4:
        pixels[..., 3] = 0
    pixels[16:48, 16:48, :3] = (200, 0, 0)
    if channels == 4:
        pixels[16:48, 16:48, 3] = 255
    return Piece("image", "square", pixels)


def test_shapes_become_paths_in_their_colours_at_the_picture_s_size(tmp_path):
    [path] = export_pieces([square()], tmp_path, format_named("svg", "image"))
    root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    assert (root.get("width"), root.get("height"), root.get("viewBox")) == ("64", "64", "0 0 64 64")
    fills = [node.get("fill") for node in root.iter(f"{SVG}path")]
    assert "#C80000" in fills and "#FFFFFF" in fills
    assert label_of(path)["Label"] == "1"


def test_what_is_transparent_gets_no_path_and_enlarging_counts(tmp_path):
    [path] = export_pieces([square(4)], tmp_path, format_named("svg", "image"), options=Options(least=256))
    root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    assert root.get("width") == "256"
    fills = [bytes.fromhex(node.get("fill")[1:]) for node in root.iter(f"{SVG}path")]
    assert fills and all(abs(red - 200) < 3 and green == blue == 0 for red, green, blue in fills)


@pytest.mark.parametrize("words", ["AI生成", 'AI "gen" <b>'])
def test_the_visible_label_is_a_text_within_the_picture_and_high_enough(tmp_path, words):
    [path] = export_pieces([square()], tmp_path, format_named("svg", "image"), options=Options(mark=words))
    root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    [text], [plate] = root.findall(f"{SVG}text"), root.findall(f"{SVG}rect")
    assert text.text == words
    assert float(plate.get("x")) >= 0 and float(text.get("font-size")) * 0.7 >= 0.05 * 64 * 0.99


def test_a_large_picture_is_traced_small_and_drawn_large():
    image = Image.new("RGB", (3000, 600), "white")
    image.paste((0, 0, 200), (0, 0, 1500, 600))
    drawn = trace(image, 92)
    assert "scale(2.92969,2.92683)" in drawn and "#0000C8" in drawn


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 2)])
def test_tiny_and_empty_pictures_are_drawings_too(tmp_path, size):
    for pixels in (np.zeros((*size, 4), np.uint8), np.full((*size, 3), 9, np.uint8)):
        [path] = export_pieces([Piece("image", "tiny", pixels)], tmp_path, format_named("svg", "image"))
        ElementTree.fromstring(path.read_text(encoding="utf-8"))


def test_a_helper_that_fails_is_one_sentence(monkeypatch):
    monkeypatch.setattr(paths, "command", lambda: ["false"])
    with pytest.raises(UserError, match="made into curves"):
        trace(Image.new("RGB", (4, 4)), 50)
