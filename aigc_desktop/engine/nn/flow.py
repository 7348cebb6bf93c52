"""Rectified flow (arXiv:2209.03003): straight ways from noise at time 0 to pictures at time 1, and how to walk them.

Times of training are logit-normal (arXiv:2403.03206), guidance is that of arXiv:2207.12598.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

Velocity = Callable[[Tensor, float], Tensor]
"""(pictures (B, C, H, W), time) -> how they change per unit of time."""

REPEATS = 4
"""How often a step is taken where a part is painted anew."""


def draw_times(count: int, device: torch.device, spread: float = 1.0) -> Tensor:
    """Return times (N,) in (0, 1), most of them in the middle."""
    return torch.sigmoid(spread * torch.randn(count, device=device))


def between(noise: Tensor, pictures: Tensor, times: Tensor) -> Tensor:
    """Return the points (B, C, H, W) on the ways at `times` (B,)."""
    return torch.lerp(noise, pictures, times[:, None, None, None])


def stops(steps: int, start: float = 0.0) -> list[float]:
    """Return the steps + 1 times from `start` to 1 between which a way is walked: squares of even ones.

    Ways bend most near the noise, so steps are short there: 8 steps came nearer to the end of many than 16 even ones.
    """
    return (torch.linspace(math.sqrt(start), 1.0, steps + 1, dtype=torch.float64) ** 2).tolist()


def walk(velocity: Velocity, begin: Tensor, steps: int, start: float = 0.0) -> Tensor:
    """Return where `begin` at time `start` is at time 1, after `steps` steps of Heun's method, the last one plain."""
    x = begin
    times = stops(steps, start)
    for now, later in pairwise(times):
        first = velocity(x, now)
        ahead = x + (later - now) * first
        if later < 1.0:
            ahead = x + (later - now) * 0.5 * (first + velocity(ahead, later))
        x = ahead
    return x


def walk_back(velocity: Velocity, end: Tensor, steps: int) -> Tensor:
    """Return the noise at time 0 whose way ends at the pictures `end`, after `steps` steps of Heun's method.

    The same equation backwards (DDIM inversion is its likeness for diffusion, arXiv:2010.02502); near time 1 the
    velocity is not told, so the first step is plain.
    """
    x = end
    times = stops(steps)[::-1]
    for now, earlier in pairwise(times):
        first = velocity(x, min(now, 1 - 1e-3))
        back = x + (earlier - now) * first
        if now < 1.0:
            back = x + (earlier - now) * 0.5 * (first + velocity(back, earlier))
        x = back
    return x


def walk_around(
    velocity: Velocity, known: Tensor, anew: Tensor, steps: int, draw: Callable[[], Tensor], repeats: int = REPEATS
) -> Tensor:
    """Return pictures whose places `anew` (B, 1, H, W) are new; the others are as in `known` (B, C, H, W), to the bit.

    `draw` gives noise of the form of `known`. Known places lie on ways of their own, from fresh noise each time. Each
    step is plain and taken `repeats` times, with noise added back in between: once alone, what is new is decided before
    the known is told clearly, and does not join it (RePaint, arXiv:2201.09865).
    """
    x = draw()
    for now, later in pairwise(stops(steps)):
        for left in reversed(range(repeats)):
            x = torch.where(anew > 0, x, torch.lerp(draw(), known, now))
            x = x + (later - now) * velocity(x, now)
            if left:
                x = noised_back(x, later, now, draw())
    return torch.where(anew > 0, x, known)


def noised_back(x: Tensor, later: float, now: float, noise: Tensor) -> Tensor:
    """Return points at the time `now` of other ways that lead to `x` at `later`: with more noise again."""
    share = now / later
    return share * x + math.sqrt((1 - now) ** 2 - (share * (1 - later)) ** 2) * noise


def guided(with_class: Tensor, without: Tensor, guidance: float) -> Tensor:
    """Return the velocity pushed towards the class; 1 is no push."""
    return torch.lerp(without, with_class, guidance)
