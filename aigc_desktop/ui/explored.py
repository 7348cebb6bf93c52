"""Variants of any picture of a model that can be explored: what the Explore page is to be opened with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigc_desktop.core.fields import FieldKind

if TYPE_CHECKING:
    from aigc_desktop.core.card import Card
    from aigc_desktop.ui.page import Services

_OF_ONE_PICTURE = ("count", "seed")


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
    family = str(origin.get("task", "")).split(".")[0]
    task = next(
        (task.key for task in services.jobs.catalogue.values()
         if task.family == family and any(field.kind is FieldKind.MASK for field in task.fields)), "",
    )  # fmt: skip
    if not task or not origin.get("model") or file is None:
        return None
    settings = {name: value for name, value in (origin.get("settings") or {}).items() if name not in _OF_ONE_PICTURE}
    return {
        "run": origin["model"], "checkpoint": origin.get("checkpoint", ""), "task": task, "paint": True,
        "label": origin.get("label", ""), "settings": {**settings, "picture": str(file), "mask": ""},
    }  # fmt: skip


def elsewhere(
    services: Services, action: str, origin: Mapping[str, Any], file: Path | None, card: str = "", title: str = ""
) -> tuple[str, dict[str, Any]] | None:
    """Return the place of the window, with its arguments, that does "like", "variants" or "repaint" with a picture.

    None for what is no such action, or is done where the picture was made.
    """
    if action == "variants" or (action == "like" and was_explored(origin)):
        return "explore", variants_of(origin, file, card, title) | {"vary": action == "variants"}
    told = repaint_of(services, origin, file) if action == "repaint" else None
    return ("create", told) if told else None


def offers_of(services: Services, card: Card, file: Path) -> set[str]:
    """Return which of the actions "variants" and "repaint" a kept work in `file` is good for."""
    origin = origin_of_card(card)
    return set() if card.kind != "image" else {
        *(["variants"] if is_explored(services, origin) else []),
        *(["repaint"] if repaint_of(services, origin, file) else []),
    }  # fmt: skip


def origin_of_card(card: Card) -> dict[str, Any]:
    """Return what `variants_of` and `is_explored` need to know of a kept work."""
    return {
        "task": card.task, "model": card.run, "checkpoint": card.checkpoint, "seed": card.seed, "label": card.label,
        "settings": card.settings,
    }  # fmt: skip
