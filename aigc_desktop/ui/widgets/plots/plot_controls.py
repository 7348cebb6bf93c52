"""How the curves are drawn: smoothing, scales, fit, and saving them."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QSlider, QToolButton, QWidget

from aigc_desktop.core.i18n import _
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.controls import guard_wheel, icon_button, label

SMOOTHINGS = (0.0, 0.6, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
"""Positions of the smoothing slider: weight of the past."""
FIRST_SMOOTHING = 0.9


class PlotControls(QWidget):
    """A row of controls; `position` is where the crosshair is, in words."""

    smoothing_changed = Signal(float)
    switched = Signal()
    fit_asked = Signal()
    export_asked = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.px(4))
        self.position = label("", "secondary", wrap=False)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, len(SMOOTHINGS) - 1)
        self.slider.setValue(SMOOTHINGS.index(FIRST_SMOOTHING))
        self.slider.setFixedWidth(theme.px(80))
        self.slider.setToolTip(_("Smoothing: how much the strong line follows the past. Left shows every value."))
        self.slider.setAccessibleName(_("Smoothing"))
        self.slider.valueChanged.connect(self._smoothing_moved)
        guard_wheel(self.slider)
        smooth = label(_("Smoothing"), "secondary", wrap=False)
        smooth.setBuddy(self.slider)
        self.log = _switch(_("Log scale"), _("Logarithmic scale: small differences at the end become visible."))
        self.clip = _switch(_("Clip spikes"), _("Clip outliers: single extreme values do not flatten the curve."))
        self.time = _switch(_("Time"), _("Show time instead of steps on the horizontal axis."))
        self.clip.setChecked(True)
        for made in (self.log, self.clip, self.time):
            made.toggled.connect(self.switched)
        self.fit = icon_button(theme, "maximize", _("Fit: show everything and follow"))
        self.fit.clicked.connect(self.fit_asked)
        self.csv = icon_button(theme, "table", _("Save the values as a table (CSV)…"))
        self.png = icon_button(theme, "image", _("Save the curves as a picture (PNG)…"))
        self.csv.clicked.connect(self._ask_csv)
        self.png.clicked.connect(self._ask_png)
        row.addWidget(self.position, 1)
        for part in (smooth, self.slider, self.log, self.clip, self.time, self.fit, self.csv, self.png):
            row.addWidget(part)

    def _smoothing_moved(self, position: int) -> None:
        self.smoothing_changed.emit(SMOOTHINGS[position])

    def _ask_csv(self) -> None:
        self.export_asked.emit("csv")

    def _ask_png(self) -> None:
        self.export_asked.emit("png")


def _switch(text: str, tip: str) -> QToolButton:
    made = QToolButton()
    made.setText(text)
    made.setCheckable(True)
    made.setToolTip(tip)
    made.setAccessibleName(text)
    made.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    return made
