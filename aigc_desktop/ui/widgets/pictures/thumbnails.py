"""Small pictures made off the main thread: newest wish first, wishes nobody looks at any more dropped.

No Qt signal crosses threads: the pool's threads put finished QImages into a queue that a timer on the main thread
empties.
"""

from __future__ import annotations

import queue
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from PySide6.QtCore import QBuffer, QObject, QSize, Qt, QThreadPool, QTimer, Signal
from PySide6.QtGui import QImage, QImageReader, QPixmap

from aigc_desktop.ui.held import keep

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Source: TypeAlias = "npt.NDArray[np.uint8] | QImage | Path | str"
"""What a cell shows: pixels uint8 (H, W, C) or (H, W), a QImage, a picture file, or a text."""
Load = Callable[[int], Source]

THREADS = 2
CACHE_BYTES = 48 << 20
POLL_MS = 16


@dataclass(frozen=True)
class Thumbnail:
    """One cell's content: a picture, or a text, or neither when the source cannot be read (`problem` says why)."""

    pixmap: QPixmap | None = None
    text: str = ""
    problem: str = ""

    @property
    def cost(self) -> int:
        """Return the bytes it takes in memory, about."""
        if self.pixmap is None:
            return 200 + 4 * len(self.text)
        return 4 * self.pixmap.width() * self.pixmap.height()


class ThumbnailLoader(QObject):
    """Cache of thumbnails by row; `get` answers at once and asks for what is missing."""

    arrived = Signal(int)
    """A row can be painted now."""

    def __init__(self, parent: QObject | None = None, cache_bytes: int = CACHE_BYTES) -> None:
        super().__init__(parent)
        self.edge = 160
        """Longest side of a thumbnail in device pixels."""
        self.cache_bytes = cache_bytes
        self.loaded_count = 0
        self._desk = _Desk()
        self.destroyed.connect(self._desk.close)
        self._cache: OrderedDict[int, Thumbnail] = OrderedDict()
        self._cached_bytes = 0
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._collect)

    def set_load(self, load: Load | None) -> None:
        """Take another source: `load` is called on other threads, with row numbers; the cache is emptied."""
        self._desk.set_load(load)
        self._cache.clear()
        self._cached_bytes = 0

    def renew(self) -> None:
        """Make all thumbnails anew, in the present size."""
        self.set_load(self._desk.load)

    def forget(self, row: int) -> None:
        """Drop one row's thumbnail, so that it is made anew."""
        thumbnail = self._cache.pop(row, None)
        if thumbnail is not None:
            self._cached_bytes -= thumbnail.cost

    def get(self, row: int) -> Thumbnail | None:
        """Return the row's thumbnail, or None and have it made; `arrived` tells when it is there."""
        thumbnail = self._cache.get(row)
        if thumbnail is not None:
            self._cache.move_to_end(row)
            return thumbnail
        self._wish(row)
        return None

    def keep_wishes(self, rows: range) -> None:
        """Drop what was asked for outside `rows`: it has left the viewport."""
        self._desk.keep_wishes(rows)

    @property
    def idle(self) -> bool:
        """Return whether nothing is asked for, being made, or waiting to be taken over."""
        return self._desk.idle

    def _wish(self, row: int) -> None:
        if self._desk.wish(row, self.edge) and not self._timer.isActive():
            self._timer.start()

    def _collect(self) -> None:
        while not self._desk.done.empty():
            generation, row, image, problem = self._desk.done.get_nowait()
            if generation != self._desk.generation:
                continue
            pixmap = QPixmap.fromImage(image) if isinstance(image, QImage) else None
            self._store(row, Thumbnail(pixmap, image if isinstance(image, str) else "", problem))
            self.loaded_count += 1
            self.arrived.emit(row)
        if self.idle:
            self._timer.stop()

    def _store(self, row: int, thumbnail: Thumbnail) -> None:
        self.forget(row)
        self._cache[row] = thumbnail
        self._cached_bytes += thumbnail.cost
        while self._cached_bytes > self.cache_bytes and len(self._cache) > 1:
            _row, oldest = self._cache.popitem(last=False)
            self._cached_bytes -= oldest.cost


