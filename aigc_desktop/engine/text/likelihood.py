"""How likely a model finds given texts, in nats; see `Family.likelihood`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from aigc_desktop.engine.text.tokenizer import END, UNKNOWN, CharTokenizer, Tokenizer


def ids_of(tokenizer: Tokenizer, text: str) -> list[int] | None:
    """Return the tokens of a text, or None when it has a character that the tokenizer does not know."""
    ids = [int(i) for i in tokenizer.encode(text)]
    knows_all = not isinstance(getattr(tokenizer, "inner", tokenizer), CharTokenizer) or UNKNOWN not in ids
    return ids if knows_all else None


def stream_nats(model: Any, opening: Sequence[int], ids: Sequence[int] | None) -> float:
    """Return -log p of a text of any length and of its end, after the tokens of `opening`; nan without `ids`.

    `model` has `shape.context` and `token_losses`.
    """
    if ids is None:
        return math.nan
    device = model.embedding.weight.device

    def losses(tokens: Sequence[int], targets: Sequence[int]) -> Tensor:
        told: Tensor = model.token_losses(
            torch.tensor([tokens], device=device), torch.tensor([targets], device=device)
        )[0]
        return told

    return nats_in_windows(losses, model.shape.context, len(opening), [*opening, *ids, END])


@torch.no_grad()
def nats_in_windows(
    losses: Callable[[Sequence[int], Sequence[int]], Tensor], context: int, given: int, row: Sequence[int]
) -> float:
    """Return the sum of -log p of the tokens of `row` from number `given` on.

    `losses` gives that of each target (T,), for up to `context` of them. A longer row is read in windows of which each
    sees at least half a context before what counts.
    """
    total, counted = 0.0, given - 1  # targets that are counted already, as those that are given never are
    start = max(0, given - context // 2)
    while counted < len(row) - 1:
        end = min(start + context, len(row) - 1)
        total += float(losses(row[start:end], row[start + 1 : end + 1])[counted - start :].sum())
        counted, start = end, end - context // 2
    return total
