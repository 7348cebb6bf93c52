"""The contract of every family, over whatever the catalogue finds."""

import dataclasses
import json
import math
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aigc_desktop.core.config import check, describe
from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.events import Checkpoint, Failed, Finished, Metric, Note, Result, Sample, Stopped, Text
from aigc_desktop.core.family import Plan, task_spec
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.job import run_job
from aigc_desktop.core.report import report_of
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.device import describe_machine
from aigc_desktop.engine.diffusion.tiny import add_tiny_diffusion
from aigc_desktop.engine.evaluating import evaluation
from aigc_desktop.engine.families import load_families
from aigc_desktop.engine.pictures import common as pictures
from aigc_desktop.engine.pretrained.tiny import add_tiny_model
from aigc_desktop.engine.pretrained.tiny_encoder import add_tiny_encoder
from aigc_desktop.engine.training.checkpoint import read_model
from tests.engine.toy import image_dataset, marked_dataset, text_dataset

FAMILIES = {name: family for name, family in load_families().items() if any(t.group == "train" for t in family.tasks)}
MAKERS = sorted(name for name, family in FAMILIES.items() if any(task.name == "generate" for task in family.tasks))
LABELLERS = sorted(name for name, family in FAMILIES.items() if any(task.name == "label" for task in family.tasks))
COPIERS = sorted(name for name in FAMILIES if name not in MAKERS + LABELLERS)  # of what another family makes pictures
makers = pytest.mark.parametrize("trained", MAKERS, indirect=True)
labellers = pytest.mark.parametrize("trained", LABELLERS, indirect=True)
copiers = pytest.mark.parametrize("trained", COPIERS, indirect=True)
# names of settings that make a network small, whatever the family; limits keep them valid
SMALL = {
    "width": 16, "layers": 1, "heads": 2, "context": 16, "batch_size": 4, "size": 32, "latents": 8, "latent_size": 8,
    "channels": 8, "base_channels": 8, "threads": 1, "log_every": 1, "validate_every": 2, "sample_every": 3,
    "checkpoint_every": 0, "warmup": 0, "device": "cpu", "precision": "float32",
}  # fmt: skip
TEXTS = ["The cat sat on the mat and looked at the moon. 白日依山尽，黄河入海流。"] * 12


def small_values(config, dataset_id: str, published: dict[str, str], steps: int = 3) -> dict:
    """Return values for a tiny training: what is known to be small, if the family has and takes it.

    `published` are the models that the family begins with.
    """
    values = {"dataset": dataset_id, "steps": steps, **published}
    for field in describe(config):
        if field.name in SMALL:
            try:
                check(config, {**values, field.name: SMALL[field.name]})
            except Exception:  # noqa: BLE001 - the family does not take this value
                continue
            values[field.name] = SMALL[field.name]
    return values


@dataclasses.dataclass
class Trained:
    workspace: Workspace
    family: object
    run: object
    config: object
    events: list
    dataset: Dataset

    @property
    def task(self):
        return next(task for task in self.family.tasks if task.group == "train")


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def trained(request, tmp_path_factory):
    """Three tiny steps of a family."""
    pictures.MOST_MEASURED, before = 16, pictures.MOST_MEASURED
    request.addfinalizer(lambda: setattr(pictures, "MOST_MEASURED", before))
    family = FAMILIES[request.param]
    workspace = Workspace.open(tmp_path_factory.mktemp(request.param))
    task = next(task for task in family.tasks if task.group == "train")
    encoders = [field.name for field in describe(task.config) if field.kind is FieldKind.ENCODER]
    if family.kind == "image":
        dataset = image_dataset(workspace, 60, held_out=20)
    else:
        dataset = marked_dataset(workspace) if encoders else text_dataset(workspace, TEXTS)
    published = {name: add_tiny_encoder(workspace, dataset.texts("train")) for name in encoders}
    published |= {f.name: add_tiny_model(workspace) for f in describe(task.config) if f.kind is FieldKind.MODEL}
    painters = [f.name for f in describe(task.config) if f.kind is FieldKind.DIFFUSION]
    published |= {name: add_tiny_diffusion(workspace, _class_name="LCMScheduler") for name in painters}  # few steps
    published |= {"trigger": "ohwx"} if painters else {}
    config = check(task.config, small_values(task.config, dataset.id, published))
    run = workspace.new_run(f"{family.name}.{task.name}", config.model_dump(mode="json"))
    return Trained(workspace, family, run, config, list(run_job(task.job, config, run)), dataset)


def first_losses(events):
    first = next(e for e in events if isinstance(e, Metric))
    return {name: value.hex() for name, value in first.values.items()}


def new_run(trained):
    return trained.workspace.new_run(trained.run.info.task, trained.config.model_dump(mode="json"))


@pytest.mark.parametrize("name", sorted(load_families()))
def test_defaults_are_valid_and_survive_json(name):
    for task in load_families()[name].tasks:
        required = {f.name: "x" for f in describe(task.config) if f.required}
        config = check(task.config, required)
        again = check(task.config, json.loads(json.dumps(config.model_dump(mode="json"))))
        assert again == config


