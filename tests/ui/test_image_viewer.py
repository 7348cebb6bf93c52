"""The close look at a picture, as tiles too."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QImage

from aigc_desktop.ui.widgets.pictures.image_viewer import ImageViewer


@pytest.fixture
def viewer(qtbot, theme):
    made = ImageViewer(theme)
    qtbot.addWidget(made)
    made.resize(700, 460)
    made.show()
    return made


def picture(left="red", right="blue"):
    image = QImage(20, 10, QImage.Format.Format_RGB32)
    image.fill(QColor(left))
    for y in range(10):
        image.setPixelColor(19, y, QColor(right))
    return image


def shown(viewer):
    return viewer.canvas.grab().toImage()


def colours(image, y):
    """Return the colours along a row of pixels, without repeats."""
    row = [image.pixelColor(x, y).name() for x in range(image.width())]
    return [colour for i, colour in enumerate(row) if i == 0 or colour != row[i - 1]]


def test_a_long_title_stays_on_one_line_and_takes_no_room_from_the_buttons(viewer):
    viewer.show_images(picture(), caption="short")
    height, least = viewer.caption.height(), viewer.minimumSizeHint().width()
    viewer.show_images(picture(), caption="A very long title\nof a poem " * 20)
    viewer.layout().activate()
    assert viewer.caption.height() == height and viewer.minimumSizeHint().width() <= least + 120
    assert viewer.caption.toolTip().startswith("A very long title") and viewer.width() == 700


def test_tiles_join_without_a_gap(qtbot, viewer):
    viewer.show_images(picture())
    ground = viewer.theme.colour("window").name()
    alone = colours(shown(viewer), viewer.canvas.height() // 2)
    assert alone == [ground, "#ff0000", "#0000ff", ground]
    qtbot.keyClick(viewer.canvas, Qt.Key.Key_T)
    assert viewer.tiles.isChecked()
    image = shown(viewer)
    tiles = colours(image, viewer.canvas.height() // 2)
    assert tiles == [ground, *3 * ["#ff0000", "#0000ff"], ground]
    column = [image.pixelColor(image.width() // 2, y).name() for y in range(image.height())]
    first = column.index("#ff0000")
    assert ground not in column[first : first + column.count("#ff0000")]


def test_the_picture_has_a_ring_when_tab_led_to_it_and_none_when_it_is_shown(qtbot, viewer):
    viewer.activateWindow()
    qtbot.waitUntil(viewer.isActiveWindow)
    viewer.show_images(picture())
    accent = viewer.theme.colours.accent
    assert viewer.canvas.hasFocus() and shown(viewer).pixelColor(1, 1).name() != accent
    viewer.tiles.setFocus()
    viewer.canvas.setFocus(Qt.FocusReason.TabFocusReason)
    assert shown(viewer).pixelColor(1, 1).name() == accent


def test_the_buttons_go_below_the_title_where_the_line_is_short(qtbot, viewer):
    viewer.show_images(picture(), caption="a title")

    def middle(widget):
        return widget.mapTo(viewer, widget.rect().center()).y()

    qtbot.waitUntil(lambda: abs(middle(viewer.tiles) - middle(viewer.caption)) < 10)
    viewer.resize(300, 460)
    qtbot.waitUntil(lambda: viewer.width() == 300 and middle(viewer.tiles) > middle(viewer.caption) + 10)


@pytest.mark.parametrize("zoom", [0.37, 1.7, 3.3])
def test_tiles_join_at_any_zoom(viewer, zoom):
    viewer.show_images(picture("red", "red"))
    viewer.tiles.click()
    viewer.canvas.zoom_by(zoom / viewer.canvas.scale)
    image = shown(viewer)
    assert colours(image, image.height() // 2).count(viewer.theme.colour("window").name()) <= 2


def test_the_copies_come_and_go_with_the_button(viewer):
    viewer.show_images(picture())
    before = viewer.canvas.scale
    viewer.tiles.click()
    assert viewer.canvas.tiled and viewer.canvas.scale < before
    viewer.tiles.click()
    assert not viewer.canvas.tiled and viewer.canvas.scale == before


def test_two_pictures_are_compared_as_tiles(viewer):
    viewer.show_images(picture("red", "red"), picture("lime", "lime"))
    viewer.canvas.show_tiled(True)
    row = colours(shown(viewer), viewer.canvas.height() // 2)
    assert "#ff0000" in row and "#00ff00" in row and row.index("#ff0000") < row.index("#00ff00")
