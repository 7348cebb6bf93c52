"""Settings that every network has which learns pictures from scratch."""

from __future__ import annotations

from typing import Any, Literal

from aigc_desktop.core.aspect import SQUARE
from aigc_desktop.core.config import again, param
from aigc_desktop.core.dataset import Dataset, DatasetInfo
from aigc_desktop.core.family import Preset
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.engine.training.trainee import TrainConfig

PATIENCE = 6  # checks without gain that end a training on a graphics card; its steps are for thousands of pictures
LEAST_PER_CLASS = 10  # with fewer pictures a class of its own teaches nothing


class PictureConfig(TrainConfig):
    """Sizes of the pictures and of the network, and how long it learns; families override defaults."""

    resolution: Literal["32", "64", "128", "256"] = param(
        "32", N_("Picture size"), N_("Side of the pictures in pixels; each doubling takes about four times as long."),
        unit="px",
    )  # fmt: skip
    flip: bool = param(
        False, N_("Mirror pictures"), N_("Shows each picture mirrored half of the time; not for letters or logos.")
    )
    steps: int = param(
        4000, N_("Steps"), N_("How many updates the weights get; more steps take longer and give better pictures."),
        ge=1, le=999_999,
    )  # fmt: skip
    batch_size: int = param(
        32, N_("Batch size"), N_("Pictures per update; more is steadier and needs more memory."), ge=1, le=4096
    )
    schedule: Literal["constant", "cosine", "wsd"] = again(TrainConfig, "schedule", "cosine")
    width: int = param(
        32, N_("Width"),
        N_("Channels at the finest stage, a multiple of 8; coarser stages have up to four times as many."),
        ge=8, le=512, advanced=True,
    )  # fmt: skip
    blocks: int = param(1, N_("Depth"), N_("Residual blocks at each stage."), ge=1, le=8, advanced=True)
    validate_every: int = param(
        500, N_("Validate every"), N_("Steps between two checks on held-out pictures; 0 turns it off."),
        ge=0, le=999_999, advanced=True,
    )  # fmt: skip


class LabelledConfig(PictureConfig):
    """The same for a network that can learn the classes of the data apart."""

    use_labels: bool = param(
        True, N_("Use labels"), N_("Learn the classes of the data apart, so that you can ask for one of them.")
    )


class TransferConfig(LabelledConfig):
    """The same for a network that can begin with weights that were learned before."""

    warm_start: bool = param(
        False, N_("Warm start"),
        N_("Begin from weights that ship with the program, trained on emoji; much faster on slow machines."),
    )  # fmt: skip
    start_from: str = param(
        "", N_("Start from"),
        N_("An earlier training of the same kind; all of its weights that fit are taken, instead of those that ship."),
        kind=FieldKind.RUN, advanced=True,
    )  # fmt: skip


def preset(name: str, title: str, summary: str, **values: Any) -> Preset:
    """Return a preset; `values` are its settings."""
    return Preset(name, title, summary, values)


def size_notes(config: PictureConfig, dataset: Dataset | None) -> list[str]:
    """Return what the plan tells of the sizes of the pictures."""
    if dataset is None or not 0 < dataset.info.size < int(config.resolution):
        return []
    return [_("The pictures are smaller than {size} px and will be enlarged.").format(size=config.resolution)]


def classes_of(config: LabelledConfig, dataset: Dataset | None) -> int:
    """Return how many classes a training learns apart."""
    return len(dataset.info.classes) if dataset is not None and config.use_labels else 0


def transfer_notes(config: TransferConfig, fits: bool) -> list[str]:
    """Return what the plan tells of the weights that a training begins with; `fits` says that of those that ship."""
    if config.start_from:
        return [_("Begins with the weights of an earlier training, as far as they fit.")]
    if not config.warm_start:
        return []
    if fits:
        return [_("Begins from weights trained on emoji, so the first pictures look like emoji.")]
    return [_("The shipped weights do not have these sizes; only the parts that fit are used.")]


def class_notes(config: LabelledConfig, dataset: Dataset | None) -> list[str]:
    """Return what the plan tells of classes with few pictures."""
    if dataset is None or not config.use_labels or not dataset.info.classes:
        return []
    info = dataset.info
    if info.train < LEAST_PER_CLASS * len(info.classes):
        return [_("There are few pictures per class; without labels the result may be better.")]
    rare = _rare_classes(info)
    alike = _("Of these classes there are few pictures, so new ones will look alike: {names}.")
    return [alike.format(names=", ".join(rare))] if rare else []


def _rare_classes(info: DatasetInfo) -> list[str]:
    """Return the classes with the fewest pictures, if these are too few to learn a class from; at most five."""
    counted = sorted(zip(info.class_counts, info.classes, strict=False))
    return [name for count, name in counted if count < LEAST_PER_CLASS][:5]


def plain_notes(dataset: Dataset | None) -> list[str]:
    """Return what the plan of a family that only knows squares without transparency tells of other data."""
    notes = []
    if dataset is not None and dataset.info.aspect != SQUARE:
        notes.append(_("This model makes square pictures: it learns from the middle of each picture."))
    if dataset is not None and dataset.info.channels == 4:
        notes.append(_("This model knows no transparency: what is transparent becomes white."))
    return notes


def best_version_notes(dataset: Dataset | None) -> list[str]:
    """Return what the plan tells when no picture is held out."""
    if dataset is None or dataset.info.validation:
        return []
    return [_("No pictures are held out, so the best version cannot be told from the last one.")]
