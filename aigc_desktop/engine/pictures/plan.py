"""What a network of pictures will cost: its size, its operations, and the pace of this machine, measured."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.machine import Machine
from aigc_desktop.engine.device import autocast, choose_device, choose_precision
from aigc_desktop.engine.metrics.features import EfficientNetLite0
from aigc_desktop.engine.nn.convnet import Trunk, stages_of
from aigc_desktop.engine.pictures.feature_maps import FEATURE_SIZE, FeatureMaps

_BATCH, _REPEATS = 8, 4  # of the steps that are timed
_MOST_GIGAFLOPS = 100.0  # of one of them: a large network is timed with fewer pictures


@dataclass(frozen=True)
class Cost:
    """Of one picture's forward pass: billions of floating-point operations and values kept for the gradients."""

    parameters: int
    gigaflops: float
    activations: int


def cost_of(build: Callable[[], nn.Module]) -> Cost:
    """Return the cost of a network; it is built without memory for its weights and never computed.

    Layers that count are convolutions and matrices; `build` must give a network with an `example` method.
    """
    with torch.device("meta"):
        network = build()
        return _count(network)


def eyes_cost(weight: float, size: int) -> Cost:
    """Return what the network that compares copies of `size` pixels adds to the cost of a picture.

    It does not learn: one pass for the picture and two for the copy, as many as a network has that learns.
    """
    if not weight:
        return Cost(0, 0.0, 0)
    eyes = cost_of(lambda: FeatureMaps(EfficientNetLite0(), max(FEATURE_SIZE, size)))
    return Cost(0, eyes.gigaflops, 3 * eyes.activations)


def _count(network: nn.Module) -> Cost:
    flops, activations = 0.0, 0

    def count(layer: nn.Module, _inputs: object, output: Tensor) -> None:
        nonlocal flops, activations
        pixels = output.shape[-1] * output.shape[-2] if output.ndim == 4 else 1
        flops += 2.0 * layer.weight.numel() * pixels  # type: ignore[operator]
        activations += output.numel()

    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.no_grad():
        network(*network.example())  # type: ignore[operator]
    for hook in hooks:
        hook.remove()
    return Cost(sum(p.numel() for p in network.parameters()), flops / 1e9, activations)


def seconds_per_gigaflop(
    network: Callable[..., nn.Module], sizes: tuple[Hashable, ...], parameters: int, wish: str, machine: Machine
) -> float | None:
    """Return the pace of a training on the device `wish`, from some steps of the network `network(*sizes)`.

    Kinds of networks differ by a factor of two and more in it, so it is the one that will be trained, or one like it.
    The number of `parameters` that are trained decides the precision. None when there is no such device, which is a
    problem that the plan names.
    """
    try:
        device = choose_device(machine.device if wish == "auto" else wish)
    except UserError:
        return None
    return _pace(device.type, network, sizes, choose_precision("auto", device, parameters))


def trunk(size: int, width: int) -> tuple[Callable[..., nn.Module], tuple[Hashable, ...]]:
    """Return network and sizes for the pace of plain convolutions on pictures of `size` pixels, at most 64."""
    size, width = min(size, 64), min(width, 64)
    return Trunk, (size, tuple(width * (i + 1) for i in range(stages_of(size))), 1)


@functools.lru_cache(maxsize=32)
def _pace(device_name: str, kind: Callable[..., nn.Module], sizes: tuple[Hashable, ...], precision: str) -> float:
    device, work = torch.device(device_name), 3 * cost_of(lambda: kind(*sizes)).gigaflops
    batch = min(_BATCH, max(1, int(_MOST_GIGAFLOPS / work)))
    with torch.random.fork_rng(devices=[]):
        network = kind(*sizes).to(device)
        inputs = [_widened(one, batch).to(device) for one in network.example()]  # type: ignore[operator]
    durations = []
    for _repeat in range(_REPEATS):
        start = time.perf_counter()
        with autocast(precision, device):
            made = network(*inputs)
        outputs = made if isinstance(made, tuple) else (made,)
        loss = torch.stack([out.float().square().mean() for out in outputs if out.is_floating_point()]).sum()
        loss.backward()
        loss.item()  # waits for the device
        durations.append(time.perf_counter() - start)
    return min(durations[1:]) / (batch * work)


def _widened(one: Tensor, batch: int) -> Tensor:
    """Return as many inputs as a batch has, like the one of an example."""
    size = (batch, *one.shape[1:])
    return torch.randn(size) if one.is_floating_point() else torch.zeros(size, dtype=one.dtype)


def automatic_size(dataset: Dataset | None, weak: bool) -> int:
    """Return the resolution that suits data and machine: 32 on a processor, else that of the pictures up to 128."""
    if weak or dataset is None or not dataset.info.size:
        return 32 if weak else 64
    return max(size for size in (32, 64, 128) if size == 32 or size <= dataset.info.size)
