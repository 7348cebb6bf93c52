"""Edited pictures as works: where they come from, what was done to them, kept and exported like all others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.files import atomic_file, safe_name
from aigc_desktop.core.i18n import _
from aigc_desktop.core.library import Card, Library
from aigc_desktop.data.samples import read_png
from aigc_desktop.editing.chain import edit_titles
from aigc_desktop.export.export import label_of, read_settings, unused
from aigc_desktop.export.formats.svg import drawing
from aigc_desktop.export.piece import Options, Piece
from aigc_desktop.export.pixels import flattened, for_webp, to_pillow
from aigc_desktop.export.results import keep, piece_of_card

TITLE = 120


@dataclass(frozen=True)
class Source:
    """A picture to edit: its file, and its origin as a Piece has it.

    `generated` False is a picture that people made; it gets no label for generated content. `card` is the id of a
    kept work.
    """

    file: Path
    title: str
    origin: Mapping[str, Any] = field(default_factory=dict)
    generated: bool = True
    card: str = ""


def source_of_file(path: Path) -> Source:
    """Return any picture as a source; what this program wrote into it is found again."""
    settings = read_settings(path)
    generated = settings is not None or label_of(path) is not None
    return Source(path, path.stem, settings or {}, generated)


def source_of_card(library: Library, card: Card) -> Source:
    """Return a kept picture as a source; UserError for a text."""
    if card.kind != "image":
        raise UserError(_("“{title}” is a text.").format(title=card.title), _("Choose a picture."))
    return Source(library.path(card), card.title, piece_of_card(library, card).origin, card=card.id)


def outcomes(folder: Path, sources: Sequence[Source]) -> list[tuple[Source, Path]]:
    """Return what the job of editing wrote to a folder, each with its source."""
    files = sorted(folder.glob("*.png")) if folder.is_dir() else []
    return [(sources[int(file.stem)], file) for file in files]


def edited_piece(source: Source, file: Path, steps: Sequence[dict[str, Any]]) -> Piece:
    """Return what came out of a source as a work, with all steps since it was made; `file` is the PNG of the job."""
    edits = [*source.origin.get("edits", ()), *steps]
    origin = {name: value for name, value in source.origin.items() if name != "rating"}  # that was of the original
    return Piece("image", source.title, read_png(file), origin={**origin, "edits": edits})


def keep_edited(library: Library, source: Source, piece: Piece, steps: Sequence[dict[str, Any]]) -> Card:
    """Keep an edited picture beside its original, which stays as it is."""
    title = f"{piece.title} · {edit_titles(steps)}"[:TITLE]
    return keep(library, replace(piece, title=title), parents=(source.card,) if source.card else ())


def export_plain(piece: Piece, folder: Path, ending: str, quality: int) -> Path:
    """Write a picture that people made: no label, nothing about its origin, and never over what is there."""
    folder.mkdir(parents=True, exist_ok=True)
    target = unused(folder / (safe_name(piece.title) + ending))
    options = Options(quality=quality)
    with atomic_file(target) as f:
        match ending:
            case ".svg":
                f.write(drawing(piece, options).encode("utf-8"))
            case ".jpg":
                flattened(piece, options).save(f, "JPEG", quality=quality, subsampling=0)
            case ".webp":
                for_webp(to_pillow(piece, options)).save(f, "WEBP", quality=quality, method=6)
            case _:
                to_pillow(piece, options).save(f, "PNG")
    return target
