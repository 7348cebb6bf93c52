"""The picture that is to be extended on its future canvas, with the sizes in pixels."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize
from PySide6.QtGui import QBrush, QImage, QPainter, QPaintEvent, QPen, Qt
from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from aigc_desktop.core.events import Failed
from aigc_desktop.core.extension import Extension, extension
from aigc_desktop.core.i18n import _, sentences
from aigc_desktop.core.request import JobRequest
from aigc_desktop.ui.asking import URGENT, Answer, Asker
from aigc_desktop.ui.geometry import room_of
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.controls import label, set_role
from aigc_desktop.ui.widgets.forms.form import ConfigForm
from aigc_desktop.ui.widgets.pictures.thumbnails import to_image

SIDES = ("left", "right", "top", "bottom")
HEIGHT = 168


class CanvasPreview(QWidget):
    """Follows the form of a task that extends a picture.

    `side` is how many places a window of the model has, `patch` how many pixels a place.
    """

    def __init__(self, services: Services, form: ConfigForm, side: int, patch: int) -> None:
        super().__init__()
        self.services, self.form, self.side, self.patch = services, form, side, patch
        self.file, self.size_of_file = "", (0, 0)
        self.sheet = CanvasSheet(services.theme)
        self.words = label("", "secondary")
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(services.theme.px(4))
        box.addWidget(self.sheet)
        box.addWidget(self.words)
        self.asker = Asker(services.jobs, self)
        self.asker.answered.connect(self._opened)
        self.asker.failed.connect(self._not_opened)
        form.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show what the form says now; a picture that was just chosen is opened first."""
        file = str(self.form.values().get("picture") or "")
        if file != self.file:
            self.file, self.size_of_file = file, (0, 0)
            if file:
                values = {"picture": file, "steps": "[]"}
                self.asker.ask(URGENT, JobRequest("edit.look", values, str(self.services.workspace.folder)), file)
        self._show()

    def _opened(self, _kind: str, answer: Answer) -> None:
        if answer.about == self.file:
            width, height = answer.data["before"]
            self.size_of_file = (int(width), int(height))
            self.sheet.image = to_image(answer.pictures[-1])
            self._show()

    def _not_opened(self, _kind: str, failed: Failed) -> None:
        self._tell(sentences(failed.message, failed.hint), "problem")

    def _show(self) -> None:
        values = self.form.values()
        known = min(self.size_of_file) > 0 and all(isinstance(values.get(name), int) for name in SIDES)
        self.sheet.setVisible(known)
        if not known:
            self._tell("")
            return
        made = extension(self.size_of_file, [values[name] for name in SIDES], self.side)
        pixels = made.times(self.patch)
        self.sheet.show_canvas(pixels)
        if reason := made.why_too_large(self.side, self.patch):
            self._tell(reason, "problem")
            return
        self._tell(_("Canvas {canvas}, the picture in it {picture} pixels").format(
            canvas=f"{pixels.width} × {pixels.height}", picture=f"{pixels.picture[2]} × {pixels.picture[3]}"
        ))  # fmt: skip

    def _tell(self, text: str, role: str = "secondary") -> None:
        self.words.setText(text)
        self.words.setVisible(bool(text))
        set_role(self.words, role=role)
        self.sheet.setAccessibleDescription(text)


class CanvasSheet(QWidget):
    """The canvas as large as it fits: hatched where it is painted, the picture where it stays."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.image, self.canvas = QImage(), Extension(1, 1, (0, 0, 1, 1))
        self.setFixedHeight(theme.px(HEIGHT))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(_("Canvas of the extended picture"))
        self.setToolTip(_("What is hatched is painted; the picture stays as it is"))
        theme.changed.connect(self.update)

    def show_canvas(self, canvas: Extension) -> None:
        """Show the picture on this canvas, in pixels."""
        self.canvas = canvas
        self.update()

    def place(self) -> QRectF:
        """Return where the picture lies on the widget."""
        room = self._room()
        scale = room.width() / self.canvas.width
        left, top, width, height = (scale * length for length in self.canvas.picture)
        return QRectF(room.left() + left, room.top() + top, width, height)

    def _room(self) -> QRectF:
        return room_of(QSize(self.canvas.width, self.canvas.height), self.size() - QSize(2, 2)).translated(1, 1)

    def paintEvent(self, event: QPaintEvent) -> None:
        with QPainter(self) as painter:
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            room, place = self._room(), self.place()
            painter.fillRect(room, self.theme.colour("surface"))
            painter.fillRect(room, QBrush(self.theme.colour("control"), Qt.BrushStyle.BDiagPattern))
            painter.fillRect(place, self.theme.colour("surface"))
            painter.drawImage(place, self.image, self._cut())
            painter.setPen(QPen(self.theme.colour("control"), 1))
            painter.drawRect(room)
            painter.setPen(QPen(self.theme.colour("accent"), self.theme.px(2)))
            painter.drawRect(place)

    def _cut(self) -> QRectF:
        """Return the middle of the picture that is used: of the form that it has on the canvas."""
        used = QSize(*self.canvas.picture[2:])
        return room_of(used, self.image.size())
