"""What the model of a picture can do with it: variants on the Explore page, painted anew or extended on Create."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.fields import FieldKind

if TYPE_CHECKING:
    from aigc_desktop.core.card import Card
    from aigc_desktop.core.family import TaskSpec
    from aigc_desktop.ui.page import Services

_OF_ONE_PICTURE = ("count", "seed")
_BOLD = ("wildness", "guidance")


def is_explored(services: Services, origin: Mapping[str, Any]) -> bool:
    """Return whether a picture with this origin is of a model with a latent space."""
    family = str(origin.get("task", "")).split(".")[0]
    explored = {task.family for task in services.jobs.catalogue.values() if task.explored}
    return bool(origin.get("model")) and family in (explored | {"explore"} if explored else explored)


def was_explored(origin: Mapping[str, Any]) -> bool:
    """Return whether a picture was made on the Explore page, where it is made again, too."""
    return str(origin.get("task", "")).startswith("explore.")


def variants_of(origin: Mapping[str, Any], file: Path | None, card: str = "", title: str = "") -> dict[str, Any]:
    """Return the arguments that make the Explore page show variants of a picture with this origin.

    A picture whose place in the model is not known is put into it, from its `file`. `card` is its id in the library.
    """
    task, settings = str(origin.get("task", "")), dict(origin.get("settings") or {})
    seed = origin.get("seed")
    found = {
        "run": origin.get("model", ""), "checkpoint": origin.get("checkpoint", ""), "card": card,
        "title": f"#{seed}" if isinstance(seed, int) else title,
    }  # fmt: skip
    if task == "explore.decode" and settings.get("places"):
        return found | {"places": settings["places"]}
    if task.endswith(".generate") and isinstance(seed, int):
        of = {name: settings[name] for name in ("label", "wildness") if name in settings}
        return found | {"seed": seed, **of}
    return found | {"picture": "" if file is None else str(file)}


def repaint_of(services: Services, origin: Mapping[str, Any], file: Path | None) -> dict[str, Any] | None:
    """Return the arguments that make the Create page paint a part of a picture anew with the model that made it.

    None where that model cannot.
    """
    told = _made_of(services, origin, file, lambda task: any(field.kind is FieldKind.MASK for field in task.fields))
    return told and told | {"paint": True, "settings": told["settings"] | {"mask": ""}}


def extension_of(services: Services, origin: Mapping[str, Any], file: Path | None) -> dict[str, Any] | None:
    """Return the arguments that make the Create page extend a picture with its model; None where that cannot."""
    told = _made_of(services, origin, file, lambda task: task.key.endswith(".extend"))
    if told is None or told["task"] == origin["task"]:
        return told
    # what makes new pictures bold makes extensions stray: those have usual values of their own
    return told | {"settings": {name: value for name, value in told["settings"].items() if name not in _BOLD}}


def _made_of(
    services: Services, origin: Mapping[str, Any], file: Path | None, wanted: Callable[[TaskSpec], bool]
) -> dict[str, Any] | None:
    """Return the arguments that make the Create page work on a picture with the wanted task of its model, if any."""
    family = str(origin.get("task", "")).split(".")[0]
    task = next((task for task in services.jobs.catalogue.values() if task.family == family and wanted(task)), None)
    if task is None or not origin.get("model") or file is None or not _trained_for(services, task, origin["model"]):
        return None
    settings = {name: value for name, value in (origin.get("settings") or {}).items() if name not in _OF_ONE_PICTURE}
    return {
        "run": origin["model"], "checkpoint": origin.get("checkpoint", ""), "task": task.key,
        "label": origin.get("label", ""), "settings": {**settings, "picture": str(file)},
    }  # fmt: skip


def _trained_for(services: Services, task: TaskSpec, model: str) -> bool:
    """Return whether a model was trained with what the task requires."""
    if not task.requires:
        return True
    try:
        return bool(services.workspace.run(model).config_values.get(task.requires))
    except UserError:  # the model is not there any more
        return False


def elsewhere(
    services: Services, action: str, origin: Mapping[str, Any], file: Path | None, card: str = "", title: str = ""
) -> tuple[str, dict[str, Any]] | None:
    """Return the place of the window, with its arguments, for one of OFFERED or "like" with a picture.

    None for what is no such action, or is done where the picture was made.
    """
    if action == "variants" or (action == "like" and was_explored(origin)):
        return "explore", variants_of(origin, file, card, title) | {"vary": action == "variants"}
    told = _ON_CREATE[action](services, origin, file) if action in _ON_CREATE else None
    return ("create", told) if told else None


def offers(services: Services, origin: Mapping[str, Any], file: Path | None) -> set[str]:
    """Return which of the actions OFFERED a picture with this origin in `file` is good for."""
    found = {action for action, told in _ON_CREATE.items() if told(services, origin, file) is not None}
    return found | ({"variants"} if is_explored(services, origin) else set())


def offers_of(services: Services, card: Card, file: Path) -> set[str]:
    """Return which of the actions OFFERED a kept work in `file` is good for."""
    return offers(services, origin_of_card(card), file) if card.kind == "image" else set()


def origin_of_card(card: Card) -> dict[str, Any]:
    """Return what `variants_of` and `is_explored` need to know of a kept work."""
    return {
        "task": card.task, "model": card.run, "checkpoint": card.checkpoint, "seed": card.seed, "label": card.label,
        "settings": card.settings,
    }  # fmt: skip


_ON_CREATE = {"repaint": repaint_of, "extend": extension_of}
OFFERED = ("variants", *_ON_CREATE)
"""Actions that only pictures of some models are good for."""