@pytest.mark.parametrize("name", sorted(load_families()))
def test_every_field_is_told_and_its_default_within_its_limits(name):
    for task in load_families()[name].tasks:
        spec = task_spec(load_families()[name], task)
        for field in spec.fields:
            assert field.title and field.help, f"{spec.key}.{field.name}"
            if field.kind is FieldKind.CHOICE and not field.required:
                assert field.default in [value for value, _label in field.choices]
            if isinstance(field.default, int | float) and not isinstance(field.default, bool):
                assert field.minimum is None or field.default >= field.minimum
                assert field.maximum is None or field.default <= field.maximum


def test_three_steps_give_finite_metrics_and_an_end(trained):
    assert isinstance(trained.events[-1], Finished), trained.events[-1]
    metrics = [e for e in trained.events if isinstance(e, Metric)]
    assert {1, 2, 3} <= {e.step for e in metrics}
    assert all(math.isfinite(value) for e in metrics for value in e.values.values())
    assert any(name.startswith(("val_", "validation_")) for e in metrics for name in e.values)
    assert any(isinstance(e, Sample | Text) for e in trained.events)


def test_the_checkpoint_says_what_it_is(trained):
    card, weights = read_model(trained.run.checkpoint("last"))
    assert card.family == trained.family.name and card.step == 3
    assert card.dataset == trained.dataset.id and card.dataset_hash == trained.dataset.manifest_hash()
    assert check(type(trained.config), card.config) == trained.config
    assert weights and all(bool(tensor.isfinite().all()) for tensor in weights.values())


def test_the_same_seed_gives_the_same_first_loss(trained):
    again = list(run_job(trained.task.job, trained.config, new_run(trained)))
    assert first_losses(again) == first_losses(trained.events)


def test_another_seed_gives_another_first_loss(trained):
    other = trained.config.model_copy(update={"seed": 1})
    assert first_losses(run_job(trained.task.job, other, new_run(trained))) != first_losses(trained.events)


def test_stopped_after_the_first_metric_it_goes_on_to_the_same_bits(trained):
    run, seen = new_run(trained), []

    def enough():
        return any(isinstance(e, Metric) for e in seen)

    for event in run_job(trained.task.job, trained.config, run, enough):
        started = time.monotonic()
        seen.append(event)
    assert isinstance(seen[-1], Stopped) and time.monotonic() - started < 2
    assert read_model(run.checkpoint("last"))[0].step == 1
    rest = list(run_job(trained.task.job, trained.config, run))
    assert isinstance(rest[-1], Finished)

    def told(events):
        return [
            (e.step, name, value.hex()) for e in events if isinstance(e, Metric) for name, value in e.values.items()
        ]

    assert told(seen) + told(rest) == told(trained.events)
    mine, theirs = (read_model(r.checkpoint("last"))[1] for r in (run, trained.run))
    assert mine.keys() == theirs.keys()
    assert all(bool((mine[name] == theirs[name]).all()) for name in mine)


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_a_family_makes_works_labels_or_copies(name):
    tasks = {task.name for task in FAMILIES[name].tasks}
    assert len(tasks & {"generate", "label"}) == 1 or "reconstruct" in tasks


def made(events) -> dict:
    """Return what a create task made, by seed, or by -1, -2 … where no seed is told."""
    works = {}
    for event in events:
        if isinstance(event, Text) and not event.partial:
            seeds = event.seeds or [-1 - len(works) - i for i in range(len(event.items))]
            works |= dict(zip(seeds, event.items, strict=True))
        if isinstance(event, Sample) and event.seeds and event.role == "samples":
            works |= dict(zip(event.seeds, event.images, strict=True))
    return works


def use(trained, name: str, **values) -> tuple:
    """Run a task of the trained model; return the run and the events."""
    task = trained.family.task(name)
    config = check(task.config, {"run": trained.run.id, "device": "cpu", **values})
    run = trained.workspace.new_run(f"{trained.family.name}.{name}", config.model_dump(mode="json"), parent="results")
    return run, list(run_job(task.job, config, run))


def generate(trained, **values) -> list:
    names = {field.name for field in describe(trained.family.task("generate").config)}
    return use(trained, "generate", **({"length": 20} if "length" in names else {}), **values)[1]


@makers
def test_it_makes_as_many_works_as_asked(trained):
    events = generate(trained, count=5, seed=11)
    assert isinstance(events[-1], Finished), events[-1]
    works = made(events)
    assert sorted(works) == [11, 12, 13, 14, 15] or sorted(works) == [-5, -4, -3, -2, -1]
    for work in works.values():
        assert isinstance(work, str) or (work.dtype == np.uint8 and work.ndim == 3)


@makers
def test_a_work_made_alone_is_identical(trained):
    together = made(generate(trained, count=11, seed=4))
    if min(together) < 0:  # texts whose seed is not told depend on those beside them
        assert made(generate(trained, count=11, seed=4)) == together
        return
    for seed in (4, 9, 14):
        alone = made(generate(trained, count=1, seed=seed))
        assert np.array_equal(alone[seed], together[seed]), seed


