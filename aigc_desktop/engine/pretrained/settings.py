"""The settings in a published configuration, read one by one and checked, as a file may hold anything."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _

MOST = 1 << 21
"""No size in a real model is larger."""
MOST_LAYERS = 256


class Settings:
    """A configuration of a known `kind`; each method raises UserError for a value that no model has."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values, self.kind = values, str(values.get("model_type"))

    def whole(self, name: str, default: int, most: int = MOST) -> int:
        """Return a whole number from 1 on."""
        value = self._value(name, default)
        if type(value) is not int or not 1 <= value <= most:
            raise self.damaged(name)
        return value

    def layers(self, name: str, default: int) -> int:
        """Return a number of layers; each is built before the weights are looked at."""
        return self.whole(name, default, MOST_LAYERS)

    def positive(self, name: str, default: int) -> int:
        """Return a whole number, or the default where there is none above 0."""
        value = self.values.get(name)
        return self.whole(name, default) if type(value) is int and value > 0 else default

    def divisor(self, name: str, default: int, of: int) -> int:
        """Return a whole number that divides `of`."""
        value = self.whole(name, default)
        if of % value:
            raise self.damaged(name)
        return value

    def number_of_token(self, name: str, default: int) -> int:
        """Return the number of a token, which may be 0."""
        value = self._value(name, default)
        if type(value) is not int or not 0 <= value <= MOST:
            raise self.damaged(name)
        return value

    def share(self, name: str, default: float) -> float:
        """Return a number from 0 to below 1."""
        value = self.number(name, default)
        if not value < 1:
            raise self.damaged(name)
        return value

    def number(self, name: str, default: float) -> float:
        """Return a number from 0 on."""
        value = self._value(name, default)
        if type(value) not in (int, float) or not 0 <= value < float("inf"):
            raise self.damaged(name)
        return float(value)

    def one_of(self, name: str, default: str, known: Iterable[str]) -> str:
        """Return a word that is among those known here."""
        value = self._value(name, default)
        if value not in tuple(known):
            raise self.unusual(f"{name} {str(value)[:40]}")
        return str(value)

    def unusual(self, what: str) -> UserError:
        """Return the error for what the networks here do not compute."""
        return UserError(
            _("This model does something that the program cannot compute: {what}.").format(what=what),
            _("Choose another model."),
        )

    def damaged(self, reason: str) -> UserError:
        """Return the error for a setting that no model has."""
        return UserError(
            _("The model's configuration is damaged: {reason}.").format(reason=reason),
            _("Copy the model again from where it came."),
        )

    def _value(self, name: str, default: Any) -> Any:
        value = self.values.get(name)
        return default if value is None else value
