"""OKLab: lightness, green to red and blue to yellow, evenly spaced to the eye (Björn Ottosson, 2020; CSS Color 4).

L is 0 for black and 1 for white. Distances up to about 0.02 are hard to see.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Lab: TypeAlias = npt.NDArray[np.float32]
_VALUES = np.arange(256) / 255
_LINEAR = np.where(_VALUES <= 0.04045, _VALUES / 12.92, ((_VALUES + 0.055) / 1.055) ** 2.4).astype(np.float32)
_TO_CONES = np.array([
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
], np.float32)  # fmt: skip
_TO_LAB = np.array([
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
], np.float32)  # fmt: skip
_FROM_CONES = np.linalg.inv(_TO_CONES.astype(np.float64)).astype(np.float32)
_FROM_LAB = np.linalg.inv(_TO_LAB.astype(np.float64)).astype(np.float32)


def to_oklab(colours: npt.NDArray[np.uint8]) -> Lab:
    """Return sRGB colours (..., 3) as OKLab."""
    lab: Lab = np.cbrt(_LINEAR[colours] @ _TO_CONES.T) @ _TO_LAB.T
    return lab


def from_oklab(lab: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return OKLab colours (..., 3) as sRGB; one that no screen shows loses chroma and keeps lightness and hue."""
    lab = np.asarray(lab, np.float32).copy()
    lab[..., 0] = lab[..., 0].clip(0, 1)
    linear = _linear(lab)
    outside = ((linear < -1e-4) | (linear > 1 + 1e-4)).any(axis=-1)
    if outside.any():
        linear[outside] = _linear(_less_chroma(lab[outside]))
    linear = linear.clip(0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return (encoded * 255).round().astype(np.uint8)


def _linear(lab: Lab) -> Lab:
    cones = lab @ _FROM_LAB.T
    linear: Lab = (cones * cones * cones) @ _FROM_CONES.T
    return linear


def _less_chroma(lab: Lab) -> Lab:
    """Return colours (N, 3) with the most chroma, by bisection, that sRGB has at their lightness and hue."""
    low, high = np.zeros(len(lab), np.float32), np.ones(len(lab), np.float32)
    tried = lab.copy()
    for _round in range(10):
        middle = (low + high) / 2
        tried[:, 1:] = lab[:, 1:] * middle[:, None]
        linear = _linear(tried)
        inside = ((linear >= -1e-4) & (linear <= 1 + 1e-4)).all(axis=1)
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    tried[:, 1:] = lab[:, 1:] * low[:, None]
    return tried
