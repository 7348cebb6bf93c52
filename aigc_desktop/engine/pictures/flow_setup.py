"""Settings of the image flow, its presets, and the plan shown before it is trained."""

from __future__ import annotations

from typing import Any, Literal

from aigc_desktop.core.config import again, param
from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.family import Plan
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.machine import Machine
from aigc_desktop.engine.nn.convnet import stages_of
from aigc_desktop.engine.nn.hinted import HINTS
from aigc_desktop.engine.nn.resnet import GROUPS
from aigc_desktop.engine.nn.spatial import SIDE, SpatialEncoder
from aigc_desktop.engine.nn.unet import Unet, UnetShape
from aigc_desktop.engine.pictures.plan import Cost, automatic_size, cost_of, seconds_per_gigaflop
from aigc_desktop.engine.pictures.setup import (
    PATIENCE,
    TransferConfig,
    best_version_notes,
    class_notes,
    classes_of,
    plain_notes,
    preset,
    size_notes,
    transfer_notes,
)
from aigc_desktop.engine.pictures.vae_setup import FEATURE_WEIGHT, ImageVaeConfig, code_cost, widths_of
from aigc_desktop.engine.pictures.warm_start import starter_extra
from aigc_desktop.engine.training.planning import Draft, choose_preset, training_megabytes

WARM, WARM_SIZE, STARTER = "warm64", 64, "emoji64"  # the preset that begins with a starter, its pictures, and which
WARM_SHARE = 0.06  # of the pictures that a training from nothing has to see before its own are good
GRID = "cpugrid64"  # the preset for codes on a processor
CODE_CHANNELS = {32: 2, 64: 4, 128: 8}  # numbers of each place of a grid for a size of pictures
KEPT_INPUTS = 4  # values kept for the gradients per output of a layer: normalisations keep their inputs too
GROWTH = (1, 2, 3, 4, 4)  # channels of each stage, fine to coarse, in units of the finest
LEAST_ITEMS = 16
GOOD_IMAGES = {32: 80_000, 64: 400_000, 128: 1_500_000}  # shown to the network until pictures are good


