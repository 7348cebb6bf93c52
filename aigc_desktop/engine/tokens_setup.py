"""Settings of turning pictures into tokens, the presets, and the plan shown before such a training."""

from __future__ import annotations

from typing import Any, Literal

from aigc_desktop.core.config import param
from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.family import Plan, Preset
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.machine import Machine
from aigc_desktop.engine.nn.picture_tokenizer import PictureTokenizer, TokenizerShape
from aigc_desktop.engine.picture_plan import Cost, automatic_size, cost_of, seconds_per_gigaflop
from aigc_desktop.engine.planning import Draft, choose_preset, training_megabytes
from aigc_desktop.engine.trainee import TrainConfig

FAMILY_NAME = "image_tokens"
LEAST_ITEMS = 16
KEPT_INPUTS = 4  # values kept for the gradients per output of a layer: normalisation and SiLU keep theirs too
FEATURE_GIGAFLOPS, FEATURE_VALUES = 0.2, 2_000_000  # of a pass through the network that compares features
SIDES = {32: 8, 64: 8, 128: 16}  # tokens on a side of a picture
LEVELS = {"240": (8, 6, 5), "1000": (8, 5, 5, 5), "4375": (7, 5, 5, 5, 5)}  # Table 1 of arXiv:2309.15505 and smaller
GOOD_IMAGES = {32: 60_000, 64: 300_000, 128: 800_000}  # shown to the network until copies are good


class TokenizerConfig(TrainConfig):
    """Settings that say how pictures become tokens; part of every training that needs tokens."""

    resolution: Literal["32", "64", "128"] = param(
        "32", N_("Picture size"), N_("Side of the pictures in pixels; each doubling takes about four times as long."),
        unit="px",
    )  # fmt: skip
    flip: bool = param(
        False, N_("Mirror pictures"), N_("Shows each picture mirrored half of the time; not for letters or logos.")
    )
    shift: int = param(
        2, N_("Shift pictures"), N_("Moves each picture by up to so many pixels; helps with few pictures."),
        unit="px", ge=0, le=8, advanced=True,
    )  # fmt: skip
    codes: Literal["240", "1000", "4375"] = param(
        "240", N_("Kinds of tokens"),
        N_("Few are learned sooner, many copy more exactly: 240 for up to 2,000 pictures, 1000 for more."),
        advanced=True,
    )  # fmt: skip
    channels: int = param(
        32, N_("Channels"),
        N_("Channels of the tokenizer at its finest stage, a multiple of 8; more copy more exactly and take longer."),
        ge=8, le=512, advanced=True,
    )  # fmt: skip
    blocks: int = param(1, N_("Depth"), N_("Residual blocks at each stage."), ge=1, le=8, advanced=True)
    feature_weight: float = param(
        0.0, N_("Likeness of features"),
        N_("How much copies are also compared by a network that knows photos; 0.1 is sharper, but slow without a "
           "graphics card."),
        ge=0.0, le=10.0, advanced=True,
    )  # fmt: skip
    lr: float = param(
        2e-3, N_("Learning rate"),
        N_("How far an update goes; too high makes the loss jump, too low makes it crawl. Keep the preset's."),
        ge=1e-7, le=1.0, advanced=True,
    )  # fmt: skip
    schedule: Literal["constant", "cosine", "wsd"] = param(
        "cosine", N_("Schedule"), N_("How the learning rate goes down; “late fall” is good for most."),
        labels={"constant": N_("constant"), "cosine": N_("cosine"), "wsd": N_("late fall")}, advanced=True,
    )  # fmt: skip
    validate_every: int = param(
        500, N_("Validate every"), N_("Steps between two checks on held-out pictures; 0 turns it off."),
        ge=0, le=999_999, advanced=True,
    )  # fmt: skip
    sample_every: int = param(
        500, N_("Show samples every"), N_("Steps between two previews; 0 shows them at the end only."),
        ge=0, le=999_999, advanced=True,
    )  # fmt: skip

    def tokenizer_shape(self) -> TokenizerShape:
        """Return the size of the tokenizer."""
        size = int(self.resolution)
        return TokenizerShape(size, SIDES[size], self.channels, self.blocks, LEVELS[self.codes])


