"""Exploring the latent spaces of the families, on tiny models that the tests train."""

import json
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from aigc_desktop.core.config import check
from aigc_desktop.core.directions import read_directions, remove_direction, rename_direction
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Failed, Finished, Result, Sample
from aigc_desktop.core.fields import ConfigError
from aigc_desktop.core.place import latent_place, mixed, places_text, seed_place
from aigc_desktop.core.request import JobRequest
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.exploring import directing, projecting
from aigc_desktop.engine.exploring.map import arrange, looks, principal
from aigc_desktop.engine.exploring.tasks import MapConfig
from aigc_desktop.engine.families import load_families
from aigc_desktop.engine.host import execute
from aigc_desktop.engine.nn.flow import walk, walk_back
from aigc_desktop.engine.pictures import latent
from aigc_desktop.engine.pictures.latent import LatentModel, decoded, mixture, resolve
from tests.engine.families.shapes import shapes

COMMON = {
    "batch_size": 4, "threads": 1, "device": "cpu", "precision": "float32", "warmup": 1, "validate_every": 0,
    "sample_every": 0, "steps": 4, "resolution": "32",
}  # fmt: skip
FAMILIES = {
    "image_gan": {"width": 8, "latent": 8, "copy_share": 0.5},
    "image_vae": {"width": 8, "latent": 8, "components": 2},
    "image_flow": {"width": 16},
}
EXPLORED = sorted(name for name, family in load_families().items() if family.latents is not None)


def ran(workspace, task, values, run=None):
    request = JobRequest(task, values, str(workspace.folder), str(run.folder) if run else "")
    return list(execute(request))


def pictures_of(events):
    return np.concatenate([event.images for event in events if isinstance(event, Sample)])


def result_of(events):
    found = [event.data for event in events if isinstance(event, Result)]
    assert found, [event for event in events if isinstance(event, Failed)]
    return found[-1]


def failure_of(events):
    assert isinstance(events[-1], Failed)
    assert events[-1].hint
    return events[-1].message


class Story:
    """A tiny trained model, and its tasks of exploring."""

    def __init__(self, workspace, run):
        self.workspace, self.run = workspace, run

    def ask(self, task, **values):
        return ran(self.workspace, f"explore.{task}", {"run": self.run.id, "checkpoint": "last", **values})

    def points(self, *places):
        return result_of(self.ask("decode", places=places_text(places)))["latents"]

    @property
    def version(self):
        return self.run.checkpoint("last").name


@pytest.fixture(scope="module", params=EXPLORED)
def story(request, tmp_path_factory):
    workspace = Workspace.open(tmp_path_factory.mktemp(request.param))
    dataset = shapes(workspace)
    task = f"{request.param}.train"
    values = {**COMMON, **FAMILIES[request.param], "dataset": dataset.id}
    run = workspace.new_run(task, values)
    events = ran(workspace, task, values, run)
    assert isinstance(events[-1], Finished), events[-1]
    return Story(workspace, run)


def test_a_seed_is_the_picture_that_the_model_makes_of_it(story):
    family = story.run.info.task.split(".")[0]
    values = {"run": story.run.id, "checkpoint": "last", "seed": 7, "count": 2, "rate": False}
    made = pictures_of(ran(story.workspace, f"{family}.generate", values))
    assert np.array_equal(pictures_of(story.ask("decode", places="[7, 8]")), made)


def test_latents_give_the_same_bytes_again(story):
    place = mixed([seed_place(1), seed_place(2)], [0.3, 0.7])
    events = story.ask("decode", places=places_text([place]))
    again = story.ask("decode", places=places_text([latent_place(result_of(events)["latents"][0])]))
    assert np.array_equal(pictures_of(events), pictures_of(again))
    assert not np.array_equal(pictures_of(events), pictures_of(story.ask("decode", places="[1]")))


def test_a_map_shows_each_picture_once_and_in_its_place(story):
    events = story.ask("map", columns=3, seed=5)
    told = result_of(events)
    assert told["columns"] == 3
    assert sorted(told["order"]) == list(range(9))
    seeds = [seed for event in events if isinstance(event, Sample) for seed in event.seeds]
    assert seeds == list(range(5, 14))


def test_a_film_begins_at_its_first_picture_and_a_loop_does_not_repeat_it(story):
    first, second = pictures_of(story.ask("decode", places="[1, 2]"))
    film = pictures_of(story.ask("path", places="[1, 2]", frames=3, loop=False))
    assert len(film) == 4
    assert np.array_equal(film[0], first)
    assert np.array_equal(film[-1], second)
    loop = pictures_of(story.ask("path", places="[1, 2]", frames=3, loop=True))
    assert len(loop) == 6
    assert np.array_equal(loop[3], second)


def test_a_film_is_recorded_frame_by_frame(story):
    values = {"run": story.run.id, "checkpoint": "last", "places": "[1, 2]", "frames": 2}
    result = story.workspace.new_run("explore.path", values, parent="results")
    events = ran(story.workspace, "explore.path", values, result)
    assert isinstance(events[-1], Finished)
    assert len(list((result.folder / "pictures").glob("*.png"))) == 4


