"""Gradients through drawn tokens: straight-through Gumbel-softmax, conditional on the tokens that were drawn.

Tokens are drawn one after another without gradients; one parallel pass then gives the logits of all places again. The
noise that explains the draw is drawn afterwards, from its distribution given the tokens (arXiv:2010.04838).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

_TINY = 1e-20


@torch.no_grad()
def gumbel_given(log_p: Tensor, tokens: Tensor) -> Tensor:
    """Return log_p (..., V) plus Gumbel noise, drawn on the condition that `tokens` (...) are the largest."""
    waits = torch.empty_like(log_p).exponential_().clamp_(min=_TINY)
    shortest = waits.gather(-1, tokens[..., None])  # the least of all waiting times has rate 1, the sum of all p
    perturbed = (waits / log_p.exp().clamp(min=_TINY)).add_(shortest).log_().neg_()
    return perturbed.scatter_(-1, tokens[..., None], shortest.log().neg_())


def straight_through(logits: Tensor, tokens: Tensor, beta: float, hard: bool = True) -> Tensor:
    """Return one-hot `tokens` (..., V) whose gradient is that of the softmax at inverse temperature `beta`.

    arXiv:1611.01144, section 2.2; without `hard` the softmax itself comes back, as in RelGAN.
    """
    log_p = logits.float().log_softmax(-1)
    noise = gumbel_given(log_p.detach(), tokens) - log_p.detach()
    soft = (beta * (log_p + noise)).softmax(-1)
    if not hard:
        return soft
    return F.one_hot(tokens, logits.shape[-1]).to(soft.dtype) + soft - soft.detach()


def ramp(most: float, progress: float) -> float:
    """Return the inverse temperature most^progress of RelGAN (ICLR 2019), from 1 to `most`; progress is 0 … 1."""
    return float(most**progress)