class ImageTokensConfig(TokenizerConfig):
    """Settings of training a tokenizer alone; the presets choose them."""

    steps: int = param(
        3000, N_("Steps"), N_("How many updates the weights get; more steps take longer and copy more exactly."),
        ge=1, le=999_999,
    )  # fmt: skip


def _preset(name: str, title: str, summary: str, **values: Any) -> Preset:
    return Preset(name, title, summary, values)


PRESETS = [
    _preset(
        "cpu32", N_("Small, 32 px"), N_("For a machine without graphics card: a usable tokenizer in ten minutes."),
        resolution="32", channels=32, batch_size=32, steps=3000,
    ),
    _preset(
        "cpu64", N_("Medium, 64 px"), N_("For a machine without graphics card and an hour or two."),
        resolution="64", channels=32, batch_size=32, steps=10_000,
    ),
    _preset(
        "gpu64", N_("64 px on a graphics card"), N_("The usual choice for icons and small pictures."),
        resolution="64", channels=96, blocks=2, batch_size=64, steps=20_000, codes="1000", lr=1e-3,
        feature_weight=0.1,
    ),
    _preset(
        "gpu128", N_("128 px on a graphics card"), N_("The most detail."),
        resolution="128", channels=96, blocks=2, batch_size=64, steps=30_000, codes="1000", lr=1e-3,
        feature_weight=0.1,
    ),
]  # fmt: skip


def plan(values: dict[str, Any], preset: str, dataset: Dataset | None, machine: Machine) -> Plan:
    """Return size, time, memory and problems of a training; a preset is chosen from the data and the machine."""
    chosen = choose_preset(PRESETS, preset, automatic_preset(dataset, machine))
    draft = Draft(ImageTokensConfig, values, chosen)
    draft.check_data(dataset, "image", LEAST_ITEMS)
    config = draft.config
    if config is None:
        return Plan(chosen.name, PRESETS, draft.values, problems=draft.problems, device=machine.device)
    shape = config.tokenizer_shape()
    cost = reading_cost(config)
    memory, disk = training_megabytes(cost.parameters, cost.parameters, 4.0 * config.batch_size * cost.activations)
    draft.check_machine(machine, memory)
    pace = seconds_per_gigaflop(shape.size, shape.widths[0], config.device, machine)
    per_image = pace and pace * 3 * cost.gigaflops
    notes = [_("Tokens make no pictures by themselves; an image Transformer learns to write them.")]
    return Plan(
        chosen.name, PRESETS, draft.values, cost.parameters, dataset.info.train if dataset is not None else 0,
        config.steps, per_image and per_image * config.steps * config.batch_size,
        per_image and per_image * GOOD_IMAGES[shape.size], memory, disk,
        machine.device_name or machine.device, draft.problems, notes + picture_notes(config, dataset),
    )  # fmt: skip


def reading_cost(config: TokenizerConfig) -> Cost:
    """Return what a picture costs while the tokens are learned; `activations` are numbers kept for the gradients."""
    cost = cost_of(lambda: PictureTokenizer(config.tokenizer_shape()))
    compared = config.feature_weight > 0
    return Cost(
        cost.parameters, cost.gigaflops + compared * FEATURE_GIGAFLOPS,
        KEPT_INPUTS * (cost.activations + compared * FEATURE_VALUES),
    )  # fmt: skip


def automatic_preset(dataset: Dataset | None, machine: Machine) -> str:
    """Return the preset that suits data and machine."""
    return "cpu32" if machine.weak else f"gpu{max(64, automatic_size(dataset, machine.weak))}"


def picture_notes(config: TokenizerConfig, dataset: Dataset | None) -> list[str]:
    """Return what is worth knowing about these pictures before the start."""
    notes = []
    if dataset is not None and dataset.info.size and dataset.info.size < int(config.resolution):
        smaller = _("The pictures are smaller than {size} px and will be enlarged.")
        notes.append(smaller.format(size=config.resolution))
    if dataset is not None and not dataset.info.validation:
        notes.append(_("No pictures are held out, so the best version cannot be told from the last one."))
    return notes
