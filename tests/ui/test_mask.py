"""Painting a mask: the brush, the dialog with the real engine, and a made picture of which a part is painted anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QColor, QDropEvent, QImage
from PySide6.QtTest import QTest

from aigc_desktop.core.fields import FieldKind, FieldSpec
from aigc_desktop.ui.explored import extension_of, offers, repaint_of
from aigc_desktop.ui.widgets.forms.form import ConfigForm
from aigc_desktop.ui.widgets.forms.mask_dialog import MaskDialog, save_mask
from aigc_desktop.ui.widgets.pictures.mask_canvas import LONGEST_PX, UNDONE, MaskCanvas

LONG = 60_000
FIELDS = [
    FieldSpec("picture", FieldKind.FILE, None, "Picture", "", required=True),
    FieldSpec("mask", FieldKind.MASK, None, "Mask", "", required=True),
]


@pytest.fixture
def canvas(qtbot):
    made = MaskCanvas()
    qtbot.addWidget(made)
    made.resize(200, 100)  # a picture of 100 × 100 lies from 50 to 150
    made.show()
    picture = QImage(100, 100, QImage.Format.Format_RGB32)
    picture.fill(Qt.GlobalColor.gray)
    made.show_image(picture)
    made.set_breadth(10)
    return made


def drag(canvas: MaskCanvas, start: tuple[int, int], end: tuple[int, int], button=Qt.MouseButton.LeftButton) -> None:
    QTest.mousePress(canvas, button, pos=QPoint(*start))
    QTest.mouseMove(canvas, QPoint(*end))
    QTest.mouseRelease(canvas, button, pos=QPoint(*end))


def painted(canvas: MaskCanvas) -> np.ndarray:
    mask = canvas.paint
    rows = np.frombuffer(bytes(mask.constBits()), np.uint8).reshape(mask.height(), mask.bytesPerLine())
    return rows[:, : mask.width()] > 0


def test_the_brush_paints_where_the_pointer_is_and_the_right_button_erases(canvas):
    assert canvas.is_empty()
    drag(canvas, (70, 50), (130, 50))
    mask = painted(canvas)
    assert mask[50, 20:80].all() and mask[46:54, 50].all()
    assert not mask[:40].any() and not mask[60:].any() and not mask[:, :10].any()
    drag(canvas, (100, 30), (100, 70), Qt.MouseButton.RightButton)
    assert not painted(canvas)[30:70, 50].any()
    canvas.erasing = True
    drag(canvas, (70, 50), (130, 50))
    assert canvas.is_empty()


def test_every_change_can_be_undone(canvas):
    drag(canvas, (100, 50), (100, 50))
    first = painted(canvas)
    assert first[50, 50]
    canvas.invert()
    assert (painted(canvas) == ~first).all()
    canvas.clear()
    assert canvas.is_empty()
    canvas.undo()
    canvas.undo()
    assert (painted(canvas) == first).all()
    canvas.undo()
    canvas.undo()
    assert canvas.is_empty()
    for _turn in range(UNDONE + 5):
        canvas.invert()
    assert len(canvas.earlier) == UNDONE


def test_keys_change_the_brush_and_it_is_drawn(qtbot, canvas):
    told = []
    canvas.resized.connect(told.append)
    QTest.keyClick(canvas, Qt.Key.Key_BracketRight)
    QTest.keyClick(canvas, Qt.Key.Key_BracketLeft)
    assert told == [12, 10]
    canvas.set_breadth(1000)
    assert canvas.breadth == 60
    plain = canvas.grab().toImage()
    QTest.mouseMove(canvas, QPoint(100, 50))
    canvas.update()
    assert canvas.grab().toImage() != plain


def test_a_large_picture_is_painted_smaller_in_its_form_and_a_mask_of_any_size_is_taken(canvas):
    large = QImage(4000, 2000, QImage.Format.Format_RGB32)
    large.fill(Qt.GlobalColor.white)
    canvas.show_image(large)
    assert (canvas.paint.width(), canvas.paint.height()) == (LONGEST_PX, LONGEST_PX // 2)
    mask = QImage(40, 20, QImage.Format.Format_RGB32)
    mask.fill(QColor(120, 120, 120))
    for x in range(20):
        for y in range(20):
            mask.setPixelColor(x, y, QColor(140, 140, 140))
    canvas.show_mask(mask)
    assert painted(canvas)[:, : LONGEST_PX // 2].all() and not painted(canvas)[:, LONGEST_PX // 2 :].any()


def test_a_mask_file_is_white_where_it_was_painted_and_the_same_mask_is_the_same_file(canvas, tmp_path):
    drag(canvas, (70, 50), (130, 50))
    path = save_mask(canvas.paint, tmp_path / "masks")
    with Image.open(path) as file:
        assert (np.asarray(file.convert("L")) > 127).tolist() == painted(canvas).tolist()
    assert save_mask(canvas.paint.copy(), tmp_path / "masks") == path
    assert len(list((tmp_path / "masks").iterdir())) == 1


def test_a_picture_comes_first_and_a_dropped_file_is_one(qtbot, services, tmp_path):
    form = ConfigForm(FIELDS, services)
    qtbot.addWidget(form)
    form.show()
    row = form.rows["mask"]
    row.input.brush.click()
    assert row.problem.text() == "Choose the picture first." and not form.findChildren(MaskDialog)
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path / "a b 图.png"))])
    line = form.rows["picture"].input.line
    drop = QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton,
                      Qt.KeyboardModifier.NoModifier)  # fmt: skip
    line.dropEvent(drop)
    assert form.values() == {"picture": str(tmp_path / "a b 图.png")}


def test_what_cannot_be_opened_is_told_and_no_mask_comes_of_it(qtbot, services, center, tmp_path):
    services.jobs = center
    center.warm_up()
    (tmp_path / "broken.png").write_bytes(b"no picture")
    dialog = MaskDialog(services, tmp_path / "broken.png", None)
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitUntil(dialog.problem.isVisible, timeout=LONG)
    assert "broken.png" in dialog.problem.text()
    assert not dialog.use.isEnabled() and not dialog.invert.isEnabled()
    dialog.reject()


class Task:
    def __init__(self, key: str, fields: list[FieldSpec], requires: str = "") -> None:
        self.key, self.family, self.fields, self.requires = key, key.split(".")[0], fields, requires
        self.explored = False


def test_only_pictures_of_a_model_that_can_are_painted_anew(services):
    services.jobs.catalogue = {task.key: task for task in (Task("flow.fill", FIELDS), Task("gan.generate", []))}
    settings = {"count": 9, "guidance": 2}
    origin = {"task": "flow.generate", "model": "m", "checkpoint": "7", "label": "cup", "settings": settings}
    told = repaint_of(services, origin, Path("a.png"))
    assert told == {"run": "m", "checkpoint": "7", "task": "flow.fill", "paint": True, "label": "cup",
                    "settings": {"guidance": 2, "picture": "a.png", "mask": ""}}  # fmt: skip
    assert repaint_of(services, {**origin, "task": "gan.generate"}, Path("a.png")) is None
    assert repaint_of(services, {**origin, "model": ""}, Path("a.png")) is None
    assert repaint_of(services, origin, None) is None


def test_only_pictures_of_a_model_that_can_are_extended(services, workspace):
    tasks = (Task("flow.extend", []), Task("gan.generate", []), Task("writer.extend", [], "masked"))
    services.jobs.catalogue = {task.key: task for task in tasks}
    origin = {"task": "flow.generate", "model": "m", "checkpoint": "7", "label": "cup",
              "settings": {"count": 9, "guidance": 2, "walk_steps": 6, "left": 10}}  # fmt: skip
    told = {"run": "m", "checkpoint": "7", "task": "flow.extend", "label": "cup"}
    assert extension_of(services, origin, Path("a.png")) == {
        **told, "settings": {"walk_steps": 6, "left": 10, "picture": "a.png"}
    }  # fmt: skip
    again = extension_of(services, {**origin, "task": "flow.extend"}, Path("a.png"))
    assert again["settings"] == {"guidance": 2, "walk_steps": 6, "left": 10, "picture": "a.png"}
    assert offers(services, origin, Path("a.png")) == {"extend"}
    assert offers(services, {**origin, "task": "gan.generate"}, Path("a.png")) == set()
    for masked in (True, False):
        run = workspace.new_run("writer.train", {"masked": masked})
        found = extension_of(services, {**origin, "task": "writer.generate", "model": run.id}, Path("a.png"))
        assert (found is not None) is masked
    assert extension_of(services, {**origin, "task": "writer.generate", "model": "gone"}, Path("a.png")) is None


@pytest.fixture
def create(qtbot, first_pages):
    """The Create page with some pictures of the ready model, the first of them chosen."""
    first_pages["start"].ready_model.button.click()
    create = first_pages["create"]
    qtbot.waitUntil(lambda: create.batch is not None and len(create.batch.works) > 0, timeout=LONG)
    create.panel.progress.stop_button.click()
    qtbot.waitUntil(lambda: create.handle is None, timeout=LONG)
    create.view.grid.select_rows([0])
    return create


def test_a_made_picture_is_extended(qtbot, create, record):
    before = create.batch.works[0].picture()
    create.view.actions_by_key["extend"].trigger()
    assert create.panel.task().key == "image_flow.extend"
    create.panel.form.set_values({"count": 1, "walk_steps": 1, "left": 0, "right": 25, "top": 0, "bottom": 0})
    create.generate()
    qtbot.waitUntil(lambda: create.handle is None, timeout=LONG)
    assert not record.failures
    after = create.batch.works[0].picture()
    assert after.shape == (64, 80, 3) and (after[:, :64] == before).all()


def test_a_part_of_a_made_picture_is_painted_anew(qtbot, workspace, create, record):
    before = create.batch.works[0].picture()
    create.view.actions_by_key["repaint"].trigger()
    dialog = create.findChild(MaskDialog)
    qtbot.waitUntil(lambda: not dialog.canvas.image.isNull(), timeout=LONG)
    assert not dialog.use.isEnabled()
    room = dialog.canvas._room()
    drag(dialog.canvas, (room.left() + 5, room.top() + 5), (room.right() - 5, room.top() + 5))
    dialog.use.click()
    qtbot.waitUntil(lambda: "mask" in create.panel.form.values(), timeout=LONG)
    mask = Path(create.panel.form.values()["mask"])
    assert mask.parent == workspace.folder / "masks"
    create.panel.form.set_values({"count": 1, "good": False, "walk_steps": 2})
    create.generate()
    qtbot.waitUntil(lambda: create.handle is None, timeout=LONG)
    assert not record.failures
    after = create.batch.works[0].picture()
    assert (after[32:] == before[32:]).all()
    assert (after[:3] != before[:3]).any()

    create.panel.form.rows["mask"].input.brush.click()  # once more, with what was painted
    dialog = create.findChildren(MaskDialog)[-1]
    qtbot.waitUntil(dialog.use.isEnabled, timeout=LONG)
    assert painted(dialog.canvas)[2, 20:40].all() and not painted(dialog.canvas)[40:].any()
    dialog.reject()
