"""Exponential moving average of weights: the weights that generate (Polyak averaging; EDM2, arXiv:2312.02696)."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Averages:
    """Averaged copies of modules; with `half_life` 0 (in steps) they are the modules themselves."""

    def __init__(self, modules: Mapping[str, nn.Module], half_life: float) -> None:
        self.modules = dict(modules)
        self.decay = 0.5 ** (1 / half_life) if half_life > 0 else 0.0
        self.models = {name: self._copy(module) for name, module in self.modules.items()}
        self._targets, self._sources = self._pairs()

    @property
    def on(self) -> bool:
        """Return whether the models are averages, not the trained modules."""
        return self.decay > 0

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the averages after training step `step` (from 1); they follow closely while there is little history."""
        if self.on:
            decay = min(self.decay, (1 + step) / (10 + step))
            torch._foreach_lerp_(self._targets, self._sources, 1 - decay)
            for name, model in self.models.items():
                for mine, theirs in zip(model.buffers(), self.modules[name].buffers(), strict=True):
                    mine.copy_(theirs)

    def _copy(self, module: nn.Module) -> nn.Module:
        return copy.deepcopy(module).eval().requires_grad_(False) if self.on else module

    def _pairs(self) -> tuple[list[Tensor], list[Tensor]]:
        targets, sources = [], []
        for name, model in self.models.items():
            targets += [p.data for p in model.parameters()]
            sources += [p.data for p in self.modules[name].parameters()]
        return targets, sources
