"""Plain text: the text as it is, and a line for readers that says it is generated.

A text file has no place for data about itself, so label and settings lie in NAME.txt.aigc.json beside it.
"""

from __future__ import annotations

from pathlib import Path

from aigc_desktop.core.files import write_text
from aigc_desktop.core.i18n import N_
from aigc_desktop.export.label import VISIBLE, AigcLabel
from aigc_desktop.export.piece import Format, Options, Piece
from aigc_desktop.export.sidecar import read_label, read_settings


def write(path: Path, pieces: list[Piece], label: AigcLabel, options: Options) -> None:
    """Write one text."""
    parts = {"start": (VISIBLE, ""), "end": ("", VISIBLE), "none": ("", "")}[options.line]
    write_text(path, "\n\n".join(part for part in (parts[0], pieces[0].text.rstrip(), parts[1]) if part) + "\n")


FORMAT = Format("txt", N_("Text file"), ".txt", "text", write, read_label, read_settings, order=10)
