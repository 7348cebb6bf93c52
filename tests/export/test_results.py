"""What a job made is kept and exported with its origin."""

from __future__ import annotations

import numpy as np
import pytest

from aigc_desktop.core.events import Finished, Sample, Text
from aigc_desktop.core.files import write_json
from aigc_desktop.core.library import Library, Query
from aigc_desktop.data.recorder import record
from aigc_desktop.export.export import label_of, read_settings
from aigc_desktop.export.piece import Options
from aigc_desktop.export.results import export_result, keep_result, origin_of, piece_of_card, pieces_of, text_title


@pytest.fixture
def model(workspace):
    run = workspace.new_run("image_gan.train", {"dataset": "cups"}, "Cups 杯")
    run.update(dataset_hash="ab12", best="000500")
    for name in ("000500", "001000"):
        folder = run.checkpoints_dir / name
        folder.mkdir(parents=True)
        write_json(folder / "MANIFEST.json", {})
    return run


def _made(workspace, task, config, *events):
    result = workspace.new_run(task, config, parent="results")
    assert list(record(result, [*events, Finished()]))[-1] == Finished()
    return result


def _pictures(workspace, model):
    images = np.random.default_rng(0).integers(0, 255, (3, 16, 16, 3), dtype=np.uint8)
    config = {"run": model.id, "checkpoint": "best", "count": 3, "seed": 5, "wildness": 0.5}
    return images, _made(workspace, "image_gan.generate", config, Sample(0, images, (5, 6, 7), ("a", "", "b")))


def test_pictures_become_pieces_with_their_origin(workspace, model):
    images, result = _pictures(workspace, model)
    pieces = list(pieces_of(result))
    assert [piece.title for piece in pieces] == ["Cups 杯 a #5", "Cups 杯 #6", "Cups 杯 b #7"]
    assert all(np.array_equal(piece.pixels, image) for piece, image in zip(pieces, images, strict=True))
    origin = pieces[1].origin
    assert (origin["seed"], origin["checkpoint"], origin["dataset_hash"]) == (6, "000500", "ab12")


def test_originals_beside_their_copies_are_not_exported_as_made(workspace, model, tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (4, 16, 16, 3), dtype=np.uint8)
    sheet = Sample(0, images, role="reconstruction")
    result = _made(workspace, "image_vae.reconstruct", {"run": model.id}, sheet, sheet)
    pieces = list(pieces_of(result))
    assert len(pieces) == 4
    assert all(np.array_equal(piece.pixels, images[2 * (i % 2) + 1]) for i, piece in enumerate(pieces))
    assert len(export_result(result, tmp_path / "out", Options())) == 4


def test_a_removed_model_does_not_take_its_works_along(workspace, model):
    _images, result = _pictures(workspace, model)
    workspace.trash(model.folder)
    assert origin_of(result).model == model.id
    assert len(list(pieces_of(result))) == 3


def test_kept_pictures_are_labelled_know_their_origin_and_are_kept_once(workspace, model):
    images, result = _pictures(workspace, model)
    library = Library(workspace.folder)
    cards = keep_result(library, result)
    assert keep_result(library, result) == cards
    assert library.count() == 3
    card = cards[1]
    assert (card.run, card.checkpoint, card.seed, card.dataset, card.width) == (model.id, "000500", 6, "cups", 16)
    assert label_of(library.path(card))["Label"] == "1"
    assert read_settings(library.path(card))["settings"]["wildness"] == 0.5
    assert np.array_equal(piece_of_card(library, card).pixels, images[1])


def test_texts_are_kept_and_exported(workspace, model, tmp_path):
    texts = Text(1, ("First text\nmore", "第二"), (3, 4))
    config = {"run": model.id, "count": 2, "seed": 3}
    result = _made(workspace, "gpt.generate", config, Text(0, ("Fi",), partial=True), texts)
    library = Library(workspace.folder)
    cards = keep_result(library, result)
    assert [card.title for card in cards] == ["First text", "第二"]
    assert library.search(Query(text="第二", kind="text")) == [cards[1]]
    files = export_result(result, tmp_path / "out", Options())
    assert [file.name for file in files] == ["First text.txt", "第二.txt"]
    assert piece_of_card(library, cards[0]).text == "First text\nmore"


def test_results_are_exported_in_the_wanted_format(workspace, model, tmp_path):
    _images, result = _pictures(workspace, model)
    assert [file.suffix for file in export_result(result, tmp_path, Options())] == [".png"] * 3
    assert [file.suffix for file in export_result(result, tmp_path, Options(), "webp")] == [".webp"] * 3


def test_finished_pictures_of_a_stopped_job_are_there(workspace, model):
    config = {"run": model.id, "checkpoint": "000500", "count": 9, "seed": 0}
    result = workspace.new_run("image_gan.generate", config, parent="results")
    stream = record(result, iter([Sample(0, np.zeros((2, 8, 8, 1), np.uint8), (0, 1)), Finished()]))
    next(stream)
    stream.close()
    assert result.info.status == "stopped"
    assert len(list(pieces_of(result))) == 2


@pytest.mark.parametrize(
    ("text", "title"),
    [
        (", and then it rained", "and then it rained"),
        ("，床前明月光\n疑是地上霜", "床前明月光"),
        ("  — “Quoted” words", "“Quoted” words"),
        ("《静夜思》", "《静夜思》"),
        ("🙂 smile", "🙂 smile"),
        ("...", "..."),
        ("", ""),
        ("a" * 60, "a" * 40 + "…"),
    ],
)
def test_a_text_is_titled_by_how_it_begins_but_for_marks_of_words_before(text, title):
    assert text_title(text) == title
