"""Marked names in JSONL: spans of a text, or a list of tokens beside a list of tags; and tags as spans.

{"text": "Ann lives in Oslo.", "spans": [[0, 3, "person"], {"start": 13, "end": 17, "label": "place"}]}
{"tokens": ["Ann", "lives", "in", "Oslo"], "tags": ["B-person", "O", "O", "B-place"]}
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any

from aigc_desktop.core.i18n import _
from aigc_desktop.core.marks import MOST_LETTERS, Marks, Span
from aigc_desktop.data.problems import ItemProblem, shown_name

_SPAN_KEYS = ("spans", "entities", "ents", "label", "labels", "annotations")
_START, _END = ("start", "start_offset", "begin"), ("end", "end_offset")
_CLASS = ("label", "type", "tag", "entity", "class")
_TOKEN_KEYS, _TAG_KEYS = ("tokens", "words"), ("tags", "ner_tags", "labels", "ner")
_TAG = re.compile(r"O|[BIESLU]-\S.*")
_NO_SPACE = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff00-\uffef、。〈-】]")
"""Letters that stand side by side without a space: Chinese, kana, full-width signs."""


def marked_text(value: Any, column: str) -> tuple[str, Marks] | None:
    """Return text and marks of a JSON value, None when nothing in it is marked; ItemProblem for labels that do not fit.

    `column` is the key of the text.
    """
    if not isinstance(value, dict):
        return None
    tokens, tags = (_list_of(value, keys) for keys in (_TOKEN_KEYS, _TAG_KEYS))
    if tokens is not None and tags is not None:
        return from_tags(tokens, tags)
    text, spans = value.get(column), _list_of(value, _SPAN_KEYS)
    if not isinstance(text, str) or spans is None or any(not isinstance(span, list | dict) for span in spans):
        return None
    return text, Marks(_checked([_span(span) for span in spans], text))


def from_tags(tokens: Sequence[Any], tags: Sequence[Any], iob1: bool = False) -> tuple[str, Marks]:
    """Return the text of tokens, and the marks that IOB2, IOBES or BILOU tags mean; ItemProblem when they mean none.

    `iob1` says that I- may begin a name, and B- only parts two that touch.
    """
    if len(tokens) != len(tags):
        raise _problem(_("tokens: {tokens}, labels: {tags}").format(tokens=len(tokens), tags=len(tags)))
    if not all(isinstance(token, str) and token.strip() for token in tokens):
        raise _problem(_("one of the tokens is empty or no text"))
    text, words = join_words(tokens)
    return text, Marks(tuple(_spans_of(tags, words, iob1)), tuple(words))


def one_each(tags: Sequence[str]) -> tuple[list[str], bool]:
    """Return tags of which some words have several, parted by commas, with one for each, and whether any had.

    Annotators who disagree leave such tags. Of the classes that begin a name the first that goes on longest is taken.
    """
    several = [_alternatives(tag) for tag in tags]
    chosen: list[str] = []
    for place, choices in enumerate(several):
        open_name = chosen[-1][2:] if chosen else ""
        goes_on = [tag for tag in choices if open_name and tag[:1] in tuple("IEL") and tag[2:] == open_name]
        begins = [tag for tag in choices if tag[:1] in tuple("BSU")]
        chosen.append((goes_on or [_longest(begins, several[place + 1 :])] if begins or goes_on else choices)[0])
    return chosen, any(len(choices) > 1 for choices in several)


def _alternatives(tag: str) -> list[str]:
    parts = tag.split(",")
    return parts if len(parts) > 1 and all(map(is_tag, parts)) else [tag]


def _longest(begins: Sequence[str], following: Sequence[Sequence[str]]) -> str:
    """Return the tag whose name goes on for most of the words that follow."""
    left = list(begins)
    for choices in following:
        still = [tag for tag in left if any(other[:1] in tuple("IEL") and other[2:] == tag[2:] for other in choices)]
        if not still:
            break
        left = still
    return left[0]


def join_words(tokens: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """Return tokens as one text with spaces, none between Chinese characters, and where each token stands in it."""
    parts, words, length = list[str](), list[tuple[int, int]](), 0
    for token in tokens:
        if parts and not (_NO_SPACE.match(token) and _NO_SPACE.match(parts[-1][-1])):
            parts.append(" ")
            length += 1
        parts.append(token)
        words.append((length, length + len(token)))
        length += len(token)
    return "".join(parts), words


def is_tag(tag: str) -> bool:
    """Return whether a text is O or a tag of IOB, IOBES or BILOU."""
    return _TAG.fullmatch(tag) is not None


def _spans_of(tags: Sequence[Any], words: Sequence[tuple[int, int]], iob1: bool) -> list[Span]:
    spans: list[Span] = []
    open_name = ""  # class of the name that may go on
    for (start, end), tag in zip(words, tags, strict=True):
        if not isinstance(tag, str) or not is_tag(tag):
            raise _problem(_("“{tag}” is no label of IOB, IOBES or BILOU").format(tag=shown_name(str(tag)[:60])))
        prefix, name = tag[0], tag[2:].strip()[:MOST_LETTERS]
        if prefix == "O":
            open_name = ""
            continue
        goes_on = prefix in "IEL" and name == open_name
        if prefix in "IEL" and not goes_on and not iob1:
            raise _problem(_("“{tag}” continues no name of its class").format(tag=shown_name(tag[:60])))
        if goes_on:
            spans[-1] = (spans[-1][0], end, name)
        else:
            spans.append((start, end, name))
        open_name = "" if prefix in "ELSU" else name
    return spans


def _span(value: Any) -> tuple[Any, Any, Any]:
    if isinstance(value, dict):
        return _first(value, _START), _first(value, _END), _first(value, _CLASS)
    if len(value) != 3:
        raise _problem(_("a span is no start, end and label"))
    return value[0], value[1], value[2]


def _checked(spans: list[tuple[Any, Any, Any]], text: str) -> tuple[Span, ...]:
    """Return spans in order; ItemProblem when one lies outside of the text, is no span, or two overlap."""
    for start, end, name in spans:
        if type(start) is not int or type(end) is not int or not isinstance(name, str) or not name.strip():
            raise _problem(_("a span is no start, end and label"))
        if not 0 <= start < end <= len(text) or not text[start:end].strip():
            raise _problem(_("the span {start}–{end} lies outside of the text or on spaces").format(
                start=start, end=end
            ))  # fmt: skip
    ordered = sorted((_trimmed(start, end, text), name.strip()[:MOST_LETTERS]) for start, end, name in spans)
    for (one, _one_name), (other, _other_name) in itertools.pairwise(ordered):
        if other[0] < one[1]:
            raise _problem(_("the spans {start}–{end} and {second} overlap").format(
                start=one[0], end=one[1], second=f"{other[0]}–{other[1]}"
            ))  # fmt: skip
    return tuple((start, end, name) for (start, end), name in ordered)


def _trimmed(start: int, end: int, text: str) -> tuple[int, int]:
    """Return a span without the spaces at its ends."""
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip())


def _list_of(value: dict[str, Any], keys: Sequence[str]) -> list[Any] | None:
    return next((value[key] for key in keys if isinstance(value.get(key), list)), None)


def _first(value: dict[str, Any], keys: Sequence[str]) -> Any:
    return next((value[key] for key in keys if key in value), None)


def _problem(reason: str) -> ItemProblem:
    return ItemProblem("labels", reason=reason)
