"""How likely a model finds given texts, in nats; see `Family.likelihood`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from aigc_desktop.engine.tokenizer import END, UNKNOWN, CharTokenizer, Tokenizer


def ids_of(tokenizer: Tokenizer, text: str) -> list[int] | None:
    """Return the tokens of a text, or None when it has a character that the tokenizer does not know."""
    ids = [int(i) for i in tokenizer.encode(text)]
    knows_all = not isinstance(getattr(tokenizer, "inner", tokenizer), CharTokenizer) or UNKNOWN not in ids
    return ids if knows_all else None


@torch.no_grad()
def stream_nats(model: Any, opening: Sequence[int], ids: Sequence[int] | None) -> float:
    """Return -log p of a text of any length and of its end, after the tokens of `opening`; nan without `ids`.

    `model` has `shape.context` and `token_losses`. A text longer than the context is read in windows of which each
    sees at least half a context before what counts.
    """
    if ids is None:
        return math.nan
    device, context = model.embedding.weight.device, model.shape.context
    row = [*opening, *ids, END]
    total, counted = 0.0, len(opening) - 1  # targets that are counted already, as those of the opening never are
    start = max(0, len(opening) - context // 2)
    while counted < len(row) - 1:
        end = min(start + context, len(row) - 1)
        tokens = torch.tensor([row[start:end]], device=device)
        targets = torch.tensor([row[start + 1 : end + 1]], device=device)
        total += float(model.token_losses(tokens, targets)[0, counted - start :].sum())
        counted, start = end, end - context // 2
    return total
