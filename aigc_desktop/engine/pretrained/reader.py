"""What turns text into the tokens of a published encoder, and words into places among them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aigc_desktop.core.errors import BadInput
from aigc_desktop.core.i18n import _
from aigc_desktop.core.records import read_table

Ids = npt.NDArray[np.int64]
Places = Sequence[tuple[int, int]]
_BEGIN, _END = ("[CLS]", "<s>"), ("[SEP]", "</s>")


@dataclass(frozen=True)
class Reader:
    """A tokenizer with its special tokens: a row is `begin`, at most `longest` tokens, `end`, and padding `pad`."""

    tokenizer: Any
    begin: tuple[int, ...]
    end: tuple[int, ...]
    pad: int
    longest: int

    def read(self, texts: Sequence[str]) -> list[tuple[Ids, list[tuple[int, int]]]]:
        """Return for each text its tokens, without the special ones, and the letters each stands for."""
        encodings = self.tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [(np.array(e.ids, np.int64), e.offsets) for e in encodings]

    def rows(self, pieces: Sequence[Ids]) -> tuple[Ids, npt.NDArray[np.bool_]]:
        """Return tokens with special ones and padding, (B, T), and which of them are no padding."""
        rows = [np.concatenate([self.begin, ids[: self.longest], self.end]).astype(np.int64) for ids in pieces]
        lengths = np.array([len(row) for row in rows])
        ids = np.full((len(rows), lengths.max()), self.pad, np.int64)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = row
        return ids, np.arange(ids.shape[1]) < lengths[:, None]

    def save(self, folder: Path) -> None:
        """Write the tokenizer into a folder from which `load_reader` reads it again."""
        self.tokenizer.save(str(folder / "tokenizer.json"))


def load_reader(folder: Path, pad: int, positions: int, vocab: int) -> Reader:
    """Return the reader of a model's folder; `positions` counts the special tokens in. BadInput when it is damaged."""
    from tokenizers import Tokenizer

    try:
        if (folder / "tokenizer.json").is_file():
            tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        elif (folder / "vocab.txt").is_file():
            tokenizer = _word_pieces(folder)
        else:
            raise BadInput(
                folder.name, _("the model has no tokenizer.json, so it cannot read text"),
                _("Copy the whole folder again from where it came."),
            )  # fmt: skip
        tokenizer.no_truncation()
        tokenizer.no_padding()
        whole = tokenizer.encode("").ids
    except BadInput:
        raise
    except Exception as error:  # the library raises plain exceptions
        raise _damaged(folder, str(error)) from error
    if vocab and tokenizer.get_vocab_size() > vocab:
        raise _damaged(folder, _("the tokenizer knows more tokens than the network"))
    begin, end = tuple(whole[:1]), tuple(whole[1:])
    if len(whole) != 2:  # a tokenizer without the template of its model
        begin, end = _special(tokenizer, _BEGIN), _special(tokenizer, _END)
    return Reader(tokenizer, begin, end, pad, max(1, positions - len(begin) - len(end)))


def first_tokens(words: Places, tokens: Places) -> list[int]:
    """Return for each word the first token that has a letter of it, -1 when there is none; both in order of letters."""
    found, at = [], 0
    for start, end in words:
        while at < len(tokens) and tokens[at][1] <= start:
            at += 1
        place = at
        while place < len(tokens) and tokens[place][0] == tokens[place][1]:  # a token of no letters
            place += 1
        found.append(place if place < len(tokens) and tokens[place][0] < end else -1)
    return found


def _word_pieces(folder: Path) -> Any:
    """Return the tokenizer of BERT from its list of tokens alone."""
    from tokenizers import Tokenizer
    from tokenizers.implementations.bert_wordpiece import BertWordPieceTokenizer

    made = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=_lowercase(folder))
    return Tokenizer.from_str(made.to_str())


def _special(tokenizer: Any, names: Sequence[str]) -> tuple[int, ...]:
    number = next((i for name in names if (i := tokenizer.token_to_id(name)) is not None), None)
    return () if number is None else (number,)


def _lowercase(folder: Path) -> bool:
    path = folder / "tokenizer_config.json"
    return bool(read_table(path).get("do_lower_case", True)) if path.is_file() else True


def _damaged(folder: Path, reason: str) -> BadInput:
    return BadInput(
        folder.name, _("its tokenizer cannot be read: {reason}").format(reason=json.dumps(reason)[:200]),
        _("Copy the whole folder again from where it came."),
    )  # fmt: skip
