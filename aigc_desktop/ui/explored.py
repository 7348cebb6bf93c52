"""Variants of any picture of a model that can be explored: what the Explore page is to be opened with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aigc_desktop.core.card import Card
    from aigc_desktop.ui.page import Services


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


def can_vary(services: Services, card: Card) -> bool:
    """Return whether a kept work is a picture of a model with a latent space."""
    return card.kind == "image" and is_explored(services, origin_of_card(card))


def origin_of_card(card: Card) -> dict[str, Any]:
    """Return what `variants_of` and `is_explored` need to know of a kept work."""
    return {
        "task": card.task, "model": card.run, "checkpoint": card.checkpoint, "seed": card.seed,
        "settings": card.settings,
    }  # fmt: skip
