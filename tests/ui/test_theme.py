"""Colours can be read, icons exist, sizes follow the user's scale."""

import itertools
import math
import re
from types import SimpleNamespace

import pytest
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QColor, QFontInfo, QIcon, QPalette
from PySide6.QtWidgets import QApplication, QLineEdit, QMenu, QPlainTextEdit, QStyle, QVBoxLayout, QWidget

from aigc_desktop.core.discover import discover
from aigc_desktop.core.paths import resources
from aigc_desktop.core.settings import Preferences
from aigc_desktop.ui import pages
from aigc_desktop.ui import theme as theme_module
from aigc_desktop.ui.colours import DARK, LIGHT, Colours, contrast
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.controls import ChoiceBox, spin_box
from aigc_desktop.ui.widgets.side_by_side import Scrolled

BOTH = pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])


def test_contrast_is_that_of_wcag():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=0.001)
    assert contrast("#ffffff", "#777777") == contrast("#777777", "#ffffff")


@BOTH
def test_texts_have_a_contrast_of_four_and_a_half(colours: Colours):
    surfaces = (colours.window, colours.surface, colours.raised, colours.rail, colours.hover)
    texts = (colours.text, colours.secondary, colours.accent, colours.green, colours.amber, colours.red)
    assert min(contrast(text, surface) for text in texts for surface in surfaces) >= 4.5


@BOTH
def test_texts_on_coloured_surfaces_have_a_contrast_of_four_and_a_half(colours: Colours):
    pairs = [
        (colours.on_accent, colours.accent), (colours.on_accent, colours.accent_hover),
        (colours.accent, colours.accent_soft), (colours.text, colours.accent_soft),
        (colours.secondary, colours.accent_soft), (colours.red, colours.red_soft),
        (colours.green, colours.green_soft), (colours.amber, colours.amber_soft), (colours.text, colours.red_soft),
        (colours.secondary, colours.line), (colours.surface, colours.text),
    ]  # fmt: skip
    assert min(contrast(*pair) for pair in pairs) >= 4.5


@BOTH
def test_edges_of_controls_have_a_contrast_of_three(colours: Colours):
    surfaces = (colours.window, colours.surface, colours.raised)
    assert min(contrast(colours.control, surface) for surface in surfaces) >= 3
    assert min(contrast(colours.accent, surface) for surface in surfaces) >= 3  # the focus ring


@BOTH
def test_signs_drawn_by_the_style_sheet_have_a_contrast_of_three(colours: Colours):
    arrow = re.search(r'stroke="(#\w+)"', (resources() / "themes" / "arrow-down.svg").read_text())
    name = f"check-{'dark' if colours.dark else 'light'}.svg"
    check = re.search(r'stroke="(#\w+)"', (resources() / "themes" / name).read_text())
    assert arrow and contrast(arrow[1], colours.surface) >= 3
    assert check and contrast(check[1], colours.accent) >= 3


@BOTH
def test_curves_can_be_told_apart_by_colour_blind_readers(colours: Colours):
    assert min(contrast(plot, colours.surface) for plot in colours.plot) >= 3
    for blindness in (DEUTERANOPIA, PROTANOPIA):
        seen = [_see(colour, blindness) for colour in colours.plot]
        assert min(math.dist(x, y) for x, y in itertools.combinations(seen, 2)) > 0.15


def test_every_icon_of_a_page_exists_and_takes_the_colour_of_the_theme(theme: Theme):
    for page in discover(pages, "PAGE"):
        picture = theme.pixmap(page.icon, 20, "#ff0000").toImage()
        found = {QColor.fromRgba(picture.pixel(x, y)).name() for x in range(20) for y in range(20)
                 if picture.pixelColor(x, y).alpha() == 255}  # fmt: skip
        assert found == {"#ff0000"}, page


def test_an_icon_follows_a_change_of_theme_without_being_made_again(theme: Theme):
    icon = theme.icon("start")
    light = icon.pixmap(QSize(20, 20)).toImage()
    theme.apply(Preferences(theme="dark"))
    assert icon.pixmap(QSize(20, 20)).toImage() != light
    assert icon.pixmap(QSize(20, 20), QIcon.Mode.Disabled).toImage() != icon.pixmap(QSize(20, 20)).toImage()


def test_an_unknown_icon_is_an_error(theme: Theme):
    with pytest.raises(KeyError, match="no-such-icon"):
        theme.pixmap("no-such-icon", 16)


def test_letters_of_details_are_of_equal_width_where_chinese_fonts_are(qapp: QApplication):
    assert QFontInfo(Theme(qapp, Preferences()).font("mono")).fixedPitch()


