"""The one control for how bold a model is: "Safe … Wild"."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QSlider, QVBoxLayout, QWidget

from aigc_desktop.core.fields import FieldSpec
from aigc_desktop.core.i18n import _
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.controls import guard_wheel, label

FIELDS = ("wildness", "truncation", "temperature")
"""Fields of create tasks that this control stands for; of a task that has several, for the first of these."""
_MIDDLE = 50


class SafeWildSlider(QWidget):
    """A slider for a number whose default is in the middle and whose double is at the wild end.

    A value beyond the ends, from recalled settings, is kept as it is until the slider is moved.
    """

    edited = Signal()

    def __init__(self, theme: Theme, spec: FieldSpec) -> None:
        super().__init__()
        self.spec = spec
        self.default = float(spec.default)
        self.low = spec.minimum if spec.minimum is not None else 0.0
        limit = spec.maximum if spec.maximum is not None else 2 * self.default
        self.high = min(limit, 2 * self.default - self.low)
        self._value = self.default
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, 2 * _MIDDLE)
        self.slider.setPageStep(10)
        guard_wheel(self.slider)
        self.number = label("", "secondary", wrap=False)
        ends = QHBoxLayout()
        ends.addWidget(label(_("Safe"), "secondary", wrap=False))
        ends.addStretch(1)
        ends.addWidget(self.number)
        ends.addStretch(1)
        ends.addWidget(label(_("Wild"), "secondary", wrap=False))
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.px(2))
        box.addWidget(self.slider)
        box.addLayout(ends)
        self.slider.setAccessibleName(_("Safe … Wild"))
        self.slider.setToolTip(_(spec.help))
        self.slider.setAccessibleDescription(_(spec.help))
        self.slider.valueChanged.connect(self._moved)
        self.set_value(self.default)

    def value(self) -> float:
        """Return the number."""
        return self._value

    def set_value(self, value: float) -> None:
        """Show a number without telling that it changed."""
        self._value = float(value)
        self.slider.blockSignals(True)
        self.slider.setValue(round(self._position(self._value)))
        self.slider.blockSignals(False)
        self._show_number()

    def _position(self, value: float) -> float:
        if value <= self.default:
            return _MIDDLE * (value - self.low) / max(1e-9, self.default - self.low)
        return _MIDDLE + _MIDDLE * (value - self.default) / max(1e-9, self.high - self.default)

    def _moved(self, position: int) -> None:
        share = position / _MIDDLE
        if share <= 1:
            value = self.low + share * (self.default - self.low)
        else:
            value = self.default + (share - 1) * (self.high - self.default)
        self._value = round(value, 3)
        self._show_number()
        self.edited.emit()

    def _show_number(self) -> None:
        self.number.setText(f"{self._value:.2f}")
