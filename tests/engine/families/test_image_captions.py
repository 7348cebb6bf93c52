"""An image Transformer that learns captions: from all, some or none; with classes and alone; to be asked in words."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from aigc_desktop.core.config import check
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Finished, Metric, Note, Result, Sample, Stopped
from aigc_desktop.core.files import read_json, write_json
from aigc_desktop.core.job import run_job
from aigc_desktop.core.machine import Machine
from aigc_desktop.core.report import report_of
from aigc_desktop.core.run import MANIFEST, Run
from aigc_desktop.data.jobs import import_dataset
from aigc_desktop.data.scan import ScanConfig
from aigc_desktop.engine.evaluating import evaluation
from aigc_desktop.engine.evaluating.evaluation import EvaluateConfig, evaluate
from aigc_desktop.engine.families import image_transformer
from aigc_desktop.engine.pictures.caption_words import captions_of
from aigc_desktop.engine.pictures.transformer_model import Wish, load_model
from aigc_desktop.engine.pictures.transformer_setup import ImageTransformerConfig, plan
from aigc_desktop.engine.training.checkpoint import read_card, read_model, write_manifest
from aigc_desktop.engine.training.data import to_model
from tests.engine.families.shapes import started

WRITER = {
    "resolution": "32", "channels": 8, "width": 32, "layers": 2, "heads": 2, "dropout": 0.0, "batch_size": 16,
    "threads": 1, "device": "cpu", "precision": "float32", "warmup": 5, "log_every": 1, "validate_every": 0,
    "sample_every": 0, "lr": 5e-3, "writing_lr": 5e-3, "shift": 0,
}  # fmt: skip
PLACES = {"left": "左边", "right": "右边", "top": "上面", "bottom": "下面"}
MIDDLES = {"left": (16, 8), "right": (16, 24), "top": (8, 16), "bottom": (24, 16)}
LAPTOP = Machine(cores=4, memory=16 * 2**30, processor="x")


def captioned(workspace, told=lambda place, shape: f"a {place} {shape}", count=64, labels="folders"):
    """Freeze discs and squares at four places; `told` gives the caption, "" for none, of each."""
    source = workspace.folder / "told"
    kinds = itertools.cycle(itertools.product(PLACES, ("disc", "square")))
    for i, (place, shape) in enumerate(itertools.islice(kinds, count)):
        (source / shape).mkdir(parents=True, exist_ok=True)
        picture = np.full((32, 32, 3), 255, np.uint8)
        y, x = np.mgrid[:32, :32] - np.add(MIDDLES[place], (i % 5 - 2, i % 3 - 1))[:, None, None]
        picture[y**2 + x**2 < 36 if shape == "disc" else np.maximum(abs(y), abs(x)) < 6] = 10 * (i % 4)
        Image.fromarray(picture).save(source / shape / f"{i}.png")
        if text := told(place, shape):
            (source / shape / f"{i}.txt").write_text(text, encoding="utf-8")
    config = check(ScanConfig, {"source": str(source), "kind": "image", "labels": labels})
    values = {"size": "32", "validation": 0.25}
    for event in import_dataset(config, values, Run(workspace.folder, workspace.folder)):
        if isinstance(event, Result):
            return workspace.dataset(str(event.data["id"]))
    raise AssertionError("nothing was imported")


def settings(dataset, **values) -> ImageTransformerConfig:
    return ImageTransformerConfig(**{**WRITER, "dataset": dataset.id, "steps": 4, "tokenizer_share": 0.5, **values})


def made(task, run, workspace, **values):
    config = {"run": run.id, "checkpoint": "last", "count": 1, "seed": 3, "device": "cpu", **values}
    config = (image_transformer.FillConfig if "mask" in values else image_transformer.GenerateConfig)(**config)
    result = workspace.new_run("image_transformer.task", config.model_dump(mode="json"), parent="results")
    events = list(task(config, result))
    return np.concatenate([e.images for e in events if isinstance(e, Sample)]), events


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """A training long enough to know places by their names, in English and Chinese."""
    from aigc_desktop.core.workspace import Workspace

    workspace = Workspace.open(tmp_path_factory.mktemp("told"))
    dataset = captioned(workspace, lambda place, shape: f"a {place} {shape}, {PLACES[place]}的")
    config = settings(dataset, steps=400, tokenizer_share=0.2, sample_every=200)
    run, events = started(workspace, image_transformer, config)
    return workspace, dataset, run, events


def place_of(pictures: np.ndarray) -> str:
    """Return where the dark of pictures lies."""
    dark = 255.0 - pictures.mean((0, 3))
    middle = np.array([(dark * grid).sum() / dark.sum() for grid in np.mgrid[:32, :32]])
    return min(MIDDLES, key=lambda place: float(((middle - MIDDLES[place]) ** 2).sum()))


@pytest.mark.parametrize("caption", ["{english}", "{chinese}", "{english} disc", "{chinese}的"])
def test_what_is_drawn_lies_where_the_caption_says(story, caption):
    workspace, _dataset, run, _events = story
    right = 0
    for english, chinese in PLACES.items():
        words = caption.format(english=english, chinese=chinese)
        pictures, _told = made(image_transformer.generate, run, workspace, caption=words, count=4)
        right += place_of(pictures) == english
    assert right >= 3, right


def test_the_right_caption_makes_held_out_pictures_likelier_than_another(story):
    _workspace, dataset, run, events = story
    (checked,) = [e.values for e in events if isinstance(e, Metric) and "val_loss" in e.values]
    assert checked["val_loss"] < checked["val_loss_untold"]
    model = load_model(*read_model(run.checkpoint("last")), torch.device("cpu"))
    captions = captions_of(dataset, "validation")
    right = model.words.rows(captions)
    other = model.words.rows([captions[(i + 1) % len(captions)].replace("a ", "") for i in range(len(captions))])
    with torch.inference_mode():
        tokens = model.tokenizer.tokens(to_model(torch.from_numpy(dataset.images("validation"))))
        hidden, anything = torch.full_like(tokens, model.transformer.unknown), torch.full((len(tokens),), 2)

        def nats(words):
            logits = model.transformer(hidden, anything, caption=model.transformer.read(words))
            return float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens.flatten()))

        assert nats(right) < nats(right * 0) < nats(other)


def test_class_and_caption_are_asked_for_alone_and_together(story):
    workspace, _dataset, run, _events = story
    asked = ({}, {"caption": "left"}, {"label": "disc"}, {"caption": "left", "label": "disc"})
    found = []
    for values in asked:
        pictures, events = made(image_transformer.generate, run, workspace, **values)
        found.append(pictures)
        (labels,) = {e.labels for e in events if isinstance(e, Sample)}
        assert labels == ("",) if "caption" in values and "label" not in values else labels[0] in ("disc", "square")
    assert all(not np.array_equal(one, other) for one, other in itertools.combinations(found[1:], 2))


def test_a_caption_is_read_without_regard_to_case_marks_and_lines(story):
    workspace, _dataset, run, _events = story
    one, _told = made(image_transformer.generate, run, workspace, caption="a left disc")
    other, events = made(image_transformer.generate, run, workspace, caption=" A  LEFT,\ndisc! ")
    assert np.array_equal(one, other) and not [e for e in events if isinstance(e, Note) and e.level == "warning"]


def test_words_never_seen_are_told_and_change_nothing(story):
    workspace, _dataset, run, _events = story
    plain, _told = made(image_transformer.generate, run, workspace, caption="left disc")
    other, events = made(image_transformer.generate, run, workspace, caption="left striped disc")
    assert np.array_equal(plain, other)
    (note,) = [e for e in events if isinstance(e, Note) and e.level == "warning"]
    assert note.message.endswith(": striped.")
    with pytest.raises(UserError, match="No word of “striped”") as told:
        made(image_transformer.generate, run, workspace, caption="striped")
    assert "a left" in told.value.hint or "a right" in told.value.hint or "a top" in told.value.hint


def test_a_part_is_painted_anew_as_the_caption_says(story, tmp_path):
    workspace, _dataset, run, _events = story
    Image.new("RGB", (32, 32), "white").save(tmp_path / "white.png")
    Image.new("L", (32, 32), 255).save(tmp_path / "mask.png")
    files = {"picture": tmp_path / "white.png", "mask": tmp_path / "mask.png"}
    found = {
        place: made(image_transformer.fill, run, workspace, caption=place, count=4, **files)[0] for place in PLACES
    }  # fmt: skip
    assert sum(place_of(pictures) == place for place, pictures in found.items()) >= 3


def test_each_place_of_the_preview_asks_for_the_same_held_out_caption_and_comes_again(story):
    workspace, dataset, run, events = story
    first, *_rest, sample = [e for e in events if isinstance(e, Sample) and e.captions]
    assert first.captions == sample.captions and len(set(sample.captions)) > 4
    assert set(sample.captions) <= set(captions_of(dataset, "validation"))
    alone, _told = made(image_transformer.generate, run, workspace, seed=sample.seeds[5], caption=sample.captions[5])
    assert np.array_equal(alone[0], sample.images[5])


def test_an_evaluation_asks_for_the_captions_of_held_out_pictures(story, monkeypatch):
    _workspace, dataset, run, _events = story
    asked = []
    sample = image_transformer.sampler(run.checkpoint("last"), "cpu")
    left = sample(4, 7, captions=["a left disc"])
    assert place_of(left) == "left" and place_of(sample(4, 7, captions=["a right disc"])) == "right"

    def heard(count, seed, captions):
        asked.extend(captions[each % len(captions)] for each in range(seed, seed + count))
        return sample(count, seed, captions)

    family = replace(image_transformer.FAMILY, sampler=lambda _folder, _device: heard)
    monkeypatch.setattr(evaluation, "load_families", lambda: {"image_transformer": family})
    config = check(EvaluateConfig, {"run": run.id, "checkpoint": "last", "count": 20, "device": "cpu"})
    events = list(run_job(evaluate, config, run))
    assert isinstance(events[-1], Finished), events[-1]
    assert sorted(set(asked)) == sorted(set(captions_of(dataset, "validation")))
    (report,) = [report_of(e.data) for e in events if isinstance(e, Result)]
    assert any("by the caption of a held-out picture" in note for note in report.notes)


@pytest.mark.parametrize("masked", [True, False])
def test_stopped_with_captions_it_goes_on_to_the_same_bits(workspace, masked):
    dataset = captioned(workspace, count=24)
    config = settings(dataset, steps=6, masked=masked, tokenizer_share=0.2, dropout=0.1, validate_every=3)
    whole, _events = started(workspace, image_transformer, config)
    run, seen = workspace.new_run("image_transformer.train", config.model_dump(mode="json")), []

    def enough():
        return any(isinstance(e, Metric) and e.step >= 3 for e in seen)

    for event in run_job(image_transformer.train, config, run, enough):
        seen.append(event)
    assert isinstance(seen[-1], Stopped) and read_card(run.checkpoint("last")).step < 6
    assert isinstance(list(run_job(image_transformer.train, config, run))[-1], Finished)
    mine, theirs = (read_model(r.checkpoint("last"))[1] for r in (run, whole))
    assert mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert any(name.startswith("transformer.captions.") for name in mine)


@pytest.mark.parametrize("labels", ["folders", "none"])
def test_pictures_without_a_caption_are_learned_as_any(workspace, labels):
    dataset = captioned(workspace, lambda place, shape: "a left one" if place == "left" else "", labels=labels)
    run, events = started(workspace, image_transformer, settings(dataset))
    notes = [e.message for e in events if isinstance(e, Note)]
    count = sum(map(bool, captions_of(dataset, "train")))
    assert any(note.startswith(f"{count} of {dataset.info.train} pictures have a caption") for note in notes)
    pictures, _told = made(image_transformer.generate, run, workspace, caption="left")
    assert pictures.shape == (1, 32, 32, 3)


@pytest.mark.parametrize("values", [{"use_captions": False}, {"told": lambda *_of: ""}])
def test_without_captions_it_is_asked_for_none(workspace, values):
    values = dict(values)
    dataset = captioned(workspace, **({"told": values.pop("told")} if "told" in values else {}), count=24)
    run, events = started(workspace, image_transformer, settings(dataset, **values))
    card, weights = read_model(run.checkpoint("last"))
    assert not [e for e in events if isinstance(e, Metric) and "val_loss_untold" in e.values]
    assert card.extra["captions"] is None and not [name for name in weights if ".captions." in name]
    with pytest.raises(UserError, match="not learned captions") as told:
        made(image_transformer.generate, run, workspace, caption="left")
    assert "Leave the caption empty" in told.value.hint


def test_a_training_of_an_earlier_release_goes_on_without_captions(workspace):
    dataset = captioned(workspace, count=24)
    run, _events = started(workspace, image_transformer, settings(dataset, use_captions=False))
    before, _told = made(image_transformer.generate, run, workspace)
    for name in run.checkpoints():
        folder = run.checkpoint(name)
        card = read_json(folder / "model.json")
        del card["extra"]["captions"], card["config"]["use_captions"]
        del card["extra"]["transformer"]["words"], card["extra"]["transformer"]["caption"]
        write_json(folder / "model.json", card)
        (folder / MANIFEST).unlink()
        write_manifest(folder, {})
    again, _told = made(image_transformer.generate, run, workspace)
    assert np.array_equal(before, again)
    list(image_transformer.train(settings(dataset, steps=6), run))
    card, weights = read_model(run.checkpoint("last"))
    assert card.step == 6 and not [name for name in weights if ".captions." in name]


def test_the_plan_counts_captions_and_what_they_cost(workspace):
    dataset = captioned(workspace, count=40)
    told = plan({"dataset": dataset.id}, "cpu32", dataset, LAPTOP)
    without = plan({"dataset": dataset.id, "use_captions": False}, "cpu32", dataset, LAPTOP)
    assert not told.problems
    assert any("Every picture has a caption; together they have 7 words." in note for note in told.notes)
    assert told.memory_mb > without.memory_mb and told.seconds > without.seconds
    assert not any("caption" in note for note in without.notes)
    config = ImageTransformerConfig(**{"dataset": "x", **told.values})
    run, _events = started(workspace, image_transformer, config.model_copy(update={
        "dataset": dataset.id, "steps": 2, "tokenizer_share": 0.5, "device": "cpu", "threads": 1,
    }))  # fmt: skip
    weights = read_model(run.checkpoint("last"))[1]
    assert told.parameters == sum(tensor.numel() for tensor in weights.values())


def test_the_plan_says_how_captions_come_where_there_are_none(workspace):
    dataset = captioned(workspace, lambda *_of: "", count=24)
    told = plan({"dataset": dataset.id}, "cpu32", dataset, LAPTOP)
    assert not told.problems and any("text file of the same name" in note for note in told.notes)
    few = plan({"dataset": "x"}, "cpu32", None, LAPTOP)
    assert few.problems and not any("caption" in note for note in few.notes)


def test_the_wish_for_a_class_does_not_change_what_else_a_seed_decides(story):
    _workspace, _dataset, run, _events = story
    model = load_model(*read_model(run.checkpoint("last")), torch.device("cpu"))
    generators = [torch.Generator().manual_seed(1) for _i in range(3)]
    for wish, generator in zip((Wish(), Wish(0), Wish(caption="left")), generators, strict=True):
        model.asked(wish, generator)
    assert len({tuple(generator.get_state().tolist()) for generator in generators}) == 1
