"""Settings of the image flow, its presets, and the plan shown before it is trained."""

from __future__ import annotations

from typing import Any, Literal

from aigc_desktop.core.config import again, param
from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.family import Plan, Problem
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.machine import Machine
from aigc_desktop.engine.nn.convnet import stages_of
from aigc_desktop.engine.nn.hinted import HINTS
from aigc_desktop.engine.nn.resnet import GROUPS
from aigc_desktop.engine.nn.spatial import SIDE, SpatialEncoder
from aigc_desktop.engine.nn.unet import Unet, UnetShape
from aigc_desktop.engine.picture_plan import automatic_size, cost_of, seconds_per_gigaflop
from aigc_desktop.engine.picture_setup import (
    PATIENCE,
    LabelledConfig,
    best_version_notes,
    class_notes,
    plain_notes,
    preset,
    size_notes,
)
from aigc_desktop.engine.planning import Draft, choose_preset, training_megabytes
from aigc_desktop.engine.vae_setup import PRESETS as VAE_PRESETS
from aigc_desktop.engine.vae_setup import ImageVaeConfig, widths_of

GRID = "cpugrid64"  # the preset for codes of a VAE on a processor, and that for the VAE
GROWTH = (1, 2, 3, 4, 4)  # channels of each stage, fine to coarse, in units of the finest
LEAST_ITEMS = 16
USUAL_CHANNELS = 4  # of the grids of a VAE; the plan does not open the one that is chosen
GOOD_IMAGES = {32: 80_000, 64: 400_000, 128: 1_500_000}  # shown to the network until pictures are good


class ImageFlowConfig(LabelledConfig):
    """Settings of training an image flow; the presets choose them."""

    resolution: Literal["32", "64", "128"] = again(LabelledConfig, "resolution", "32")
    autoencoder: str = param(
        "", N_("Codes of"),
        N_("A training of an image VAE with a code by place: the flow writes its grids, which is many times faster."),
        kind=FieldKind.RUN, family="image_vae", advanced=True,
    )  # fmt: skip
    augment: float = param(
        0.15, N_("Augmentation"),
        N_("How often pictures are shown moved, turned or scaled, of which the model is told; helps with few of them."),
        ge=0.0, le=1.0, advanced=True,
    )  # fmt: skip
    width: int = again(LabelledConfig, "width", 48)
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
    sample_every: int = again(LabelledConfig, "sample_every", 500)

    def shape(self, classes: int) -> UnetShape:
        """Return the size of the network; its coarsest stage has 4 places on a side."""
        return self._shape(classes, int(self.resolution), int(self.fold), 3)

    def grid_shape(self, classes: int, channels: int) -> UnetShape:
        """Return the size of a network that writes grids of a VAE."""
        return self._shape(classes, SIDE, 1, channels)

    def _shape(self, classes: int, size: int, fold: int, channels: int) -> UnetShape:
        width = max(GROUPS, self.width // GROUPS * GROUPS)
        return UnetShape(
            size, tuple(width * factor for factor in GROWTH[: stages_of(2 * size // fold)]), self.blocks, fold,
            classes=classes, hints=HINTS if self.augment else 0, dropout=self.dropout, channels=channels,
            predicts="picture",
        )  # fmt: skip


PRESETS = [
    preset(
        "cpu32", N_("Small, 32 px"), N_("For a machine without graphics card: good small pictures in half an hour."),
        resolution="32", width=48, batch_size=32, steps=4000,
    ),
    preset(
        "cpu64", N_("Medium, 64 px"), N_("For a machine without graphics card and a night."),
        resolution="64", width=64, fold="4", batch_size=32, steps=20_000,
    ),
    preset(
        GRID, N_("Codes of a VAE"),
        N_("For a machine without graphics card: from the codes of a trained image VAE, whole shapes in half an hour."),
        resolution="64", width=96, batch_size=64, steps=4000, lr=8e-4,
    ),
    preset(
        "gpu64", N_("64 px on a graphics card"), N_("The usual choice for icons and small pictures."),
        resolution="64", width=48, batch_size=128, steps=20_000, lr=4e-4, validate_every=1000,
        sample_every=1000, patience=PATIENCE,
    ),
    preset(
        "gpu128", N_("128 px on a graphics card"), N_("The most detail."),
        resolution="128", width=96, blocks=2, batch_size=64, steps=80_000, lr=4e-4, validate_every=2000,
        sample_every=2000, patience=PATIENCE,
    ),
]  # fmt: skip


def plan(values: dict[str, Any], preset: str, dataset: Dataset | None, machine: Machine) -> Plan:
    """Return size, time, memory and problems of a training; a preset is chosen from the data and the machine."""
    weak = GRID if values.get("autoencoder") else "cpu32"
    automatic = weak if machine.weak else f"gpu{max(64, automatic_size(dataset, machine.weak))}"
    chosen = choose_preset(PRESETS, preset, automatic)
    draft = Draft(ImageFlowConfig, values, chosen)
    draft.check_data(dataset, "image", LEAST_ITEMS)
    if chosen.name == GRID and not draft.values["autoencoder"]:
        draft.problems.append(Problem(_("Choose the image VAE whose codes are written."), "autoencoder"))
    config = draft.config
    if config is None:
        return Plan(chosen.name, PRESETS, draft.values, problems=draft.problems, device=machine.device)
    classes = len(dataset.info.classes) if dataset is not None and config.use_labels else 0
    shape = config.grid_shape(classes, USUAL_CHANNELS) if config.autoencoder else config.shape(classes)
    cost = cost_of(lambda: Unet(shape))
    activations = 4.0 * config.batch_size * 4 * cost.activations  # normalisations keep their inputs too
    memory, disk = training_megabytes(cost.parameters, cost.parameters, activations)
    draft.check_machine(machine, memory)
    pace = seconds_per_gigaflop(int(config.resolution), config.width, cost.parameters, config.device, machine)
    per_image = pace and pace * (3 * cost.gigaflops + _reading(config, machine))
    return Plan(
        chosen.name, PRESETS, draft.values, cost.parameters, dataset.info.train if dataset is not None else 0,
        config.steps, per_image and per_image * config.steps * config.batch_size,
        per_image and per_image * GOOD_IMAGES[int(config.resolution)], memory, disk,
        machine.device_name or machine.device, draft.problems, _notes(config, dataset),
    )  # fmt: skip


def _reading(config: ImageFlowConfig, machine: Machine) -> float:
    """Return the gigaflops of reading the codes of a picture, by a VAE as the preset for this size makes one."""
    if not config.autoencoder:
        return 0.0
    name = GRID if machine.weak else f"grid{max(64, int(config.resolution))}"
    usual = next(preset.values for preset in VAE_PRESETS if preset.name == name)
    vae = ImageVaeConfig(**{**usual, "dataset": config.dataset, "resolution": config.resolution})
    return cost_of(lambda: SpatialEncoder(int(vae.resolution), widths_of(vae), vae.blocks, vae.latent)).gigaflops


def _notes(config: ImageFlowConfig, dataset: Dataset | None) -> list[str]:
    slow = _("Each picture takes about a second to make on a processor; a GAN is faster, a flow is steadier to train.")
    return [slow, *size_notes(config, dataset), *plain_notes(dataset), *class_notes(config, dataset),
            *best_version_notes(dataset)]  # fmt: skip
