"""What is in a data set and what is wrong with it: counts with reasons, and a bar of its classes."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPoint, QRect, QSize, Signal
from PySide6.QtGui import QColor, QHelpEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QPushButton, QSizePolicy, QToolTip, QVBoxLayout, QWidget

from aigc_desktop.core.dataset import DatasetInfo
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.data.problems import TITLES, describe_alike
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.cards import Card
from aigc_desktop.ui.widgets.controls import label

LISTED_CLASSES = 8


class HealthCard(Card):
    """Counts of usable and unusable items; `problem_chosen` and `label_chosen` ask to see those."""

    problem_chosen = Signal(str)
    label_chosen = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, _("What is in it"))
        self.lines: QWidget | None = None

    def show_info(self, info: DatasetInfo) -> None:
        """Show the figures of a data set."""
        if self.lines is not None:
            self.body.removeWidget(self.lines)
            self.lines.deleteLater()
        self.lines = QWidget()
        box = QVBoxLayout(self.lines)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(self.theme.px(4))
        for widget in self._lines(info):
            box.addWidget(widget)
        self.add(self.lines)

    def _lines(self, info: DatasetInfo) -> list[QWidget]:
        usable = _("{usable} of {found} can be used").format(usable=f"{info.usable:,}", found=f"{info.found:,}")
        bad = info.found - info.usable
        made: list[QWidget] = [label(usable, "good" if not bad else "body")]
        if info.kind == "text":
            characters = ngettext("{count} character", "{count} characters", info.characters)
            made.append(label(characters.format(count=f"{info.characters:,}"), "secondary"))
        if bad:
            left_out = ngettext("{count} left out, because it is:", "{count} left out, because they are:", bad)
            made.append(label(left_out.format(count=f"{bad:,}"), "warning"))
        for code, count in sorted(info.problems.items(), key=lambda item: -item[1]):
            made.append(self._link(_counted(problem_title(code), count), code, self._problem_clicked))
        if info.classes:
            counts = list(zip(info.classes, info.class_counts, strict=False))
            classes = ngettext("{count} class", "{count} classes", len(info.classes))
            made.append(label(classes.format(count=len(info.classes)), "secondary"))
            bar = ClassBar(self.theme, counts)
            bar.chosen.connect(self.label_chosen)
            made.append(bar)
            largest = sorted(counts, key=lambda item: -item[1])
            for name, count in largest[:LISTED_CLASSES]:
                made.append(self._link(_counted(name, count), name, self._label_clicked))
            if len(largest) > LISTED_CLASSES:
                rest = len(largest) - LISTED_CLASSES
                made.append(label(_("and {count} more").format(count=rest), "secondary"))
        if alike := describe_alike(info.classes) or describe_alike(info.span_classes):
            made.append(label(alike, "warning"))
        if info.licence:
            made.append(label(_("Licence: {text}").format(text=info.licence), "secondary"))
        return made

    def _link(self, text: str, key: str, slot: object) -> QPushButton:
        made = QPushButton(text.replace("&", "&&"))
        made.setProperty("kind", "flat")
        made.setProperty("key", key)
        made.setToolTip(_("Show only these"))
        made.setAccessibleName(text)
        made.setProperty("left", True)
        made.clicked.connect(slot)
        return made

    def _problem_clicked(self) -> None:
        self.problem_chosen.emit(str(self.sender().property("key")))

    def _label_clicked(self) -> None:
        self.label_chosen.emit(str(self.sender().property("key")))


class ClassBar(QWidget):
    """How the items spread over the classes: one piece each, as wide as its share; `chosen` when one is clicked."""

    chosen = Signal(str)

    def __init__(self, theme: Theme, counts: list[tuple[str, int]]) -> None:
        super().__init__()
        self.theme = theme
        self.counts = sorted(counts, key=lambda item: -item[1])
        self.total = max(1, sum(count for _name, count in counts))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(_("Classes"))
        self.setAccessibleDescription(", ".join(f"{name} {count:,}" for name, count in self.counts[:20]))

    def sizeHint(self) -> QSize:
        return QSize(self.theme.px(120), self.theme.px(14))

    def paintEvent(self, event: QPaintEvent) -> None:
        palette = self.theme.plot_colours
        with QPainter(self) as painter:
            for i, (_name, rect) in enumerate(self._pieces()):
                colour = QColor(palette[i % len(palette)])
                colour.setAlphaF(1.0 if i < len(palette) else 0.55)
                painter.fillRect(rect, colour)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        name = self._at(event.position().toPoint())
        if name:
            self.chosen.emit(name)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent):
            name = self._at(event.pos())
            count = dict(self.counts).get(name, 0)
            QToolTip.showText(event.globalPos(), _counted(name, count) if name else "")
            return True
        return super().event(event)

    def _pieces(self) -> list[tuple[str, QRect]]:
        pieces, before = [], 0
        for name, count in self.counts:
            left = self.width() * before // self.total
            before += count
            right = self.width() * before // self.total
            gap = 1 if right - left > 3 else 0
            pieces.append((name, QRect(left, 0, max(0, right - left - gap), self.height())))
        return pieces

    def _at(self, point: QPoint) -> str:
        return next((name for name, rect in self._pieces() if rect.contains(point)), "")


def _counted(name: str, count: int) -> str:
    return _("{name}: {count}").format(name=name, count=f"{count:,}")


def problem_title(code: str) -> str:
    """Return a code of data/problems.py in a word or two."""
    return _(TITLES[code]) if code in TITLES else code
