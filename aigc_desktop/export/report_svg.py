"""Drawings of a report as SVG: a bar with its interval, and points over two axes. They carry no style sheet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from aigc_desktop.core.i18n import _
from aigc_desktop.core.report import Curve, Figure, Plot, sign_of

Colours = Mapping[str, str]
"""text, secondary, line, and the curves "0", "1", … : values of CSS, so that a page may name its variables."""
BAR = (260, 24)
PLOT = (640, 400)
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 24, 16, 48
_TICKS = 5


@dataclass(frozen=True)
class Drawing:
    """An SVG and its size in CSS pixels."""

    svg: str
    width: int
    height: int


def bar(figure: Figure, colours: Colours) -> Drawing:
    """Return value and interval on a line, and what to compare with, each with its sign."""
    width, height = BAR
    low, high = figure.span()
    middle, room = height / 2, width - 16

    def at(value: float) -> float:
        return 8 + room * (value - low) / (high - low)

    parts = [_line(8, middle, width - 8, middle, colours["line"], 2)]
    for mark in figure.marks:
        number = sign_of(mark.name)
        colour = colours[str(number % 6)]
        if mark.low is not None and mark.high is not None:
            parts.append(_line(at(mark.low), middle, at(mark.high), middle, colour, 2))
        parts.append(shape(number, at(mark.value), middle, 5, colour))
    if figure.low is not None and figure.high is not None:
        parts.append(_line(at(figure.low), middle, at(figure.high), middle, colours["0"], 6, 0.4))
    parts.append(shape(0, at(figure.value), middle, 5, colours["0"]))
    return _drawing(parts, width, height, _(figure.name))


def shape(number: int, x: float, y: float, size: float, colour: str) -> str:
    """Return the sign of a curve or mark at a point: filled circle, upright line, hollow circle, square."""
    match number % 4:
        case 0:
            return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" style="fill:{colour}"/>'
        case 1:
            return _line(x, y - 1.6 * size, x, y + 1.6 * size, colour, 3)
        case 2:
            return (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size - 1}" '
                    f'style="fill:none;stroke:{colour};stroke-width:2"/>')  # fmt: skip
        case _:
            return (f'<rect x="{x - size:.1f}" y="{y - size:.1f}" width="{2 * size}" height="{2 * size}" '
                    f'style="fill:none;stroke:{colour};stroke-width:2"/>')  # fmt: skip


def sign(number: int, colours: Colours) -> Drawing:
    """Return the sign of a curve or mark alone, for a legend."""
    return _drawing([shape(number, 8, 9, 5, colours[str(number % 6)])], 16, 18, "")


def plot(shown: Plot, colours: Colours) -> Drawing:
    """Return the curves of a plot with axes; the legend is not part of it."""
    width, height = PLOT
    across = ticks([x for curve in shown.curves for x in curve.x])
    upward = ticks([y for curve in shown.curves for y in curve.y])

    def at(x: float, y: float) -> tuple[float, float]:
        return (
            _LEFT + (width - _LEFT - _RIGHT) * (x - across[0]) / (across[-1] - across[0]),
            height - _BOTTOM - (height - _TOP - _BOTTOM) * (y - upward[0]) / (upward[-1] - upward[0]),
        )

    parts = []
    for x in across:
        left, bottom = at(x, upward[0])
        parts.append(_line(left, _TOP, left, bottom, colours["line"], 1))
        parts.append(_text(left, bottom + 18, tick_text(x, across), colours["secondary"], "middle"))
    for y in upward:
        left, bottom = at(across[0], y)
        parts.append(_line(left, bottom, width - _RIGHT, bottom, colours["line"], 1))
        parts.append(_text(left - 8, bottom + 4, tick_text(y, upward), colours["secondary"], "end"))
    parts.append(_text((_LEFT + width - _RIGHT) / 2, height - 8, _(shown.x_title), colours["text"], "middle"))
    turned = f' transform="rotate(-90 14 {(height - _BOTTOM + _TOP) / 2:.0f})"'
    parts.append(_text(14, (height - _BOTTOM + _TOP) / 2, _(shown.y_title), colours["text"], "middle", turned))
    for curve in shown.curves:
        parts += _curve(curve, sign_of(curve.name), [at(x, y) for x, y in zip(curve.x, curve.y, strict=True)], colours)
    return _drawing(parts, width, height, _(shown.title))


def ticks(values: Sequence[float]) -> list[float]:
    """Return round numbers, evenly apart, from below the least to above the greatest value."""
    low, high = min(values), max(values)
    if high <= low:
        low, high = low - max(0.01, abs(low) / 10), high + max(0.01, abs(high) / 10)
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(first, last + 1)]


def tick_text(value: float, all_ticks: Sequence[float]) -> str:
    """Return a tick with as many places as tell it from its neighbours."""
    step = all_ticks[1] - all_ticks[0]
    return f"{value:.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"


def _curve(curve: Curve, number: int, points: list[tuple[float, float]], colours: Colours) -> list[str]:
    colour, parts = colours[str(number % 6)], []
    if len(points) > 1:
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        dash = ";stroke-dasharray:6 4" if number else ""
        parts.append(f'<polyline points="{path}" style="fill:none;stroke:{colour};stroke-width:2{dash}"/>')
    for i, (x, y) in enumerate(points):
        parts.append(shape(number, x, y, 5, colour))
        word = curve.labels[i] if i < len(curve.labels) else ""
        if word:
            above = -10 if number % 2 == 0 else 20
            parts.append(_text(x, y + above, word, colour, "middle"))
    return parts


def _line(x: float, y: float, to_x: float, to_y: float, colour: str, width: float, opacity: float = 1) -> str:
    return (f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" '
            f'style="stroke:{colour};stroke-width:{width};stroke-opacity:{opacity}"/>')  # fmt: skip


def _text(x: float, y: float, words: str, colour: str, anchor: str, more: str = "") -> str:
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" '
            f'style="fill:{colour};font-size:12px;font-family:sans-serif"{more}>{escape(words)}</text>')  # fmt: skip


def _drawing(parts: list[str], width: int, height: int, name: str) -> Drawing:
    told = f' role="img" aria-label="{escape(name)}"' if name else ' aria-hidden="true"'
    svg = (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
           f'viewBox="0 0 {width} {height}"{told}>{"".join(parts)}</svg>')  # fmt: skip
    return Drawing(svg, width, height)
