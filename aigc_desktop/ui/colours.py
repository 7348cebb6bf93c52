"""The colours of both themes by what they are for, and the WCAG 2.2 contrast they are tested with."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Colours:
    """Named colours, each "#rrggbb".

    Texts (`text`, `secondary`, `accent`, `green`, `amber`, `red`) have 4.5:1 on `window`, `surface`, `raised` and
    `rail`; `control`, the edge of what can be operated, has 3:1; `line` only separates and `disabled` is exempt.
    `plot` colours have 3:1 on `surface` and stay apart for colour-blind readers.
    """

    dark: bool
    window: str
    rail: str
    surface: str
    raised: str
    hover: str
    line: str
    control: str
    text: str
    secondary: str
    disabled: str
    accent: str
    accent_hover: str
    accent_soft: str
    on_accent: str
    green: str
    green_soft: str
    amber: str
    amber_soft: str
    red: str
    red_soft: str
    plot: tuple[str, ...]


LIGHT = Colours(
    dark=False,
    window="#f5f5f6",
    rail="#ececef",
    surface="#ffffff",
    raised="#fafafb",
    hover="#e4e4e8",
    line="#dedee3",
    control="#85858f",
    text="#1b1b1f",
    secondary="#575761",
    disabled="#9a9aa3",
    accent="#3f4fc4",
    accent_hover="#3341a6",
    accent_soft="#e5e8fa",
    on_accent="#ffffff",
    green="#156c3a",
    green_soft="#e0f2e7",
    amber="#7f5200",
    amber_soft="#faeed2",
    red="#b3261e",
    red_soft="#fbe5e3",
    plot=("#1f5fd0", "#d55e00", "#00805c", "#c04a9c", "#5a4f00", "#33333b"),
)

DARK = Colours(
    dark=True,
    window="#18181b",
    rail="#121215",
    surface="#202024",
    raised="#27272c",
    hover="#323238",
    line="#37373e",
    control="#82828e",
    text="#ececf0",
    secondary="#abaab6",
    disabled="#6d6d78",
    accent="#9aa5ff",
    accent_hover="#b3bbff",
    accent_soft="#2b2e4d",
    on_accent="#14162b",
    green="#62cd90",
    green_soft="#1c3527",
    amber="#e5b54a",
    amber_soft="#3a2f16",
    red="#ff8f86",
    red_soft="#42211f",
    plot=("#56b4e9", "#e69f00", "#1fbf92", "#e58cc3", "#f0e442", "#e2e2ea"),
)


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of two colours, 1 to 21, as WCAG 2.2 defines it."""
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