def test_directions_are_saved_with_the_version_and_keep_their_names(story):
    told = result_of(story.ask("directions", count=3, samples=16))
    found = read_directions(story.run, story.version)
    assert [each.id for each in found if each.kind == "principal"] == told["ids"]
    assert [each.title for each in found if each.kind == "principal"] == ["Direction 1", "Direction 2", "Direction 3"]
    rename_direction(story.run, story.version, told["ids"][1], "size")
    result_of(story.ask("directions", count=3, samples=16))
    assert "size" in [each.title for each in read_directions(story.run, story.version)]


def test_a_slider_moves_from_less_to_more(story):
    told = result_of(story.ask("slider", name="round", more="[1, 2, 3]", less="[4, 5]"))
    place = {"parts": [{"seed": 6}], "moves": [{"direction": told["ids"][0], "amount": 2.0}]}
    moved = pictures_of(story.ask("decode", places=json.dumps([place])))
    assert moved.shape == (1, 32, 32, 3)
    remove_direction(story.run, story.version, told["ids"][0])
    assert "not there" in failure_of(story.ask("decode", places=json.dumps([place])))


def test_an_own_picture_is_put_in_and_the_error_is_told(story, tmp_path):
    Image.new("RGB", (50, 40), (200, 30, 30)).save(tmp_path / "red.png")
    events = story.ask("project", picture=str(tmp_path / "red.png"), steps=4)
    told = result_of(events)
    [pair] = [event for event in events if isinstance(event, Sample)]
    assert pair.role == "reconstruction"
    error = np.square(pair.images[0].astype(float) - pair.images[1]).mean()
    assert told["psnr"] == pytest.approx(10 * np.log10(255**2 / error) if error else 99.0, abs=0.01)
    again = pictures_of(story.ask("decode", places=places_text([latent_place(told["latent"])])))
    assert np.array_equal(again[0], pair.images[1])


@pytest.mark.parametrize(("task", "values", "words"), [
    ("decode", {"places": "nonsense"}, "cannot be read"),
    ("decode", {"places": '[{"parts": [{"latent": "AAAA"}]}]'}, "another model"),
    ("decode", {"places": '[{"parts": [{"latent": "%%%"}]}]'}, "another model"),
    ("decode", {"places": '[{"parts": [{"seed": 1, "label": "ship"}]}]'}, "ship"),
    ("path", {"places": "[1]"}, "At least 2"),
    ("slider", {"name": "x", "more": "[]", "less": "[1]"}, "called less"),
    ("slider", {"name": "x", "more": "[1]", "less": "[1]"}, "do not differ"),
    ("slider", {"name": " ", "more": "[1]", "less": "[2]"}, "name"),
    ("map", {"label": "ship"}, "ship"),
    ("project", {"picture": "/nowhere/x.png"}, "x.png"),
    ("decode", {"places": "[1]", "checkpoint": "999999"}, "no such saved version"),
])  # fmt: skip
def test_bad_input_is_said(story, task, values, words):
    assert words in failure_of(story.ask(task, **values))


