"""Checkpoints: folders that exist whole or not at all.

checkpoints/000500/
  model.safetensors        the weights that generate (averaged where there is an average)
  model.json               their card: family, configuration, step, metrics, data, versions
  ...                      small files of the family (a tokenizer)
  train_state.safetensors  raw weights, optimizer moments, random generators: what else resuming needs
  train_state.json         its numbers: sampler position, guard, best value; both go when the checkpoint is old
  MANIFEST.json            sizes and SHA-256 of all others, written last
"""

from __future__ import annotations

import errno
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from aigc_desktop import __version__
from aigc_desktop.core.errors import FULL, BadInput, OutOfSpace, UserError
from aigc_desktop.core.files import atomic_folder, folder_size, move, remove, sha256_file, write_json
from aigc_desktop.core.i18n import _
from aigc_desktop.core.partial import PARTIAL
from aigc_desktop.core.records import TOO_NEW, need_format, read_record, read_table
from aigc_desktop.core.run import MANIFEST, Run
from aigc_desktop.engine.weights import read_tensors, write_tensors

FORMAT = 1
HISTORY_BYTES = 500_000_000
_STATE_FILES = {"train_state.safetensors", "train_state.json"}
_FULL = FULL | {errno.EFBIG}


@dataclass(frozen=True)
class Card:
    """What is known of a model: enough to build it again and to say where it came from.

    `extra` is the family's own: sizes of the network, class names.
    """

    family: str
    step: int
    config: dict[str, Any]
    metrics: dict[str, float] = field(default_factory=dict)
    dataset: str = ""
    dataset_hash: str = ""
    extra: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT


@dataclass(frozen=True)
class State:
    """All of a training between two steps: `model` generates, `tensors` and `numbers` are for resuming."""

    card: Card
    model: dict[str, Tensor]
    tensors: dict[str, Tensor]
    numbers: dict[str, Any]


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    return {"aigc_desktop": __version__, "torch": torch.__version__, "python": sys.version.split()[0]}


def write_checkpoint(run: Run, state: State, write_files: Callable[[Path], None] = lambda folder: None) -> Path:
    """Write a checkpoint named after its step, re-read and verify it, and return its folder.

    `write_files` puts the family's own files into it. OutOfSpace when the disk is full: then nothing of it stays.
    """
    folder = run.checkpoints_dir / f"{state.card.step:06d}"
    if folder.exists() and not (folder / MANIFEST).exists():
        shutil.rmtree(folder)  # the rest of one whose removal was interrupted
    try:
        with atomic_folder(folder) as partial:
            hashes = {
                "model.safetensors": write_tensors(partial / "model.safetensors", state.model),
                "train_state.safetensors": write_tensors(partial / "train_state.safetensors", state.tensors),
            }
            write_json(partial / "model.json", asdict(state.card))
            write_json(partial / "train_state.json", state.numbers)
            write_files(partial)
            write_manifest(partial, hashes)
            verify(partial)
    except OSError as error:
        if error.errno in _FULL:
            free = shutil.disk_usage(run.folder).free
            raise OutOfSpace(state_size(state), free, str(run.workspace)) from error
        raise
    return folder


def state_size(state: State) -> int:
    """Return how many bytes a checkpoint of `state` takes, but for its small files."""
    tensors = [*state.model.values(), *state.tensors.values()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors) + 100_000


def verify(folder: Path) -> None:
    """Raise BadInput unless every file of the manifest is there with its size and hash."""
    for name, told in _read_manifest(folder)["files"].items():
        file = folder / name
        if not file.is_file() or file.stat().st_size != told["size"] or sha256_file(file) != told["sha256"]:
            raise _damaged(folder, name)


def read_model(folder: Path) -> tuple[Card, dict[str, Tensor]]:
    """Return card and generating weights of a checkpoint; BadInput when it is damaged, UserError when too new."""
    verify(folder)
    return read_card(folder), read_tensors(folder / "model.safetensors")


