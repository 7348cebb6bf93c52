"""How the window looks: colours, fonts, spacing and icons, light or dark, at the size the user chose."""

from __future__ import annotations

from dataclasses import asdict
from functools import cached_property, lru_cache
from string import Template
from typing import Literal

from PySide6.QtCore import QByteArray, QDir, QObject, QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontDatabase,
    QFontInfo,
    QGuiApplication,
    QIcon,
    QIconEngine,
    QPainter,
    QPalette,
    QPixmap,
)
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QApplication, QWidget

from aigc_desktop.core.i18n import language
from aigc_desktop.core.paths import resources
from aigc_desktop.core.settings import Preferences
from aigc_desktop.ui.colours import DARK, LIGHT, Colours
from aigc_desktop.ui.restyle import Restyling

Choice = Literal["system", "light", "dark"]
Role = Literal["body", "secondary", "card", "title", "display", "number", "mono"]
FONT_SIZES: dict[str, int] = {
    "body": 13, "secondary": 12, "card": 16, "title": 22, "display": 28, "number": 13, "mono": 12,
}  # fmt: skip
RADIUS = 8
CHINESE_FONTS = (
    "Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei UI", "Microsoft YaHei",
    "WenQuanYi Micro Hei",
)  # fmt: skip
_SCHEMES = {"system": Qt.ColorScheme.Unknown, "light": Qt.ColorScheme.Light, "dark": Qt.ColorScheme.Dark}


class Theme(QObject):
    """Colours, fonts, lengths and icons for widgets; `changed` says that they are different now.

    `colours` are named by purpose, `px` turns a length at 100 % into pixels at the user's size, `icon` follows
    the theme by itself. Widgets that paint with `colours` connect to `changed`.
    """

    changed = Signal()

    def __init__(self, app: QApplication, preferences: Preferences) -> None:
        super().__init__(app)
        self.app = app
        self.choice: Choice = preferences.theme
        self.scale = preferences.scale
        self.colours = LIGHT
        self._system_font = QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont)
        self._restyling = Restyling(app)
        QDir.setSearchPaths("theme", [str(resources() / "themes")])
        app.setStyle("Fusion")
        app.styleHints().colorSchemeChanged.connect(self._system_changed)
        self._apply()

    @property
    def dark(self) -> bool:
        """Return whether the dark colours are in use."""
        return self.colours.dark

    @property
    def plot_colours(self) -> tuple[str, ...]:
        """Return the colours of curves, in the order to use them; distinct for colour-blind readers."""
        return self.colours.plot

    def apply(self, preferences: Preferences) -> None:
        """Use the theme and scale of these preferences, and the fonts of the language in use."""
        self.choice, self.scale = preferences.theme, preferences.scale
        self._apply()
        self.changed.emit()

    def finish(self, shown: QWidget) -> None:
        """See that a widget which is about to be shown wears the theme: after a change, hidden ones follow later."""
        self._restyling.finish(shown)

    def px(self, length: float) -> int:
        """Return a length given for 100 % in pixels at the user's scale, at least 1 when not 0."""
        return max(1, round(length * self.scale / 100)) if length else 0

    def font(self, role: Role = "body") -> QFont:
        """Return the font for a kind of text; figures have equal widths, so running numbers do not jump."""
        font = QFont(self._system_font)
        if role == "mono":
            font = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont)
            # "monospace" is an alias, and in a list of families Qt passes over an alias
            font.setFamilies([QFontInfo(font).family(), *CHINESE_FONTS])
        else:
            font.setFamilies(self._families())
            font.setFeature(QFont.Tag("tnum"), 1)
            if language() == "en":  # Chinese fonts draw “quotes” and · as wide as an ideograph
                font.setFeature(QFont.Tag("palt"), 1)
        font.setPixelSize(self.px(FONT_SIZES[role]))
        if role in ("card", "title", "display"):
            font.setWeight(QFont.Weight.DemiBold)
        return font

    def icon(self, name: str, colour: str = "") -> QIcon:
        """Return the icon `name` of resources/icons in the theme's colour; it stays right when the theme changes.

        `colour` is a name of Colours when it is not to follow the text, for example "accent" or "red".
        """
        return QIcon(_TintedSvg(self, name, colour))

    def pixmap(self, name: str, size: int, colour: str = "text", ratio: float = 1.0) -> QPixmap:
        """Return the icon as a picture of `size` logical pixels in the colour of this name, or "#rrggbb"."""
        value = colour if colour.startswith("#") else getattr(self.colours, colour)
        return _draw_svg(name, value, size, round(ratio, 3))

    def colour(self, name: str) -> QColor:
        """Return the colour of this name as Qt's."""
        return QColor(getattr(self.colours, name))

    @cached_property
    def _chinese_fonts(self) -> list[str]:
        found = [name for name in CHINESE_FONTS if QFontDatabase.hasFamily(name)]
        if not found and QFontDatabase.addApplicationFont(str(resources() / "fonts" / "NotoSansSC.otf")) >= 0:
            return [CHINESE_FONTS[0]]  # a bare Linux has no Chinese font; the one for labels holds all our texts
        return found

    def _families(self) -> list[str]:
        own = QFontInfo(self._system_font).family()
        chinese = self._chinese_fonts
        # DejaVu is what a bare Linux answers: wide, and uneven beside Chinese; a CJK font has good Latin too
        if chinese and (own.startswith(("DejaVu", "Bitstream")) or (language() == "zh_CN" and own in CHINESE_FONTS)):
            return [*chinese, own]
        return [own, *chinese]

    def _system_changed(self) -> None:
        if self.choice == "system":
            self._apply()
            self.changed.emit()

    def _apply(self) -> None:
        scheme, hints = self.choice, QGuiApplication.styleHints()
        hints.setColorScheme(_SCHEMES[scheme])  # Windows draws the title bars of all windows in it
        if scheme == "system":
            dark = hints.colorScheme() == Qt.ColorScheme.Dark
            scheme = "dark" if dark else "light"
        self.colours = DARK if scheme == "dark" else LIGHT
        self._restyling.change(self._set_colours_and_font, self._style_sheet())

    def _set_colours_and_font(self) -> None:
        self.app.setPalette(make_palette(self.colours))
        self.app.setFont(self.font())

    def _style_sheet(self) -> str:
        template = Template((resources() / "themes" / "base.qss").read_text(encoding="utf-8"))
        lengths = {f"px{n}": f"{self.px(n)}px" for n in (1, 2, 3, 4, 6, 8, 10, 12, 14, 16, 18, 20, 24, 32, 36)}
        # QLineEdit keeps 2 pixels of its own; the focus ring is a pixel thicker than the border, texts stay in place
        inset = {"inset": self.px(8) + 2, "focused_inset": self.px(8) + 1, "focused_x": self.px(8) - 1,
                 "focused_y": self.px(3) - 1}  # fmt: skip
        lengths |= {name: f"{length}px" for name, length in inset.items()}
        sizes = {f"font_{role}": f"{self.px(size)}px" for role, size in FONT_SIZES.items()}
        scheme = {"scheme": "dark" if self.dark else "light"}
        radii = {"radius": f"{self.px(RADIUS)}px", "radius_small": f"{self.px(RADIUS - 2)}px"}
        return template.substitute(asdict(self.colours), **lengths, **sizes, **scheme, **radii)


