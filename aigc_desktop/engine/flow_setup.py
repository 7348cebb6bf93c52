"""Settings of the image flow, its presets, and the plan shown before it is trained."""

from __future__ import annotations

from typing import Any, Literal

from aigc_desktop.core.config import param
from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.family import Plan, Preset
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.machine import Machine
from aigc_desktop.engine.nn.convnet import stages_of
from aigc_desktop.engine.nn.hinted import HINTS
from aigc_desktop.engine.nn.resnet import GROUPS
from aigc_desktop.engine.nn.unet import Unet, UnetShape
from aigc_desktop.engine.picture_plan import automatic_size, cost_of, seconds_per_gigaflop
from aigc_desktop.engine.planning import Draft, choose_preset, training_megabytes
from aigc_desktop.engine.trainee import TrainConfig

GROWTH = (1, 2, 3, 4, 4)  # channels of each stage, fine to coarse, in units of the finest
LEAST_ITEMS = 16
GOOD_IMAGES = {32: 80_000, 64: 400_000, 128: 1_500_000}  # shown to the network until pictures are good


class ImageFlowConfig(TrainConfig):
    """Settings of training an image flow; the presets choose them."""

    resolution: Literal["32", "64", "128"] = param(
        "32", N_("Picture size"), N_("Side of the pictures in pixels; each doubling takes about four times as long."),
        unit="px",
    )  # fmt: skip
    use_labels: bool = param(
        True, N_("Use labels"), N_("Learn the classes of the data apart, so that you can ask for one of them.")
    )
    flip: bool = param(
        False, N_("Mirror pictures"), N_("Shows each picture mirrored half of the time; not for letters or logos.")
    )
    augment: float = param(
        0.15, N_("Augmentation"),
        N_("How often pictures are shown moved, turned or scaled, of which the model is told; helps with few of them."),
        ge=0.0, le=1.0, advanced=True,
    )  # fmt: skip
    steps: int = param(
        4000, N_("Steps"), N_("How many updates the weights get; more steps take longer and give better pictures."),
        ge=1, le=999_999,
    )  # fmt: skip
    batch_size: int = param(
        32, N_("Batch size"), N_("Pictures per update; more is steadier and needs more memory."), ge=1, le=4096
    )
    lr: float = param(
        1e-3, N_("Learning rate"),
        N_("How far an update goes; too high makes the loss jump, too low makes it crawl. Keep the preset's."),
        ge=1e-7, le=1.0, advanced=True,
    )  # fmt: skip
    schedule: Literal["constant", "cosine", "wsd"] = param(
        "cosine", N_("Schedule"), N_("How the learning rate goes down; “late fall” is good for most."),
        labels={"constant": N_("constant"), "cosine": N_("cosine"), "wsd": N_("late fall")}, advanced=True,
    )  # fmt: skip
    width: int = param(
        48, N_("Width"),
        N_("Channels at the finest stage, a multiple of 8; coarser stages have up to four times as many."),
        ge=8, le=512, advanced=True,
    )  # fmt: skip
    blocks: int = param(1, N_("Depth"), N_("Residual blocks at each stage."), ge=1, le=8, advanced=True)
    fold: Literal["1", "2", "4"] = param(
        "2", N_("Folding"), N_("Pixels on a side that are computed together; 2 is four times as fast as 1."),
        unit="px", advanced=True,
    )  # fmt: skip
    dropout: float = param(
        0.1, N_("Dropout"), N_("Share of numbers set to zero while training; up to 0.25 helps with few pictures."),
        ge=0.0, le=0.9, advanced=True,
    )  # fmt: skip
    class_dropout: float = param(
        0.1, N_("Forgetting the class"),
        N_("How often the class of a picture is kept secret; guidance when generating needs some of it."),
        ge=0.0, le=0.9, advanced=True,
    )  # fmt: skip
    time_spread: float = param(
        1.0, N_("Spread of times"), N_("Below 1 the middle of the way from noise to picture is learned more."),
        ge=0.1, le=4.0, advanced=True,
    )  # fmt: skip
    validate_every: int = param(
        500, N_("Validate every"), N_("Steps between two checks on held-out pictures; 0 turns it off."),
        ge=0, le=999_999, advanced=True,
    )  # fmt: skip
    sample_every: int = param(
        500, N_("Show samples every"), N_("Steps between two previews; 0 shows them at the end only."),
        ge=0, le=999_999, advanced=True,
    )  # fmt: skip

    def shape(self, classes: int) -> UnetShape:
        """Return the size of the network; its coarsest stage has 4 places on a side."""
        width = max(GROUPS, self.width // GROUPS * GROUPS)
        size, fold = int(self.resolution), int(self.fold)
        return UnetShape(
            size, tuple(width * factor for factor in GROWTH[: stages_of(2 * size // fold)]), self.blocks, fold,
            classes=classes, hints=HINTS if self.augment else 0, dropout=self.dropout, predicts="picture",
        )  # fmt: skip


def _preset(name: str, title: str, summary: str, **values: Any) -> Preset:
    return Preset(name, title, summary, values)


PRESETS = [
    _preset(
        "cpu32", N_("Small, 32 px"), N_("For a machine without graphics card: good small pictures in half an hour."),
        resolution="32", width=48, batch_size=32, steps=4000,
    ),
    _preset(
        "cpu64", N_("Medium, 64 px"), N_("For a machine without graphics card and a night."),
        resolution="64", width=64, fold="4", batch_size=32, steps=20_000,
    ),
    _preset(
        "gpu64", N_("64 px on a graphics card"), N_("The usual choice for icons and small pictures."),
        resolution="64", width=96, blocks=2, batch_size=64, steps=40_000, lr=4e-4, validate_every=1000,
        sample_every=1000,
    ),
    _preset(
        "gpu128", N_("128 px on a graphics card"), N_("The most detail."),
        resolution="128", width=96, blocks=2, batch_size=64, steps=80_000, lr=4e-4, validate_every=2000,
        sample_every=2000,
    ),
]  # fmt: skip


def plan(values: dict[str, Any], preset: str, dataset: Dataset | None, machine: Machine) -> Plan:
    """Return size, time, memory and problems of a training; a preset is chosen from the data and the machine."""
    automatic = "cpu32" if machine.weak else f"gpu{max(64, automatic_size(dataset, machine.weak))}"
    chosen = choose_preset(PRESETS, preset, automatic)
    draft = Draft(ImageFlowConfig, values, chosen)
    draft.check_data(dataset, "image", LEAST_ITEMS)
    config = draft.config
    if config is None:
        return Plan(chosen.name, PRESETS, draft.values, problems=draft.problems, device=machine.device)
    classes = len(dataset.info.classes) if dataset is not None and config.use_labels else 0
    shape = config.shape(classes)
    cost = cost_of(lambda: Unet(shape))
    activations = 4.0 * config.batch_size * 4 * cost.activations  # normalisations keep their inputs too
    memory, disk = training_megabytes(cost.parameters, cost.parameters, activations)
    draft.check_machine(machine, memory)
    pace = seconds_per_gigaflop(shape.size, config.width, config.device, machine)
    per_image = pace and pace * 3 * cost.gigaflops
    return Plan(
        chosen.name, PRESETS, draft.values, cost.parameters, dataset.info.train if dataset is not None else 0,
        config.steps, per_image and per_image * config.steps * config.batch_size,
        per_image and per_image * GOOD_IMAGES[shape.size], memory, disk,
        machine.device_name or machine.device, draft.problems, _notes(config, dataset),
    )  # fmt: skip


def _notes(config: ImageFlowConfig, dataset: Dataset | None) -> list[str]:
    notes = [_("Each picture takes some seconds to make on a processor; a GAN is faster, a flow is steadier to train.")]
    if dataset is not None and dataset.info.size and dataset.info.size < int(config.resolution):
        smaller = _("The pictures are smaller than {size} px and will be enlarged.")
        notes.append(smaller.format(size=config.resolution))
    if dataset is not None and not dataset.info.validation:
        notes.append(_("No pictures are held out, so the best version cannot be told from the last one."))
    return notes
