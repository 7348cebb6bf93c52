"""Where Tab leads: through what is seen, in the order of reading, also where a part was made anew.

Qt's own order is that in which widgets were made, so that a form made anew came after the button below it; put right
with QWidget.setTabOrder, Tab was seen to lead in circles among spin boxes and never out of a page.
"""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractButton, QLayout, QScrollArea, QSplitter, QWidget


def focus_next(root: QWidget, here: QWidget | None, forward: bool) -> bool:
    """Move the focus from `here` to the input after or before it in `root`, around its end; False if it is in none."""
    inputs = [each for each in inputs_of(root) if each.isEnabled()]
    places = [n for n, each in enumerate(inputs) if here is not None and (each is here or each.isAncestorOf(here))]
    if not places:
        return False
    found = inputs[(places[-1] + (1 if forward else -1)) % len(inputs)]
    found.setFocus(Qt.FocusReason.TabFocusReason if forward else Qt.FocusReason.BacktabFocusReason)
    _reveal(found)
    return True


def inputs_of(widget: QWidget) -> Iterator[QWidget]:
    """Yield what Tab can stop at and can be seen, in the order of the layouts; an area before what it scrolls."""
    if widget.isHidden() or reached_by_arrows(widget):
        return
    group = widget.group() if isinstance(widget, QAbstractButton) else None
    pressed = group is not None and group.exclusive() and group.checkedButton() is widget
    # Qt takes Tab from all of a group but the one that had the focus last, which need not be the one that is pressed
    stops = pressed or (widget.focusPolicy() & Qt.FocusPolicy.TabFocus) == Qt.FocusPolicy.TabFocus
    if stops:
        yield widget
    for part in _parts(widget, stops):
        yield from inputs_of(part)


def reached_by_arrows(widget: QWidget) -> bool:
    """Return whether a button is one of several of which one is pressed: Tab stops at that one."""
    group = widget.group() if isinstance(widget, QAbstractButton) else None
    return group is not None and group.exclusive() and group.checkedButton() not in (None, widget)


def stop_where_it_scrolls(area: QScrollArea) -> None:
    """Let Tab stop at an area while there is something to scroll, never a click."""
    bar = area.verticalScrollBar()

    def follow(_least: int, most: int) -> None:
        area.setFocusPolicy(Qt.FocusPolicy.TabFocus if most else Qt.FocusPolicy.NoFocus)

    bar.rangeChanged.connect(follow)
    follow(0, bar.maximum())


def _parts(widget: QWidget, stops: bool) -> list[QWidget]:
    if isinstance(widget, QScrollArea):
        inner: QWidget | None = widget.widget()
        return [] if inner is None else [inner]
    if isinstance(widget, QSplitter):
        return [part for n in range(widget.count()) if (part := widget.widget(n)) is not None]
    if stops:  # what lies in an input is its own affair
        return []
    layout = widget.layout()
    laid_out = [] if layout is None else list(_widgets_of(layout))
    known = set(laid_out)
    free = [each for each in widget.children() if isinstance(each, QWidget) and not each.isWindow()]
    return [*laid_out, *(each for each in free if each not in known)]  # messages, for one, lie over a page


def _widgets_of(layout: QLayout) -> Iterator[QWidget]:
    for number in range(layout.count()):
        item = layout.itemAt(number)
        if item is None:
            continue
        widget, inner = item.widget(), item.layout()
        if widget is not None:
            yield widget
        elif inner is not None:
            yield from _widgets_of(inner)


def _reveal(widget: QWidget) -> None:
    above = widget.parentWidget()
    while above is not None:
        if isinstance(above, QScrollArea):
            above.ensureWidgetVisible(widget)
        above = above.parentWidget()
