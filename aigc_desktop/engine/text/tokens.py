"""Texts as one long row of tokens in a file: encoded once per run, read through a memory map.

runs/<id>/tokens/
  tokenizer.json
  tokens.json       {"dtype", "train", "validation"}: the latter two count tokens; and {"fields"}, names of attributes
  train.bin         each text followed by the end token
  validation.bin
  train_fields.npy, train_field_offsets.npy, validation_…   lines of attributes, see text_fields.py; only with fields
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from aigc_desktop.core.dataset import Dataset, Split, Texts
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, Note, Progress
from aigc_desktop.core.files import atomic_folder, damaged_file, write_json
from aigc_desktop.core.i18n import _
from aigc_desktop.core.records import read_table
from aigc_desktop.core.run import Run
from aigc_desktop.engine.text.fields import lines_of, write_lines
from aigc_desktop.engine.text.tokenizer import (
    END,
    Tokenizer,
    load_tokenizer,
    pieces,
    train_bpe,
    train_characters,
)
from aigc_desktop.engine.training.data import Indices, Sampler

TAIL = 0.1  # of the tokens, held out when no texts are
_TOKENIZER_SAMPLE = 20_000_000  # bytes of text a tokenizer is trained on; more changes it little
_SMALL = 400_000  # bytes below which characters serve better than learned pieces
_EVERY = 256  # texts between two Progress events


@dataclass(frozen=True)
class TokenData:
    """Tokens of a data set; `tail` says that the end of the text was held out, as held-out texts are too few.

    `fields` names the attributes whose lines lie beside the tokens.
    """

    tokenizer: Tokenizer
    train: npt.NDArray[np.integer]
    validation: npt.NDArray[np.integer]
    tail: bool
    fields: tuple[str, ...] = ()


def choose_tokenizer(kind: str, vocab: int, size: int) -> tuple[Literal["char", "bpe"], int]:
    """Return kind and vocabulary for `size` bytes of training text; "auto" and 0 are chosen by it."""
    if kind == "char" or (kind == "auto" and size < _SMALL):
        return "char", 0
    return "bpe", vocab or int(min(16_384, max(512, 2 ** round(np.log2(max(1, size) / 500)))))


def prepare_tokens(
    run: Run, dataset: Dataset, kind: str, vocab: int, least: int, fields: Sequence[str] = (),
    given: Tokenizer | None = None,
) -> Generator[Event, str | None, TokenData]:  # fmt: skip
    """Return the tokens of a run, made at its first start; yields Progress. UserError when there are under `least`.

    `fields` names the attributes whose lines are to become tokens too; a tokenizer that is `given` is not trained.
    """
    folder = run.folder / "tokens"
    if not (folder / "tokens.json").is_file():
        with atomic_folder(folder) as partial:
            tokenizer = given or (yield from _train_tokenizer(dataset, kind, vocab, fields))
            yield from _make(partial, dataset, tokenizer, fields)
    data = open_tokens(folder, least)
    if len(data.train) < least:
        raise UserError(
            _("“{title}” has too little text; tokens: {count}, and at least {least} are needed.").format(
                title=dataset.info.title, count=len(data.train) + len(data.validation), least=2 * least
            ),
            _("Add more text, or choose a smaller context."),
        )
    if data.tail:
        yield Note(_("Too little text is held out, so the last tenth of all text checks the model."))
    return data


def open_tokens(folder: Path, least: int = 1) -> TokenData:
    """Return the tokens in `folder`; when under `least` are held out, the last tenth of all is, those among them."""
    about = read_table(folder / "tokens.json")
    train, validation = (read_tokens(folder / f"{split}.bin", about, split) for split in ("train", "validation"))
    tail = len(validation) < least
    if tail:
        everything = np.concatenate([train, validation])
        cut = max(0, len(everything) - max(least, int(len(everything) * TAIL)))
        train, validation = everything[:cut], everything[cut:]
    fields = about.get("fields", [])
    if not isinstance(fields, list) or not all(isinstance(name, str) for name in fields):
        raise damaged_file(folder / "tokens.json")
    return TokenData(load_tokenizer(folder), train, validation, tail, tuple(fields))


def read_tokens(path: Path, about: dict[str, Any], split: str) -> npt.NDArray[np.integer]:
    """Return the tokens of a split through a memory map; `about` is what tokens.json says."""
    dtype, count = about.get("dtype"), about.get(split)
    if dtype not in ("uint16", "uint32") or type(count) is not int:
        raise damaged_file(path.with_name("tokens.json"))
    if path.stat().st_size != count * np.dtype(dtype).itemsize:
        raise damaged_file(path)
    return np.memmap(path, dtype, "r") if count else np.zeros(0, dtype)


def _train_tokenizer(
    dataset: Dataset, kind: str, vocab: int, fields: Sequence[str]
) -> Generator[Event, str | None, Tokenizer]:
    texts = dataset.texts("train")
    chosen, size = choose_tokenizer(kind, vocab, dataset.info.bytes)
    sample = itertools.chain(_sample(texts, dataset.info.bytes), lines_of(dataset, "train") if fields else ())
    tokenizer: Tokenizer | None = None
    with closing(train_characters(sample) if chosen == "char" else train_bpe(sample, size)) as training:
        for tokenizer in training:  # noqa: B007 - the last one is what counts
            yield Progress(0, 0, _("Learning the tokens"))
    assert tokenizer is not None
    return tokenizer


def _make(folder: Path, dataset: Dataset, tokenizer: Tokenizer, fields: Sequence[str]) -> Iterator[Event]:
    tokenizer.save(folder)
    dtype = "uint16" if tokenizer.size <= 1 << 16 else "uint32"
    counts = {}
    splits: tuple[Split, ...] = ("train", "validation")
    for split in splits:
        counts[split] = yield from _encode(folder / f"{split}.bin", dataset.texts(split), tokenizer, dtype)
        if fields:
            for done in write_lines(folder, split, fields, dataset, tokenizer):
                if done % _EVERY == 0:
                    yield Progress(done, len(dataset.texts(split)), _("Turning text into tokens"))
    write_json(folder / "tokens.json", {"dtype": dtype, **counts, **({"fields": list(fields)} if fields else {})})


def _sample(texts: Texts, size: int) -> Iterator[str]:
    """Yield the texts, or an even share of them when there are more than a tokenizer needs."""
    stride = max(1, -(-size // _TOKENIZER_SAMPLE))
    if len(texts) < stride:
        yield from (piece for text in texts for i, piece in enumerate(pieces(text)) if i % stride == 0)
    else:
        yield from (texts[i] for i in range(0, len(texts), stride))


def _encode(path: Path, texts: Texts, tokenizer: Tokenizer, dtype: str) -> Generator[Event, str | None, int]:
    count = 0
    with path.open("wb") as f:
        for i, text in enumerate(texts):
            for piece in pieces(text, 1 << 18):
                ids = tokenizer.encode(piece)
                f.write(ids.astype(dtype).tobytes())
                count += len(ids)
                if len(text) > len(piece):
                    yield Progress(i, len(texts), _("Turning text into tokens"))
            f.write(np.array([END], dtype).tobytes())
            count += 1
            if i % _EVERY == 0:
                yield Progress(i, len(texts), _("Turning text into tokens"))
    return count


class Windows:
    """Windows of `context` tokens that lie side by side, shuffled, and shifted anew in each epoch.

    It is the sampler of a training: an index is the position of a window's first token.
    """

    def __init__(self, tokens: npt.NDArray[np.integer], context: int, batch_size: int, seed: int) -> None:
        self.tokens, self.context = tokens, context
        self.room = len(tokens) - 1 - context  # greatest first position
        self._sampler = Sampler(max(1, self.room // context), batch_size, seed)

    @property
    def position(self) -> tuple[int, int]:
        """Return all that resuming needs."""
        return self._sampler.position

    @position.setter
    def position(self, value: tuple[int, int]) -> None:
        self._sampler.position = value

    def next(self) -> Indices:
        """Return the first positions of the next batch of windows, int64 (B,)."""
        epoch, _offset = self._sampler.position
        shift = np.random.Generator(np.random.PCG64([self._sampler.seed, epoch, 1])).integers(self.context)
        return np.minimum(self._sampler.next() * self.context + shift, self.room)

    def batch(self, positions: Indices, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return tokens and the tokens that follow them, int64 (B, T) each."""
        return windows(self.tokens, positions, self.context, device)


def windows(
    tokens: npt.NDArray[np.integer], positions: Indices, context: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return the windows at `positions` and their targets, int64 (B, T) each, on the device."""
    rows = torch.from_numpy(tokens[positions[:, None] + np.arange(context + 1)].astype(np.int64))
    if device.type == "cuda":
        rows = rows.pin_memory()
    rows = rows.to(device, non_blocking=True)
    return rows[:, :-1], rows[:, 1:]


def validation_batches(
    tokens: npt.NDArray[np.integer], context: int, batch_size: int, most: int
) -> list[Indices]:
    """Return batches of first positions of at most `most` windows, side by side or evenly spread over the tokens."""
    count = max(1, (len(tokens) - 1) // context)
    firsts = np.arange(count, dtype=np.int64) * context
    if count > most:
        firsts = firsts[np.linspace(0, count - 1, most).astype(np.int64)]
    return [firsts[i : i + batch_size] for i in range(0, len(firsts), batch_size)]