def make_palette(colours: Colours) -> QPalette:
    """Return Qt's palette for what the style sheet does not cover."""
    palette = QPalette()
    roles = QPalette.ColorRole
    pairs = {
        roles.Window: colours.window, roles.WindowText: colours.text, roles.Base: colours.surface,
        roles.AlternateBase: colours.raised, roles.Text: colours.text, roles.Button: colours.surface,
        roles.ButtonText: colours.text, roles.BrightText: colours.red, roles.Highlight: colours.accent,
        roles.HighlightedText: colours.on_accent, roles.Link: colours.accent, roles.LinkVisited: colours.accent,
        roles.ToolTipBase: colours.raised, roles.ToolTipText: colours.text, roles.Accent: colours.accent,
        roles.PlaceholderText: colours.secondary, roles.Light: colours.raised, roles.Midlight: colours.hover,
        roles.Mid: colours.line, roles.Dark: colours.control, roles.Shadow: colours.line,
    }  # fmt: skip
    for role, colour in pairs.items():
        palette.setColor(role, QColor(colour))
    for role in (roles.WindowText, roles.Text, roles.ButtonText, roles.PlaceholderText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor(colours.disabled))
    palette.setColor(QPalette.ColorGroup.Disabled, roles.Highlight, QColor(colours.line))
    return palette


class _TintedSvg(QIconEngine):
    """An icon that takes its colour from the theme when it is painted."""

    def __init__(self, theme: Theme, name: str, colour: str) -> None:
        super().__init__()
        self.theme, self.name, self.colour = theme, name, colour

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        ratio = painter.device().devicePixelRatioF()
        size = min(rect.width(), rect.height())
        top = rect.topLeft() + QPoint(0, (rect.height() - size) // 2)
        painter.drawPixmap(top, self._picture(size, mode, state, ratio))

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        return self.scaledPixmap(size, mode, state, 1.0)

    def scaledPixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State, scale: float) -> QPixmap:
        """Return a picture of `size` device pixels; in a wide one the icon is on the left, a gap before a text."""
        side = min(size.width(), size.height())
        picture = self._picture(round(side / scale), mode, state, scale)
        if size.width() == size.height():
            return picture
        wide = QPixmap(size.expandedTo(QSize(1, 1)))  # a squeezed button asks for a picture without extent
        wide.fill(Qt.GlobalColor.transparent)
        wide.setDevicePixelRatio(scale)
        with QPainter(wide) as painter:
            painter.drawPixmap(0, 0, picture)
        return wide

    def clone(self) -> QIconEngine:
        return _TintedSvg(self.theme, self.name, self.colour)

    def _picture(self, size: int, mode: QIcon.Mode, state: QIcon.State, ratio: float) -> QPixmap:
        colour = self.colour or ("accent" if state == QIcon.State.On else "text")
        if mode == QIcon.Mode.Disabled:
            colour = "disabled"
        elif mode == QIcon.Mode.Selected and not self.colour:
            colour = "on_accent"
        return self.theme.pixmap(self.name, max(1, size), colour, ratio)


@lru_cache(maxsize=512)
def _draw_svg(name: str, colour: str, size: int, ratio: float) -> QPixmap:
    """Return the SVG resources/icons/<name>.svg in one colour; KeyError when there is no such icon."""
    path = resources() / "icons" / f"{name}.svg"
    if not path.is_file():
        raise KeyError(f"no icon {name!r}")
    renderer = QSvgRenderer(QByteArray(path.read_bytes().replace(b"currentColor", colour.encode())))
    picture = QPixmap(round(size * ratio), round(size * ratio))
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    renderer.render(painter, QRectF(0, 0, picture.width(), picture.height()))
    painter.end()
    picture.setDevicePixelRatio(ratio)
    return picture