def test_a_picture_that_is_none_is_said(story, tmp_path):
    (tmp_path / "cut.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert "cut.png" in failure_of(story.ask("project", picture=str(tmp_path / "cut.png")))


def test_models_without_pictures_cannot_be_explored(workspace):
    run = workspace.new_run("gpt.train", {}, "Poems")
    message = failure_of(ran(workspace, "explore.map", {"run": run.id}))
    assert "Poems" in message
    later = workspace.new_run("holograms.train", {}, "From a later version")
    assert "later" in failure_of(ran(workspace, "explore.map", {"run": later.id}))


def test_the_model_stays_between_two_looks_and_goes_before_other_tasks(story):
    story.ask("decode", places="[1]")
    [model] = latent._kept.values()
    story.ask("decode", places="[2]")
    assert list(latent._kept.values()) == [model]
    latent.release("image_gan.train")
    assert not latent._kept


def test_wide_and_transparent_pictures_are_explored_too(workspace, tmp_path):
    dataset = shapes(workspace, wide=2, ground="#00000000", aspect="auto", transparency="keep")
    run = workspace.new_run("image_gan.train", {**COMMON, **FAMILIES["image_gan"], "dataset": dataset.id})
    assert isinstance(ran(workspace, "image_gan.train", run.config_values, run)[-1], Finished)
    story = Story(workspace, run)
    values = {"run": run.id, "checkpoint": "last", "seed": 7, "count": 1, "rate": False}
    made = pictures_of(ran(workspace, "image_gan.generate", values))
    assert made.shape == (1, 32, 64, 4)
    assert np.array_equal(pictures_of(story.ask("decode", places="[7]")), made)
    assert result_of(story.ask("map", columns=2))["columns"] == 2
    assert result_of(story.ask("directions", count=2, samples=16))["ids"]
    Image.new("RGB", (50, 40), (200, 30, 30)).save(tmp_path / "red.png")
    events = story.ask("project", picture=str(tmp_path / "red.png"), steps=2)
    assert result_of(events)["psnr"] > 0
    assert next(event for event in events if isinstance(event, Sample)).images.shape == (2, 32, 64, 3)


# the mathematics, on a model that is a matrix


def toy(size=8):
    """A picture whose brightness is the first latent and whose left half is the second."""

    def decode(points, _steps):
        image = points[:, :1, None, None].expand(-1, 3, size, size).clone()
        image[:, :, :, : size // 2] += points[:, 1:2, None, None]
        return image.tanh()

    def draw(seed, label, wildness):
        generator = torch.Generator().manual_seed(seed)
        return latent.with_class(torch.randn(4, generator=generator) * wildness, label if label >= 0 else seed % 2, 2)

    centre = torch.tensor([0, 0, 0, 0, 0.5, 0.5])
    return LatentModel(4, ("a", "b"), (size, size), torch.device("cpu"), centre, draw, decode, lambda *_of: None)


def test_mixtures_are_as_far_from_the_centre_as_their_parts():
    model = toy()
    a, b = model.draw(1, 0, 1.0), model.draw(2, 1, 1.0)
    between = mixture(model, [a, b], [0.5, 0.5])
    assert between[:4].norm() == pytest.approx(float(a[:4].norm() + b[:4].norm()) / 2, rel=1e-5)
    assert between[4:].tolist() == [0.5, 0.5]
    opposite = torch.cat((-a[:4], a[4:]))
    assert torch.isfinite(mixture(model, [a, opposite], [0.5, 0.5])).all()


def test_variants_keep_the_class_and_grow_with_their_strength():
    model = toy()
    place = seed_place(3, "b")
    base = resolve(model, place, {})
    apart = []
    for strength in (0.0, 0.2, 0.6):
        varied = resolve(model, type(place)(place.parts, variant=9, strength=strength), {})
        assert varied[4:].tolist() == base[4:].tolist()
        apart.append(float((varied - base).norm()))
    assert apart[0] == 0 < apart[1] < apart[2]


def test_looks_tell_bright_from_dark_and_maps_put_neighbours_together():
    model = toy(12)
    points = torch.zeros(16, 6)
    points[:, 0] = torch.linspace(-1, 1, 16)[torch.randperm(16, generator=torch.Generator().manual_seed(0))]
    pictures = decoded(model, points)
    scores = principal(looks(pictures), 1).scores[:, 0]
    assert abs(np.corrcoef(scores, points[:, 0])[0, 1]) > 0.99
    cells = points[:, 0].numpy()[arrange(pictures, 4)].reshape(4, 4)
    near = np.abs(np.diff(cells, axis=0)).mean() + np.abs(np.diff(cells, axis=1)).mean()
    chance = 2 * np.abs(points[:, 0].numpy()[:, None] - points[:, 0].numpy()).mean()
    assert near < 0.7 * chance


def test_equal_pictures_have_no_directions_and_still_a_map():
    pictures = np.full((9, 8, 8, 3), 7, np.uint8)
    assert principal(looks(pictures), 4).scores.shape == (9, 0)
    assert sorted(arrange(pictures, 3).tolist()) == list(range(9))


def test_a_kept_text_is_the_very_numbers():
    vector = torch.randn(6)
    assert torch.equal(latent.unpack(latent.pack(vector), 6), vector)
    with pytest.raises(UserError):
        latent.unpack(latent.pack(torch.tensor([float("nan")] * 6)), 6)
    assert zlib.crc32(latent.pack(torch.zeros(2)).encode()) == zlib.crc32(b"AAAAAAAAAAA=")


def test_a_direction_moves_what_it_was_found_in_one_way():
    model = toy(12)
    points = torch.stack([model.draw(seed, -1, 1.0) for seed in range(200)])
    scores = principal(looks(decoded(model, points)), 1)
    vector = directing._carried_back(model, points, scores.scores[:, 0])
    vector = vector * directing._scale(model, points[:8], vector, scores, 0)
    steps = torch.stack([points[0] + amount * vector for amount in (-2, -1, 0, 1, 2)])
    brightness = decoded(model, steps).astype(float).mean((1, 2, 3))
    assert (np.diff(brightness) > 0).all()


def test_the_point_of_a_picture_of_the_model_is_found():
    model = toy(32)
    points = torch.stack([model.draw(seed, -1, 1.0) for seed in range(64)])
    target = torch.tensor([0.6, -0.4, 0, 0, 1.0, 0.0])
    image = model.decode(target[None], 0)
    start = projecting.best_start(model, image, points, decoded(model, points))
    steps = projecting.refined(model, image, start, points, 25)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found = end.value
            break
    error = [float((model.decode(point[None], 0) - image).square().mean()) for point in (start, found)]
    assert error[1] <= error[0] < 0.05
    assert float((found[:2] - target[:2]).abs().max()) < 0.3


def test_the_way_back_ends_where_the_way_began():
    noise = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    field = lambda x, time: torch.cos(3 * x) + time  # noqa: E731
    picture = walk(field, noise, 64)
    assert torch.allclose(walk_back(field, picture, 64), noise, atol=5e-3)


def test_one_picture_is_no_map():
    with pytest.raises(ConfigError, match="One picture is no map"):
        check(MapConfig, {"run": "x", "columns": 1})