def read_state(folder: Path) -> State:
    """Return everything in a checkpoint; BadInput when it is damaged, UserError when it is too new."""
    verify(folder)
    tensors = read_tensors(folder / "train_state.safetensors")
    if "rng.cpu" not in tensors or tensors["rng.cpu"].shape != torch.get_rng_state().shape:
        raise _damaged(folder, "train_state.safetensors", _("the state of the random generator is missing"))
    return State(
        read_card(folder), read_tensors(folder / "model.safetensors"), tensors, read_table(folder / "train_state.json")
    )


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names start with `prefix.`, without it: the state of one module."""
    return {name.removeprefix(f"{prefix}."): t for name, t in tensors.items() if name.startswith(f"{prefix}.")}


def newest_good(run: Run) -> tuple[State | None, list[str]]:
    """Return the newest state that can be read, and the names of newer checkpoints that are damaged."""
    damaged: list[str] = []
    for name in reversed(run.checkpoints()):
        folder = run.checkpoints_dir / name
        try:
            if _is_whole(folder):
                return read_state(folder), damaged
        except UserError as error:
            if error.kind == TOO_NEW:
                raise
            damaged.append(name)
        except OSError:
            damaged.append(name)
    return None, damaged


def set_aside(run: Run, names: list[str]) -> None:
    """Rename damaged checkpoints to `damaged-…`, so that training can write their steps again."""
    for name in names:
        target = run.checkpoints_dir / f"damaged-{name}"
        shutil.rmtree(target, ignore_errors=True)
        move(run.checkpoints_dir / name, target)


def remove_partial(run: Run) -> None:
    """Remove what a crash left half-written."""
    for folder in run.checkpoints_dir.glob(f"*{PARTIAL}"):
        shutil.rmtree(folder, ignore_errors=True)


def prune(run: Run, keep: int, best: str, history: int = HISTORY_BYTES) -> list[str]:
    """Leave training states in the newest `keep` checkpoints and `best` only; return the names of the others.

    The others keep the weights that generate, so that what was shown then can be made again; together they take at
    most `history` bytes, and the oldest go first.
    """
    names = run.checkpoints()
    old = [name for name in names[: max(0, len(names) - keep)] if name != best]
    size = 0
    for name in reversed(old):
        folder = run.checkpoints_dir / name
        _drop_state(folder)
        size += folder_size(folder)
        if size > history or int(name) == 0:  # nobody asks for what an untrained model makes
            remove(folder / MANIFEST)  # from here on it is no checkpoint, whatever happens to the rest
            shutil.rmtree(folder, ignore_errors=True)
    return old


def _is_whole(folder: Path) -> bool:
    """Return whether training can go on from a checkpoint: whether its manifest lists a training state."""
    return set(_read_manifest(folder)["files"]) >= _STATE_FILES


def _drop_state(folder: Path) -> None:
    """Take the training state out of a checkpoint: first out of its manifest, which is one atomic step."""
    manifest = _read_manifest(folder)
    if _STATE_FILES & set(manifest["files"]):
        files = {name: told for name, told in manifest["files"].items() if name not in _STATE_FILES}
        write_json(folder / MANIFEST, {**manifest, "files": files})
    for name in _STATE_FILES:
        remove(folder / name)


def write_manifest(folder: Path, hashes: dict[str, str]) -> None:
    """Write the sizes and hashes of all files of a checkpoint; `hashes` are those that are known already."""
    files = {
        file.relative_to(folder).as_posix(): {
            "size": file.stat().st_size,
            "sha256": hashes.get(file.name) or sha256_file(file),
        }
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
    write_json(folder / MANIFEST, {"format": FORMAT, "files": files})


def read_card(folder: Path) -> Card:
    """Return the card of a checkpoint, unverified; UserError when it is damaged or too new."""
    return read_record(folder / "model.json", Card)


def _read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a checkpoint; BadInput when it is damaged, UserError when it is too new."""
    manifest = read_table(folder / MANIFEST)
    need_format(manifest, FORMAT, folder.name)
    files = manifest.get("files")
    entries = files.values() if isinstance(files, dict) else [None]
    if not all(isinstance(told, dict) and {"size", "sha256"} <= set(told) for told in entries):
        raise _damaged(folder, MANIFEST)
    return manifest


def _damaged(folder: Path, name: str, reason: str = "") -> BadInput:
    return BadInput(
        f"{folder.name}/{name}", reason or _("the file is damaged"), _("Choose another saved version, or train again.")
    )
