"""What a text must be like: length, words that must or must not come, numbers, a pattern or a JSON schema.

All demands become one expression, the intersection of a regular expression for each, which llguidance turns into the
tokens that may come next: a token after which no allowed text is left is never drawn. So a keyword comes in time, and a
text ends within its length. `meets` checks the finished text once more, without any of that.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import llguidance
import llguidance.numpy as bitmasks
import numpy as np
import torch
from torch import Tensor

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.engine.pretrained.load import LanguageModel

Unit = Literal["characters", "words", "width"]
TOKENS_PER_LETTER = 4  # at worst: one for each byte
_LONGEST_WORD = 24
_NO_CONTROLS = r"[^\u{0}-\u{8}\u{B}-\u{1F}\u{7F}-\u{9F}\u{E000}-\u{F8FF}\u{40000}-\u{10FFFF}]*"
"""Neither control characters, which some count as spaces, nor private and unassigned planes, whose width is unknown."""
_DIGIT = "[0-9０-９]"
_WIDE = (
    r"\u{1100}-\u{115F}\u{2E80}-\u{303E}\u{3041}-\u{A4CF}\u{A960}-\u{A97C}\u{AC00}-\u{D7A3}\u{F900}-\u{FAFF}"
    r"\u{FE10}-\u{FE19}\u{FE30}-\u{FE6F}\u{FF01}-\u{FF60}\u{FFE0}-\u{FFE6}\u{16FE0}-\u{18DFF}\u{1AFF0}-\u{1B2FF}"
    r"\u{1F000}-\u{1FAFF}\u{20000}-\u{3FFFD}\u{2300}-\u{23FF}\u{25A0}-\u{27BF}\u{2B00}-\u{2BFF}"
)
"""Blocks with wide letters of Unicode's East Asian Width; whole blocks, so a narrow one in them counts double too."""


@dataclass(frozen=True)
class Demands:
    """`least` and `most` count `unit`s, 0 is no limit; `numbers` None allows all; "" is no pattern or schema."""

    least: int = 0
    most: int = 0
    unit: Unit = "characters"
    keywords: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    numbers: tuple[str, ...] | None = None
    pattern: str = ""
    schema: str = ""

    @property
    def any(self) -> bool:
        """Return whether anything is demanded."""
        return self != Demands(unit=self.unit)

    def letters(self, otherwise: int) -> int:
        """Return how many characters a text has at most, `otherwise` where no limit says so."""
        if not self.most:
            return otherwise
        return self.most * (_LONGEST_WORD + 1) if self.unit == "words" else self.most


def meets(text: str, demands: Demands) -> bool:
    """Return whether a finished text is as demanded; a pattern is held by the expression alone."""
    if demands.schema:
        try:
            json.loads(text)
        except ValueError:
            return False
        return True
    size = measured(text, demands.unit)
    folded = text.casefold()
    allowed = demands.numbers
    found = re.findall(rf"{_DIGIT}+(?:[.,]{_DIGIT}+)*", text) if allowed is not None else []
    return (
        size >= demands.least
        and (not demands.most or size <= demands.most)
        and all(word in text for word in demands.keywords)
        and not any(word.casefold() in folded for word in demands.forbidden)
        and all(number in (allowed or ()) for number in found)
    )


def measured(text: str, unit: Unit) -> int:
    """Return the length of a text: characters, words between spaces, or columns, where wide letters take two."""
    if unit == "words":
        return len(text.split())
    if unit == "width":
        return sum(2 if _is_wide(letter) else 1 for letter in text)
    return len(text)


def _is_wide(letter: str) -> bool:
    """Return whether a letter takes two columns; Python calls what is not assigned wide as well."""
    return unicodedata.east_asian_width(letter) in "WF" and unicodedata.category(letter) != "Cn"


