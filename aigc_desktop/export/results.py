"""From what a run in `results` made to pieces, to kept works, and to exported files."""

from __future__ import annotations

import hashlib
import json
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.library import Card, Library
from aigc_desktop.core.model import PREFIX
from aigc_desktop.core.rating import Rating, rating_of
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.samples import read_pictures, read_png, read_samples
from aigc_desktop.export.export import export_pieces, format_named
from aigc_desktop.export.label import need_label, new_label
from aigc_desktop.export.piece import Options, Piece

TITLE_LETTERS = 40


@dataclass(frozen=True)
class Origin:
    """What all works of one result share."""

    task: str
    model: str
    model_title: str
    checkpoint: str
    dataset: str
    dataset_hash: str
    settings: dict[str, Any]

    def of(self, seed: int | None, label: str, rating: Rating | None = None) -> dict[str, Any]:
        """Return the origin of one work."""
        rated = {} if rating is None else {"rating": rating.plain()}
        return {**vars(self), "seed": seed, "label": label, **rated}


def origin_of(result: Run) -> Origin:
    """Return where the works of a result come from; "best" and "last" become the version they meant."""
    config = result.config_values
    model, checkpoint = str(config.get("run", "")), str(config.get("checkpoint", ""))
    title = dataset = dataset_hash = ""
    if config.get("model"):
        model = PREFIX + str(config["model"])
        try:
            title = Workspace(result.workspace).model(str(config["model"])).info.title
        except UserError:
            pass  # as below
        return Origin(result.info.task, model, title or model, "", "", "", config)
    try:
        trained = Workspace(result.workspace).run(model)
        title, dataset, dataset_hash = trained.info.title, trained.info.dataset, trained.info.dataset_hash
        checkpoint = trained.checkpoint(checkpoint or "best").name
    except UserError:
        pass  # the model was removed since; what it made is still worth keeping
    return Origin(result.info.task, model, title or model, checkpoint, dataset, dataset_hash, config)


def pieces_of(result: Run) -> Iterator[Piece]:
    """Yield what a result made, in the order it came, without what was rejected at once and the originals of copies."""
    origin = origin_of(result)
    for picture in read_pictures(result):
        if picture.rejected or picture.original:
            continue
        title = work_title(origin.model_title, picture.seed, picture.label, picture.index)
        told = origin.of(picture.seed, picture.label, picture.rating)
        yield Piece("image", title, read_png(picture.file), origin=told)
    for sheet in read_samples(result):
        if sheet.role != "real":
            for index, text in enumerate(sheet.items):
                seed = sheet.seeds[index] if index < len(sheet.seeds) else None
                yield Piece("text", text_title(text), text=text, origin=origin.of(seed, ""))


def export_result(result: Run, out: Path, options: Options, to: str = "") -> list[Path]:
    """Export all works of a result into a folder; format "" is PNG for pictures and TXT for texts."""
    files: list[Path] = []
    pieces = list(pieces_of(result))
    for kind in ("image", "text"):
        group = [piece for piece in pieces if piece.kind == kind]
        if group:
            files += export_pieces(group, out, format_named(to, group[0].kind), options=options)
    return files


def keep_result(library: Library, result: Run) -> list[Card]:
    """Keep all works of a result in the library."""
    return [keep(library, piece) for piece in pieces_of(result)]


def keep(library: Library, piece: Piece, tags: Sequence[str] = (), parents: Sequence[str] = ()) -> Card:
    """Keep one work in the library, a picture as a labelled PNG with its settings.

    `parents` are the works it was made from, those that its origin names unless they are given.
    """
    origin = piece.origin
    facts: dict[str, Any] = {
        "run": origin.get("model", ""), "run_title": origin.get("model_title", ""), "tags": tuple(tags),
        "parents": tuple(parents) or tuple(origin.get("parents", ())),
        "settings": dict(origin.get("settings", {})), "seed": origin.get("seed"),
        "fingerprint": fingerprint(piece), "rating": rating_of(origin.get("rating")),
        "edits": tuple(origin.get("edits", ())),
        **{name: origin.get(name) or "" for name in ("checkpoint", "dataset", "dataset_hash", "task", "label")},
    }  # fmt: skip
    if piece.kind == "text":
        return library.add("text", piece.text.encode("utf-8", "replace"), piece.title, **facts)
    height, width = piece.pixels.shape[:2]
    return library.add("image", labelled_png(piece), piece.title, width=width, height=height, **facts)


def piece_of_card(library: Library, card: Card) -> Piece:
    """Return a kept work for export; UserError when its file is gone or damaged."""
    origin = {
        "task": card.task, "model": card.run, "model_title": card.run_title, "checkpoint": card.checkpoint,
        "dataset": card.dataset, "dataset_hash": card.dataset_hash, "settings": card.settings, "seed": card.seed,
        "label": card.label, **({"edits": list(card.edits)} if card.edits else {}),
    }  # fmt: skip
    if card.kind == "image":
        return Piece("image", card.title, read_png(library.path(card)), origin=origin)
    return Piece("text", card.title, text=library.path(card).read_text(encoding="utf-8"), origin=origin)


def labelled_png(piece: Piece) -> bytes:
    """Return a picture as a PNG file with label and settings, read back."""
    png, label = format_named("png", "image"), new_label()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "piece.png"
        png.write(file, [piece], label, Options())
        need_label(png.read_label(file), label)
        return file.read_bytes()


def fingerprint(piece: Piece) -> str:
    """Return a hash of a work and its origin, by which the library knows that it is kept already."""
    digest = hashlib.sha256(piece.text.encode("utf-8", "replace"))
    if piece.image is not None:
        digest.update(f"{piece.image.shape}".encode() + np.ascontiguousarray(piece.image).tobytes())
    origin = [piece.origin.get(name) for name in ("task", "model", "checkpoint", "seed")]
    digest.update(json.dumps(origin).encode())
    if piece.origin.get("edits"):  # the same pixels may come from another chain, which is another work
        digest.update(json.dumps(piece.origin["edits"], sort_keys=True).encode())
    return digest.hexdigest()


def work_title(model: str, seed: int | None, label: str, index: int) -> str:
    """Return the title a new picture gets."""
    number = f"#{seed}" if seed is not None else f"{index + 1}"
    return " ".join(part for part in (model, label, number) if part)


def text_title(text: str) -> str:
    """Return the title a new text gets, and its files: how it begins, without marks that belong to words before it."""
    line: str = next((line.strip() for line in text.splitlines() if line.strip()), "")
    line = line[next((at for at, letter in enumerate(line) if not _ends_words(letter)), 0) :]
    return line if len(line) <= TITLE_LETTERS else line[:TITLE_LETTERS].rstrip() + "…"


def _ends_words(letter: str) -> bool:
    """Return whether a letter is a space, or punctuation that opens nothing."""
    return letter.isspace() or unicodedata.category(letter) in ("Pc", "Pd", "Pe", "Pf", "Po")
