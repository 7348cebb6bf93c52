"""The memory that fine-tuning takes, and what would fit where there is less."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import psutil
import torch

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.engine.nn.four_bit import BYTES_PER_WEIGHT, has_four_bits, need_four_bits
from aigc_desktop.engine.nn.linear_loss import AT_ONCE
from aigc_desktop.engine.pretrained.llama import LlamaShape
from aigc_desktop.engine.tuning.setup import TuneConfig

_FIXED = 600e6  # torch itself, the tokenizer, what reading the model leaves behind
_SCATTERED = 1.25  # of intermediate numbers, by holes between them
_USABLE = 0.9


def parameters_of(shape: LlamaShape) -> int:
    """Return the weights of a network."""
    return shape.vocab * shape.width * (1 if shape.tied else 2) + shape.layers * layer_of(shape)


def layer_of(shape: LlamaShape) -> int:
    """Return the weights in the matrices of one layer."""
    heads = shape.head_dim * (2 * shape.heads + 2 * shape.kv_heads)
    return shape.width * (heads + 3 * shape.hidden)


def adapters_of(shape: LlamaShape, rank: int) -> int:
    """Return the weights of adapters beside all matrices of the layers."""
    queries, keys = shape.head_dim * shape.heads, shape.head_dim * shape.kv_heads
    sides = 2 * (shape.width + queries) + 2 * (shape.width + keys) + 3 * (shape.width + shape.hidden)
    return shape.layers * rank * sides


def frozen_of(shape: LlamaShape, half: bool, packed: bool) -> float:
    """Return the bytes of weights that do not learn; `packed` says that matrices of layers lie in 4 bits."""
    number, whole = 2.0 if half else 4.0, parameters_of(shape)
    inside = shape.layers * layer_of(shape) if packed else 0
    return number * (whole - inside) + BYTES_PER_WEIGHT * inside


def unpacked_of(shape: LlamaShape, half: bool) -> float:
    """Return the bytes of the matrix that is whole for a product, with what it was made from."""
    return 2 * (2.0 if half else 4.0) * shape.width * shape.hidden


@dataclass(frozen=True)
class Need:
    """What a training takes: bytes of memory with all intermediate numbers kept, and when they are worked out twice."""

    learned: int
    bytes: float
    saving: float

    @staticmethod
    def of(config: TuneConfig, shape: LlamaShape, half: bool, packed: bool = False) -> Need:
        """Return the need of a training; `half`: it computes in bfloat16, `packed`: its base lies in 4 bits."""
        whole = parameters_of(shape)
        adapted = config.method == "lora"
        learned = adapters_of(shape, config.rank) if adapted else whole
        copies = 4 + (config.ema > 0) + (not config.lr)  # weights, gradients, two moments, averages, the sweep's copy
        weights = 4.0 * copies * learned
        if half and not adapted:
            weights += 2.0 * whole  # rounded copies for the products
        if adapted:
            weights += frozen_of(shape, half, packed)
            if config.ema > 0:  # the average shares what is packed
                weights += frozen_of(replace(shape, layers=0) if packed else shape, half, packed)
            if packed:
                weights += unpacked_of(shape, half)
        number = 2.0 if half else 4.0
        tokens = config.batch_size * min(config.context, shape.context)
        # inputs of norms and matrices, heads before and after turning, the gated product; dropout copies inputs
        wide, deep = (22, 6) if adapted else (16, 5)
        layer = _SCATTERED * tokens * number * (wide * shape.width + deep * shape.hidden)
        edge = tokens * shape.width * number
        logits = 3.0 * 4 * min(AT_ONCE, tokens * shape.vocab)
        kept = weights + logits + _FIXED
        return Need(learned, kept + shape.layers * layer, kept + shape.layers * edge + layer)

    def with_wish(self, wish: str, limit: float) -> float:
        """Return the bytes that will be taken, for `checkpointing` as the user wants it."""
        return self.saving if wish == "on" or (wish == "auto" and self.bytes > limit) else self.bytes


def usable(device: torch.device) -> float:
    """Return the bytes of memory that a training may take, of those that are free now."""
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    return _USABLE * free


def is_packed(config: TuneConfig, shape: LlamaShape, half: bool, limit: float, device: torch.device) -> bool:
    """Return whether the base lies in 4 bits; automatic does so when nothing else fits into `limit` bytes.

    UserError when it is wished for and cannot be.
    """
    if config.base_numbers == "nf4":
        if config.method != "lora":
            raise UserError(
                _("A base in 4 bits cannot learn itself."),
                _("Choose “adapters (LoRA)” under “What learns”, or leave “Numbers of the base” to the program."),
            )
        need_four_bits(device)
        return True
    if config.method != "lora" or config.base_numbers == "whole":
        return False
    whole = Need.of(config, shape, half).with_wish(config.checkpointing, limit)
    return whole > limit and has_four_bits(device)


def what_fits(config: TuneConfig, shape: LlamaShape, half: bool, limit: float, device: torch.device) -> str:
    """Return a sentence that names the first change with which a training fits into `limit` bytes."""
    packs = has_four_bits(device)
    for changes, text in _changes(config, packs):
        smaller = config.model_copy(update=changes)
        ways = {smaller.base_numbers == "nf4", packs and smaller.base_numbers != "whole" and smaller.method == "lora"}
        if any(Need.of(smaller, shape, half, packed).with_wish("auto", limit) <= limit for packed in ways):
            return text
    return _("No setting makes it fit: choose a smaller model.")


def _changes(config: TuneConfig, packs: bool) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield ever larger changes, and the sentence about each; `packs` says that 4 bits are possible here."""
    yield {}, _("It fits with “Save memory” on.")
    rounded = config.method == "lora" and config.base_numbers == "whole" and packs
    if rounded:
        yield {"base_numbers": "nf4"}, _("It fits with a base in 4 bits.")
    one = {"batch_size": 1}
    yield one, _("It fits with a batch size of 1.")
    short = one | {"context": min(config.context, 128)}
    yield short, _("It fits with a batch size of 1 and a window of 128 tokens.")
    if rounded:
        text = _("It fits with a base in 4 bits, a batch size of 1 and a window of 128 tokens.")
        yield short | {"base_numbers": "nf4"}, text
    if config.method == "full":
        yield {"method": "lora"}, _("It fits with adapters (LoRA).")
        text = _("It fits with adapters (LoRA), a batch size of 1 and a window of 128 tokens.")
        yield short | {"method": "lora"}, text
