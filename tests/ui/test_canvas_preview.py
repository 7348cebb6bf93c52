"""The future canvas of a picture that is extended: where it lies, how large it becomes, and what is too large."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from aigc_desktop.core.events import Failed, Finished, Result, Sample
from aigc_desktop.core.fields import FieldKind, FieldSpec
from aigc_desktop.ui.widgets.forms.form import ConfigForm
from aigc_desktop.ui.widgets.works.canvas_preview import SIDES, CanvasPreview

FIELDS = [
    FieldSpec("picture", FieldKind.FILE, None, "Picture", "", required=True),
    *(FieldSpec(name, FieldKind.INT, 50, name, "", "%", 0, 200) for name in SIDES),
]


@pytest.fixture
def form(qtbot, services):
    made = ConfigForm(FIELDS, services)
    qtbot.addWidget(made)
    return made


@pytest.fixture
def preview(qtbot, services, form):
    made = CanvasPreview(services, form, side=8, patch=4)
    qtbot.addWidget(made)
    made.resize(300, 220)
    made.show()
    return made


def opened(jobs, width, height):
    pixels = np.full((1, height, width, 3), (200, 30, 30), np.uint8)
    look = {"before": [width, height], "after": [width, height], "palette": []}
    jobs.handles[-1].feed(Sample(0, pixels, role="real"), Sample(0, pixels), Result("look", look), Finished())


def choose(form, preview, **values):
    form.set_values(values)
    preview.refresh()


def test_without_a_picture_there_is_nothing_to_see(preview):
    assert not preview.sheet.isVisible() and not preview.words.isVisible()


def test_the_picture_lies_on_its_canvas_with_the_sizes_beside(preview, form, jobs):
    choose(form, preview, picture="cup.png", left=100, right=0, top=0, bottom=0)
    assert jobs.requests[-1].task == "edit.look" and jobs.requests[-1].values["picture"] == "cup.png"
    opened(jobs, 60, 40)
    assert preview.words.text() == "Canvas 80 × 32, the picture in it 48 × 32 pixels"
    place, sheet = preview.sheet.place(), preview.sheet
    assert place.width() / place.height() == pytest.approx(48 / 32) and place.left() > sheet.width() / 4
    shown = sheet.grab().toImage()
    assert shown.pixelColor(place.center().toPoint()).red() > 150
    assert shown.pixelColor(int(place.left()) - 20, int(place.center().y())).red() == pytest.approx(
        shown.pixelColor(int(place.left()) - 20, int(place.center().y())).green(), abs=40
    )


def test_it_follows_the_sides_and_says_what_is_too_large(qtbot, preview, form, jobs):
    choose(form, preview, picture="cup.png")
    opened(jobs, 40, 40)
    assert preview.words.text().startswith("Canvas 64 × 64")
    asked = len(jobs.requests)
    form.rows["left"].input.box.setValue(200)
    qtbot.waitUntil(lambda: "112 × 64" in preview.words.text())
    form.rows["right"].input.box.setValue(200)
    qtbot.waitUntil(lambda: "160 × 64 pixels; this model makes 128" in preview.words.text())
    assert preview.words.property("role") == "problem" and len(jobs.requests) == asked
    choose(form, preview, right=0)
    assert preview.words.property("role") == "secondary"


def test_a_file_that_is_no_picture_is_told(preview, form, jobs):
    choose(form, preview, picture="notes.txt")
    jobs.handles[-1].feed(Failed("BadInput", "“notes.txt” is not a picture.", "Choose another."))
    assert "not a picture" in preview.words.text() and not preview.sheet.isVisible()


def test_the_create_page_shows_it_for_the_ready_model(qtbot, services, center, tmp_path):
    from aigc_desktop.core.starters import bring_in, starters
    from aigc_desktop.ui.widgets.works.create_panel import CreatePanel

    services.jobs = center
    center.warm_up()
    qtbot.waitUntil(lambda: bool(center.catalogue), timeout=60_000)
    Image.new("RGB", (90, 60), "red").save(tmp_path / "cup.png")
    panel = CreatePanel(services)
    qtbot.addWidget(panel)
    run = bring_in(services.workspace, starters()[0].name)
    assert panel.choose(run.id, "best", "image_flow.extend") and panel.canvas is not None
    panel.set_values({"picture": str(tmp_path / "cup.png"), "left": 0, "right": 0, "top": 0, "bottom": 100})
    canvas = panel.canvas
    qtbot.waitUntil(lambda: "Canvas 96 × 128, the picture in it 96 × 64" in canvas.words.text(), timeout=60_000)
    assert panel.choose(run.id, "best", "image_flow.generate") and panel.canvas is None
