"""Look closely at a picture, or at two of them with a divider between: zoom, pan, fit, one to one, tiled, copy."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QFocusEvent,
    QGuiApplication,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QWheelEvent,
)
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from aigc_desktop.core.i18n import _
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.controls import BY_TAB, NameLabel, button, icon_button, label, paint_focus
from aigc_desktop.ui.widgets.pictures.checks import paint_picture
from aigc_desktop.ui.widgets.side_by_side import Folding

GRIP = 8
LARGEST_ZOOM = 64.0


class ImageCanvas(QWidget):
    """Paints one picture, or the second one right of the divider over the first, in the same place and size.

    `zoom` is screen pixels per picture pixel; 0 fits the picture into the room. `tiled` shows it with eight copies
    around it, to check whether their edges join.
    """

    zoomed = Signal()
    stepped = Signal(int)
    """The user asked for the next (1) or previous (-1) picture."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.first, self.second = QImage(), QImage()
        self.zoom = 0.0
        self.tiled = self.by_tab = False
        self.centre = QPointF()
        self.divider = 0.5
        self._grabbed = ""
        self._last = QPointF()
        self.setMinimumSize(theme.px(200), theme.px(120))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setAccessibleName(_("Picture"))
        self.setToolTip(_("Wheel zooms, dragging moves; F fits, 1 shows each pixel as one, T shows tiles"))

    def show_images(self, first: QImage, second: QImage | None = None) -> None:
        """Show a picture, or two to compare."""
        self.first, self.second = first, second or QImage()
        self.divider = 0.5
        self.fit()

    @property
    def comparing(self) -> bool:
        """Return whether there are two pictures."""
        return not self.second.isNull()

    @property
    def scale(self) -> float:
        """Return how many logical pixels of the window one pixel of the picture takes."""
        if self.zoom:
            return self.zoom / self.devicePixelRatioF()
        size = self.first.size() * (3 if self.tiled else 1)
        if size.isEmpty():
            return 1.0
        fitting = min(self.width() / size.width(), self.height() / size.height()) * 0.96
        return fitting if fitting < 1 else max(1.0, fitting // 1)

    def fit(self) -> None:
        """Show the whole picture."""
        self._set(0.0, QPointF(self.first.width() / 2, self.first.height() / 2))

    def one_to_one(self) -> None:
        """Show each pixel of the picture as one of the screen."""
        self._set(1.0, self.centre)

    def show_tiled(self, tiled: bool) -> None:
        """Show the picture as 3 × 3 tiles, or alone."""
        self.tiled = tiled
        self.fit()

    def zoom_in(self) -> None:
        """Zoom in by a step."""
        self.zoom_by(1.25)

    def zoom_out(self) -> None:
        """Zoom out by a step."""
        self.zoom_by(0.8)

    def zoom_by(self, factor: float, at: QPointF | None = None) -> None:
        """Zoom around a point of the window."""
        at = at or QPointF(self.rect().center())
        before = self._to_picture(at)
        zoom = min(LARGEST_ZOOM, max(0.02, self.scale * self.devicePixelRatioF() * factor))
        self._set(zoom, self.centre)
        self._set(zoom, self.centre + before - self._to_picture(at))

    def target(self) -> QRectF:
        """Return where the picture is in the window."""
        scale = self.scale
        width, height = self.first.width() * scale, self.first.height() * scale
        left = self.width() / 2 - self.centre.x() * scale
        top = self.height() / 2 - self.centre.y() * scale
        return QRectF(left, top, width, height)

    def sizeHint(self) -> QSize:
        return QSize(self.theme.px(480), self.minimumHeight())  # it takes the room there is

    def focusInEvent(self, event: QFocusEvent) -> None:
        self.by_tab = event.reason() in BY_TAB
        super().focusInEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            painter.fillRect(self.rect(), self.theme.colour("window"))
            if self.first.isNull():
                return
            # enlarged pixels stay square: that is what the model made
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, self.scale < 1)
            self._paint(painter, self.first)
            if self.comparing:
                self._paint_second(painter)
            if self.by_tab:  # pictures take the focus by themselves, for their keys
                paint_focus(self, painter)

    def _paint(self, painter: QPainter, picture: QImage) -> None:
        target, places = self.target(), (-1, 0, 1) if self.tiled else (0,)
        for down in places:
            for across in places:
                place = target.translated(across * target.width(), down * target.height())
                painter.fillRect(place, self.theme.colour("window"))
                paint_picture(painter, place, picture)

    def _paint_second(self, painter: QPainter) -> None:
        x = self._divider_x()
        painter.save()
        painter.setClipRect(QRectF(x, 0, self.width() - x, self.height()))
        self._paint(painter, self.second)
        painter.restore()
        painter.setPen(QPen(self.theme.colour("surface"), 4))
        painter.drawLine(QPointF(x, 0), QPointF(x, self.height()))
        painter.setPen(QPen(self.theme.colour("accent"), 2))
        painter.drawLine(QPointF(x, 0), QPointF(x, self.height()))
        painter.setBrush(self.theme.colour("accent"))
        painter.drawEllipse(QPointF(x, self.height() / 2), GRIP, GRIP)

    def wheelEvent(self, event: QWheelEvent) -> None:
        self.zoom_by(1.2 ** (event.angleDelta().y() / 120), event.position())

    def mousePressEvent(self, event: QMouseEvent) -> None:
        near = self.comparing and abs(event.position().x() - self._divider_x()) <= 2 * GRIP
        self._grabbed = "divider" if near else "picture"
        self._last = event.position()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        near = self.comparing and abs(event.position().x() - self._divider_x()) <= 2 * GRIP
        self.setCursor(Qt.CursorShape.SplitHCursor if near else Qt.CursorShape.OpenHandCursor)
        if self._grabbed == "divider":
            self.move_divider(event.position().x() / max(1, self.width()))
        elif self._grabbed:
            moved = (event.position() - self._last) / self.scale
            self._set(self.zoom or self.scale * self.devicePixelRatioF(), self.centre - moved)
            self._last = event.position()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._grabbed = ""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        match event.key():
            case Qt.Key.Key_Plus | Qt.Key.Key_Equal:
                self.zoom_in()
            case Qt.Key.Key_Minus:
                self.zoom_out()
            case Qt.Key.Key_F | Qt.Key.Key_0:
                self.fit()
            case Qt.Key.Key_1:
                self.one_to_one()
            case Qt.Key.Key_T:
                self.show_tiled(not self.tiled)
            case Qt.Key.Key_Left | Qt.Key.Key_Right:
                step = 1 if event.key() == Qt.Key.Key_Right else -1
                if self.comparing:
                    self.move_divider(self.divider + 0.02 * step)
                else:
                    self.stepped.emit(step)
            case _:
                super().keyPressEvent(event)

    def move_divider(self, share: float) -> None:
        """Put the divider at a share of the width."""
        self.divider = min(1.0, max(0.0, share))
        self.update()

    def _divider_x(self) -> float:
        return self.divider * self.width()

    def _to_picture(self, point: QPointF) -> QPointF:
        target = self.target()
        return QPointF((point.x() - target.left()) / self.scale, (point.y() - target.top()) / self.scale)

    def _set(self, zoom: float, centre: QPointF) -> None:
        self.zoom, self.centre = zoom, centre
        self.update()
        self.zoomed.emit()


