"""The label that people see on a picture: GB 45438-2025, 5.2, a text at an edge or corner of the picture.

Its height must be at least 5 % of the shorter side. Whether the em box or the letters are meant is not said; here the
letters "AI" alone are that high.
"""

from __future__ import annotations

from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from aigc_desktop.core.paths import resources

SHARE = 0.05
LEGIBLE_PX = 12
"""The font size below which characters cannot be read; small pictures get it where there is room."""
_PLATE, _LETTERS = (0, 0, 0, 160), (255, 255, 255, 255)
"""White on a black veil: 5 : 1 or more on any picture."""


def mark_picture(image: Image.Image, words: str) -> Image.Image:
    """Return a copy of an L, RGB or RGBA picture with `words` in the lower right corner."""
    plate = draw_plate(words, image.size)
    laid = Image.new("RGBA", image.size)
    laid.paste(plate, (image.width - plate.width, image.height - plate.height))
    return Image.alpha_composite(image.convert("RGBA"), laid).convert(image.mode)


def draw_plate(words: str, size: tuple[int, int]) -> Image.Image:
    """Return the label for a picture of `size` (width, height) as an RGBA picture that fits into it."""
    font, margin = _fitting(words, size)
    left, top, right, bottom = font.getbbox(words)
    plate = Image.new("RGBA", (round(right - left) + 2 * margin, round(bottom - top) + 2 * margin), _PLATE)
    ImageDraw.Draw(plate).text((margin - left, margin - top), words, _LETTERS, font)
    return plate.crop((max(0, plate.width - size[0]), max(0, plate.height - size[1]), plate.width, plate.height))


def letter_height(font: ImageFont.FreeTypeFont) -> float:
    """Return how high the letters "AI" of a font are, in pixels."""
    _left, top, _right, bottom = font.getbbox("AI")
    return float(bottom - top)


def _fitting(words: str, size: tuple[int, int]) -> tuple[ImageFont.FreeTypeFont, int]:
    """Return the font and the margin around the words: as high as the rule asks, legible if there is room."""
    pixels = 1
    while letter_height(_font(pixels)) < SHARE * min(size):
        pixels += 1
    best = pixels, 1
    for wanted in range(pixels, max(pixels, LEGIBLE_PX) + 1):
        margin = max(1, wanted // 3)
        left, top, right, bottom = _font(wanted).getbbox(words)
        if right - left + 2 * margin <= size[0] and bottom - top + 2 * margin <= size[1]:
            best = wanted, margin
    return _font(best[0]), best[1]


@lru_cache(maxsize=64)
def _font(pixels: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(resources() / "fonts" / "NotoSansSC.otf"), pixels)
