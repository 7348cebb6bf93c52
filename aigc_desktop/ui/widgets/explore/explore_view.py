"""The left side of the Explore page: the map or variants, the picture looked at, and the collected pictures."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from aigc_desktop.core.events import Progress
from aigc_desktop.core.i18n import _
from aigc_desktop.ui.exploration import Exploration
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.controls import ChoiceBox, hairline, icon_button
from aigc_desktop.ui.widgets.explore.collected_view import CollectedView
from aigc_desktop.ui.widgets.explore.look_view import LookView
from aigc_desktop.ui.widgets.explore.map_canvas import MapCanvas
from aigc_desktop.ui.widgets.explore.variants_view import VariantsView
from aigc_desktop.ui.widgets.forms.learned import classes_of
from aigc_desktop.ui.widgets.segmented import Segmented

SEEDS_APART = 1024  # between two maps, so that they share no picture


class ExploreView(QWidget):
    """Puts them together and lets them follow the exploration."""

    def __init__(self, theme: Theme, exploration: Exploration) -> None:
        super().__init__()
        self.exploration = exploration
        self.maps = 0
        self.mode = Segmented(theme, [("map", _("Map")), ("variants", _("Variants"))])
        self.another = icon_button(theme, "dices", _("A map of other pictures"))
        self.classes = ChoiceBox(_("Class"), _("Which pictures are on the map"), narrow=True)
        self.map = MapCanvas(theme)
        self.variants = VariantsView(theme, exploration)
        self.look = LookView(theme, exploration)
        self.collected = CollectedView(theme, exploration.shelf)
        self.stack = QStackedWidget()
        self.stack.addWidget(self.map)
        self.stack.addWidget(self.variants)
        head = QHBoxLayout()
        head.addWidget(self.mode)
        head.addStretch(1)
        head.addWidget(self.classes)
        head.addWidget(self.another)
        left = QVBoxLayout()
        left.setSpacing(theme.px(8))
        left.addLayout(head)
        left.addWidget(self.stack, 1)
        upper = QHBoxLayout()
        upper.setSpacing(theme.px(16))
        upper.addLayout(left, 1)
        upper.addWidget(self.look, 1)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.px(8))
        box.addLayout(upper, 1)
        box.addWidget(hairline())
        box.addWidget(self.collected)
        self._connect()

    def show_mode(self, mode: str) -> None:
        """Show the "map" or the "variants"."""
        self.mode.choose(mode)
        self.stack.setCurrentIndex(("map", "variants").index(mode))
        self.another.setVisible(mode == "map")
        self.classes.setVisible(mode == "map" and self.classes.count() > 1)

    def _connect(self) -> None:
        self.mode.chosen.connect(self.show_mode)
        self.another.clicked.connect(self._another_map)
        self.classes.activated.connect(self._make_map)
        self.map.pointed.connect(self.exploration.point)
        self.collected.chosen.connect(self._collected_chosen)
        self.exploration.opened.connect(self._opened)
        self.exploration.map_changed.connect(self._map_changed)
        self.exploration.progressed.connect(self._progressed)

    def _opened(self) -> None:
        self.maps = 0
        self.classes.clear()
        self.classes.addItem(_("All classes"), "")
        run = self.exploration.run
        for name in classes_of(run, self.exploration.version) if run is not None else ():
            self.classes.addItem(name, name)
        self.map.show_words(_("The engine is making a map…"))
        self.map.show_map(None)
        self.show_mode("map")

    def _map_changed(self) -> None:
        self.map.show_map(self.exploration.map)
        if self.map.columns and self.exploration.base is None:
            middle = (self.map.columns - 1) / 2
            self.map.go_to(middle, middle)

    def _another_map(self) -> None:
        self.maps += 1
        self._make_map()

    def _make_map(self) -> None:
        self.map.show_map(None)
        self.exploration.make_map(self.maps * SEEDS_APART, str(self.classes.currentData()))

    def _progressed(self, kind: str, progress: Progress) -> None:
        if kind == "map":
            self.map.show_words(f"{progress.phase}\n{progress.step} / {progress.total}")

    def _collected_chosen(self) -> None:
        items = self.collected.items()
        if items:
            self.map.forget_place()
            self.exploration.look_at_collected(items, [1.0] * len(items))
