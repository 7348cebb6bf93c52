"""Settings of the image VAE, its presets, and the plan shown before it is trained."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import model_validator

from aigc_desktop.core.config import again, param
from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.family import Plan
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.machine import Machine
from aigc_desktop.engine.nn.convnet import stages_of
from aigc_desktop.engine.nn.resnet import GROUPS
from aigc_desktop.engine.nn.spatial import SIDE
from aigc_desktop.engine.pictures.plan import Cost, automatic_size, cost_of, eyes_cost, seconds_per_gigaflop
from aigc_desktop.engine.pictures.setup import (
    PATIENCE,
    LabelledConfig,
    PictureConfig,
    best_version_notes,
    class_notes,
    classes_of,
    plain_notes,
    preset,
    size_notes,
)
from aigc_desktop.engine.pictures.vae_model import networks
from aigc_desktop.engine.training.planning import Draft, choose_preset, training_megabytes
from aigc_desktop.engine.training.trainee import TrainConfig

KEPT_INPUTS = 5  # values kept for the gradients per output of a layer: normalisation and SiLU keep theirs too
GROWTH = (1, 2, 3, 4, 4)  # channels of each stage, fine to coarse, in units of the finest
LEAST_ITEMS = 16
FEATURE_WEIGHT = 1.0  # as arXiv:2012.09841 and arXiv:2112.10752 weigh LPIPS; steps take 1.4 times as long
GOOD_IMAGES = {32: 100_000, 64: 400_000, 128: 800_000}  # shown to the networks until reconstructions are good


class ImageVaeConfig(LabelledConfig):
    """Settings of training an image VAE; the presets choose them."""

    resolution: Literal["32", "64", "128"] = again(PictureConfig, "resolution", "32")
    shift: int = param(
        2, N_("Shift pictures"), N_("Moves each picture by up to so many pixels; helps with few pictures."),
        unit="px", ge=0, le=8, advanced=True,
    )  # fmt: skip
    steps: int = param(
        3000, N_("Steps"), N_("How many updates the weights get; more steps take longer and copy more exactly."),
        ge=1, le=999_999,
    )  # fmt: skip
    weight_decay: float = again(TrainConfig, "weight_decay", 0.05)
    batch_size: int = again(TrainConfig, "batch_size", 32)
    lr: float = again(TrainConfig, "lr", 2e-3)
    spatial: bool = param(
        False, N_("Code by place"),
        N_("A grid of numbers instead of one code for all: copies are sharp, and a flow can learn to write the grids."),
    )  # fmt: skip
    latent: int = param(
        64, N_("Latent size"),
        N_("Numbers that stand for a picture; more copies more exactly, fewer make new pictures more whole."),
        ge=2, le=1024, advanced=True,
    )  # fmt: skip
    feature_weight: float = param(
        0.0, N_("Weight of features"),
        N_("How much copies must agree in what a trained network sees; makes pictures crisper and steps slower."),
        ge=0.0, le=10.0, advanced=True,
    )  # fmt: skip
    kl_warmup: float = param(
        0.15, N_("Warm-up of the code"),
        N_("Share of the steps over which the price of the code rises to its full value."),
        ge=0.0, le=1.0, advanced=True,
    )  # fmt: skip
    free_bits: float = param(
        0.05, N_("Free bits"), N_("Nats of each latent number that cost nothing, so that none of them falls silent."),
        unit="nats", ge=0.0, le=10.0, advanced=True,
    )  # fmt: skip
    components: int = param(
        10, N_("Mixture components"),
        N_("Gaussians in the density that new pictures are drawn from; classes share them out."),
        ge=1, le=100, advanced=True,
    )  # fmt: skip


    @model_validator(mode="after")
    def _grid_fits(self) -> ImageVaeConfig:
        if self.spatial and self.latent % SIDE**2:
            raise ValueError(_("With a code by place the latent size must be a multiple of 64."))
        return self


PRESETS = [
    preset(
        "cpu32", N_("Small, 32 px"), N_("For a machine without graphics card: soft pictures in five minutes."),
        resolution="32", width=32, blocks=1, batch_size=32, steps=3000,
    ),
    preset(
        "cpu64", N_("Medium, 64 px"), N_("For a machine without graphics card and an hour or two."),
        resolution="64", width=32, blocks=1, batch_size=32, steps=12_000, latent=96,
        feature_weight=FEATURE_WEIGHT,
    ),
    preset(
        "cpugrid64", N_("64 px, code by place, without graphics card"),
        N_("Sharp copies in a quarter of an hour, for a flow to build on."),
        resolution="64", spatial=True, width=32, blocks=1, batch_size=32, steps=3000, latent=256,
        feature_weight=FEATURE_WEIGHT,
    ),
    preset(
        "gpu64", N_("64 px on a graphics card"), N_("The usual choice for icons and small pictures."),
        resolution="64", width=64, blocks=2, batch_size=64, steps=20_000, latent=128,
        feature_weight=FEATURE_WEIGHT, patience=PATIENCE,
    ),
    preset(
        "grid64", N_("64 px, code by place"), N_("Sharp copies, for a flow to build on; needs a graphics card."),
        resolution="64", spatial=True, width=64, blocks=2, batch_size=64, steps=20_000, latent=256,
        feature_weight=FEATURE_WEIGHT, patience=PATIENCE,
    ),
    preset(
        "gpu128", N_("128 px on a graphics card"), N_("The most detail."),
        resolution="128", width=48, blocks=2, batch_size=64, steps=30_000, latent=192,
        feature_weight=FEATURE_WEIGHT, patience=PATIENCE,
    ),
    preset(
        "grid128", N_("128 px, code by place"), N_("Sharp copies of larger pictures, for a flow to build on."),
        resolution="128", spatial=True, width=48, blocks=2, batch_size=64, steps=30_000, latent=512,
        feature_weight=FEATURE_WEIGHT, patience=PATIENCE,
    ),
]  # fmt: skip


def widths_of(config: ImageVaeConfig) -> tuple[int, ...]:
    """Return the channels of the stages, fine to coarse; each a multiple of the groups of the normalisation."""
    width, stages = max(GROUPS, config.width // GROUPS * GROUPS), stages_of(int(config.resolution))
    return tuple(width * factor for factor in GROWTH[: stages - 1 if config.spatial else stages])


def plan(values: dict[str, Any], preset: str, dataset: Dataset | None, machine: Machine) -> Plan:
    """Return size, time, memory and problems of a training; a preset is chosen from the data and the machine."""
    size = automatic_size(dataset, machine.weak)
    automatic = "cpu32" if machine.weak else f"gpu{max(64, size)}"
    chosen = choose_preset(PRESETS, preset, automatic)
    draft = Draft(ImageVaeConfig, values, chosen)
    draft.check_data(dataset, "image", LEAST_ITEMS)
    config = draft.config
    if config is None:
        return Plan(chosen.name, PRESETS, draft.values, problems=draft.problems, device=machine.device)
    size, classes = int(config.resolution), classes_of(config, dataset)
    cost = code_cost(config, classes)
    memory, disk = training_megabytes(cost.parameters, cost.parameters, 4.0 * config.batch_size * cost.activations)
    draft.check_machine(machine, memory)
    pace = seconds_per_gigaflop(
        networks(config.spatial)[0], (size, widths_of(config), config.blocks, config.latent, classes), cost.parameters,
        config.device, machine,
    )  # fmt: skip
    per_image = pace and pace * 3 * cost.gigaflops
    return Plan(
        chosen.name, PRESETS, draft.values, cost.parameters, dataset.info.train if dataset is not None else 0,
        config.steps, per_image and per_image * config.steps * config.batch_size,
        per_image and per_image * GOOD_IMAGES[size], memory, disk,
        machine.device_name or machine.device, draft.problems, _notes(config, dataset),
    )  # fmt: skip


def code_cost(config: ImageVaeConfig, classes: int) -> Cost:
    """Return what a picture costs while the codes are learned; `activations` are numbers kept for the gradients."""
    size, widths = int(config.resolution), widths_of(config)
    reads, paints = networks(config.spatial)
    encoder = cost_of(lambda: reads(size, widths, config.blocks, config.latent, classes))
    decoder = cost_of(lambda: paints(widths[::-1], config.blocks, config.latent, classes))
    eyes = eyes_cost(config.feature_weight, size)
    return Cost(
        encoder.parameters + decoder.parameters, encoder.gigaflops + decoder.gigaflops + eyes.gigaflops,
        KEPT_INPUTS * (encoder.activations + decoder.activations) + eyes.activations,
    )  # fmt: skip


def _notes(config: ImageVaeConfig, dataset: Dataset | None) -> list[str]:
    soft = _("Pictures of a VAE are soft; for sharp ones train an image GAN.")
    if config.spatial:
        soft = _("New pictures from grids are patchy; train an image flow on them for whole ones.")
    return [soft, *size_notes(config, dataset), *plain_notes(dataset), *class_notes(config, dataset),
            *best_version_notes(dataset)]  # fmt: skip
