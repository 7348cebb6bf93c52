"""Captions of pictures: what a text file of the same name says, kept as the attribute "caption" of the picture.

Trainers of LoRAs all read such pairs: `cat.jpg` with `cat.txt` beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from aigc_desktop.data.attributes import encode
from aigc_desktop.data.encodings import bad_bytes, detect_encoding, open_text
from aigc_desktop.data.pictures import SUFFIXES
from aigc_desktop.data.problems import ItemProblem
from aigc_desktop.data.sources import Found

CAPTION = "caption"
"""Name of the attribute."""
ENDINGS = (".txt", ".caption")
LONGEST = 2000  # characters; text encoders read a quarter of that at most


def pair(found: Iterable[Found]) -> tuple[list[Found], dict[str, str]]:
    """Return the files without captions of pictures, and for each picture's path the path of its caption."""
    files = list(found)
    pictures = {_stem(item.path): item.path for item in files if _ending(item.path) in SUFFIXES}
    captions: dict[str, str] = {}
    others = []
    for item in files:
        picture = pictures.get(_stem(item.path)) if _ending(item.path) in ENDINGS else None
        if picture is None or item.problem:
            others.append(item)
        else:
            captions.setdefault(picture, item.path)
    return others, captions


def read_caption(path: str | None) -> str:
    """Return a caption as an item's attributes; "" for none, an empty or an unreadable one."""
    if path is None:
        return ""
    try:
        with open_text(path, detect_encoding(path)) as f:
            text = f.read(LONGEST)
    except (ItemProblem, OSError):
        return ""
    line = "" if bad_bytes(text) else " ".join(text.split())
    return encode({CAPTION: line}) if line else ""


def _stem(path: str) -> str:
    return str(PurePath(path).with_suffix(""))


def _ending(path: str) -> str:
    return PurePath(path).suffix.lower()
