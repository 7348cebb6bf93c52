"""Settings of the image GAN, its presets, and the plan shown before it is trained."""

from __future__ import annotations

import math
from typing import Any, Literal

from aigc_desktop.core.aspect import CELLS
from aigc_desktop.core.config import again, param
from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.family import Plan
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.machine import Machine
from aigc_desktop.engine.metrics.features import INPUT_SIZE, EfficientNetLite0
from aigc_desktop.engine.nn.convnet import SQUARE, Discriminator, Generator, PictureFormat, stages_of
from aigc_desktop.engine.pictures.plan import Cost, automatic_size, cost_of, seconds_per_gigaflop, trunk
from aigc_desktop.engine.pictures.projected import ProjectedCritic, input_size
from aigc_desktop.engine.pictures.setup import (
    TransferConfig,
    class_notes,
    classes_of,
    preset,
    size_notes,
    transfer_notes,
)
from aigc_desktop.engine.pictures.warm_start import shipped_extra
from aigc_desktop.engine.training.planning import Draft, choose_preset, training_megabytes

WARM_MODEL = "image_gan_emoji32"
GROWTH = (1.0, 1.5, 2.0, 3.0, 4.0, 4.0)  # channels of each stage, fine to coarse, in units of the finest
LEAST_ITEMS = 16
MOST_PROJECTED = 2000  # pictures; with more an ordinary discriminator has enough to learn from
WARM_SHARE = 0.25  # of these that a warm start leaves to be done
GOOD_IMAGES = {32: 400_000, 64: 1_000_000, 128: 2_000_000, 256: 4_000_000}  # shown until they are good


class ImageGanConfig(TransferConfig):
    """Settings of training an image GAN; the presets choose them."""

    seamless: bool = param(
        False, N_("Seamless tiles"),
        N_("Pictures whose edges join, to cover a ground with copies; for patterns and textures, not for things."),
    )  # fmt: skip
    steps: int = again(TransferConfig, "steps", 12_000)
    batch_size: int = again(TransferConfig, "batch_size", 16)
    projected: bool = param(
        False, N_("Projected discriminator"),
        N_("Judges through a network trained on photographs; for up to 2,000 pictures. Each step takes longer."),
        advanced=True,
    )  # fmt: skip
    width: int = param(
        64, N_("Width"), N_("Channels at the finest stage; coarser stages have up to four times as many."),
        ge=8, le=512, advanced=True,
    )  # fmt: skip
    latent: int = param(
        64, N_("Latent size"), N_("Numbers that a picture is made from; 64 suits most data."),
        ge=2, le=1024, advanced=True,
    )  # fmt: skip
    lr: float = param(
        2e-4, N_("Learning rate"), N_("How far an update goes; too high breaks the balance of both networks."),
        ge=1e-7, le=1.0, advanced=True,
    )  # fmt: skip
    schedule: Literal["constant", "cosine", "wsd"] = again(TransferConfig, "schedule", "wsd")
    weight_decay: float = param(
        0.0, N_("Weight decay"), N_("Pulls weights towards zero; GANs do better without."),
        ge=0.0, le=10.0, advanced=True,
    )  # fmt: skip
    grad_clip: float = param(
        10.0, N_("Gradient limit"), N_("Longer gradients are shortened to this; 0 turns it off."),
        ge=0.0, le=1000.0, advanced=True,
    )  # fmt: skip
    gamma: float = param(
        2.0, N_("Gradient penalty"),
        N_("Weight of R1 and R2 at the start; more keeps the discriminator smoother. It falls to a fifth."),
        ge=0.0, le=1000.0, advanced=True,
    )  # fmt: skip
    penalty_every: int = param(
        8, N_("Penalty every"), N_("Steps between two penalties, whose weight grows in step; 1 is exact and slow."),
        ge=1, le=64, advanced=True,
    )  # fmt: skip
    augmentation: float = param(
        0.6, N_("Augmentation"),
        N_("How often the discriminator sees changed colours, places and holes at most; it starts at 0."),
        ge=0.0, le=1.0, advanced=True,
    )  # fmt: skip
    adaptive: bool = param(
        False, N_("Adaptive augmentation"),
        N_("Augments more while the discriminator learns pictures by heart, less otherwise; off, it rises evenly."),
        advanced=True,
    )  # fmt: skip
    copy_share: float = param(
        0.25, N_("Copying first"),
        N_("Share of the steps in which both networks first learn to copy pictures; a warm start does without."),
        ge=0.0, le=0.9, advanced=True,
    )  # fmt: skip
    copy_lr: float = param(
        1e-3, N_("Learning rate of copying"), N_("The same for the first share of the steps."),
        ge=1e-7, le=1.0, advanced=True,
    )  # fmt: skip
    validate_every: int = param(
        1500, N_("Validate every"),
        N_("Steps between two measurements of KID against held-out pictures, each of which takes seconds; 0 is never."),
        ge=0, le=999_999, advanced=True,
    )  # fmt: skip


