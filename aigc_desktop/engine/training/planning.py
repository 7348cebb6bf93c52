"""What the planners of the families share: settings from preset and user, problems as sentences, disk and memory."""

from __future__ import annotations

from typing import Any, Generic

from aigc_desktop.core.config import ConfigT, check, describe
from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.errors import UserError, readable_size
from aigc_desktop.core.family import Preset, Problem
from aigc_desktop.core.fields import ConfigError
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.core.machine import Machine
from aigc_desktop.engine.device import choose_device


class Draft(Generic[ConfigT]):
    """A configuration in the making: defaults, then the preset's values, then the user's.

    `config` is None while something is wrong; `problems` says what. Nothing here raises for bad values.
    """

    def __init__(self, config: type[ConfigT], values: dict[str, Any], preset: Preset) -> None:
        defaults = {field.name: field.default for field in describe(config) if not field.required}
        self.values = {**defaults, **preset.values, **values}
        self.advised_steps = {**defaults, **preset.values}.get("steps", 0)
        self.problems: list[Problem] = []
        self.config: ConfigT | None = None
        try:
            self.config = check(config, self.values)
        except ConfigError as error:
            self.problems = [Problem(text, name) for name, text in error.problems.items()]

    def good_after(self, seconds: float | None, steps: int) -> float | None:
        """Return when a good result is there, from the seconds of so many steps: not before the preset's are done."""
        return None if seconds is None else seconds * max(1.0, self.advised_steps / max(1, steps))

    def check_data(self, dataset: Dataset | None, kind: str, least: int) -> None:
        """Note a problem unless `dataset` is frozen, of this kind, and has `least` items to train on."""
        if dataset is None:
            if not any(problem.field == "dataset" for problem in self.problems):
                self.problems.append(Problem(_("Choose the data to learn from."), "dataset"))
            return
        info = dataset.info
        if info.kind != kind:
            self.problems.append(Problem(_("“{title}” is the wrong kind of data.").format(title=info.title), "dataset"))
        elif not info.frozen:
            self.problems.append(
                Problem(_("“{title}” is not ready: freeze it on the Data page.").format(title=info.title), "dataset")
            )
        elif info.train < least:
            self.problems.append(Problem(
                ngettext(
                    "“{title}” has {count} item to learn from; at least {least} are needed.",
                    "“{title}” has {count} items to learn from; at least {least} are needed.", info.train,
                ).format(title=info.title, count=info.train, least=least), "dataset",
            ))  # fmt: skip

    def check_machine(self, machine: Machine, memory_mb: float) -> None:
        """Note a problem when the chosen device is missing or its memory is too small for `memory_mb`."""
        wish = str(self.values.get("device", "auto"))
        try:
            choose_device(wish)
        except UserError as error:
            self.problems.append(Problem(error.message, "device"))
        on_card = machine.device_memory if wish != "cpu" else 0
        usable = 0.9 * (on_card or machine.memory) / 1e6
        if memory_mb > usable:
            self.problems.append(Problem(too_large(1e6 * memory_mb, 1e6 * usable), "batch_size"))


def too_large(needed: float, there: float) -> str:
    """Return that a training needs more bytes of memory than there are."""
    text = _("About {needed} of memory are needed; {there} can be used here.")
    return text.format(needed=readable_size(needed), there=readable_size(there))


def choose_preset(presets: list[Preset], name: str, automatic: str) -> Preset:
    """Return the preset called `name`; for "auto" or an unknown name the one called `automatic`."""
    by_name = {preset.name: preset for preset in presets}
    return by_name.get(name) or by_name[automatic]


def training_megabytes(parameters: int, averaged: int, activations: float) -> tuple[float, float]:
    """Return (memory, disk) in MB: weights, gradients, two moments and averages in float32, plus `activations` bytes.

    The disk holds up to four checkpoints: the two newest, the best, and the one being written.
    """
    state = 4.0 * (3 * parameters + averaged)
    return (state + 4.0 * parameters + activations) / 1e6 + 300, 4 * state / 1e6
