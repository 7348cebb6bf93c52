"""What a trained model has learned to be asked for, so that the Create page offers it by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.fields import FieldKind, FieldSpec
from aigc_desktop.core.i18n import N_
from aigc_desktop.core.records import read_table
from aigc_desktop.core.run import Run


def asked_for(specs: Iterable[FieldSpec], run: Run, version: str) -> list[FieldSpec]:
    """Return the fields with the classes, attributes and examples of captions of a saved version.

    Those it has none of are left out.
    """
    told = _told(run, version)
    classes, attributes = _names(told, "classes"), _names(told, "fields")
    fields = []
    for spec in specs:
        if spec.kind is FieldKind.CLASS:
            if classes:
                choices = (("", N_("Any")), *((name, name) for name in classes))
                fields.append(replace(spec, kind=FieldKind.CHOICE, choices=choices))
        elif spec.kind is FieldKind.ATTRIBUTES:
            if attributes:
                fields.append(replace(spec, choices=tuple((name, f"{name}: …") for name in attributes)))
        elif spec.kind is FieldKind.CAPTION:
            captions = told.get("captions")
            if isinstance(captions, dict):
                fields.append(replace(spec, choices=tuple((text, text) for text in _names(captions, "examples"))))
        else:
            fields.append(spec)
    return fields


def classes_of(run: Run, version: str) -> list[str]:
    """Return the names of the classes that a saved version has learned."""
    return _names(_told(run, version), "classes")


def window_of(run: Run, version: str) -> tuple[int, int] | None:
    """Return how many places a picture of a saved version has a side, and pixels a place; None where none is told.

    A flow tells the side of what it walks among, a Transformer that of its tokens.
    """
    told = _told(run, version)
    shape = told.get("tokenizer") or told.get("shape")
    side = (shape.get("side") or shape.get("size")) if isinstance(shape, dict) else None
    resolution = told.get("resolution")
    if not isinstance(side, int) or not isinstance(resolution, int) or not 0 < side <= resolution:
        return None
    return side, resolution // side


def _told(run: Run, version: str) -> dict[str, Any]:
    """Return what the card of a version says beside the settings; {} when it cannot be read, which making will tell."""
    try:
        told = read_table(run.checkpoint(version) / "model.json").get("extra")
    except (UserError, OSError):
        return {}
    return told if isinstance(told, dict) else {}


def _names(told: dict[str, Any], name: str) -> list[str]:
    names = told.get(name)
    return [each for each in names if isinstance(each, str) and each] if isinstance(names, list) else []
