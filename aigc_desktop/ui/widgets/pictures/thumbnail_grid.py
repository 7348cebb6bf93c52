"""A grid of pictures or texts that stays smooth with 100,000 of them: only what is visible is made and painted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import (
    QAbstractListModel,
    QEvent,
    QItemSelectionModel,
    QMimeData,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QPoint,
    QSize,
    Qt,
    QUrl,
    Signal,
)
from PySide6.QtWidgets import QAbstractItemView, QMenu, QWidget

from aigc_desktop.core.i18n import _
from aigc_desktop.ui.widgets.pictures.grid_view import GridView
from aigc_desktop.ui.widgets.pictures.thumbnail_cell import CellPainter, cell_size
from aigc_desktop.ui.widgets.pictures.thumbnails import Load, Thumbnail, ThumbnailLoader

if TYPE_CHECKING:
    from aigc_desktop.ui.theme import Theme

Index = QModelIndex | QPersistentModelIndex
THUMBNAIL_ROLE = Qt.ItemDataRole.UserRole + 1
BADGE_ROLE = Qt.ItemDataRole.UserRole + 2
FAINT_ROLE = Qt.ItemDataRole.UserRole + 3


def _no_text(_row: int) -> str:
    return ""


def _never(_row: int) -> bool:
    return False


class ThumbnailModel(QAbstractListModel):
    """Rows that are asked for by number; thumbnails come later, from a loader."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.count = 0
        self.caption: Callable[[int], str] = _no_text
        self.badge: Callable[[int], str] = _no_text
        self.faint: Callable[[int], bool] = _never
        self.files: Callable[[list[int]], Sequence[Path]] | None = None
        self.loader = ThumbnailLoader(self)
        self.loader.arrived.connect(self.refresh)

    def reset(self, count: int, load: Load | None) -> None:
        """Show other rows."""
        self.beginResetModel()
        self.count = count
        self.loader.set_load(load)
        self.endResetModel()

    def grow(self, count: int) -> None:
        """Let rows be added at the end, up to `count`; the ones there keep their thumbnails."""
        if count > self.count:
            self.beginInsertRows(QModelIndex(), self.count, count - 1)
            self.count = count
            self.endInsertRows()

    def refresh(self, row: int) -> None:
        """Paint a row again."""
        index = self.index(row)
        self.dataChanged.emit(index, index)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 - Qt's own signature
        """Return the number of rows; a row has no children."""
        return 0 if parent.isValid() else self.count

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return what a row shows in a role."""
        row = index.row()
        if not index.isValid() or row >= self.count:
            return None
        if role == THUMBNAIL_ROLE:
            return self.loader.get(row)
        if role == BADGE_ROLE:
            return self.badge(row)
        if role == FAINT_ROLE:
            return self.faint(row)
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return self.caption(row)
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{row + 1}: {self.caption(row)} {self.badge(row)}".strip()
        return None

    def flags(self, index: Index) -> Qt.ItemFlag:
        """Return what can be done with a row: drag it out only where it has a file."""
        flags = super().flags(index)
        return flags | Qt.ItemFlag.ItemIsDragEnabled if self.files is not None and index.isValid() else flags

    def mimeTypes(self) -> list[str]:
        """Return the one form rows are dragged out in: files."""
        return ["text/uri-list"]

    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:
        """Return the files of the dragged rows."""
        mime = QMimeData()
        if self.files is not None:
            rows = sorted({index.row() for index in indexes})
            mime.setUrls([QUrl.fromLocalFile(str(path)) for path in self.files(rows)])
        return mime


class ThumbnailGrid(GridView):
    """Rows as cells with a picture or text, a caption line and a badge.

    `set_source` takes functions of the row number; `load` is called on other threads, the others on the main one.
    """

    row_activated = Signal(int)
    """Double click or Enter on a row."""
    current_changed = Signal(int)
    """The row with the keyboard's focus, -1 for none."""
    selection_changed = Signal()

    def __init__(self, theme: Theme | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.theme = theme
        self.grid_model = ThumbnailModel(self)
        self.menu_of: Callable[[list[int]], QMenu | None] | None = None
        self._edge = theme.px(160) if theme is not None else 160
        self.setModel(self.grid_model)
        self.painter = CellPainter(THUMBNAIL_ROLE, BADGE_ROLE, FAINT_ROLE, self)
        self.setItemDelegate(self.painter)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self._connect()
        self.set_cell_size(self._edge)
        self.setAccessibleName(_("Grid of items"))

    # what is shown

    def set_source(
        self,
        count: int,
        load: Load,
        caption: Callable[[int], str] = _no_text,
        badge: Callable[[int], str] = _no_text,
        faint: Callable[[int], bool] = _never,
    ) -> None:
        """Show `count` rows. `load` gives pixels, a picture's path, or a text; a `faint` row is painted pale."""
        model = self.grid_model
        model.caption, model.badge, model.faint = caption, badge, faint
        model.reset(count, load)
        self.selection_changed.emit()

    def clear_source(self) -> None:
        """Show nothing."""
        self.grid_model.reset(0, None)
        self.selection_changed.emit()

    def set_count(self, count: int) -> None:
        """Let the source grow at its end, without a flicker and without losing the selection."""
        self.grid_model.grow(count)

    def refresh(self, row: int, reload: bool = False) -> None:
        """Paint a row again; with `reload` its thumbnail is made anew."""
        if reload:
            self.grid_model.loader.forget(row)
        self.grid_model.refresh(row)

    @property
    def count(self) -> int:
        """Return how many rows there are."""
        return self.grid_model.count

    def set_cell_size(self, edge: int) -> None:
        """Set the longest side of a thumbnail, in pixels of the window."""
        self._edge = edge
        self.painter.edge = edge
        self.grid_model.loader.edge = round(edge * self.devicePixelRatioF())
        self.grid_model.loader.renew()
        self.cell = cell_size(edge, self.fontMetrics())

    # what is chosen

    def selected(self) -> list[int]:
        """Return the chosen rows, ascending."""
        parts: Any = self.selectionModel().selection()  # a list of ranges, which its type stub does not say
        return sorted(row for part in parts for row in range(part.top(), part.bottom() + 1))

    def current(self) -> int:
        """Return the row with the keyboard's focus, -1 for none."""
        return self.currentIndex().row()

    def select_rows(self, rows: Sequence[int], reveal: bool = True) -> None:
        """Choose exactly these rows and bring the first into view."""
        self.selectionModel().clearSelection()
        for row in rows:
            self.selectionModel().select(self.grid_model.index(row), QItemSelectionModel.SelectionFlag.Select)
        if rows:
            flag = QItemSelectionModel.SelectionFlag.NoUpdate
            self.selectionModel().setCurrentIndex(self.grid_model.index(rows[0]), flag)
            if reveal:
                self.scrollTo(self.grid_model.index(rows[0]))

    def set_menu(self, menu_of: Callable[[list[int]], QMenu | None]) -> None:
        """Give the context menu of the chosen rows; None opens none."""
        self.menu_of = menu_of

    def set_drag_files(self, files: Callable[[list[int]], Sequence[Path]]) -> None:
        """Let rows be dragged out of the window as the files this returns."""
        self.grid_model.files = files
        self.setDragEnabled(True)
        self.setDragDropMode(QAbstractItemView.DragDropMode.DragOnly)

    def thumbnail(self, row: int) -> Thumbnail | None:
        """Return what a row shows, if it has been made already."""
        return self.grid_model.loader.get(row)

    # inside

    def _connect(self) -> None:
        self.activated.connect(self._activated)
        self.customContextMenuRequested.connect(self._open_menu)
        self.verticalScrollBar().valueChanged.connect(self._drop_wishes)
        self.selectionModel().selectionChanged.connect(self._selection_changed)
        self.selectionModel().currentChanged.connect(self._current_changed)

    def changeEvent(self, event: QEvent) -> None:
        """Measure the caption line again when the font changes."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.FontChange and hasattr(self, "painter"):
            self.cell = cell_size(self._edge, self.fontMetrics())

    def sizeHint(self) -> QSize:
        """Ask for room for three cells; more is taken where there is room."""
        return QSize(3 * self.cell.width() + 24, self.cell.height() + 8)

    def _drop_wishes(self, _value: int) -> None:
        self.grid_model.loader.keep_wishes(self.visible_rows())

    def _activated(self, index: QModelIndex) -> None:
        self.row_activated.emit(index.row())

    def _selection_changed(self, *_selections: object) -> None:
        self.selection_changed.emit()

    def _current_changed(self, current: QModelIndex, _previous: QModelIndex) -> None:
        self.current_changed.emit(current.row())

    def _open_menu(self, position: QPoint) -> None:
        rows = self.selected()
        if self.menu_of is None or not rows:
            return
        menu = self.menu_of(rows)
        if menu is not None:
            menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
            menu.popup(self.viewport().mapToGlobal(position))
