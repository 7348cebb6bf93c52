"""Round a language model to 8-bit weights and tell what that changes in it."""

from __future__ import annotations

import copy
import math
from collections.abc import Generator
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from aigc_desktop.core.events import Event, Note, Progress
from aigc_desktop.core.i18n import _
from aigc_desktop.engine.pretrained.llama import Llama
from aigc_desktop.engine.pretrained.numbers import make_ready

SAMPLE = (
    "A small kettle of blue steel stands on the table beside two cups. It boils water in three minutes and keeps it "
    "warm for an hour. 桌上放着一只蓝色的小水壶和两个杯子。三分钟就能把水烧开，一小时后仍然温热。"
)
"""What a model reads before and after: of everyday things, in both languages of the program."""
MUCH = 0.02
"""Rise of the perplexity from which a model is told to be changed much."""
_MOST = 96  # tokens of the sample that are read; a vocabulary may know bytes only
_ROWS = 8192  # of the output matrix, that are held in float32 at once


def round_and_tell(network: Llama, tokens: Tensor, title: str) -> Generator[Event, None, Llama]:
    """Return the network in 8-bit weights for writing only, in place; a Note tells what changes on tokens (1, T)."""
    tokens = tokens[:, :_MOST]
    exact = yield from exact_predictions(network, tokens)
    network = make_ready(network, "int8", torch.device("cpu"))
    rise = rise_of_perplexity(network, tokens, exact)
    little = rise < MUCH
    text = _("8-bit weights change “{title}” little: its perplexity rises by {share} %.")
    if not little:
        text = _("8-bit weights change “{title}” much: its perplexity rises by {share} %. Choose other “Numbers”.")
    yield Note(text.format(title=title, share=f"{100 * rise:.1f}"), "info" if little else "warning")
    return network


def exact_predictions(network: Llama, tokens: Tensor) -> Generator[Event, None, Tensor]:
    """Return log p (T, V) of each next token after tokens (1, T), in float32 but of one layer at a time in memory."""
    body = network.model
    with torch.no_grad():
        x = body.embed_tokens(tokens).float()
        turns = body.turns_at(tokens, None, x)
    for number, layer in enumerate(body.layers):
        yield Progress(number, len(body.layers), _("Measuring what 8 bits change"))
        with torch.no_grad():
            x = copy.deepcopy(layer).float()(x, *turns, None, None)
    with torch.no_grad():
        x = copy.deepcopy(body.norm).float()(x)[0]
        rows = cast(Tensor, network.lm_head.weight).split(_ROWS)
        return torch.cat([x @ part.float().T for part in rows], 1).log_softmax(1)


@torch.no_grad()
def rise_of_perplexity(network: Llama, tokens: Tensor, exact: Tensor) -> float:
    """Return by which share the perplexity of a rounded network is above that of the one that predicted `exact`.

    It is that of texts which the exact one writes itself: exp of the mean Kullback-Leibler divergence, less 1. A
    difference of two losses on a text so short would be chance, and needs a text of the model's language.
    """
    rounded = network.lm_head(network(tokens))[0].float().log_softmax(1)
    divergence = F.kl_div(rounded, exact, reduction="batchmean", log_target=True)
    return math.expm1(max(0.0, float(divergence)))
