"""Learning-rate schedules as factors of the peak rate: pure functions of the step."""

from __future__ import annotations

import math

DECAY_SHARE = 0.3  # of the run, at the end of "wsd"; the last part decides most of the gain


def lr_factor(schedule: str, step: int, steps: int, warmup: int) -> float:
    """Return the factor of the learning rate for `step` in 0 … steps-1.

    "constant", "cosine" (to 0, SGDR arXiv:1608.03983), "wsd" (warm-up, stable, linear decay to 0, arXiv:2405.18392).
    The warm-up takes a tenth of the run at most, so that a short one does not end at its peak rate.
    """
    warmup = min(warmup, steps // 10)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    match schedule:
        case "constant":
            return 1.0
        case "cosine":
            done = (step - warmup) / max(1, steps - warmup)
            return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
        case "wsd":
            decay = max(1, round(steps * DECAY_SHARE))
            return min(1.0, max(0.0, (steps - step) / decay))
        case _:
            raise ValueError(f"no schedule {schedule!r}")