@BOTH
def test_hints_in_empty_fields_can_be_read(colours: Colours, qapp: QApplication, qtbot):
    Theme(qapp, Preferences(theme="dark" if colours.dark else "light"))
    for field in (QLineEdit(), QPlainTextEdit()):
        qtbot.addWidget(field)
        field.ensurePolished()
        hint = field.palette().color(QPalette.ColorRole.PlaceholderText)
        assert hint.alpha() == 255 and contrast(hint.name(), colours.surface) >= 4.5


def test_signs_of_menus_grow_with_the_text(qapp: QApplication, qtbot):
    Theme(qapp, Preferences(scale=200))
    menu = QMenu()
    qtbot.addWidget(menu)
    menu.ensurePolished()
    assert menu.style().pixelMetric(QStyle.PixelMetric.PM_SmallIconSize, None, menu) == 32


def test_the_scale_holds_for_fonts_lengths_and_the_style_sheet(qapp: QApplication):
    theme = Theme(qapp, Preferences(scale=200))
    assert (theme.px(8), theme.px(0), theme.font().pixelSize(), theme.font("title").pixelSize()) == (16, 0, 26, 44)
    assert "font-size: 44px" in qapp.styleSheet()
    theme.apply(Preferences(scale=75))
    assert (theme.px(8), theme.px(1), qapp.font().pixelSize()) == (6, 1, 10)


def test_system_theme_follows_the_system(theme: Theme, qtbot):
    theme.apply(Preferences(theme="system"))
    before = theme.dark
    with qtbot.waitSignal(theme.changed):
        theme.app.styleHints().colorSchemeChanged.emit(theme.app.styleHints().colorScheme())
    assert theme.dark == before
    theme.apply(Preferences(theme="dark"))
    assert theme.dark and theme.app.palette().window().color().name() == DARK.window


def test_title_bars_get_the_theme_that_was_chosen(theme: Theme, monkeypatch):
    told = []
    hints = SimpleNamespace(setColorScheme=told.append, colorScheme=lambda: Qt.ColorScheme.Light)
    monkeypatch.setattr(theme_module, "QGuiApplication", SimpleNamespace(styleHints=lambda: hints))
    for choice in ("dark", "light", "system"):
        theme.apply(Preferences(theme=choice))
    assert told == [Qt.ColorScheme.Dark, Qt.ColorScheme.Light, Qt.ColorScheme.Unknown]


DEUTERANOPIA = ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881))
PROTANOPIA = ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998))
"""Matrices of Machado et al. 2009 for full severity, on linear RGB."""


def _see(colour: str, blindness: tuple[tuple[float, ...], ...]) -> list[float]:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    seen = [max(0.0, min(1.0, sum(w * c for w, c in zip(row, linear, strict=True)))) for row in blindness]
    return [12.92 * c if c <= 0.0031308 else 1.055 * c ** (1 / 2.4) - 0.055 for c in seen]


def _left_of_text(widget: QWidget) -> int:
    """Return the column, in pixels, where what is written in an input begins."""
    picture = widget.grab().toImage()
    rows = range(picture.height() // 3, 2 * picture.height() // 3)
    ground = picture.pixelColor(picture.width() // 2, picture.height() // 2).lightness()
    written = (x for x in range(4, 100) if any(abs(picture.pixelColor(x, y).lightness() - ground) > 60 for y in rows))
    return next(written)


@pytest.mark.parametrize("scale", [100, 200])
def test_the_texts_of_all_inputs_begin_at_one_line(qtbot, scale):
    Theme(QApplication.instance(), Preferences(language="en", theme="light", scale=scale))
    combo = ChoiceBox()
    combo.addItem("16")
    inputs = [QLineEdit("16"), combo, spin_box(0, 100, 16)]
    holder = QWidget()
    box = QVBoxLayout(holder)
    for each in inputs:
        box.addWidget(each)
    qtbot.addWidget(holder)
    holder.show()
    first, second, third = (_left_of_text(each) for each in inputs)
    assert first == second == third
    inputs[0].setFocus()
    qtbot.waitUntil(inputs[0].hasFocus)
    assert _left_of_text(inputs[0]) == first  # and stays there when it gets the focus


def test_the_ring_of_what_scrolls_is_seen_on_all_sides(qtbot, theme):
    inner = QWidget()
    inner.setMinimumHeight(1000)
    scrolled = Scrolled(inner)
    scrolled.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    qtbot.addWidget(scrolled)
    scrolled.resize(200, 100)
    scrolled.show()
    scrolled.setFocus()
    qtbot.waitUntil(scrolled.hasFocus)
    picture = scrolled.grab().toImage()
    sides = [(0, 50), (199, 50), (100, 0), (100, 99)]
    assert {picture.pixelColor(*side).name() for side in sides} == {theme.colour("accent").name()}
