"""The part of the Explore panel that changes the picture: safe to wild, directions, and new sliders from examples."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtWidgets import QLineEdit, QVBoxLayout, QWidget

from aigc_desktop.core.directions import add_direction, remove_direction, rename_direction
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.fields import FieldKind, FieldSpec
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.ui.exploration import Exploration
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.widgets.cards import Card, FlowLayout
from aigc_desktop.ui.widgets.controls import button, label
from aigc_desktop.ui.widgets.explore.collected_view import CollectedView
from aigc_desktop.ui.widgets.explore.direction_sliders import DirectionSliders
from aigc_desktop.ui.widgets.works.safe_wild import SafeWildSlider

WILDNESS = FieldSpec(
    "wildness", FieldKind.FLOAT, 1.0, N_("Safe … wild"),
    N_("Below 1 pictures are nearer to typical ones, above 1 they are bolder."), minimum=0.0, maximum=2.0,
)  # fmt: skip


class SlidersPanel(QWidget):
    """Sliders of the explored model."""

    def __init__(self, services: Services, exploration: Exploration, collected: CollectedView) -> None:
        super().__init__()
        self.services, self.exploration, self.collected = services, exploration, collected
        theme = services.theme
        self.wild = SafeWildSlider(theme, WILDNESS)
        self.sliders = DirectionSliders(theme)
        self.find_button = button(
            theme, _("Find directions"), "search", "", _("Looks for the ways in which the pictures differ most")
        )
        self.middle = button(theme, _("All to the middle"), "rotate-ccw", "flat", _("Undo what the sliders changed"))
        self.state = label("", "hint")
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, theme.px(8), 0)
        box.setSpacing(theme.px(12))
        row = FlowLayout(theme.px(8))
        row.addWidget(self.find_button)
        row.addWidget(self.middle)
        for item in (self.wild, self.sliders):
            box.addWidget(item)
        box.addLayout(row)
        box.addWidget(self.state)
        box.addWidget(self._make_teaching())
        box.addStretch(1)
        self._connect()

    def _make_teaching(self) -> Card:
        theme = self.services.theme
        card = Card(theme, _("Slider from examples"))
        self.counts = label("", "secondary")
        self.name = QLineEdit()
        self.name.setPlaceholderText(_("What more of it means"))
        self.name.setAccessibleName(_("Name of the new slider"))
        self.name.setToolTip(_("For example: round, colourful, friendly"))
        self.make = button(theme, _("Make the slider"), "plus")
        card.add(label(_("Choose collected pictures and mark about five as more and five as less, "
                         "with the thumbs or with the keys + and −."), "hint"))  # fmt: skip
        card.add(self.counts)
        card.add(self.name)
        card.add(self.make)
        return card

    def _connect(self) -> None:
        self.wild.edited.connect(self._wild_moved)
        self.sliders.moved.connect(self.exploration.move)
        self.sliders.renamed.connect(self._rename)
        self.sliders.removed.connect(self._remove)
        self.find_button.clicked.connect(self._find)
        self.middle.clicked.connect(self._to_the_middle)
        self.make.clicked.connect(self._make_slider)
        self.name.returnPressed.connect(self._make_slider)
        self.collected.marked.connect(self._show_counts)
        self.exploration.directions_changed.connect(self._show_directions)
        self.exploration.rested.connect(self._rest)
        self.exploration.progressed.connect(self._progressed)
        self._show_counts()

    def _wild_moved(self) -> None:
        self.exploration.set_wildness(self.wild.value())

    def _find(self) -> None:
        self.find_button.setEnabled(False)
        self.exploration.find_directions()

    def _to_the_middle(self) -> None:
        self._rest()
        self.exploration.set_wildness(1.0)
        self.exploration.move({})

    def _rest(self) -> None:
        self.sliders.rest()
        self.wild.set_value(1.0)

    def _show_directions(self) -> None:
        found = self.exploration.directions
        self.sliders.show_directions(found)
        self.find_button.setEnabled(True)
        self.state.setText("" if found else _("Directions are ways in which the pictures of this model differ."))

    def _progressed(self, kind: str, progress: object) -> None:
        if kind == "directions":
            self.state.setText(f"{getattr(progress, 'phase', '')} {getattr(progress, 'step', '')}")

    def _rename(self, item: str, name: str) -> None:
        run = self.exploration.run
        if run is not None:
            self._change(partial(rename_direction, run, self.exploration.version, item, name))

    def _remove(self, item: str) -> None:
        run, version = self.exploration.run, self.exploration.version
        if run is None:
            return
        gone = next((each for each in self.exploration.directions if each.id == item), None)
        self._change(partial(remove_direction, run, version, item))
        if gone is not None:
            back = partial(self._change, partial(add_direction, run, version, gone))
            self.services.notify(_("Slider “{name}” removed").format(name=gone.title), back)

    def _change(self, change: Callable[[], object]) -> None:
        try:
            change()
        except (OSError, UserError) as error:
            self.services.notify(getattr(error, "message", "") or str(error))
        self.exploration.read_directions()

    def _make_slider(self) -> None:
        more, less = (self.collected.marked_as(mark) for mark in ("more", "less"))
        if not more or not less:
            self.services.notify(_("Call some collected pictures more and some less first."))
        elif not self.name.text().strip():
            self.name.setFocus()
            self.services.notify(_("Give the slider a name first."))
        else:
            self.exploration.make_slider(self.name.text().strip(), more, less)
            self.name.clear()
            self.collected.clear_marks()

    def _show_counts(self) -> None:
        counts = {mark: len(self.collected.marked_as(mark)) for mark in ("more", "less")}
        self.counts.setText(_("{more} called more · {less} called less").format(**counts))
