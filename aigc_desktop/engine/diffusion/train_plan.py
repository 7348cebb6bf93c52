"""The plan before a diffusion model learns: steps by the pictures, memory and time by counting on empty shapes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.family import Plan, Problem
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.core.machine import Machine
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.model_files import FoundModel
from aigc_desktop.engine.device import choose_device, choose_precision
from aigc_desktop.engine.diffusion.cost import Cost, cost_of, native_of, shapes_of
from aigc_desktop.engine.diffusion.loading import find_pipeline_of, sizes_of
from aigc_desktop.engine.diffusion.material import captions_of, need_words, size_of
from aigc_desktop.engine.diffusion.train import need_learner
from aigc_desktop.engine.diffusion.train_setup import LEAST_PICTURES, PRESETS, LoraTrainConfig
from aigc_desktop.engine.diffusion.trainee import PREVIEW_PICTURES
from aigc_desktop.engine.pictures.plan import seconds_per_gigaflop, trunk
from aigc_desktop.engine.training.planning import Draft, choose_preset

_PER_PICTURE, _FEWEST_STEPS, _MOST_STEPS = 80, 400, 3000
_FIXED = 1.2e9  # bytes: torch, the libraries, what reading the model leaves behind
_OVERHEAD_S = 0.02  # of a step, for the calls of its thousand small operations
_PACE_SIZE, _PACE_WIDTH = 64, 64


def plan(values: dict[str, Any], preset_name: str, dataset: Dataset | None, machine: Machine) -> Plan:
    """Return the plan of teaching a diffusion model; nothing here raises for bad values."""
    preset = choose_preset(PRESETS, preset_name, "usual")
    preset = replace(preset, values={**preset.values, **_fitted(dataset)})
    draft = Draft(LoraTrainConfig, values, preset)
    draft.check_data(dataset, "image", LEAST_PICTURES)
    found, problem = _base(values.get("base"), dataset)
    if problem and draft.config is not None:
        draft.problems.append(Problem(problem, "base"))
    made = Plan(preset.name, PRESETS, draft.values, items=dataset.info.train if dataset is not None else 0,
                device=machine.device_name or machine.device)  # fmt: skip
    if draft.config is None or found is None or dataset is None or draft.problems:
        return replace(made, problems=draft.problems)
    return _estimate(made, draft, draft.config, found, dataset, machine)


def _fitted(dataset: Dataset | None) -> dict[str, Any]:
    """Return steps, and how often is checked and shown, for the number of pictures."""
    if dataset is None or not dataset.info.train:
        return {}
    steps = min(_MOST_STEPS, max(_FEWEST_STEPS, _PER_PICTURE * dataset.info.train))
    every = max(50, steps // 8)
    return {"steps": steps, "warmup": steps // 20, "validate_every": every, "sample_every": every,
            "checkpoint_every": every}  # fmt: skip


def _base(value: Any, dataset: Dataset | None) -> tuple[FoundModel | None, str]:
    """Return the chosen model, or why there is none; a data set tells the workspace."""
    if not isinstance(value, str) or not value or dataset is None:
        return None, ""
    try:
        model = Workspace(dataset.folder.parent.parent).model(value)
        found = find_pipeline_of(model)
        need_learner(shapes_of(found, model.info.title))
        return found, ""
    except UserError as error:
        return None, error.message


def _estimate(
    made: Plan, draft: Draft[LoraTrainConfig], config: LoraTrainConfig, found: FoundModel, dataset: Dataset,
    machine: Machine,
) -> Plan:  # fmt: skip
    own, multiple = native_of(found)
    size = size_of(config, dataset, own, multiple)
    try:
        need_words(dataset, config.trigger.strip())
        device = choose_device(config.device)
    except UserError as error:
        field = "device" if config.trigger.strip() else "trigger"
        return replace(made, problems=[Problem(f"{error.message} {error.hint}", field)])
    cost = cost_of(found, size, config.layers, config.rank)
    sizes = sizes_of(found)
    half = choose_precision(config.precision, device, max(sizes.values())) == "bfloat16"
    memory = _memory(config, cost, sum(sizes.values()), half)
    draft.check_machine(machine, memory / 1e6)
    pace = seconds_per_gigaflop(*trunk(_PACE_SIZE, _PACE_WIDTH), max(sizes.values()), config.device, machine)
    seconds = None if pace is None else pace * _gigaflops(config, cost) + _OVERHEAD_S * config.steps
    return replace(
        made, parameters=sum(sizes.values()), steps=config.steps, seconds=seconds,
        good_after_s=draft.good_after(seconds, config.steps),
        memory_mb=memory / 1e6, disk_mb=4 * 12.0 * cost.learned / 1e6, problems=draft.problems,
        notes=_notes(config, cost, sum(sizes.values()), dataset, size, own),
    )  # fmt: skip


def _memory(config: LoraTrainConfig, cost: Cost, weights: int, half: bool) -> float:
    """Return the bytes of memory: frozen weights, adapters with their moments, numbers kept for the gradients."""
    number = 2.0 if half else 4.0
    averaged = weights if config.ema > 0 else 0
    learned = 16.0 * cost.learned
    return number * (weights + averaged + config.batch_size * cost.activations(config.checkpointing)) + learned + _FIXED


def _gigaflops(config: LoraTrainConfig, cost: Cost) -> float:
    """Return all operations: there and back in each step, and the samples with their guidance."""
    there_and_back = 3.0 if config.checkpointing else 2.0
    shown = config.steps // config.sample_every if config.sample_every else 1
    samples = 2 * 30 * PREVIEW_PICTURES * (shown + 1)
    return cost.gigaflops * (there_and_back * config.batch_size * config.steps + samples)


def _notes(
    config: LoraTrainConfig, cost: Cost, weights: int, dataset: Dataset, size: tuple[int, int], own: int
) -> list[str]:
    often = round(config.steps * config.batch_size / max(1, dataset.info.train))
    seen = ngettext(
        "Each picture is seen about {count} time, at {width} × {height} px.",
        "Each picture is seen about {count} times, at {width} × {height} px.", often,
    )  # fmt: skip
    notes = [
        seen.format(count=often, width=size[0], height=size[1]),
        _("{count} of {all} weights learn.").format(count=f"{cost.learned:,}", all=f"{weights:,}"),
    ]
    trigger = config.trigger.strip()
    missing = sum(caption == trigger for caption in captions_of(dataset, "train", trigger))
    if missing:
        text = ngettext(
            "{count} of {all} pictures has no caption: it is learned with the trigger word alone.",
            "{count} of {all} pictures have no caption: they are learned with the trigger word alone.", missing,
        )  # fmt: skip
        notes.append(text.format(count=missing, all=dataset.info.train))
    if dataset.info.size and dataset.info.size < own:
        text = _("The model was made for {own} px, the pictures are frozen at {size} px: freeze them larger.")
        notes.append(text.format(own=own, size=dataset.info.size))
    if not dataset.info.validation:
        notes.append(_("No pictures are held out, so the best version cannot be told from the last one."))
    return notes
