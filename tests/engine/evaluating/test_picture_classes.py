"""Whether pictures asked for by class are seen as it, and what an evaluation shows of a training."""

import numpy as np
import pytest

from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.evaluating.picture_classes import LinearJudge, class_section
from aigc_desktop.engine.metrics.features import image_features
from aigc_desktop.engine.metrics.figures import training_plots
from tests.engine.families.shapes import shapes
from tests.engine.toy import has_fitting_interval


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """Discs and squares: features and labels of both splits, and a maker of real pictures of a class."""
    dataset = shapes(Workspace.open(tmp_path_factory.mktemp("classes")), count=60, validation=0.4)
    parts = {
        split: (image_features(np.asarray(dataset.image_map[dataset.indices(split)])), dataset.labels(split))
        for split in ("train", "validation")
    }
    pictures, labels = np.asarray(dataset.image_map[dataset.indices("validation")]), dataset.labels("validation")
    return dataset.info.classes, parts, lambda number: pictures[labels == number]


def judged(known, make, count=16):
    classes, parts, _pictures = known
    job = class_section(make, classes, parts["train"], parts["validation"], count, 0)
    while True:
        try:
            next(job)
        except StopIteration as end:
            return end.value


def test_real_pictures_of_a_class_are_seen_as_it_and_others_are_not(known):
    classes, _parts, pictures = known
    section, table = judged(known, lambda name, count, _seed: pictures(classes.index(name))[:count])
    (right,) = section.figures
    assert right.value > 0.8 and has_fitting_interval(right) and right.marks[0].value > 0.8
    assert table.kind == "confusion" and table.columns == ["", *classes]
    wrong = judged(known, lambda name, count, _seed: pictures(1 - classes.index(name))[:count])[0].figures[0]
    assert wrong.value < 0.2


def test_as_many_pictures_are_made_as_were_asked_for_each_with_its_seed(known):
    _classes, _parts, pictures = known
    asked = []

    def make(name, count, seed):
        asked.append((name, count, seed))
        return pictures(0)[:1].repeat(count, 0)

    judged(known, make, count=40)
    assert sum(count for _name, count, _seed in asked) == 40
    assert [seed for name, _count, seed in asked if name == "disc"] == [0, 16]


def test_a_single_class_cannot_be_judged(known):
    classes, parts, _pictures = known
    vectors, labels = parts["train"]
    rare = np.where(np.cumsum(labels == 1) > 3, -1, labels)  # three squares are left
    never = lambda *_: pytest.fail("nothing is to be made")  # noqa: E731
    job = class_section(never, classes, (vectors, rare), parts["validation"], 8, 0)
    with pytest.raises(StopIteration) as end:
        next(job)
    assert end.value.value is None


def test_a_rare_class_counts_as_much_as_a_frequent_one():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(220, 32)).astype(np.float32)
    truth = np.repeat([0, 1], [200, 20])
    vectors[:, 0] += 1.2 * truth
    found = LinearJudge(vectors, truth, 2)(vectors)
    assert (found[truth == 1] == 1).mean() > 0.7


def test_the_curve_over_a_training_has_the_measured_steps_only(workspace):
    run = workspace.new_run("image_gan.train", {})
    run.metrics_file.write_text(
        '{"step": 1, "loss": 2.0}\n{"step": 2, "validation_kid": 0.5}\n{"step": 4, "validation_kid": 0.25}\n'
        '{"step": 4, "val_loss": 1.0}\n', encoding="utf-8",
    )  # fmt: skip
    (plot,) = training_plots(run)
    assert plot.curves[0].x == [2.0, 4.0] and plot.curves[0].y == [0.5, 0.25]