class _Desk:
    """What a loader and the threads of the pool share: wishes, and what was made of them.

    No widget, because a thread may be the last to hold it; see `held` about `load`.
    """

    def __init__(self) -> None:
        self.load: Load | None = None
        self.edge = 0
        self.generation = 0
        self.wanted: OrderedDict[int, None] = OrderedDict()
        self.lock = threading.Lock()
        self.busy = 0
        self.done: queue.SimpleQueue[tuple[int, int, QImage | str | None, str]] = queue.SimpleQueue()

    def set_load(self, load: Load | None) -> None:
        """Take another source; what is wished for and what is being made of the one before counts no more."""
        with self.lock:
            self.load = load
            self.generation += 1
            self.wanted.clear()
        keep(load, self.in_use)

    def close(self) -> None:
        """The widget is gone: what it wanted is wanted by nobody."""
        self.set_load(None)

    def in_use(self) -> bool:
        """Return whether a thread may hold `load`."""
        return self.busy > 0

    @property
    def idle(self) -> bool:
        """Return whether nothing is wished for, being made, or waiting to be taken over."""
        with self.lock:
            return not self.wanted and not self.busy and self.done.empty()

    def keep_wishes(self, rows: range) -> None:
        """Drop the wishes outside `rows`."""
        with self.lock:
            for row in [row for row in self.wanted if row not in rows]:
                del self.wanted[row]

    def wish(self, row: int, edge: int) -> bool:
        """Have a row made next; False when there is no source."""
        with self.lock:
            if self.load is None:
                return False
            self.edge = edge
            self.wanted[row] = None
            self.wanted.move_to_end(row)
            start = self.busy < THREADS
            self.busy += start
        if start:
            keep(self.load, self.in_use)
            QThreadPool.globalInstance().start(self.work)
        return True

    def work(self) -> None:
        """Make thumbnails until nobody wants one; runs on a thread of the pool."""
        while True:
            with self.lock:
                if not self.wanted or self.load is None:
                    self.busy -= 1
                    return
                row, _none = self.wanted.popitem()
                load, generation, edge = self.load, self.generation, self.edge
            image, problem = _make(load, row, edge)
            del load  # before `busy` says that it is not held
            self.done.put((generation, row, image, problem))


def to_image(pixels: npt.NDArray[Any]) -> QImage:
    """Return a QImage with its own copy of uint8 pixels (H, W), (H, W, 1), (H, W, 3) or (H, W, 4)."""
    import numpy as np

    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    pixels = np.ascontiguousarray(pixels)
    height, width = pixels.shape[:2]
    formats = {1: QImage.Format.Format_Grayscale8, 3: QImage.Format.Format_RGB888, 4: QImage.Format.Format_RGBA8888}
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    return QImage(pixels.data, width, height, width * channels, formats[channels]).copy()


def to_png(image: QImage) -> bytes:
    """Return a picture as the content of a PNG file; any thread may do this."""
    buffer = QBuffer()
    buffer.open(QBuffer.OpenModeFlag.WriteOnly)
    image.save(buffer, "PNG")  # type: ignore[call-overload]  # the stubs want bytes for the name of the format
    return bytes(buffer.data().data())


def fit(image: QImage, edge: int) -> QImage:
    """Return the picture scaled into a square of `edge`: large ones smoothly, small ones by whole pixels."""
    longest = max(image.width(), image.height())
    if longest > edge:
        size = image.size().scaled(edge, edge, Qt.AspectRatioMode.KeepAspectRatio).expandedTo(QSize(1, 1))
        return image.scaled(
            size, Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation
        )
    factor = edge // max(1, longest)
    return image if factor <= 1 else image.scaled(image.size() * factor)


def _make(load: Load, row: int, edge: int) -> tuple[QImage | str | None, str]:
    """Return (picture or text, "") or (None, why not)."""
    try:
        source = load(row)
    except Exception as error:  # noqa: BLE001 - the border of these threads: the cell shows it
        return None, str(error) or type(error).__name__
    if isinstance(source, str):
        return source, ""
    if isinstance(source, Path):
        return _read(source, edge)
    image = source if isinstance(source, QImage) else to_image(source)
    return fit(image, edge), ""


def _read(path: Path, edge: int) -> tuple[QImage | None, str]:
    """Decode a picture file no larger than needed."""
    reader = QImageReader(str(path))
    reader.setAutoTransform(True)
    reader.setDecideFormatFromContent(True)
    size = reader.size()
    if size.isValid() and max(size.width(), size.height()) > edge:
        scaled = size.scaled(edge, edge, Qt.AspectRatioMode.KeepAspectRatio)
        reader.setScaledSize(scaled.expandedTo(QSize(1, 1)))
    image = reader.read()
    if image.isNull():
        return None, reader.errorString()
    return fit(image, edge), ""