class ImageViewer(QWidget):
    """The canvas with its buttons; `closed` when the user goes back, `acted` with "keep", "export" or "like"."""

    closed = Signal()
    acted = Signal(str)

    def __init__(self, theme: Theme, actions: list[tuple[str, str, str]] | None = None) -> None:
        super().__init__()
        self.theme = theme
        self.canvas = ImageCanvas(theme)
        self.caption = NameLabel()
        self.percent = label("", "secondary", wrap=False)
        self.tiles = icon_button(theme, "grid-2x2", _("Tiled 3 × 3, to see whether the edges join (T)"))
        self.tiles.setCheckable(True)
        self.tiles.clicked.connect(self.canvas.show_tiled)
        back = button(theme, _("Back"), "chevron-left", "", _("Back to all works (Esc)"))
        back.clicked.connect(self.closed)
        bar = QHBoxLayout()
        bar.setSpacing(theme.px(8))
        bar.addWidget(back, 0, Qt.AlignmentFlag.AlignTop)
        small: list[QWidget] = [self.percent]
        for icon, name, slot in (
            ("zoom-out", _("Smaller (−)"), self.canvas.zoom_out), ("zoom-in", _("Larger (+)"), self.canvas.zoom_in),
            ("maximize", _("Fit into the room (F)"), self.canvas.fit),
            ("square", _("One to one (1)"), self.canvas.one_to_one), ("copy", _("Copy the picture"), self.copy),
        ):  # fmt: skip
            made = icon_button(theme, icon, name)
            made.clicked.connect(slot)
            small.append(made)
        small.insert(len(small) - 1, self.tiles)
        self.action_buttons = {}
        for key, icon, name in actions or []:
            made = icon_button(theme, icon, name)
            made.setProperty("key", key)
            made.clicked.connect(self._act)
            self.action_buttons[key] = made
            small.append(made)
        bar.addWidget(Folding(theme, self.caption, small), 1)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.px(8))
        box.addLayout(bar)
        box.addWidget(self.canvas, 1)
        self.canvas.zoomed.connect(self._tell)

    def show_images(self, first: QImage, second: QImage | None = None, caption: str = "") -> None:
        """Show one picture, or two to compare."""
        self.canvas.show_images(first, second)
        self.caption.setText(caption)
        self.canvas.setAccessibleDescription(caption)
        for made in self.action_buttons.values():
            made.setVisible(second is None)
        self.canvas.setFocus()

    def copy(self) -> None:
        """Put the picture on the clipboard."""
        QGuiApplication.clipboard().setImage(self.canvas.first)

    def event(self, event: QEvent) -> bool:
        """Keep Escape, which leads back to all works; elsewhere it is the window's key to stop a job."""
        is_override = event.type() == QEvent.Type.ShortcutOverride
        if is_override and isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Escape, Qt.Key.Key_Backspace):
            self.closed.emit()
        else:
            super().keyPressEvent(event)

    def _act(self) -> None:
        self.acted.emit(str(self.sender().property("key")))

    def _tell(self) -> None:
        self.tiles.setChecked(self.canvas.tiled)
        self.percent.setText(f"{self.canvas.scale * self.devicePixelRatioF():.0%}")
