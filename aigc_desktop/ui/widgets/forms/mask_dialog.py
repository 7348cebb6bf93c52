"""Paint a mask over a picture, in the program itself; it becomes a file of the workspace."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QImage, QKeySequence
from PySide6.QtWidgets import QDialog, QHBoxLayout, QSlider, QVBoxLayout, QWidget

from aigc_desktop.core.events import Failed
from aigc_desktop.core.files import atomic_file
from aigc_desktop.core.i18n import _, sentences
from aigc_desktop.core.request import JobRequest
from aigc_desktop.ui.asking import URGENT, Answer, Asker
from aigc_desktop.ui.background import Background
from aigc_desktop.ui.geometry import dialog_size
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.widgets.cards import FlowLayout
from aigc_desktop.ui.widgets.controls import button, icon_button, label
from aigc_desktop.ui.widgets.pictures.mask_canvas import BREADTHS, MaskCanvas
from aigc_desktop.ui.widgets.pictures.thumbnails import to_image, to_png
from aigc_desktop.ui.widgets.segmented import Segmented

SIZE = QSize(760, 720)
MASK = "mask"


class MaskDialog(QDialog):
    """Shows a picture to paint on, with an earlier mask of it if there is one; `painted` gives the path of the mask."""

    painted = Signal(str)

    def __init__(self, services: Services, picture: Path, mask: Path | None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.services, self.earlier = services, mask
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.setWindowTitle(_("Paint the mask"))
        self.setSizeGripEnabled(True)
        theme = services.theme
        self.canvas = MaskCanvas()
        self.tool = Segmented(theme, [("brush", _("Brush")), ("eraser", _("Eraser"))])
        self.breadth = QSlider(Qt.Orientation.Horizontal)
        self.breadth.setRange(*BREADTHS)
        self.breadth.setValue(self.canvas.breadth)
        self.breadth.setFixedWidth(theme.px(140))
        self.breadth.setAccessibleName(_("Breadth of the brush"))
        self.breadth.setToolTip(_("Breadth of the brush"))
        self.undo = icon_button(theme, "undo-2", _("Undo (Ctrl+Z)"))
        self.undo.setShortcut(QKeySequence(QKeySequence.StandardKey.Undo))
        self.invert = button(theme, _("Invert"))
        self.clear = button(theme, _("Clear"))
        self.problem = label("", "problem")
        self.problem.hide()
        self.cancel = button(theme, _("Cancel"))
        self.use = button(theme, _("Use this mask"), "check", "primary")
        self._lay_out()
        self.asker = Asker(services.jobs, self)
        self._connect()
        self.resize(dialog_size(theme.px(SIZE.width()), theme.px(SIZE.height()), parent))
        self._show_state()
        self._look_at(URGENT, picture)

    def save(self) -> None:
        """Write the mask into the workspace and close."""
        self.use.setEnabled(False)
        folder = self.services.workspace.folder / "masks"
        Background(self, partial(save_mask, self.canvas.paint.copy(), folder), self._saved, self._failed)

    def reject(self) -> None:
        """Close without a mask."""
        self.asker.forget()
        super().reject()

    def _look_at(self, kind: str, file: Path) -> None:
        values = {"picture": str(file), "steps": "[]"}
        self.asker.ask(kind, JobRequest("edit.look", values, str(self.services.workspace.folder)))

    def _shown(self, kind: str, answer: Answer) -> None:
        image = to_image(answer.pictures[-1])
        if kind == MASK:
            self.canvas.show_mask(image)
            return
        self.canvas.show_image(image)
        self.canvas.setFocus()
        if self.earlier is not None:
            self._look_at(MASK, self.earlier)

    def _not_shown(self, kind: str, failed: Failed) -> None:
        if kind == URGENT:  # without its earlier mask a picture can be painted on all the same
            self._failed(failed)

    def _saved(self, path: Path) -> None:
        self.painted.emit(str(path))
        self.accept()

    def _failed(self, failed: Failed) -> None:
        self.problem.setText(sentences(failed.message, failed.hint))
        self.problem.show()
        self._show_state()

    def _tool_chosen(self, tool: str) -> None:
        self.canvas.erasing = tool == "eraser"

    def _show_state(self) -> None:
        there = not self.canvas.image.isNull()
        for control in (self.invert, self.clear):
            control.setEnabled(there)
        self.undo.setEnabled(bool(self.canvas.earlier))
        self.use.setEnabled(there and not self.canvas.is_empty())

    def _connect(self) -> None:
        self.asker.answered.connect(self._shown)
        self.asker.failed.connect(self._not_shown)
        self.canvas.changed.connect(self._show_state)
        self.canvas.resized.connect(self.breadth.setValue)
        self.breadth.valueChanged.connect(self.canvas.set_breadth)
        self.tool.chosen.connect(self._tool_chosen)
        for control, slot in (
            (self.undo, self.canvas.undo), (self.invert, self.canvas.invert), (self.clear, self.canvas.clear),
            (self.cancel, self.reject), (self.use, self.save),
        ):  # fmt: skip
            control.clicked.connect(slot)

    def _lay_out(self) -> None:
        theme = self.services.theme
        tools = FlowLayout(theme.px(8))
        for control in (self.tool, self.breadth, self.undo, self.invert, self.clear):
            tools.addWidget(control)
        foot = QHBoxLayout()
        foot.setSpacing(theme.px(8))
        foot.addStretch(1)
        foot.addWidget(self.cancel)
        foot.addWidget(self.use)
        box = QVBoxLayout(self)
        box.setContentsMargins(*[theme.px(24)] * 4)
        box.setSpacing(theme.px(12))
        box.addWidget(label(_("Paint over what is to be made anew; the rest of the picture stays."), "body"))
        box.addLayout(tools)
        box.addWidget(self.canvas, 1)
        box.addWidget(self.problem)
        box.addLayout(foot)


def save_mask(mask: QImage, folder: Path) -> Path:
    """Write a mask to a file named after its content and return the path; called on a thread."""
    data = to_png(mask)
    path = folder / f"{hashlib.sha256(data).hexdigest()[:16]}.png"
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as f:
        f.write(data)
    return path
