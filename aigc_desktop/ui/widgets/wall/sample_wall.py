"""What a training makes, step by step: fixed seeds side by side, newest step on top, real data first.

The arrow keys go through samples and steps, the slider scrubs through time, play shows the film of the training.
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QPoint, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QHBoxLayout, QMenu, QSlider, QStackedLayout, QVBoxLayout, QWidget

from aigc_desktop.core.events import Event, Sample, Text
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.controls import button, guard_wheel, icon_button, label
from aigc_desktop.ui.widgets.empty_state import EmptyState
from aigc_desktop.ui.widgets.pictures.thumbnails import to_image
from aigc_desktop.ui.widgets.segmented import Segmented
from aigc_desktop.ui.widgets.side_by_side import Folding
from aigc_desktop.ui.widgets.wall.wall_canvas import Mode, WallCanvas
from aigc_desktop.ui.widgets.wall.wall_rows import WallRow, WallRows

FRAME_MS = 125
ROLES = {
    "samples": N_("Samples"),
    "reconstruction": N_("Reconstructions"),
    "interpolation": N_("Transitions"),
    "baseline": N_("Likelihood only"),
}
"""What rows can show, in the order of the switch; "real" is pinned on top."""


@dataclass(frozen=True)
class SampleOrigin:
    """Where a cell comes from, which is all that "Generate like this" needs."""

    run: str
    step: int
    seed: int | None
    label: str
    caption: str = ""


class SampleWall(QWidget):
    """Rows of samples with a time slider; pictures or texts, whichever the family makes."""

    generate_like_this = Signal(object)
    """A SampleOrigin."""
    variants_asked = Signal(object)
    """A SampleOrigin; only where `varied` says that the model has a latent space."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.run = ""
        self.varied = False
        self.walls: dict[str, WallRows] = {}
        self.role = "samples"
        self.following = True
        self._player = QTimer(self)
        self._player.setInterval(FRAME_MS)
        self._player.timeout.connect(self._next_frame)
        self._build()
        self._update()

    # what the page calls

    def clear(self, run: str = "") -> None:
        """Forget all rows; what comes now is of `run`."""
        self.run = run
        self.walls = {}
        self.role = "samples"
        self.following = True
        self._player.stop()
        self.canvas.real = None
        self.canvas.show_rows(WallRows(), 0)
        self.canvas.set_mode("wall")
        self._update()

    def add_events(self, events: list[Event]) -> None:
        """Take the samples and texts among the events."""
        found = False
        for event in events:
            if isinstance(event, Sample) or (isinstance(event, Text) and not event.partial):
                self._add(event)
                found = True
        if found:
            self._show()

    @property
    def rows(self) -> WallRows:
        """Return the rows of the role that is shown."""
        return self.walls.get(self.role) or WallRows()

    def origin(self) -> SampleOrigin | None:
        """Return where the current cell comes from."""
        row = self.canvas.current()
        if row is None:
            return None
        column = self.canvas.column
        seed = row.seeds[column] if column < len(row.seeds) else None
        name, caption = (told[column] if column < len(told) else "" for told in (row.labels, row.captions))
        return SampleOrigin(self.run, row.step, seed, name, caption)

    def play(self) -> None:
        """Play the film from the current step, from the first when at the last; or pause it."""
        if self._player.isActive():
            self._player.stop()
        elif len(self.rows) > 1:
            if self.canvas.mode == "wall":
                self.canvas.set_mode("step")
            if self.canvas.row >= len(self.rows) - 1:
                self.canvas.go_to(0)
            self._player.start()
        self._update()

    # own

    def _build(self) -> None:
        theme = self.theme
        self.canvas = WallCanvas(theme)
        self.canvas.moved.connect(self._moved)
        self.canvas.mode_changed.connect(self._update)
        self.canvas.play_asked.connect(self.play)
        self.canvas.menu_asked.connect(self._open_menu)
        self.empty = EmptyState(
            theme, "layout-grid", _("No samples yet"),
            _("What the model makes appears here while it trains: one row per step, the same seeds in each column."),
        )  # fmt: skip
        self.stack = QStackedLayout()
        self.stack.addWidget(self.empty)
        self.stack.addWidget(self.canvas)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.px(4))
        self.caption = label("", "secondary")
        self.caption.setToolTip(_("What this sample was asked to show; the same in each row"))
        self.caption.hide()
        box.addLayout(self.stack, 1)
        box.addWidget(self.caption)
        self.bar = Folding(theme, self._make_player(), self._make_choices())
        box.addWidget(self.bar)
        self.setMinimumHeight(theme.px(220))

    def _make_player(self) -> QWidget:
        theme = self.theme
        self.play_button = icon_button(theme, "play", _("Play the film of the training (space)"))
        self.play_button.clicked.connect(self.play)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setAccessibleName(_("Step"))
        self.slider.setToolTip(_("Scrub through the training"))
        self.slider.setMinimumWidth(theme.px(80))
        self.slider.valueChanged.connect(self.canvas.go_to)
        guard_wheel(self.slider)
        self.where = label("", "secondary", wrap=False)
        player = QWidget()
        row = QHBoxLayout(player)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.px(8))
        row.addWidget(self.play_button)
        row.addWidget(self.slider, 1)
        row.addWidget(self.where)
        return player

    def _make_choices(self) -> list[QWidget]:
        theme = self.theme
        self.mode = Segmented(theme, [("wall", _("All steps")), ("step", _("One step")), ("cell", _("One sample"))])
        self.mode.chosen.connect(self._mode_chosen)
        self.roles = Segmented(theme, [(role, _(title)) for role, title in ROLES.items()])
        self.roles.chosen.connect(self._role_chosen)
        self.like = button(theme, _("Generate like this"), "sparkles", "flat", _("Make more with this seed and step"))
        self.like.clicked.connect(self._like_this)
        self.vary = button(theme, _("Variants of this"), "shuffle", "flat", _("Make pictures like this one"))
        self.vary.clicked.connect(self._vary)
        return [self.roles, self.mode, self.like, self.vary]

    def _add(self, event: Sample | Text) -> None:
        if isinstance(event, Sample):
            row = WallRow(event.step, event.images, (), event.seeds, event.labels, event.captions)
        else:
            row = WallRow(event.step, None, event.items, event.seeds)
        if not len(row):
            return
        if event.role == "real":
            self.canvas.real = row
        else:
            self.walls.setdefault(event.role, WallRows()).add(row)
            if self.role not in self.walls:
                self.role = event.role

    def _show(self) -> None:
        """Show the rows; the newest stays current until the user looks elsewhere."""
        rows = self.rows
        current = self.canvas.current()
        if self.following or current is None:
            place = len(rows) - 1
        else:
            place = rows.find(current.step)
        self.canvas.show_rows(rows, place)
        self._update()

    def _update(self) -> None:
        """Bring slider, labels and buttons up to date."""
        rows, row = self.rows, self.canvas.current()
        self.stack.setCurrentIndex(1 if len(rows) or self.canvas.real is not None else 0)
        self.bar.setVisible(len(rows) > 0)
        self.slider.blockSignals(True)
        self.slider.setRange(0, max(0, len(rows) - 1))
        self.slider.setValue(self.canvas.row)
        self.slider.blockSignals(False)
        self.slider.setEnabled(len(rows) > 1)
        self.play_button.setEnabled(len(rows) > 1)
        self.play_button.setIcon(self.theme.icon("pause" if self._player.isActive() else "play"))
        self.mode.choose(self.canvas.mode)
        self.roles.setVisible(len(self.walls) > 1)
        for role, made in self.roles.buttons.items():
            made.setVisible(role in self.walls)
        if self.role in ROLES:
            self.roles.choose(self.role)
        origin = self.origin()
        can_repeat = origin is not None and origin.seed is not None and self.role == "samples"
        self.like.setEnabled(can_repeat)
        self.vary.setEnabled(can_repeat)
        self.vary.setVisible(self.varied)
        self.caption.setText(origin.caption if origin else "")
        self.caption.setVisible(bool(self.caption.text()))
        self.where.setText(_("Step {step}").format(step=f"{row.step:,}") if row else "")
        self.canvas.setAccessibleDescription(self._spoken(origin))

    def _spoken(self, origin: SampleOrigin | None) -> str:
        if origin is None:
            return ""
        words = _("Step {step}, sample {number} of {count}").format(
            step=f"{origin.step:,}", number=self.canvas.column + 1, count=len(self.rows[self.canvas.row])
        )
        return ", ".join(filter(None, (words, origin.label, origin.caption)))

    def _open_menu(self, position: QPoint) -> None:
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        like = menu.addAction(self.theme.icon("sparkles"), _("Generate like this"), self._like_this)
        like.setEnabled(self.like.isEnabled())
        if self.varied:
            menu.addAction(self.theme.icon("shuffle"), _("Variants of this"), self._vary).setEnabled(like.isEnabled())
        menu.addAction(self.theme.icon("copy"), _("Copy"), self.copy)
        menu.addAction(self.theme.icon("maximize"), _("Enlarge (Enter)"), self._enlarge)
        menu.popup(position)

    def copy(self) -> None:
        """Put the current cell on the clipboard, as a picture or a text."""
        row = self.canvas.current()
        if row is None:
            return
        if row.images is None:
            QGuiApplication.clipboard().setText(row.texts[self.canvas.column])
        else:
            QGuiApplication.clipboard().setImage(to_image(row.images[self.canvas.column]))

    def _enlarge(self) -> None:
        self.canvas.set_mode("cell")

    def _like_this(self) -> None:
        origin = self.origin()
        if origin is not None:
            self.generate_like_this.emit(origin)

    def _vary(self) -> None:
        origin = self.origin()
        if origin is not None:
            self.variants_asked.emit(origin)

    def _moved(self) -> None:
        self.following = self.canvas.row >= len(self.rows) - 1
        self._update()

    def _mode_chosen(self, mode: Mode) -> None:
        self._player.stop()
        self.canvas.set_mode(mode)
        self.canvas.setFocus()
        self._update()

    def _role_chosen(self, role: str) -> None:
        self.role = role
        self._show()

    def _next_frame(self) -> None:
        if self.canvas.row >= len(self.rows) - 1 or not self.isVisible():
            self._player.stop()
            self._update()
            return
        self.canvas.go_to(self.canvas.row + 1)
