"""What a sample wall holds: one row of pictures or texts per step, in bounded memory however long the training."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace

from aigc_desktop.core.events import Images

BUDGET_BYTES = 64 << 20
"""Memory for the pictures of one wall: 320 rows of sixteen at 64 px. Beyond it older rows are thinned out."""


@dataclass(frozen=True)
class WallRow:
    """What the model made at one step: pictures, uint8 (N, H, W, C), or texts; seeds, labels and captions N or none."""

    step: int
    images: Images | None = None
    texts: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    captions: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.texts) if self.images is None else len(self.images)

    @property
    def cost(self) -> int:
        """Return the bytes it takes."""
        return sum(map(len, self.texts)) * 2 if self.images is None else self.images.nbytes


class WallRows:
    """Rows in ascending order of their steps; a row of a step that is there already replaces it."""

    def __init__(self, budget: int = BUDGET_BYTES) -> None:
        self.budget = budget
        self.rows: list[WallRow] = []
        self.cost = 0

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> WallRow:
        return self.rows[index]

    def find(self, step: int) -> int:
        """Return the index of the row of `step`, or of the first after it, or the last."""
        return min(len(self.rows) - 1, bisect_left(self.rows, step, key=_step))

    def add(self, row: WallRow) -> int:
        """Put a row in its place, thin out the older ones when memory is used up, and return the row's index."""
        if row.images is not None:
            import numpy as np

            row = replace(row, images=np.ascontiguousarray(row.images))
        place = bisect_left(self.rows, row.step, key=_step)
        if place < len(self.rows) and self.rows[place].step == row.step:
            self.cost -= self.rows[place].cost
            self.rows[place] = row
        else:
            self.rows.insert(place, row)
        self.cost += row.cost
        while self.cost > self.budget and len(self.rows) > 4:
            self._thin_out()
        return self.find(row.step)

    def _thin_out(self) -> None:
        """Drop every other row but the first and the last: the film still spans the whole training."""
        self.rows = [row for i, row in enumerate(self.rows) if i % 2 == 0 or i == len(self.rows) - 1]
        self.cost = sum(row.cost for row in self.rows)


def _step(row: WallRow) -> int:
    return row.step
