"""How good single pictures are, judged by the pictures a model learned from: photos by photos, icons by icons.

Each measure has places among the training pictures. A gauge says from where on a value is odd: beyond the outermost
hundredth on its side, and clearly so. The variance of the Laplacian as a measure of sharpness: Pech-Pacheco et al.,
"Diatom autofocusing in brightfield microscopy", ICPR 2000.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Values = NDArray[np.float64]
Measures = dict[str, Values]
"""Values (N,) of N pictures by the name of the measure."""

TAIL = 1.0  # per cent of the training pictures that lie beyond where a gauge begins
CLEARLY = 0.25  # of the way from the usual value to the outermost hundredth: so much further is odd
WINDOW = 8  # pixels; a pattern must hold this long to be one
WHITE, BLACK = 250, 5
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


@dataclass(frozen=True)
class Gauge:
    """One way to be odd: `measure` too high (`side` 1) or too low (-1) gives `reason`.

    `slack` is how far beyond the outermost hundredth is nothing yet, in units of the measure; never more than half of
    what is left to its `bound`, so that plain white can be too bright for a set of icons on white.
    """

    measure: str
    side: int
    reason: str
    slack: float
    bound: float = np.inf


GAUGES = (
    Gauge("detail", -1, "blank", 0.3),
    Gauge("contrast", -1, "blank", 0.3),
    Gauge("sharpness", -1, "blurred", 0.3),
    Gauge("grain", 1, "noise", 0.1),
    Gauge("pattern", 1, "checkerboard", 0.3),
    Gauge("brightness", -1, "dark", 0.08, 0.0),
    Gauge("black", 1, "dark", 0.1, 1.0),
    Gauge("brightness", 1, "bright", 0.08, 1.0),
    Gauge("white", 1, "bright", 0.1, 1.0),
    Gauge("distance", 1, "unlike", 0.15),
)


def measure_pictures(pictures: NDArray[np.uint8]) -> Measures:
    """Return what is measured of pictures (N, H, W, 3), without their distances.

    sharpness: log10 of the variance of the Laplacian over that of the luma; brightness: mean of the luma, 0 to 1;
    white, black: shares of pixels at the ends of the range; detail: log10 of the share of pixels that have not the
    commonest colour; contrast: log10 of the standard deviation over all pixels; grain: share of the variance between
    neighbouring pixels, 0.64 for white noise; pattern: log10 of the amplitude at half the sampling frequency.
    """
    images = torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float()  # (N, 3, H, W)
    luma = torch.einsum("nchw,c->nhw", images, torch.tensor(_LUMA))[:, None] / 255
    variance = luma.var((1, 2, 3), correction=0)
    spread = images.std((2, 3), correction=0).mean(1) / 255
    values = {
        "sharpness": _log(_laplacian(luma).var((1, 2, 3), correction=0), 1e-5) - _log(variance, 1e-5),
        "brightness": luma.mean((1, 2, 3)),
        "white": (images.amin(1) >= WHITE).float().mean((1, 2)),
        "black": (images.amax(1) <= BLACK).float().mean((1, 2)),
        "detail": _log(1 - _commonest_share(images), 1e-3),
        "contrast": _log(spread, 1e-3),
        "grain": _grain(luma) / (variance + 1e-4),
        "pattern": _log(_pattern_amplitude(luma), 1e-3),
    }
    return {name: value.double().numpy() for name, value in values.items()}


def beyond(reference: Mapping[str, Values], measures: Mapping[str, Values]) -> NDArray[np.float64]:
    """Return (N, len(GAUGES)) how far out values lie: 0 is usual, above 1 is odd. Only measures of both count."""
    known = [gauge.measure in reference and gauge.measure in measures for gauge in GAUGES]
    count = len(next(iter(measures.values())))
    out = np.zeros((count, len(GAUGES)))
    for column, gauge in enumerate(GAUGES):
        if known[column]:
            usual, limit = _limits(reference[gauge.measure] * gauge.side, gauge)
            out[:, column] = np.clip((measures[gauge.measure] * gauge.side - usual) / (limit - usual), 0, None)
    return out


def _limits(values: Values, gauge: Gauge) -> tuple[float, float]:
    """Return the usual value and the one from which on a picture is odd, both turned so that higher is odder."""
    # how sharp a picture is always counts, so the sharpest one is the "usual" one
    usual = float(np.percentile(values, TAIL if gauge.measure == "sharpness" else 50))
    last = float(np.percentile(values, 100 - TAIL))
    slack = max(gauge.slack, CLEARLY * (last - float(np.median(values))))
    if np.isfinite(gauge.bound):
        slack = min(slack, max(abs(gauge.bound - last * gauge.side) / 2, 1e-3))
    return usual, last + slack


def oddness(out: NDArray[np.float64]) -> Values:
    """Return (N,) how much pictures stand out in all: the 4-norm, in which the worst counts most."""
    total: Values = (np.minimum(out, 1e3) ** 4).sum(1) ** 0.25
    return total


def reasons(out: NDArray[np.float64]) -> tuple[str, ...]:
    """Return the reasons against one picture with the values (len(GAUGES),), each once."""
    return tuple(dict.fromkeys(gauge.reason for gauge, value in zip(GAUGES, out, strict=True) if value > 1))


def percentile(values: Values, value: float) -> float:
    """Return the share in per cent of `values` below `value`, ties counted half."""
    return 100.0 * float((values < value).mean() + (values == value).mean() / 2)


def _log(x: Tensor, least: float) -> Tensor:
    return (x + least).log10()


def _laplacian(luma: Tensor) -> Tensor:
    """Return (N, 1, H - 2, W - 2) without the edges, where a border would look like detail."""
    kernel = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
    return F.conv2d(luma, kernel[None, None])


def _grain(luma: Tensor) -> Tensor:
    """Return the variance (N,) of what a binomial filter takes away."""
    line = torch.tensor([1.0, 2.0, 1.0]) / 4
    fine = luma[..., 1:-1, 1:-1] - F.conv2d(luma, torch.outer(line, line)[None, None])
    return fine.var((1, 2, 3), correction=0)


def _pattern_amplitude(luma: Tensor) -> Tensor:
    """Return the amplitude of checkerboards and stripes of one pixel in the middle one of all windows, 0 to 0.5."""
    height, width = (side // WINDOW * WINDOW for side in luma.shape[2:])
    rows = 1.0 - 2 * (torch.arange(height) % 2)
    columns = 1.0 - 2 * (torch.arange(width) % 2)
    shapes = (torch.outer(rows, columns), rows[:, None].expand(height, width), columns.expand(height, width))
    inner = luma[..., :height, :width]
    # the middle one: edges of a drawing fill some windows with such stripes, a fault of a network nearly all
    amplitudes = [F.avg_pool2d(inner * shape, WINDOW).abs().flatten(1).median(1).values for shape in shapes]
    return torch.stack(amplitudes).amax(0)


def _commonest_share(images: Tensor) -> Tensor:
    """Return the share of pixels in the commonest of 729 boxes of colours."""
    # shifted by half a box: pure white, black and the primaries lie inside a box, not at its edge
    boxes = ((images + 16) / 32).floor().clamp(max=8).long()
    codes = (boxes[:, 0] * 81 + boxes[:, 1] * 9 + boxes[:, 2]).flatten(1)  # (N, H * W)
    counts = torch.zeros(len(images), 729).scatter_add_(1, codes, torch.ones(codes.shape))
    return counts.amax(1) / codes.shape[1]
