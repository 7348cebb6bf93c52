"""Where and how torch computes: device, threads, seeds, and whether bfloat16 pays off here."""

from __future__ import annotations

import functools
import math
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.machine import Machine, engine_threads, inspect_machine
from aigc_desktop.engine.allocator import keep_freed_memory, return_freed_memory
from aigc_desktop.engine.trials import remembered

DEVICES = {
    "auto": N_("Automatic"), "cpu": N_("Processor"), "cuda": N_("Graphics card (CUDA)"),
    "mps": N_("Graphics card (Apple)"),
}  # fmt: skip
PRECISIONS = {"auto": N_("Automatic"), "float32": "float32", "bfloat16": "bfloat16"}
_SMALL = 1_000_000  # weights; below, conversions on a processor eat what bfloat16 gains (0.2 M: 0.8 times as fast)
_PRODUCTS = "bf16"  # lets oneDNN multiply float32 matrices; without AMX it does not round them
_MUCH = 1.5  # a busy machine then decides as an idle one: 1.0 or 2.3 have been seen
_WORTH = 1.1  # bfloat16 rounds more, so it must be at least this much faster than float32


def choose_device(name: str = "auto") -> torch.device:
    """Return the device called `name`; "auto" prefers a graphics card. UserError when it is not there."""
    found = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(candidate for candidate in ("cuda", "mps", "cpu") if found[candidate])
    if not found.get(name, False):
        raise UserError(
            _("This machine has no usable device “{device}”.").format(device=_(DEVICES.get(name, name))),
            _("Choose “Automatic” or “Processor” as the device; on the processor it takes longer."),
        )
    return torch.device(name)


def set_up(device: torch.device, seed: int, threads: int = 0) -> None:
    """Set threads (0: one core stays free for the window), number formats and every random seed."""
    set_threads(device, threads)
    torch.set_flush_denormal(True)
    if device.type == "cpu":
        keep_freed_memory()
    if device.type == "cuda":
        torch.backends.cuda.matmul.fp32_precision = "tf32"
        torch.backends.cudnn.conv.fp32_precision = "tf32"  # type: ignore[attr-defined]
    torch.manual_seed(seed)


def set_threads(device: torch.device, threads: int = 0) -> None:
    """Set threads (0: one core stays free for the window), and what multiplies matrices on a processor."""
    torch.set_num_threads(threads or engine_threads())
    torch.backends.mkldnn.matmul.fp32_precision = (  # type: ignore[attr-defined]
        _PRODUCTS if device.type == "cpu" and all(_try_products()) else "none"
    )


def products() -> str:
    """Return the name of what multiplies matrices on a processor in this process."""
    return str(torch.backends.mkldnn.matmul.fp32_precision)  # type: ignore[attr-defined]


def use_products(name: str) -> None:
    """Multiply matrices as another process did by what `products` called it, unless that rounds more here."""
    exact, _fast = _try_products()
    if name == "none" or (name == _PRODUCTS and exact):
        torch.backends.mkldnn.matmul.fp32_precision = name  # type: ignore[attr-defined]


def lay_out(module: nn.Module, device: torch.device) -> None:
    """Move convolutions to the device, on a graphics card with channels last: its matrix units read them so.

    Not for networks with group normalisation, which turns them back each time.
    """
    module.to(device)
    if device.type == "cuda":
        module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's own overloads


def describe_machine() -> Machine:
    """Return the facts of this machine that plans depend on, with what torch found."""
    device = choose_device()
    name, memory = "", 0
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        name, memory = properties.name, properties.total_memory
    elif device.type == "mps":
        name, memory = "Apple GPU", torch.mps.recommended_max_memory()
    return replace(
        inspect_machine(), device=device.type, device_name=name, device_memory=memory,
        bfloat16=bfloat16_pays(device.type),
    )  # fmt: skip


def choose_precision(wish: str, device: torch.device, parameters: int = _SMALL) -> str:
    """Return "float32" or "bfloat16" for `wish` "auto", "float32" or "bfloat16"; `parameters` is the model's size."""
    if wish != "auto":
        return wish
    if device.type == "cpu" and parameters < _SMALL:
        return "float32"
    return "bfloat16" if bfloat16_pays(device.type) else "float32"


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return the context of a forward pass; weights and their updates stay float32."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


@functools.cache
def _try_products() -> tuple[bool, bool]:
    """Return whether oneDNN multiplies float32 matrices as exactly as MKL, and much faster.

    MKL takes AVX2 on processors of AMD, where oneDNN takes AVX-512: 2.3 times as fast on an EPYC. Where oneDNN would
    round to bfloat16 (AMX), MKL stays.
    """
    kept, matmul = torch.get_num_threads(), torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    a, b = torch.randn(2, 512, 512, generator=torch.Generator().manual_seed(0))
    seconds = {"none": math.inf, _PRODUCTS: math.inf}
    made = {kind: torch.empty_like(a) for kind in seconds}
    torch.set_num_threads(1)
    try:
        for kind in 5 * list(seconds):
            matmul.fp32_precision = kind
            start = time.perf_counter()
            torch.mm(a, b, out=made[kind])
            seconds[kind] = min(seconds[kind], time.perf_counter() - start)
    finally:
        torch.set_num_threads(kept)
        matmul.fp32_precision = "none"
    error = (made[_PRODUCTS] - made["none"]).abs().max() / made["none"].abs().max()
    return float(error) < 1e-5, remembered("products", lambda: seconds[_PRODUCTS] * _MUCH < seconds["none"])


@functools.cache
def bfloat16_pays(device_type: str) -> bool:
    """Return whether training steps are faster in bfloat16; measured once per machine on a processor."""
    if device_type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device_type == "cpu" and remembered("bfloat16", _try_bfloat16)


def _try_bfloat16() -> bool:
    """Return whether steps of a small perceptron on the processor are clearly faster in bfloat16."""
    seconds = _seconds_of_steps()
    return seconds["bfloat16"] * _WORTH < seconds["float32"]


def _seconds_of_steps() -> dict[str, float]:
    """Return the seconds of the fastest of some training steps by their precision.

    They take gradients wherever they are asked for, and do not change what is drawn after them.
    """
    device, seconds = torch.device("cpu"), {"float32": math.inf, "bfloat16": math.inf}
    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=[]):
        model = nn.Sequential(nn.Linear(256, 1024), nn.ReLU(), nn.Linear(1024, 256))
        x = torch.randn(512, 256)
        for precision in 6 * list(seconds):  # in turn: what else the machine does slows both
            start = time.perf_counter()
            with autocast(precision, device):
                loss = F.mse_loss(model(x).float(), x)
            loss.backward()
            seconds[precision] = min(seconds[precision], time.perf_counter() - start)
    return seconds


def free_memory(device: torch.device) -> None:
    """Give cached memory back to the device, or to the system."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
    else:
        return_freed_memory()


def rng_state(device: torch.device) -> dict[str, torch.Tensor]:
    """Return the states of the generators that training draws from, as byte tensors on the processor."""
    state = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        state["cuda"] = torch.cuda.get_rng_state(device)
    elif device.type == "mps":
        state["mps"] = torch.mps.get_rng_state()
    return state


def set_rng_state(state: dict[str, torch.Tensor], device: torch.device) -> None:
    """Put the generators back; the state of a device that is not in use now is left out."""
    torch.set_rng_state(state["cpu"])
    if device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"], device)
    elif device.type == "mps" and "mps" in state:
        torch.mps.set_rng_state(state["mps"])