PRESETS = [
    preset(
        "cpu32", N_("Small, 32 px"),
        N_("For a machine without graphics card: shapes and colours in ten minutes, details in hours."),
        resolution="32", width=64, blocks=1, batch_size=16, steps=12_000, warm_start=True,
    ),
    preset(
        "cpu64", N_("Medium, 64 px"), N_("For a machine without graphics card and a night of time."),
        resolution="64", width=48, blocks=1, batch_size=16, steps=40_000, gamma=2.0, warm_start=False,
    ),
    preset(
        "cpu128", N_("Large, 128 px, slow"), N_("Possible without graphics card, but it takes days."),
        resolution="128", width=32, blocks=1, batch_size=8, steps=120_000, gamma=4.0, warm_start=False,
    ),
    preset(
        "gpu32", N_("32 px on a graphics card"), N_("Small pictures, many tries."),
        resolution="32", width=128, blocks=2, batch_size=64, steps=30_000, penalty_every=4, warm_start=False,
    ),
    preset(
        "gpu64", N_("64 px on a graphics card"), N_("The usual choice for icons and small pictures."),
        resolution="64", width=96, blocks=2, batch_size=64, steps=40_000, gamma=2.0, penalty_every=4, warm_start=False,
    ),
    preset(
        "gpu128", N_("128 px on a graphics card"), N_("The most detail; an evening or more."),
        resolution="128", width=64, blocks=2, batch_size=32, steps=100_000, gamma=8.0, penalty_every=4,
        warm_start=False,
    ),
    preset(
        "gpu256", N_("256 px on a graphics card"), N_("For large cards and a day or more of time."),
        resolution="256", width=32, blocks=2, batch_size=32, steps=150_000, gamma=16.0, penalty_every=4,
        warm_start=False,
    ),
]  # fmt: skip


def widths_of(config: ImageGanConfig) -> tuple[int, ...]:
    """Return the channels of the stages, fine to coarse."""
    stages = stages_of(int(config.resolution))
    return tuple(round(config.width * factor) for factor in GROWTH[:stages])


def format_of(config: ImageGanConfig, dataset: Dataset | None) -> PictureFormat:
    """Return the format of pictures like those of the data; square ones while there are none."""
    if dataset is None:
        return PictureFormat(seamless=config.seamless)
    return PictureFormat(*CELLS[dataset.info.aspect], 4 if dataset.info.channels == 4 else 3, config.seamless)


def warm_fits(config: ImageGanConfig, picture: PictureFormat) -> bool:
    """Return whether the shipped weights have the shapes of these networks."""
    extra = shipped_extra(WARM_MODEL)
    own = (int(config.resolution), list(widths_of(config)[::-1]), config.blocks, config.latent)
    known = extra is not None and own == (extra["resolution"], extra["widths"], extra["blocks"], extra["latent"])
    return known and picture == SQUARE


