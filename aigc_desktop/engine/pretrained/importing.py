"""Bring a published model into the workspace: found, checked, copied with hashes; a GGUF file is made plain first."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Generator, Iterator
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from aigc_desktop.core.config import TaskConfig, param
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, EventStream, Note, Progress, Result
from aigc_desktop.core.family import Family, Task
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.files import atomic_folder, need_space, readable_path, write_json
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.model import Model, ModelInfo
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.gguf_header import Gguf, read_gguf
from aigc_desktop.data.model_files import FoundModel, Tensors, find_model
from aigc_desktop.engine.pretrained.adapters import base_of
from aigc_desktop.engine.pretrained.chat import render
from aigc_desktop.engine.pretrained.encoder import check_encoder
from aigc_desktop.engine.pretrained.load import check_language_model, read_words, special_tokens, template_of
from aigc_desktop.engine.pretrained.peft_adapter import read_adapter

_CHUNK = 1 << 22
_HALF = 2  # bytes of a number in half precision


class ImportModelConfig(TaskConfig):
    """What to import."""

    source: Path = param(
        ..., N_("Model"),
        N_("A folder with config.json or model_index.json and safetensors files, a LoRA, or a GGUF file."),
        kind=FieldKind.PATH,
    )  # fmt: skip
    title: str = param("", N_("Name"), N_("What the model is called here; empty takes the name it comes with."))


def import_model(config: ImportModelConfig, run: Run) -> EventStream:
    """Check a model on disk and copy it into the workspace; ends with one Result "model" {"id"}."""
    workspace = Workspace(run.workspace)
    workspace.remove_leftovers()  # of a killed import, which would take its name and its space
    yield Progress(0, 0, _("Checking"))
    if not config.source.exists():
        raise UserError(
            _("“{path}” is not there.").format(path=readable_path(config.source)),
            _("Check the spelling, or choose a folder or file that exists."),
        )
    found = find_model(config.source)
    if isinstance(found, Path):
        gguf = read_gguf(found)
        title = config.title or found.stem
        need_space(workspace.folder, _HALF * _count({tensor.name: tensor.shape for tensor in gguf.tensors.values()}))
        folder = workspace.new_model_folder(title)
        with atomic_folder(folder) as partial:
            yield from _convert(gguf, partial)
            licence = str(gguf.values.get("general.license") or "")
            yield from finish_import(partial, find_model(partial), title, found, workspace, licence)
    else:
        _check(found)
        if found.kind == "adapter":
            base_of(found, workspace)  # before it is copied, and by the name that the user knows
        need_space(workspace.folder, found.bytes)
        title = config.title or (found.weights[0].stem if found.kind == "lora" else found.folder.resolve().name)
        folder = workspace.new_model_folder(title)
        with atomic_folder(folder) as partial:
            yield from _copy(found, partial)
            yield from finish_import(partial, find_model(partial), title, found.folder, workspace, found.licence)
    yield Result("model", {"id": folder.name})


def _check(found: FoundModel) -> None:
    if found.kind == "language":
        shape = check_language_model(found)
        read_words(found.folder, shape.vocab)
    elif found.kind == "encoder":
        check_encoder(found)
    elif found.kind == "adapter":
        read_adapter(found.folder)


def _convert(gguf: Gguf, folder: Path) -> Iterator[Event]:
    from aigc_desktop.engine.pretrained.gguf import convert

    for done, count in convert(gguf, folder):
        yield Progress(done, count, _("Making plain numbers of the compressed ones"))


def _copy(found: FoundModel, folder: Path) -> Iterator[Event]:
    """Copy the files in pieces, so that a stop takes effect between two of them."""
    names = found.files
    total = sum(path.stat().st_size for path in names)
    done = 0
    for path in names:
        place = folder / path.relative_to(found.folder)
        place.parent.mkdir(exist_ok=True)
        with path.open("rb") as source, place.open("wb") as target:
            while piece := source.read(_CHUNK):
                target.write(piece)
                done += len(piece)
                yield Progress(done, total, _("Copying"))


def finish_import(
    folder: Path, found: FoundModel | Path, title: str, source: Path, workspace: Workspace, licence: str
) -> Iterator[Event]:
    """Check the copy, count what it holds and write its record."""
    assert isinstance(found, FoundModel)  # the copy has its configuration
    _check(found)
    base = base_of(found, workspace) if found.kind == "adapter" else ""
    hashes: dict[str, str] = {}
    for path in found.files:
        digest = hashlib.sha256()
        with path.open("rb") as f:
            while piece := f.read(_CHUNK):
                digest.update(piece)
                yield Progress(0, 0, _("Checking the copy"))
        hashes[path.relative_to(folder).as_posix()] = digest.hexdigest()
    chat = found.kind == "language" and (yield from _try_template(Model(folder)))
    context = found.config.get("max_position_embeddings", 0)
    info = ModelInfo(
        title, found.kind, found.architecture, datetime.now().astimezone().isoformat(timespec="seconds"), source.name,
        "gguf" if source.suffix.lower() == ".gguf" else "safetensors", licence, _count(found.tensors), found.bytes,
        context if type(context) is int else 0, int(found.config.get("vocab_size") or 0), chat=chat, base=base,
        files=hashes, parts=found.parts,
    )  # fmt: skip
    write_json(folder / "model.json", asdict(info))


def _try_template(model: Model) -> Generator[Event, None, bool]:
    """Return whether the model's chat template works; a Note says why not."""
    template = template_of(model)
    if not template:
        return False
    try:
        render(template, [{"role": "user", "content": "?"}], special_tokens(model))
    except UserError as error:
        yield Note(error.message, "warning")
        return False
    return True


def _count(tensors: Tensors) -> int:
    return sum(math.prod(size) for size in tensors.values())


JOBS = Family(
    "models",
    N_("Models"),
    N_("Bring in published models that lie on a disk."),
    "any",
    (Task("import", N_("Import a model"), ImportModelConfig, import_model, "models"),),
)
