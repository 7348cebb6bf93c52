"""Quality of made pictures, and making until enough are good, on small photos of discs on soft ground."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

import numpy as np
import pytest
from PIL import Image, ImageFilter

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Note, Sample
from aigc_desktop.core.library import Library
from aigc_desktop.core.rating import REASONS, Rating, counts_text, rating_of, reasons_text
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.recorder import record
from aigc_desktop.data.samples import read_pictures
from aigc_desktop.engine.metrics.picture_quality import GAUGES
from aigc_desktop.engine.pictures import judge as picture_judge
from aigc_desktop.engine.pictures.alpha import opaque
from aigc_desktop.engine.pictures.judge import VERSION, Judge, known_reference
from aigc_desktop.engine.pictures.making import TRIES, MakeConfig, stream_samples
from aigc_desktop.export.results import keep_result, pieces_of
from tests.engine.toy import write_dataset

SIZE, COUNT, HELD_OUT = 32, 64, 24


def discs(seeds: Iterable[int], channels: int = 3) -> np.ndarray:
    """Return pictures (N, 32, 32, C): a disc on a ground that runs from dark to light, with the grain of a photo."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    made = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        ground = rng.uniform(60, 120) + rng.uniform(1, 3) * (rows if rng.random() < 0.5 else columns)
        picture = np.repeat(ground[..., None], 3, 2) * rng.uniform(0.6, 1.1, 3)
        (y, x), radius = rng.uniform(10, 22, 2), rng.uniform(4, 9)
        picture[(rows - y) ** 2 + (columns - x) ** 2 < radius * radius] = rng.uniform(20, 230, 3)
        made.append(np.clip(picture + rng.normal(0, 2, picture.shape), 0, 255).astype(np.uint8))
    pictures = np.stack(made)
    return pictures[..., :1] if channels == 1 else pictures


def frozen(workspace: Workspace, train: int = COUNT, held_out: int = HELD_OUT, channels: int = 3):
    count = train + held_out
    split = np.zeros(count, np.uint8)
    split[train:] = 1
    arrays = {"images": discs(range(count), channels), "labels": np.full(count, -1, np.int32), "split": split,
              "rows": np.arange(count, dtype=np.int64)}  # fmt: skip
    return write_dataset(workspace, "discs", {"kind": "image", "size": SIZE, "channels": channels}, arrays)


def drained(steps):
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    workspace = Workspace.open(tmp_path_factory.mktemp("good"))
    dataset = frozen(workspace)
    run = workspace.new_run("image_gan.train", {"dataset": dataset.id}, "discs")
    run.update(dataset=dataset.id, dataset_hash=dataset.manifest_hash())
    return workspace, dataset, run


@pytest.fixture(scope="module")
def judge(place):
    return Judge(place[1])


def filtered(pictures, change):
    return np.stack([np.asarray(change(Image.fromarray(picture))) for picture in pictures])


FAULTS = {
    "blurred": lambda p: filtered(p, lambda image: image.filter(ImageFilter.GaussianBlur(4))),
    "blank": lambda p: np.full_like(p, 128),
    "noise": lambda p: np.random.default_rng(5).integers(0, 256, p.shape, dtype=np.uint8),
    "checkerboard": lambda p: np.clip(
        p.astype(int) + (np.indices((SIZE, SIZE)).sum(0) % 2 * 30 - 15)[..., None], 0, 255
    ).astype(np.uint8),
    "dark": lambda p: (p * 0.15).astype(np.uint8),
    "bright": lambda p: np.clip(p.astype(int) + 130, 0, 255).astype(np.uint8),
}


@pytest.mark.parametrize("reason", FAULTS)
def test_each_fault_gets_its_reason_and_lands_in_the_lowest_tenth(judge, reason):
    ratings = drained(judge.rate(FAULTS[reason](discs(range(500, 506)))))
    assert all(reason in rating.reasons for rating in ratings), [rating.reasons for rating in ratings]
    assert max(rating.score for rating in ratings) <= 10


def test_new_pictures_of_the_same_kind_pass(judge):
    ratings = drained(judge.rate(discs(range(600, 640))))
    assert sum(rating.good for rating in ratings) >= 34
    assert 30 < np.mean([rating.score for rating in ratings]) < 75