class ImageFlowConfig(TransferConfig):
    """Settings of training an image flow; the presets choose them."""

    resolution: Literal["32", "64", "128"] = again(TransferConfig, "resolution", "32")
    codes: bool = param(
        False, N_("Learn codes first"),
        N_("A small VAE learns a code by place, then the flow writes such codes: whole shapes come much sooner."),
    )  # fmt: skip
    code_share: float = param(
        0.4, N_("Share for the codes"),
        N_("Share of the steps that learn the codes, before the rest learns to write them; with chosen codes, none."),
        ge=0.05, le=0.9, advanced=True,
    )  # fmt: skip
    code_width: int = param(
        32, N_("Channels of the VAE"),
        N_("Channels at its finest stage, a multiple of 8; more copy more exactly and take longer."),
        ge=8, le=512, advanced=True,
    )  # fmt: skip
    autoencoder: str = param(
        "", N_("Codes of"),
        N_("A training of an image VAE with a code by place, whose codes are written; then none are learned first."),
        kind=FieldKind.RUN, family="image_vae", advanced=True,
    )  # fmt: skip
    augment: float = param(
        0.15, N_("Augmentation"),
        N_("How often pictures are shown moved, turned or scaled, of which the model is told; helps with few of them."),
        ge=0.0, le=1.0, advanced=True,
    )  # fmt: skip
    width: int = again(TransferConfig, "width", 48)
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
    sample_every: int = again(TransferConfig, "sample_every", 500)

    def code_steps(self) -> int:
        """Return how many of the steps learn the codes."""
        return round(self.code_share * self.steps) if self.codes and not self.autoencoder else 0

    def code_config(self) -> ImageVaeConfig:
        """Return the settings of the VAE that learns the codes; its pictures come from the batches of the flow."""
        return ImageVaeConfig(
            dataset=self.dataset, resolution=self.resolution, batch_size=self.batch_size, width=self.code_width,
            spatial=True, latent=CODE_CHANNELS[int(self.resolution)] * SIDE**2, feature_weight=FEATURE_WEIGHT,
        )  # fmt: skip

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
        GRID, N_("64 px by way of codes"),
        N_("For a machine without graphics card: whole shapes in half an hour, without fine detail."),
        resolution="64", codes=True, width=96, batch_size=64, steps=5000, lr=8e-4,
    ),
    preset(
        WARM, N_("64 px from a trained model"),
        N_("For a machine without graphics card: the model that ships with the program learns your pictures."),
        resolution="64", width=48, batch_size=16, steps=2000, lr=1.5e-4, warm_start=True,
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
    automatic = _weak_preset(values, dataset) if machine.weak else f"gpu{max(64, automatic_size(dataset, False))}"
    chosen = choose_preset(PRESETS, preset, automatic)
    draft = Draft(ImageFlowConfig, values, chosen)
    draft.check_data(dataset, "image", LEAST_ITEMS)
    config = draft.config
    if config is None:
        return Plan(chosen.name, PRESETS, draft.values, problems=draft.problems, device=machine.device)
    if config.warm_start and not warm_fits(config):
        draft.values["warm_start"] = bool(values.get("warm_start", False))
        config = config.model_copy(update={"warm_start": draft.values["warm_start"]})
    warm = config.warm_start or bool(config.start_from)
    classes = classes_of(config, dataset)
    coded = config.codes or bool(config.autoencoder)
    shape = config.grid_shape(classes, CODE_CHANNELS[int(config.resolution)]) if coded else config.shape(classes)
    cost, learning = cost_of(lambda: Unet(shape)), Cost(0, 0.0, 0)
    if config.code_steps():
        learning = code_cost(config.code_config(), classes)
    parameters = cost.parameters + learning.parameters
    activations = max(KEPT_INPUTS * cost.activations, learning.activations)
    memory, disk = training_megabytes(parameters, parameters, 4.0 * config.batch_size * activations)
    draft.check_machine(machine, memory)
    pace = seconds_per_gigaflop(Unet, (shape,), parameters, config.device, machine)
    share = config.code_steps() / config.steps
    writing = 3 * cost.gigaflops + (_reading(config) if coded else 0.0)
    per_image = pace and pace * (share * 3 * learning.gigaflops + (1 - share) * writing)
    return Plan(
        chosen.name, PRESETS, draft.values, parameters, dataset.info.train if dataset is not None else 0,
        config.steps, per_image and per_image * config.steps * config.batch_size,
        per_image and per_image * GOOD_IMAGES[int(config.resolution)] * (WARM_SHARE if warm else 1.0), memory, disk,
        machine.device_name or machine.device, draft.problems, _notes(config, dataset),
    )  # fmt: skip


def _weak_preset(values: dict[str, Any], dataset: Dataset | None) -> str:
    """Return the preset for a machine without graphics card: the starter's weights, where they can be used."""
    if values.get("autoencoder") or values.get("codes"):
        return GRID
    small = dataset is not None and 0 < dataset.info.size < WARM_SIZE
    return "cpu32" if small or starter_extra(STARTER) is None else WARM


def warm_fits(config: ImageFlowConfig) -> bool:
    """Return whether the weights of the starter have the shapes of this network, but for its classes."""
    extra = starter_extra(STARTER)
    if extra is None or config.codes or config.autoencoder:
        return False
    own, theirs = ({**shape, "widths": list(shape["widths"]), "classes": 0, "dropout": 0, "hints": 0}
                   for shape in (vars(config.shape(0)), extra["shape"]))  # fmt: skip
    return own == theirs


def _reading(config: ImageFlowConfig) -> float:
    """Return the gigaflops of reading the code of a picture; a chosen VAE is taken to be as large as an own one."""
    vae = config.code_config()
    return cost_of(lambda: SpatialEncoder(int(vae.resolution), widths_of(vae), vae.blocks, vae.latent)).gigaflops


def _notes(config: ImageFlowConfig, dataset: Dataset | None) -> list[str]:
    slow = _("Each picture takes about a second to make on a processor; a GAN is faster, a flow is steadier to train.")
    notes = [slow, *size_notes(config, dataset), *plain_notes(dataset), *class_notes(config, dataset),
             *best_version_notes(dataset)]  # fmt: skip
    if config.code_steps():
        first = _("The first {count} steps learn the codes; until then you see copies of held-out pictures.")
        notes.insert(0, first.format(count=f"{config.code_steps():,}"))
    return notes + transfer_notes(config, warm_fits(config))
