"""Frozen matrices in 4 bits (NF4 with its scales in 8 bits, arXiv:2305.14314), packed and unpacked by bitsandbytes.

    put_packed(network, name, tensor, device, torch.bfloat16)   # one tensor after the other, as a file is read
    pack_linears(network.model, torch.bfloat16)                 # or all matrices of what lies in memory

A matrix is unpacked for each product, forward and backward, so one matrix at a time is whole. bitsandbytes is optional
and imported when 4 bits are asked for.
"""

from __future__ import annotations

import functools
import importlib.util
import logging
import sys
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _

BLOCK = 64  # weights that share a scale
BYTES_PER_WEIGHT = 0.5 + 1 / BLOCK + 4 / (256 * BLOCK)
"""Half a byte, a scale of a byte for each block, one of four bytes for 256 of those."""
_DEVICES = ("cuda", "cpu")


@dataclass(frozen=True, eq=False)
class Packed:
    """A matrix (N, K) in 4 bits that never changes, so that a copy of its layer shares it."""

    codes: Tensor
    state: Any  # bitsandbytes' scales
    shape: tuple[int, int]

    @staticmethod
    def of(weight: Tensor, kind: torch.dtype) -> Packed:
        """Return a matrix packed where it lies, to be unpacked in numbers of `kind`."""
        rows, columns = weight.shape
        flat = weight.detach().float().reshape(-1)
        # Blocks as rows: on processors with AVX-512, bitsandbytes 0.50 takes wrong scales where a block crosses rows.
        blocks = F.pad(flat, (0, -flat.numel() % BLOCK)).view(-1, BLOCK)
        codes, state = library().quantize_4bit(blocks, blocksize=BLOCK, compress_statistics=True, quant_type="nf4")
        state.dtype = kind
        return Packed(codes, state, (rows, columns))

    def __deepcopy__(self, memo: dict[int, Any]) -> Packed:
        return self

    def whole(self) -> Tensor:
        """Return the matrix (N, K) in numbers of its kind."""
        rows, columns = self.shape
        return library().dequantize_4bit(self.codes, self.state).view(-1)[: rows * columns].view(rows, columns)


class _Product(torch.autograd.Function):
    """x (..., K) times a packed matrix (N, K), which is unpacked anew for the gradient instead of being kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, packed: Packed) -> Tensor:
        ctx.packed = packed
        return F.linear(x, packed.whole().to(x.dtype))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        return gradient @ ctx.packed.whole().to(gradient.dtype), None


class PackedLinear(nn.Linear):
    """A linear layer, (..., K) -> (..., N), whose matrix is packed and does not learn; it has no `weight`."""

    def __init__(self, packed: Packed, bias: nn.Parameter | None) -> None:
        nn.Module.__init__(self)
        self.out_features, self.in_features = packed.shape
        self.packed = packed
        self.register_parameter("weight", None)
        self.register_parameter("bias", bias)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name in torch
        """Return W x + b in the numbers of the input, or in those of autocast."""
        if torch.is_autocast_enabled(input.device.type):
            input = input.to(torch.get_autocast_dtype(input.device.type))  # noqa: A001
        out = _Product.apply(input, self.packed)
        return out if self.bias is None else out + self.bias.to(out.dtype)


def put_packed(network: nn.Module, name: str, tensor: Tensor, device: torch.device, kind: torch.dtype) -> None:
    """Give `network` the tensor called `name`: packed if it is the matrix of a linear layer of a block, else whole.

    What is whole lies on `device` in numbers of `kind`.
    """
    owner, _dot, last = name.rpartition(".")
    layer = network.get_submodule(owner)
    if last == "weight" and type(layer) is nn.Linear and ".layers." in name:
        network.set_submodule(owner, PackedLinear(Packed.of(tensor.to(device), kind), layer.bias))
    else:
        setattr(layer, last, nn.Parameter(tensor.to(device, kind), requires_grad=False))


def pack_linears(module: nn.Module, kind: torch.dtype) -> None:
    """Pack the matrices of all plain linear layers of `module`."""
    for name, layer in list(module.named_modules()):
        if type(layer) is nn.Linear:
            module.set_submodule(name, PackedLinear(Packed.of(layer.weight, kind), layer.bias))


def need_four_bits(device: torch.device) -> None:
    """Raise UserError unless matrices can be packed and multiplied on `device`, which is tried."""
    if device.type not in _DEVICES:
        raise UserError(
            _("Weights in 4 bits are for NVIDIA cards and processors only."),
            _("Choose another device, or leave “Numbers of the base” to the program."),
        )
    if not is_installed():
        raise UserError(
            _("Weights in 4 bits need the package bitsandbytes, which is not installed."),
            _("Install it, or leave “Numbers of the base” to the program."),
        )
    if reason := _fault(device.type):
        raise UserError(
            _("Weights in 4 bits fail here: {reason}.").format(reason=reason.rstrip(".")),
            _("Install bitsandbytes anew, or leave “Numbers of the base” to the program."),
        )


def has_four_bits(device: torch.device) -> bool:
    """Return whether matrices can be packed and multiplied on `device`."""
    try:
        need_four_bits(device)
    except UserError:
        return False
    return True


def is_installed() -> bool:
    """Return whether bitsandbytes is there, without importing it."""
    try:
        return importlib.util.find_spec("bitsandbytes") is not None
    except (ImportError, ValueError):  # half removed
        return False


@functools.cache
def library() -> Any:
    """Return the functions of bitsandbytes; ImportError when it is not there."""
    # At its import it would load kernels from a hub in the network through this package, and warn without it.
    hidden = sys.modules.get("kernels", Ellipsis)
    sys.modules["kernels"] = None  # type: ignore[assignment]
    logger = logging.getLogger("bitsandbytes")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        from bitsandbytes import functional
    finally:
        logger.setLevel(level)
        del sys.modules["kernels"]
        if hidden is not Ellipsis:
            sys.modules["kernels"] = hidden
    return functional


def _fault(device_type: str) -> str:
    """Return why a small matrix cannot be packed and multiplied on a kind of device, "" when it can."""
    weight = torch.linspace(-1, 1, 2 * BLOCK * BLOCK, device=device_type).view(2 * BLOCK, BLOCK)
    try:
        packed = Packed.of(weight, torch.float32)
        error = float((packed.whole() - weight).abs().max())
    except (ImportError, OSError, RuntimeError, AttributeError, TypeError, NotImplementedError) as problem:
        return str(problem).strip().partition("\n")[0] or type(problem).__name__
    return "" if error < 0.2 else _("its numbers come out wrong")