def test_a_blurred_picture_scores_below_its_sharp_original(judge):
    sharp = discs(range(700, 720))
    sharp = sharp[[rating.good for rating in drained(judge.rate(sharp))]]
    assert len(sharp) > 12
    soft = filtered(sharp, lambda image: image.filter(ImageFilter.GaussianBlur(1.2)))
    for original, copy in zip(drained(judge.rate(sharp)), drained(judge.rate(soft)), strict=True):
        assert copy.score < original.score


def test_training_pictures_are_copies_and_named(place, judge):
    _workspace, dataset, _run = place
    for row, rating in enumerate(drained(judge.rate(dataset.images("train")[:10]))):
        assert "copy" in rating.reasons and rating.nearest == row and rating.nearness == 0
        assert rating.dataset == dataset.id
    unseen = drained(judge.rate(dataset.images("validation")))
    assert sum("copy" in rating.reasons for rating in unseen) <= 3


def test_a_copy_is_found_in_a_large_set_by_its_pixels(place, monkeypatch):
    _workspace, dataset, _run = place
    monkeypatch.setattr(picture_judge, "MOST_TRAINING", 16)
    monkeypatch.setattr(picture_judge, "VERSION", 99)
    judge = Judge(dataset)
    ratings = drained(judge.rate(dataset.images("train")[:8]))
    assert judge.reference is not None and len(judge.reference.rows) == 16 and len(judge.reference.small) == COUNT
    assert [rating.nearest for rating in ratings] == list(range(8))
    assert all("copy" in rating.reasons for rating in ratings)


def test_a_rating_is_the_same_alone_and_in_a_batch_and_after_reading_what_is_kept(place, judge):
    _workspace, dataset, _run = place
    pictures = discs(range(800, 805))
    together = drained(judge.rate(pictures))
    fresh = Judge(dataset)
    assert fresh.reference is None
    assert tuple(drained(fresh.rate(pictures[i : i + 1]))[0] for i in range(5)) == together


def test_what_is_kept_is_computed_again_when_it_is_damaged_or_gone(place):
    _workspace, dataset, _run = place
    drained(known_reference(dataset, (SIZE, SIZE)))
    (kept,) = (dataset.folder / "quality").glob(f"{SIZE}x{SIZE}-v{VERSION}-*.npz")
    for spoil in (lambda: kept.write_bytes(kept.read_bytes()[:1000]), lambda: shutil.rmtree(kept.parent)):
        spoil()
        again = drained(known_reference(dataset, (SIZE, SIZE)))
        assert len(again.rows) == COUNT and kept.is_file()


def test_few_grey_and_transparent_pictures(workspace):
    few = frozen(workspace, train=16, held_out=0, channels=1)
    ratings = drained(Judge(few).rate(np.concatenate([discs([901], 1), np.zeros((1, SIZE, SIZE, 1), np.uint8)])))
    assert ratings[0].score > ratings[1].score and {"blank", "dark"} <= set(ratings[1].reasons)
    clear = np.zeros((1, 4, 4, 4), np.uint8)
    assert (opaque(clear) == 255).all()
    other = Workspace.open(workspace.folder / "other")
    with pytest.raises(UserError, match="Too few"):
        Judge(frozen(other, train=6, held_out=0))


# making


def every_third_is_noise(seeds):
    made = discs([seed + 10_000 for seed in seeds])
    for place, seed in enumerate(seeds):
        if seed % 3 == 0:
            made[place] = FAULTS["noise"](made[place])
    return made, tuple(f"class {seed}" for seed in seeds)


def only_blank(seeds):
    return FAULTS["blank"](discs(seeds)), ()


def told(place, make, **values):
    workspace, _dataset, run = place
    config = MakeConfig(run=run.id, **values)
    result = workspace.new_run("image_gan.generate", config.model_dump(mode="json"), parent="results")
    return result, list(record(result, stream_samples(make, config, result)))


def seeds_of(events, role):
    return [seed for event in events if isinstance(event, Sample) and event.role == role for seed in event.seeds]


