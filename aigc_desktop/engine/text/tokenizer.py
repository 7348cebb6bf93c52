"""Text to numbers and back: characters, or byte-level BPE (arXiv:1508.07909) trained on the user's text.

Both keep every script: characters know what they saw, byte-level BPE can write anything. Token 0 ends a text.
"""

from __future__ import annotations

import json
import queue
import threading
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.files import read_json, write_text
from aigc_desktop.core.i18n import _

END = 0
UNKNOWN = 1
FILE = "tokenizer.json"
_MOST_CHARACTERS = 60_000
_UNKNOWN_CHARACTER = "\N{REPLACEMENT CHARACTER}"
# Runs are limited, so that one endless line without spaces is no problem; scripts without spaces are cut apart from
# those with them.
_NO_SPACES = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}"
_PIECES = (
    rf" ?[\p{{L}}\p{{M}}&&[^{_NO_SPACES}]]{{1,24}}| ?\p{{N}}{{1,4}}|[{_NO_SPACES}]{{1,8}}"
    r"| ?[^\s\p{L}\p{N}]{1,8}|\s{1,16}(?!\S)|\s{1,16}|."
)
Ids = npt.NDArray[np.integer]


class Tokenizer(Protocol):
    """What training and generating need of a tokenizer."""

    size: int

    def encode(self, text: str) -> Ids:
        """Return the tokens of `text`, without an end token."""

    def decode(self, ids: Sequence[int], unfinished: bool = False) -> str:
        """Return the text of tokens; with `unfinished` the last character may lack bytes and is left out then."""

    def byte_counts(self) -> npt.NDArray[np.float64]:
        """Return how many bytes of UTF-8 each token stands for; the end token counts as one, like a line break."""

    def save(self, folder: Path) -> None:
        """Write tokenizer.json."""


class CharTokenizer:
    """One token per character that the training text has; another character becomes the unknown token."""

    def __init__(self, characters: str) -> None:
        self.characters = characters
        self.size = len(characters) + 2
        codes = np.array([ord(c) for c in characters], np.int64)
        self._table = np.full(0x110000, UNKNOWN, np.int32)
        self._table[codes] = np.arange(2, self.size, dtype=np.int32)

    def encode(self, text: str) -> Ids:
        """Return one token per character."""
        return self._table[np.frombuffer(text.encode("utf-32-le"), np.uint32)]

    def decode(self, ids: Sequence[int], unfinished: bool = False) -> str:
        """Return the characters; an unknown one shows as U+FFFD."""
        return "".join(
            self.characters[i - 2] if i >= 2 else _UNKNOWN_CHARACTER for i in map(int, ids) if i != END
        )

    def byte_counts(self) -> npt.NDArray[np.float64]:
        """Return the UTF-8 length of each character; the unknown one counts as three bytes."""
        return np.array([1, 3, *(len(c.encode()) for c in self.characters)], np.float64)

    def save(self, folder: Path) -> None:
        """Write tokenizer.json."""
        write_text(folder / FILE, json.dumps({"kind": "char", "characters": self.characters}, ensure_ascii=False))


class BPETokenizer:
    """Byte-level BPE: merges of bytes that come together often."""

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        self.inner = inner
        inner.encode_special_tokens = True  # a text that holds "<|end|>" does not end there
        self.size = inner.get_vocab_size()

    def encode(self, text: str) -> Ids:
        """Return the tokens; long texts are encoded in pieces, so they take little memory."""
        parts = [self.inner.encode(piece, add_special_tokens=False).ids for piece in pieces(text)]
        return np.array([i for ids in parts for i in ids], np.int32)

    def decode(self, ids: Sequence[int], unfinished: bool = False) -> str:
        """Return the text; bytes that are no UTF-8 show as U+FFFD."""
        text: str = self.inner.decode([int(i) for i in ids if i != END])
        return text.rstrip(_UNKNOWN_CHARACTER) if unfinished else text

    def byte_counts(self) -> npt.NDArray[np.float64]:
        """Return the number of bytes of each token: byte-level BPE writes each byte as one character."""
        counts = [len(self.inner.id_to_token(i) or "") for i in range(self.size)]
        counts[END] = 1
        return np.array(counts, np.float64)

    def save(self, folder: Path) -> None:
        """Write tokenizer.json."""
        write_text(folder / FILE, json.dumps({"kind": "bpe", "tokenizer": json.loads(self.inner.to_str())}))


def load_tokenizer(folder: Path) -> Tokenizer:
    """Return the tokenizer saved in `folder`; UserError when its file is damaged."""
    saved = read_json(folder / FILE)
    try:
        if saved["kind"] == "char":
            return CharTokenizer("".join(saved["characters"]))
        return BPETokenizer(tokenizers.Tokenizer.from_str(json.dumps(saved["tokenizer"])))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # the library's panics are no ordinary exceptions
        raise UserError(
            _("The tokenizer in {folder} is damaged.").format(folder=folder), _("Choose another saved version.")
        ) from error


def pieces(text: str, size: int = 1 << 16) -> Iterator[str]:
    """Yield `text` in pieces of about `size` characters, cut before a space or line break where there is one."""
    start = 0
    while start < len(text):
        end = start + size
        if end < len(text):
            cut = max(text.rfind("\n", start + size // 2, end), text.rfind(" ", start + size // 2, end))
            end = cut if cut > 0 else end
        yield text[start:end]
        start = end


def train_characters(texts: Iterable[str]) -> Generator[CharTokenizer | None, None, None]:
    """Yield None after each piece of text, then the tokenizer; characters are ordered by code point."""
    counts: Counter[str] = Counter()
    for text in texts:
        for piece in pieces(text, 1 << 20):
            counts.update(piece)
            yield None
    kept = [c for c, _count in counts.most_common(_MOST_CHARACTERS)]
    yield CharTokenizer("".join(sorted(kept)))


def train_bpe(texts: Iterable[str], vocab: int) -> Generator[BPETokenizer | None, None, None]:
    """Yield None several times a second, then a tokenizer of at most `vocab` tokens.

    The library trains in one call, so that runs in a thread of its own; closing this iterator ends its input.
    """
    inner = tokenizers.Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(tokenizers.Regex(_PIECES), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=max(vocab, 257), special_tokens=["<|end|>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    stop = threading.Event()
    outcome: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def feed() -> Iterator[str]:
        for text in texts:
            for piece in pieces(text):
                if stop.is_set():
                    return
                yield piece

    def work() -> None:
        try:
            inner.train_from_iterator(feed(), trainer)
        except BaseException as error:  # noqa: BLE001 - carried to the caller, who raises it
            outcome.put(error)
        else:
            outcome.put(None)

    threading.Thread(target=work, daemon=True, name="bpe").start()
    try:
        while True:
            try:
                error = outcome.get(timeout=0.1)
                break
            except queue.Empty:
                yield None
    finally:
        stop.set()
    if error is not None:
        raise error
    yield BPETokenizer(inner)
