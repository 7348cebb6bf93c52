"""How strongly a language model is held back from learning small data by heart.

Kim et al. (arXiv:2509.14786) find that with few tokens per weight, seen many times, the best weight decay is up to
thirty times the usual one, and higher the fewer tokens there are. What counts is how much of a weight is forgotten in a
step, weight decay times learning rate, so the advice is given for the learning rate at hand.
"""

from __future__ import annotations

from dataclasses import dataclass

_EASY, _LEAST, _MOST = 10.0, 0.1, 0.6  # pressure below which little is needed; weight decay at the usual rate
_POWER = 0.39  # from the least at a pressure of 10 to the most at 1000
_USUAL_LR = 0.02
_HIGHEST = 10.0  # that the setting takes


@dataclass(frozen=True)
class Restraint:
    """Settings against learning by heart, and what they follow from."""

    weight_decay: float
    dropout: float
    patience: int
    weights_per_token: float
    epochs: float


def restraint(weights: float, tokens: float, epochs: float, lr: float) -> Restraint:
    """Return what `weights` that see each of `tokens` so many times need at a learning rate `lr` of Muon or AdamW."""
    ratio = weights / max(1.0, tokens)
    pressure = epochs * ratio  # how easily the model learns the text by heart
    decay = min(_MOST, max(_LEAST, _LEAST * (pressure / _EASY) ** _POWER)) * _USUAL_LR / lr
    dropout = 0.0 if pressure < _EASY else 0.1 if pressure < 10 * _EASY else 0.2
    return Restraint(
        float(f"{min(_HIGHEST, decay):.1g}"), dropout, 0 if pressure < _EASY else 5, ratio, epochs
    )
