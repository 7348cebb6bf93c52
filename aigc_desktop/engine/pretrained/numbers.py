"""The numbers a loaded network computes with: whole 32 or 16 bits, or 8-bit weights where a processor is faster so.

Weights are rounded to 8 bits per row of a matrix, activations stay in bfloat16 (as in arXiv:2208.07339 without the
outliers' path, which only 8-bit activations need). One text at a time is bound by reading the weights: a quarter of the
bytes is two to three times the speed. Many texts at once are bound by arithmetic, where float32 is the faster one.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.engine.pretrained.llama import Linear, Llama

Numbers = Literal["float32", "bfloat16", "int8"]
BITS: dict[Numbers, int] = {"float32": 32, "bfloat16": 16, "int8": 8}
MOST_ROWS_INT8 = 4
_PROBED = (576, 1536)  # a small matrix; larger ones gain more


def choose_numbers(wish: str, device: torch.device, rows: int = 1) -> Numbers:
    """Return what to compute with for `wish` "auto" or one of Numbers, writing `rows` texts at once.

    UserError when 8-bit weights are wished for where only processors have them.
    """
    if wish == "int8" and device.type != "cpu":
        raise UserError(_("8-bit weights are for processors only."), _("Leave “Numbers” to the program."))
    if wish in ("float32", "bfloat16", "int8"):
        return wish  # type: ignore[return-value]
    if device.type == "cuda":
        return "bfloat16"
    return "int8" if device.type == "cpu" and rows <= MOST_ROWS_INT8 and int8_pays() else "float32"


class Int8Linear(nn.Module):
    """A linear map with weights (N, K) of 8 bits and a scale (N,) per row; takes and gives bfloat16."""

    weight: Tensor
    scale: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        whole = weight.detach().float()
        scale = whole.abs().amax(1).clamp(min=1e-12) / 127
        self.register_buffer("weight", (whole / scale[:, None]).round().to(torch.int8))
        self.register_buffer("scale", scale.bfloat16())
        self.register_buffer("bias", None if bias is None else bias.detach().bfloat16())

    def forward(self, x: Tensor) -> Tensor:
        """Return (..., N) of (..., K)."""
        flat = torch._weight_int8pack_mm(x.reshape(-1, x.shape[-1]), self.weight, self.scale)
        if self.bias is not None:
            flat = flat + self.bias
        return flat.view(*x.shape[:-1], -1)


def make_ready(network: Llama, numbers: Numbers, device: torch.device) -> Llama:
    """Return the network for writing only, in place: matrices that read the same input become one, then the numbers."""
    linear: Linear = Int8Linear
    if numbers != "int8":
        kind = torch.float32 if numbers == "float32" else torch.bfloat16
        linear = functools.partial(_linear, kind=kind, device=device)
    network.fuse(linear, output=numbers == "int8" or not network.shape.tied)
    network.to(device)
    for part in network.modules():  # norms, the embedding, and a tied output
        if not isinstance(part, Int8Linear):
            for name, tensor in part.named_parameters(recurse=False):
                kind = torch.float32 if numbers == "float32" else torch.bfloat16
                if tensor.dtype != kind:
                    setattr(part, name, nn.Parameter(tensor.detach().to(kind), requires_grad=False))
    if numbers != "int8" and network.shape.tied:
        network.tie()
    return network.eval().requires_grad_(False)


def _linear(weight: Tensor, bias: Tensor | None, kind: torch.dtype, device: torch.device) -> nn.Linear:
    made = nn.Linear(1, 1, bias is not None, device="meta")
    made.weight = nn.Parameter(weight.detach().to(device, kind), requires_grad=False)
    if bias is not None:
        made.bias = nn.Parameter(bias.detach().to(device, kind), requires_grad=False)
    return made


@functools.cache
def int8_pays() -> bool:
    """Return whether 8-bit weights multiply a single vector no slower than float32 here; measured once per process.

    Both matrices of the probe lie in the cache, so a tie there is a gain where the memory is read.
    """
    weight = torch.randn(_PROBED, generator=torch.Generator().manual_seed(0))
    x = weight[:1].clone()
    quantized, halves = Int8Linear(weight, None), x.bfloat16()
    try:
        return _seconds(lambda: quantized(halves)) < 1.5 * _seconds(lambda: F.linear(x, weight))
    except (RuntimeError, NotImplementedError):  # this build of torch has no such kernel
        return False


def _seconds(work: Callable[[], object], repeats: int = 30) -> float:
    """Return the least seconds of one call."""
    durations = []
    for _repeat in range(repeats):
        start = time.perf_counter()
        work()
        durations.append(time.perf_counter() - start)
    return min(durations)
