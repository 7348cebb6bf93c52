"""Write a .npy file row by row when the number of rows is not known before.

By plain writes: a full disk is then an error, not a crash as with a memory map.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

_HEADER_BYTES = 128
_SYNC_EVERY = 256 << 20  # so that the last flush of a large file does not stand still for minutes


class ArrayWriter:
    """A .npy file of shape (rows, *shape) that grows by `append`; the header is completed at the end.

    NumPy Enhancement Proposal 1 describes the format, here version 1.0.
    """

    def __init__(self, path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        self.dtype, self.shape, self.rows = dtype, shape, 0
        self.file = path.open("wb")
        self.unsynced = 0
        self.file.write(self._header())

    def append(self, row: npt.NDArray[Any]) -> None:
        """Add one row; ValueError when it has another shape or type."""
        if row.shape != self.shape or row.dtype != self.dtype:
            raise ValueError(f"row of {row.shape} {row.dtype} for {self.shape} {self.dtype}")
        data = row.tobytes()
        self.file.write(data)
        self.rows += 1
        self.unsynced += len(data)
        if self.unsynced >= _SYNC_EVERY:
            self._sync()

    def __enter__(self) -> ArrayWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self.file:
            if kind is None:
                self.file.seek(0)
                self.file.write(self._header())
                self._sync()

    def _header(self) -> bytes:
        text = repr({"descr": self.dtype.str, "fortran_order": False, "shape": (self.rows, *self.shape)})
        body = text.encode().ljust(_HEADER_BYTES - 11) + b"\n"
        return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body

    def _sync(self) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())
        self.unsynced = 0
