"""The chain of edits that is being put together, with a way back and forth again."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QObject, Signal

Steps = tuple[dict[str, Any], ...]


class EditChain(QObject):
    """Steps as plain data, {"operation": name, setting: value}; `changed` after each change."""

    changed = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.steps: Steps = ()
        self._before: list[Steps] = []
        self._after: list[Steps] = []

    def add(self, operation: str, values: dict[str, Any]) -> None:
        """Put a step at the end."""
        self._change((*self.steps, {"operation": operation, **values}))

    def remove(self, place: int) -> None:
        """Take a step out."""
        self._change((*self.steps[:place], *self.steps[place + 1 :]))

    def raise_up(self, place: int) -> None:
        """Do a step earlier by one."""
        if place > 0:
            before, step = self.steps[place - 1 : place + 1]
            self._change((*self.steps[: place - 1], step, before, *self.steps[place + 1 :]))

    def set_values(self, place: int, values: dict[str, Any]) -> None:
        """Give a step other settings."""
        step = {"operation": self.steps[place]["operation"], **values}
        if step != self.steps[place]:
            self._change((*self.steps[:place], step, *self.steps[place + 1 :]))

    @property
    def can_undo(self) -> bool:
        """Return whether there is a way back."""
        return bool(self._before)

    @property
    def can_redo(self) -> bool:
        """Return whether something was taken back."""
        return bool(self._after)

    def undo(self) -> None:
        """Take the last change back."""
        if self._before:
            self._after.append(self.steps)
            self.steps = self._before.pop()
            self.changed.emit()

    def redo(self) -> None:
        """Do again what was taken back."""
        if self._after:
            self._before.append(self.steps)
            self.steps = self._after.pop()
            self.changed.emit()

    def _change(self, steps: Steps) -> None:
        self._before.append(self.steps)
        self._after.clear()
        self.steps = steps
        self.changed.emit()