def test_twelve_good_ones_are_twelve_each_time_and_rejects_say_why(place):
    result, events = told(place, every_third_is_noise, count=12, seed=30, good=True)
    kept, rejected = seeds_of(events, "samples"), seeds_of(events, "rejected")
    assert len(kept) == 12 and not set(kept) & {seed for seed in range(30, 60) if seed % 3 == 0}
    assert sorted(kept + rejected) == list(range(30, 30 + len(kept) + len(rejected)))
    against = [r for e in events if isinstance(e, Sample) and e.role == "rejected" for r in e.ratings]
    assert len(against) == len(rejected) and all(rating.reasons for rating in against)
    (note,) = [event.message for event in events if isinstance(event, Note)]
    assert note.startswith(f"12 good pictures of {len(kept) + len(rejected)}") and "looks like noise" in note
    _result, again = told(place, every_third_is_noise, count=12, seed=30, good=True)
    assert seeds_of(again, "samples") == kept
    on_disk = read_pictures(result)
    assert sum(not picture.rejected for picture in on_disk) == 12 and len(on_disk) == len(kept) + len(rejected)
    assert all(picture.rating is not None and picture.label == f"class {picture.seed}" for picture in on_disk)
    assert len(list(pieces_of(result))) == 12


def test_the_limit_is_told_when_nothing_passes(place):
    _result, events = told(place, only_blank, count=2, good=True)
    assert seeds_of(events, "samples") == [] and len(seeds_of(events, "rejected")) == 2 * TRIES
    (note,) = [event for event in events if isinstance(event, Note)]
    assert note.level == "warning" and f"0 good pictures of {2 * TRIES}" in note.message
    assert "nearly blank 16" in note.message and "Train longer" in note.message


def test_without_the_wish_all_are_there_with_their_ratings_in_the_library_too(place):
    result, events = told(place, every_third_is_noise, count=6, seed=0)
    assert seeds_of(events, "samples") == list(range(6))
    ratings = [rating for event in events if isinstance(event, Sample) for rating in event.ratings]
    assert [("noise" in rating.reasons) for rating in ratings] == [True, False, False] * 2
    library = Library(place[0].folder)
    cards = keep_result(library, result)
    assert [card.rating for card in cards] == ratings
    assert library.get(cards[0].id).rating == ratings[0]
    library.close()


def test_without_its_data_pictures_are_made_unrated_and_good_ones_refused(workspace):
    run = workspace.new_run("image_gan.train", {"dataset": "gone"}, "lost")
    _result, events = told((workspace, None, run), every_third_is_noise, count=2)
    assert seeds_of(events, "samples") == [0, 1]
    assert "not rated" in next(event.message for event in events if isinstance(event, Note))
    config = MakeConfig(run=run.id, count=2, good=True)
    with pytest.raises(UserError, match="gone"):
        list(stream_samples(every_third_is_noise, config, run))
    silent = MakeConfig(run=run.id, count=2, rate=False)
    assert not any(isinstance(event, Note) for event in stream_samples(every_third_is_noise, silent, run))


def test_a_model_that_came_without_its_data_makes_pictures_but_no_good_ones(place):
    workspace, _dataset, _run = place
    run = workspace.new_run("image_flow.train", {"dataset": ""}, "starter")
    events = list(stream_samples(every_third_is_noise, MakeConfig(run=run.id, count=2), run))
    assert seeds_of(events, "samples") == [0, 1] and not any(isinstance(event, Note) for event in events)
    with pytest.raises(UserError, match="came without training pictures"):
        list(stream_samples(every_third_is_noise, MakeConfig(run=run.id, count=2, good=True), run))


def test_words_and_damaged_ratings():
    rating = Rating(12.5, ("blurred", "copy"), "d", 3, 0.2, {"sharpness": 1.0})
    assert reasons_text(rating) == "blurred, a near copy of a training picture"
    assert reasons_text(Rating(1, ("later",))) == "later"
    assert counts_text([rating, Rating(1, ("blurred",))]) == "blurred 2, a near copy of a training picture 1"
    assert rating_of(rating.plain()) == Rating(12.5, ("blurred", "copy"), "d", 3, 0.2, {"sharpness": 1.0})
    assert rating_of({"score": "high"}) is None and rating_of(None) is None
    assert {gauge.reason for gauge in GAUGES} | {"copy"} == set(REASONS)