class Guides:
    """Says for each text in the making which tokens may come next; one matcher per seed."""

    def __init__(self, demands: Demands, loaded: LanguageModel, letters: int) -> None:
        self.size = loaded.network.shape.vocab
        named = loaded.words.inner.token_to_id(loaded.special.get("eos_token", ""))
        end = named if named in loaded.end else min(loaded.end, default=None)
        if end is None:
            raise UserError(
                _("“{title}” has no token that ends a text, so no text can be held to demands.").format(
                    title=loaded.title
                ),
                _("Choose another model."),
            )
        self.tokenizer = llguidance.LLTokenizer(loaded.words.inner.to_str(), n_vocab=self.size, eos_token=end)
        self.grammar = grammar(demands, letters)
        problem = llguidance.LLMatcher.validate_grammar(self.grammar, self.tokenizer)
        if problem:
            raise _refused(problem)
        self.mask = bitmasks.allocate_token_bitmask(1, self.size)
        self.matchers: dict[int, Any] = {}
        self.read: dict[int, int] = {}

    def allowed(self, seed: int, tokens: Sequence[int]) -> Tensor:
        """Return which tokens (V,) may come after `tokens`."""
        matcher = self._follow(seed, tokens)
        bitmasks.fill_next_token_bitmask(matcher, self.mask, 0)
        if matcher.is_error():
            raise _refused(matcher.get_error())
        bits = np.unpackbits(self.mask[0].view(np.uint8), bitorder="little")[: self.size]
        return torch.from_numpy(bits.astype(bool))

    def complete(self, seed: int, tokens: Sequence[int]) -> bool:
        """Return whether a text that ends here is whole."""
        return bool(self._follow(seed, tokens).is_accepting())

    def forget(self) -> None:
        """Let go of all texts so far."""
        self.matchers.clear()
        self.read.clear()

    def _follow(self, seed: int, tokens: Sequence[int]) -> Any:
        if seed not in self.matchers:
            self.matchers[seed] = llguidance.LLMatcher(self.tokenizer, self.grammar, log_level=0)
            self.read[seed] = 0
        matcher = self.matchers[seed]
        for token in tokens[self.read[seed] :]:
            matcher.consume_token(token)
        self.read[seed] = len(tokens)
        return matcher


def grammar(demands: Demands, letters: int) -> str:
    """Return llguidance's grammar for texts of at most so many characters; UserError for a pattern that is none."""
    if demands.schema:
        try:
            schema = json.loads(demands.schema)
        except (ValueError, RecursionError) as error:
            raise _refused(str(error)) from None
        return str(llguidance.LLMatcher.grammar_from_json_schema(json.dumps(schema)))
    parts = [rf"/(?s:.{{0,{letters}}})/", f"/{_NO_CONTROLS}/", *(f"/{part}/" for part in _lengths(demands))]
    parts += [rf"/(?s:.*){_quoted(word)}(?s:.*)/" for word in demands.keywords]
    if demands.forbidden:
        parts.append(rf"~/(?s:.*)(?i:{'|'.join(map(_quoted, demands.forbidden))})(?s:.*)/")
    if demands.numbers is not None:
        parts.append(f"/{_numbers(demands.numbers)}/")
    if demands.pattern:
        parts.append("/" + demands.pattern.replace("/", r"\/") + "/")
    return "start: TEXT\nTEXT: " + " & ".join(parts) + "\n"


def _lengths(demands: Demands) -> list[str]:
    """Return expressions for the least and the most length."""
    least, most = demands.least, demands.most
    match demands.unit:
        case "characters":
            return [rf"(?s:.{{{least},{most or ''}}})"] if least or most else []
        case "words":
            word = rf"[^\s]{{1,{_LONGEST_WORD}}}"
            if not (least or most):
                return []
            more = f"{{{max(0, least - 1)},{most - 1 if most else ''}}}"
            some = rf"\s?{word}(\s{word}){more}\s?"
            return [some if least else rf"({some})?"]
        case "width":
            wide, narrow = f"[{_WIDE}]", f"[^{_WIDE}]"
            found = []
            if most:
                found.append(rf"({wide}|{narrow}{{1,2}}){{0,{most // 2}}}" + (f"{narrow}?" if most % 2 else ""))
            if least:
                # so many letters of any kind are enough; else pieces that are at least two columns wide
                piece = rf"([^{_SURELY_WIDE}]?[{_SURELY_WIDE}]|{narrow}{narrow})"
                found.append(rf"(?s:.{{{least},}})|{piece}{{{-(-least // 2)},}}(?s:.*)")
            return found
    raise ValueError(demands.unit)


def _numbers(known: Sequence[str]) -> str:
    """Return the expression for texts with no numbers but these; a point or comma between digits belongs to one."""
    other = "[^0-9０-９]"
    if not known:
        return f"{other}*"
    one = "(" + "|".join(map(_quoted, known)) + ")"
    return rf"{other}*({one}([^0-9０-９.,]|[.,]{other}){other}*)*({one}[.,]?)?"


_SURELY_WIDE = r"\u{4E00}-\u{9FFF}\u{3041}-\u{3096}\u{30A1}-\u{30FA}\u{AC00}-\u{D7A3}"
"""Letters that are wide without exception."""


def _quoted(word: str) -> str:
    """Return a word as a regular expression that means just it, in both of the places it passes through."""
    return "".join(c if c.isalnum() else rf"\u{{{ord(c):X}}}" for c in word)


def _refused(problem: str) -> UserError:
    line = problem.strip().splitlines()[0][:160] if problem.strip() else "?"
    return UserError(
        _("The demands on the text cannot be held: {reason}.").format(reason=line),
        _("Correct the pattern or the schema, or ask for less."),
    )
