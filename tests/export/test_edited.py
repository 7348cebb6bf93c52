"""Edited pictures know their original and all that was done, and pictures of people get no label."""

import numpy as np
import pytest
from PIL import Image

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.library import Library
from aigc_desktop.data.samples import encode_png
from aigc_desktop.export.edited import edited_piece, export_plain, keep_edited, source_of_card, source_of_file
from aigc_desktop.export.export import export_pieces, format_named, label_of, read_settings
from aigc_desktop.export.piece import Piece
from aigc_desktop.export.results import keep, piece_of_card

ORIGIN = {"task": "image_gan.generate", "model": "m", "checkpoint": "000500", "seed": 7, "label": "cup",
          "settings": {"count": 4}, "rating": {"score": 0.9}}  # fmt: skip
CROP, RESIZE = {"operation": "crop", "ratio": "1:1"}, {"operation": "resize", "width": 8}


@pytest.fixture
def library(workspace):
    opened = Library(workspace.folder)
    yield opened
    opened.close()


def picture(seed=0):
    return np.random.default_rng(seed).integers(256, size=(12, 10, 3), dtype=np.uint8)


def edited(tmp_path, source, steps, seed=1):
    file = tmp_path / "edited.png"
    file.write_bytes(encode_png(picture(seed)))
    return edited_piece(source, file, steps)


def test_the_chain_grows_from_edit_to_edit_and_the_originals_stay(tmp_path, library):
    first = keep(library, Piece("image", "cup #7", picture(), origin=ORIGIN))
    source = source_of_card(library, first)
    second = keep_edited(library, source, edited(tmp_path, source, [CROP]), [CROP])
    source = source_of_card(library, second)
    third = keep_edited(library, source, edited(tmp_path, source, [RESIZE], seed=2), [RESIZE])
    assert third.edits == (CROP, RESIZE) and third.parents == (second.id,) and second.parents == (first.id,)
    assert second.title == "cup #7 · Crop" and (third.run, third.seed, third.checkpoint) == ("m", 7, "000500")
    assert library.count() == 3 and second.rating is None
    assert library.get(third.id).edits == (CROP, RESIZE), "the card on the disk knows"
    assert (piece_of_card(library, first).pixels == picture()).all()
    settings = read_settings(library.path(third))
    assert settings["edits"] == [CROP, RESIZE] and settings["seed"] == 7
    assert label_of(library.path(third))["Label"] == "1"


def test_the_same_edit_is_kept_once_and_another_chain_is_another_work(tmp_path, library):
    source = source_of_card(library, keep(library, Piece("image", "cup", picture(), origin=ORIGIN)))
    chains = ([CROP], [CROP], [RESIZE])
    cards = [keep_edited(library, source, edited(tmp_path, source, steps), steps) for steps in chains]
    assert cards[0].id == cards[1].id != cards[2].id


def test_an_exported_file_is_known_again_and_a_photograph_stays_without_label(tmp_path):
    [file] = export_pieces([Piece("image", "cup", picture(), origin=ORIGIN)], tmp_path, format_named("png", "image"))
    source = source_of_file(file)
    assert source.generated and source.origin["seed"] == 7 and source.title == "cup"
    photo = tmp_path / "photo.jpg"
    Image.fromarray(picture()).save(photo)
    source = source_of_file(photo)
    assert not source.generated and source.title == "photo"
    piece = edited(tmp_path, source, [CROP])
    for ending in (".png", ".jpg", ".webp", ".svg"):
        out = export_plain(piece, tmp_path / "out", ending, 92)
        assert out.name == f"photo{ending}" and label_of(out) is None
    assert export_plain(piece, tmp_path / "out", ".png", 92).name == "photo 2.png"


def test_a_photograph_too_long_for_webp_is_a_sentence(tmp_path):
    strip = Piece("image", "strip", np.zeros((2, 16384, 3), np.uint8))
    with pytest.raises(UserError, match="16384 × 2"):
        export_plain(strip, tmp_path, ".webp", 90)
    assert not list(tmp_path.iterdir())


def test_a_text_is_no_source(library):
    with pytest.raises(UserError, match="is a text"):
        source_of_card(library, keep(library, Piece("text", "words", text="hello", origin=ORIGIN)))