def test_a_missing_model_is_said_plainly(trained):
    name = next(name for name in ("generate", "label", "reconstruct") if name in {t.name for t in trained.family.tasks})
    values = {"text": "Ann"} if name == "label" else {}
    events = use(trained, name, **{**values, "run": "nothing there"})[1]
    assert isinstance(events[-1], Failed) and "nothing there" in events[-1].message


@copiers
def test_it_shows_held_out_works_beside_their_copies(trained):
    events = use(trained, "reconstruct", count=3)[1]
    assert isinstance(events[-1], Finished), events[-1]
    (sample,) = (event for event in events if isinstance(event, Sample))
    assert sample.role == "reconstruction" and len(sample.images) == 6
    assert not np.array_equal(sample.images[0], sample.images[1])


@labellers
def test_it_labels_every_text_and_one_alone_the_same(trained):
    texts = ["Ann left Rome.", "Nothing here at all, for a good many words more than elsewhere", "北京"]
    run, events = use(trained, "label", text="\n\n".join(texts))
    assert isinstance(events[-1], Finished), events[-1]
    together = [item for event in events if isinstance(event, Text) for item in event.items]
    rows = [json.loads(line) for line in (run.folder / "labels.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(together) == 3 and [row["text"] for row in rows] == texts
    for text, shown in zip(texts, together, strict=True):
        alone = use(trained, "label", text=text)[1]
        assert [item for event in alone if isinstance(event, Text) for item in event.items] == [shown]


@labellers
def test_without_a_text_to_label_it_says_so(trained):
    events = use(trained, "label", text=" \n ")[1]
    assert isinstance(events[-1], Failed) and events[-1].kind == "UserError" and events[-1].hint


@labellers
def test_it_labels_a_data_set_in_its_order(trained):
    run, events = use(trained, "label_data", dataset=trained.dataset.id)
    assert isinstance(events[-1], Finished), events[-1]
    rows = [json.loads(line)["text"] for line in (run.folder / "labels.jsonl").read_text("utf-8").splitlines()]
    assert rows == [*trained.dataset.texts("train"), *trained.dataset.texts("validation")]


@labellers
def test_the_evaluation_has_rows_and_tables_of_finite_numbers(trained):
    config = check(evaluation.EvaluateConfig, {"run": trained.run.id, "device": "cpu"})
    events = list(run_job(evaluation.evaluate, config, new_run(trained)))
    (result,) = (event.data for event in events if isinstance(event, Result))
    report = report_of(json.loads(json.dumps(result)))
    assert report.figures() and all(math.isfinite(figure.value) for figure in report.figures())
    assert all(len(row) == len(table.columns) for table in report.tables for row in table.rows)


@makers
def test_the_sampler_of_the_evaluation_gives_the_kind(trained):
    works = trained.family.sampler(trained.run.checkpoint("best"), "cpu")(3, 0)
    assert len(works) == 3
    if trained.family.kind == "image":
        assert works.dtype == np.uint8 and works.ndim == 4
    else:
        assert all(isinstance(work, str) for work in works)


def test_data_that_changed_since_the_start_is_refused(trained):
    run = new_run(trained)
    run.update(dataset_hash="0" * 64)
    events = list(run_job(trained.task.job, trained.config, run))
    assert isinstance(events[-1], Failed) and "not the data" in events[-1].message


def test_events_are_plain_and_checkpoints_told(trained):
    assert [e.step for e in trained.events if isinstance(e, Checkpoint)][-1] == 3
    assert all(isinstance(e.message, str) for e in trained.events if isinstance(e, Note))


def test_every_preset_makes_a_plan_with_numbers(trained):
    machine = describe_machine()
    fields = describe(type(trained.config))
    kinds = (FieldKind.ENCODER, FieldKind.MODEL, FieldKind.DIFFUSION)
    published = {f.name: getattr(trained.config, f.name) for f in fields if f.kind in kinds or f.name == "trigger"}
    plan = trained.task.plan({"dataset": trained.dataset.id, **published}, "auto", trained.dataset, machine)
    assert plan.preset in [preset.name for preset in plan.presets]
    assert plan.parameters > 0 and plan.steps > 0 and plan.memory_mb > 0
    for preset in plan.presets:
        check(type(trained.config), {"dataset": "x", **published, **preset.values})


NONSENSE = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.lists(st.integers()))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_the_planner_answers_nonsense_with_problems(trained, data):
    names = [field.name for field in describe(type(trained.config))]
    values = data.draw(st.dictionaries(st.sampled_from([*names, "no such setting"]), NONSENSE, min_size=1, max_size=4))
    dataset = data.draw(st.sampled_from([None, trained.dataset]))
    plan = trained.task.plan(values, data.draw(st.sampled_from(["auto", "?", ""])), dataset, describe_machine())
    assert isinstance(plan, Plan)
    if dataset is None:
        assert plan.problems
