"""Open a trained model for exploring; the one that was used last stays in memory for the next look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aigc_desktop.core.config import TaskConfig, param
from aigc_desktop.core.directions import Direction, read_directions
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.run import MANIFEST, Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.device import DEVICES, choose_device, set_up
from aigc_desktop.engine.families import load_families
from aigc_desktop.engine.pictures.latent import LatentModel, kept


class ExploreConfig(TaskConfig):
    """Settings of every task that explores a trained model."""

    run: str = param(..., N_("Model"), N_("The trained model to explore."), kind=FieldKind.RUN)
    checkpoint: str = param(
        "best", N_("Version"), N_("Which saved version; the best one by default."), kind=FieldKind.CHECKPOINT
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = param(
        "auto", N_("Device"), N_("Where to compute; automatic takes a graphics card when there is one."),
        labels=DEVICES, advanced=True,
    )  # fmt: skip


@dataclass(frozen=True)
class Opened:
    """A model, where it comes from, and its directions by id."""

    model: LatentModel
    trained: Run
    version: str
    directions: dict[str, Direction]


def opened(config: ExploreConfig, run: Run) -> Opened:
    """Return the model a task explores; UserError when it has no latent space, or is not there."""
    trained = Workspace(run.workspace).run(config.run)
    family = load_families().get(trained.info.task.split(".")[0])
    if family is None or family.latents is None:
        raise UserError(
            _("“{title}” is no model that can be explored.").format(title=trained.info.title),
            _("Choose a model of pictures: an image GAN, an image VAE or an image flow."),
        )
    folder = trained.checkpoint(config.checkpoint)
    latents, device = family.latents, choose_device(config.device)

    def load() -> LatentModel:
        set_up(device, 0)
        model: LatentModel = latents(folder, config.device)
        return model

    key = (str(folder), (folder / MANIFEST).stat().st_mtime_ns, device.type)
    known = read_directions(trained, folder.name)
    return Opened(kept(key, load), trained, folder.name, {each.id: each for each in known})