def plan(values: dict[str, Any], preset: str, dataset: Dataset | None, machine: Machine) -> Plan:
    """Return size, time, memory and problems of a training; a preset is chosen from the data and the machine."""
    automatic = f"{'cpu' if machine.weak else 'gpu'}{automatic_size(dataset, machine.weak)}"
    chosen = choose_preset(PRESETS, preset, automatic)
    draft = Draft(ImageGanConfig, values, chosen)
    draft.check_data(dataset, "image", LEAST_ITEMS)
    config = draft.config
    if config is None:
        return Plan(chosen.name, PRESETS, draft.values, problems=draft.problems, device=machine.device)
    picture = format_of(config, dataset)
    if config.warm_start and not warm_fits(config, picture):
        draft.values["warm_start"] = bool(values.get("warm_start", False))
        config = config.model_copy(update={"warm_start": draft.values["warm_start"]})
    classes = classes_of(config, dataset)
    size, widths = int(config.resolution), widths_of(config)
    painter = cost_of(lambda: Generator(size, widths[::-1], config.blocks, config.latent, classes, picture))
    critic, eyes = _critic_costs(config, classes, picture)
    kept = 6 * (painter.activations + 2 * critic.activations) + 3 * eyes.activations
    activations = 4.0 * config.batch_size * kept
    memory, disk = training_megabytes(painter.parameters + critic.parameters, painter.parameters, activations)
    draft.check_machine(machine, memory)
    # a step: generator 1 + 3 passes, discriminator 6 + 3; penalties cost about 12 more in float32 every few steps;
    # a projected one has none and no use for real pictures in the generator's turn; its eyes do not learn and take
    # 2 + 2, but their depthwise layers wait for memory and last nearly twice as long as others
    times = 6 + 2 if config.projected else 9 + 24 / config.penalty_every
    passes = 4 * painter.gigaflops + times * critic.gigaflops + 7 * eyes.gigaflops
    pace = seconds_per_gigaflop(
        *trunk(size, config.width), painter.parameters + critic.parameters, config.device, machine
    )
    seconds = pace and pace * passes * config.steps * config.batch_size
    good = pace and pace * passes * GOOD_IMAGES[size] * (WARM_SHARE if config.warm_start or config.start_from else 1.0)
    return Plan(
        chosen.name, PRESETS, draft.values, painter.parameters + critic.parameters,
        dataset.info.train if dataset is not None else 0, config.steps, seconds, good, memory, disk,
        machine.device_name or machine.device, draft.problems, _notes(config, dataset, seconds or 0.0),
    )  # fmt: skip


def _critic_costs(config: ImageGanConfig, classes: int, picture: PictureFormat) -> tuple[Cost, Cost]:
    """Return the costs of the discriminator and of the network it looks through."""
    size = int(config.resolution)
    if config.projected:
        pixels = picture.pixels(size)
        usual, larger = cost_of(EfficientNetLite0), math.prod(input_size(*pixels)) / INPUT_SIZE**2
        eyes = Cost(0, usual.gigaflops * larger, round(usual.activations * larger))
        return cost_of(lambda: ProjectedCritic(classes, pixels)), eyes
    return cost_of(lambda: Discriminator(size, widths_of(config), config.blocks, classes, picture)), Cost(0, 0.0, 0)


def _notes(config: ImageGanConfig, dataset: Dataset | None, seconds: float) -> list[str]:
    notes = size_notes(config, dataset)
    picture = format_of(config, dataset)
    if dataset is not None:
        info = dataset.info
        if picture.columns != picture.rows:
            height, width = picture.pixels(int(config.resolution))
            shape = _("Pictures will have the shape of the data, {width} × {height} pixels.")
            notes.append(shape.format(width=width, height=height))
        if picture.channels == 4:
            notes.append(_("Transparent parts stay transparent."))
        if info.validation < 16:
            notes.append(_("Too few pictures are held out to measure quality while training."))
    notes += class_notes(config, dataset)
    if config.projected:
        notes.append(_("It learns in the features of the kernel distance: trust the one in random features."))
        notes.append(_("With classes it fell into a few pictures of each when it was measured: watch the samples."))
        if dataset is not None and dataset.info.train > MOST_PROJECTED:
            meant = _("A projected discriminator is meant for up to {count} pictures.")
            notes.append(meant.format(count=f"{MOST_PROJECTED:,}"))
    if config.seamless:
        notes.append(_("Copies of a picture will join without a seam."))
    notes += transfer_notes(config, warm_fits(config, picture))
    if seconds > 3600:
        notes.append(_("The first pictures are coloured blobs; look again after a tenth of the time."))
    return notes
