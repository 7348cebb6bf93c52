"""Cut the font for labels on pictures out of Noto Sans CJK: `python packaging/make_font.py NotoSansCJK-Regular.ttc`.

Needs fontTools; the font lies in Debian's fonts-noto-cjk. What stays: ASCII and Latin-1, punctuation, full-width forms
and the 3,755 most usual Chinese characters (GB 2312, level 1).
"""

from __future__ import annotations

import sys
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTCollection

TARGET = Path(__file__).resolve().parents[1] / "resources" / "fonts" / "NotoSansSC.otf"
FAMILY = "Noto Sans CJK SC"


def main(source: Path) -> None:
    """Write the part of the font to resources/fonts."""
    font = next(each for each in TTCollection(source).fonts if each["name"].getDebugName(1) == FAMILY)
    options = Options()
    options.layout_features = ["kern", "palt"]
    options.name_IDs = [0, 1, 2, 3, 4, 5, 6, 13, 14]
    options.hinting = False
    cutter = Subsetter(options)
    cutter.populate(unicodes=characters())
    cutter.subset(font)
    TARGET.parent.mkdir(exist_ok=True)
    font.save(TARGET)
    print(TARGET, TARGET.stat().st_size)


def characters() -> set[int]:
    """Return the code points that stay."""
    level_1 = {ord(bytes((row, cell)).decode("gb2312")) for row in range(0xB0, 0xD8) for cell in range(0xA1, 0xFF)
               if (row, cell) < (0xD7, 0xFA)}  # fmt: skip
    return level_1 | {*range(0x20, 0x7F), *range(0xA0, 0x100), *range(0x2010, 0x2040), *range(0x3000, 0x3020),
                      *range(0xFF01, 0xFF5F)}  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
