"""Rectified flow (arXiv:2209.03003): straight ways from noise at time 0 to pictures at time 1, and how to walk them.

Times of training are logit-normal (arXiv:2403.03206), guidance is that of arXiv:2207.12598.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

Keep = Callable[[Tensor, float], Tensor]
"""(pictures, time) -> pictures in which the known places are as they are at that time."""
Velocity = Callable[[Tensor, float], Tensor]
"""(pictures (B, C, H, W), time) -> how they change per unit of time."""


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


def walk(velocity: Velocity, begin: Tensor, steps: int, start: float = 0.0, keep: Keep | None = None) -> Tensor:
    """Return where `begin` at time `start` is at time 1, after `steps` steps of Heun's method, the last one plain.

    `keep` puts known places back after each step.
    """
    x = begin
    times = stops(steps, start)
    for now, later in pairwise(times):
        first = velocity(x, now)
        ahead = x + (later - now) * first
        if later < 1.0:
            ahead = x + (later - now) * 0.5 * (first + velocity(ahead, later))
        x = ahead if keep is None else keep(ahead, later)
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


def keep_known(known: Tensor, mask: Tensor, noise: Tensor) -> Keep:
    """Return a Keep for `known` pictures; `mask` (B, 1, H, W) is 1 where new pixels may come."""

    def keep(x: Tensor, time: float) -> Tensor:
        there = torch.lerp(noise, known, time)
        return torch.lerp(there, x, mask)

    return keep


def guided(with_class: Tensor, without: Tensor, guidance: float) -> Tensor:
    """Return the velocity pushed towards the class; 1 is no push."""
    return torch.lerp(without, with_class, guidance)
