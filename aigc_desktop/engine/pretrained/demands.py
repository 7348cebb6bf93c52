"""What a text must be like: length, words that must or must not come, numbers, a pattern or a JSON schema.

All demands become one expression, the intersection of a regular expression for each, which llguidance turns into the
tokens that may come next: a token after which no allowed text is left is never drawn. So a keyword comes in time, and a
text ends within its length. Looking ahead costs as much as the demands have states together: keywords in any order have
two to the power of their number, in one order only their letters. What is too much at once is held in parts: each part
still rules out what breaks it, but a text may run into a corner where the parts contradict each other, and is left out.
`meets` checks the finished text once more, without any of that.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

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
_TO_THE_END = 24  # tokens that a letter or number may still need to be whole
_FORBIDDEN_AT_ONCE = 12  # words in one part
_LIMITS = llguidance.LLParserLimits(initial_lexer_fuel=20_000_000, step_lexer_fuel=20_000_000, verbose_errors=False)
"""Looking ahead for a first token, and for a further one, ends after about 0.4 s; llguidance's own limits end it after
10 ms, where two keywords are too much."""
_NO_CONTROLS = r"[^\u{0}-\u{8}\u{B}-\u{1F}\u{7F}-\u{9F}\u{E000}-\u{F8FF}\u{40000}-\u{10FFFF}]*"
"""Neither control characters, which some count as spaces, nor private and unassigned planes, whose width is unknown."""
_SPACED = "0-9A-Za-zÀ-ÖØ-öø-ɏ"  # digits and letters of words that stand between spaces
_DIGIT = "[0-9０-９]"
_WIDE = (
    r"\u{1100}-\u{115F}\u{2E80}-\u{303E}\u{3041}-\u{A4CF}\u{A960}-\u{A97C}\u{AC00}-\u{D7A3}\u{F900}-\u{FAFF}"
    r"\u{FE10}-\u{FE19}\u{FE30}-\u{FE6F}\u{FF01}-\u{FF60}\u{FFE0}-\u{FFE6}\u{16FE0}-\u{18DFF}\u{1AFF0}-\u{1B2FF}"
    r"\u{1F000}-\u{1FAFF}\u{20000}-\u{3FFFD}\u{2300}-\u{23FF}\u{25A0}-\u{27BF}\u{2B00}-\u{2BFF}"
)
"""Blocks with wide letters of Unicode's East Asian Width; whole blocks, so a narrow one in them counts double too."""


@dataclass(frozen=True)
class Demands:
    """`least` and `most` count `unit`s, 0 is no limit; `numbers` None allows all; "" is no pattern or schema.

    `in_order` holds a text to the keywords in the order given, which is more than is asked for.
    """

    least: int = 0
    most: int = 0
    unit: Unit = "characters"
    keywords: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    numbers: tuple[str, ...] | None = None
    pattern: str = ""
    schema: str = ""
    in_order: bool = False

    @property
    def any(self) -> bool:
        """Return whether anything is demanded."""
        return self != Demands(unit=self.unit)

    def letters(self, otherwise: int) -> int:
        """Return within how many characters a text can be as demanded, 0 where it is anywhere.

        `otherwise` is for what no limit says: how far a keyword may be put off, how long what fits a pattern may be.
        """
        each = _LONGEST_WORD + 1 if self.unit == "words" else 1
        if self.most:
            return self.most * each
        waits = self.least or self.keywords or self.pattern or self.schema or self.numbers is not None
        return self.least * each + otherwise if waits else 0

    def tokens(self, otherwise: int) -> int:
        """Return how many tokens such a text may take, at least `otherwise`; longer ones are left out."""
        return max(otherwise, self.letters(otherwise) * TOKENS_PER_LETTER) + _TO_THE_END

    def parts(self) -> list[list[Demands]]:
        """Return ways to hold these demands, each a list of demands that are held side by side, the best way first."""
        if self.schema:
            return [[self]]
        size, nothing = Demands(0, self.most, self.unit), Demands(unit=self.unit)
        some = range(0, len(self.forbidden), _FORBIDDEN_AT_ONCE)
        rest = [
            Demands(self.least, 0, self.unit), replace(nothing, numbers=self.numbers),
            *(replace(nothing, forbidden=self.forbidden[start : start + _FORBIDDEN_AT_ONCE]) for start in some),
        ]  # fmt: skip
        main = replace(size, keywords=self.keywords, pattern=self.pattern)
        in_order = replace(main, keywords=_not_in_others(self.keywords), in_order=True)
        alone = [replace(size, keywords=(word,)) for word in self.keywords] + [replace(size, pattern=self.pattern)]
        rest = [part for part in rest if part.any]
        return [[self], [main, *rest], [in_order, *rest], [*alone, *rest]]


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
        and all(re.search(_where(word) + re.escape(word), text) for word in demands.keywords)
        and not any(word.casefold() in folded for word in demands.forbidden)
        and all(number in (allowed or ()) for number in found)
    )


def _where(word: str) -> str:
    """Return what must stand before a keyword: no letter or digit where it begins with one, so that it is a word.

    Endings may follow. Chinese has no spaces, so there a keyword may stand anywhere.
    """
    return f"(?<![{_SPACED}])" if re.match(f"[{_SPACED}]", word) else ""


def _not_in_others(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return the keywords that do not come with another one, as “tea” comes with “teapot”."""
    others = [(word, "\n".join(other for other in words if other != word)) for word in dict.fromkeys(words)]
    return tuple(word for word, rest in others if not re.search(_where(word) + re.escape(word), rest))


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


_CONTRADICTION = "NoExtension"
"""What llguidance calls it that no text is left."""


class Guides:
    """Says for each text in the making which tokens may come next; one matcher per seed."""

    def __init__(self, demands: Demands, loaded: LanguageModel, letters: int, enough: int = 0) -> None:
        """`letters` as Demands.letters; after `enough` tokens a text ends where it is whole, 0 for not."""
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
        self.end, self.enough = sorted(loaded.end), enough
        self.tokenizer = llguidance.LLTokenizer(loaded.words.inner.to_str(), n_vocab=self.size, eos_token=end)
        _check(demands, self.tokenizer)
        self.demands = demands
        self.ways, self.letters = demands.parts(), letters
        self.mask = bitmasks.allocate_token_bitmask(1, self.size)
        self.matchers: dict[int, list[Any]] = {}
        self.read: dict[int, int] = {}
        self.fresh = self._begin()

    def allowed(self, seed: int, tokens: Sequence[int]) -> Tensor:
        """Return which tokens (V,) may come after `tokens`; those that end the text where the demands left none."""
        while True:
            matchers = self._follow(seed, tokens)
            bits = np.full(self.mask.shape[1], -1, dtype=self.mask.dtype)
            for matcher in matchers:
                bitmasks.fill_next_token_bitmask(matcher, self.mask, 0)
                bits &= self.mask[0]
            if not any(matcher.is_error() for matcher in matchers):
                break
            self._take_the_next_way(next(m.get_error() for m in matchers if m.is_error()))
        allowed = np.unpackbits(bits.view(np.uint8), bitorder="little")[: self.size].astype(bool)
        long_enough = 0 < self.enough <= len(tokens) and all(matcher.is_accepting() for matcher in matchers)
        if long_enough or not allowed.any():
            allowed[:] = False
            allowed[self.end] = True
        return torch.from_numpy(allowed)

    def complete(self, seed: int, tokens: Sequence[int]) -> bool:
        """Return whether a text that ends here is whole."""
        self.allowed(seed, tokens)  # in smaller parts if need be
        return all(matcher.is_accepting() for matcher in self.matchers[seed])

    def forget(self) -> None:
        """Let go of all texts so far."""
        self.matchers.clear()
        self.read.clear()

    def _begin(self) -> list[Any]:
        """Return matchers of the first way that is not too much, at the beginning of a text."""
        while True:
            parts = self.ways[0]
            matchers = [
                llguidance.LLMatcher(self.tokenizer, grammar(part, self.letters), log_level=0, limits=_LIMITS)
                for part in parts
            ]
            for matcher in matchers:  # what they find out about the first token is copied with them
                bitmasks.fill_next_token_bitmask(matcher, self.mask, 0)
            problem = next((m.get_error() for m in matchers if m.is_error()), "")
            if not problem:
                return matchers
            if _CONTRADICTION in problem and not any(part.in_order for part in parts):
                raise _refused(self.demands, problem)
            self._drop_a_way(problem)

    def _take_the_next_way(self, problem: str) -> None:
        """Hold the demands in smaller parts from here on, those of the texts in the making too."""
        self._drop_a_way(problem)
        self.fresh = self._begin()
        self.forget()

    def _drop_a_way(self, problem: str) -> None:
        del self.ways[0]
        if not self.ways:
            raise _refused(self.demands, problem)

    def _follow(self, seed: int, tokens: Sequence[int]) -> list[Any]:
        if seed not in self.matchers:
            self.matchers[seed] = [matcher.deep_copy() for matcher in self.fresh]
            self.read[seed] = 0
        for matcher in self.matchers[seed]:
            for token in tokens[self.read[seed] :]:
                matcher.consume_token(token)
        self.read[seed] = len(tokens)
        return self.matchers[seed]


def _check(demands: Demands, tokenizer: Any) -> None:
    """Raise UserError for demands that no text can meet, as far as that is plain, and for what cannot be read."""
    if demands.schema:
        try:
            schema = json.loads(demands.schema)
        except (ValueError, RecursionError):
            raise UserError(_("The JSON schema is not whole JSON."), _("Correct it.")) from None
        if not isinstance(schema, dict):
            raise UserError(
                _("A JSON schema is an object in braces, such as {example}.").format(example='{"type": "object"}'),
                _("Correct it."),
            )
    elif demands.pattern:
        alone = grammar(Demands(pattern=demands.pattern), 1)
        if llguidance.LLMatcher.validate_grammar(alone, tokenizer, limits=_LIMITS):
            raise UserError(
                _("“{pattern}” is no regular expression that a text can be held to.").format(pattern=demands.pattern),
                _("Correct it; it can neither look around nor refer back."),
            )
    if demands.schema:
        return
    if demands.most and demands.least > demands.most:
        raise UserError(
            _("No text is at least {least} and at most {most} long.").format(least=demands.least, most=demands.most),
            _("Lower the first number, or raise the second."),
        )
    for word in demands.keywords:
        ruled_out = next((other for other in demands.forbidden if other.casefold() in word.casefold()), None)
        if ruled_out is not None:
            raise UserError(
                _("Every text must contain “{word}”, but none may contain “{other}”.").format(
                    word=word, other=ruled_out
                ),
                _("Take one of them back."),
            )
        if demands.most and measured(word, demands.unit) > demands.most:
            raise UserError(
                _("“{word}” alone is longer than the text may be.").format(word=word), _("Allow a longer text.")
            )
    needed = _least_of(demands)
    if demands.most and needed > demands.most:
        raise UserError(
            _("The words that every text must contain take {needed} {unit} together, and {most} are allowed.").format(
                needed=needed, unit=_("columns") if demands.unit == "width" else _("characters"), most=demands.most
            ),
            _("Allow a longer text, or ask for fewer words."),
        )


def _least_of(demands: Demands) -> int:
    """Return how long the keywords are that cannot share letters, with a gap between them; 0 where words are counted.

    Chinese ones may share letters, so they are left out.
    """
    if demands.unit == "words":
        return 0
    apart = [word for word in _not_in_others(demands.keywords) if re.fullmatch(f"[{_SPACED}]+", word)]
    return sum(measured(word, demands.unit) + 1 for word in apart) - bool(apart)


def grammar(demands: Demands, letters: int) -> str:
    """Return llguidance's grammar for texts that are whole within so many characters, where no limit says otherwise."""
    if demands.schema:
        spaces = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
        # llguidance's types ask for all options, its code does not
        return str(llguidance.LLMatcher.grammar_from_json_schema(demands.schema, overrides=cast(Any, spaces)))
    parts = [f"/{_NO_CONTROLS}/", *(f"/{part}/" for part in _lengths(demands))]
    if demands.in_order:
        late = "*" if demands.most else f"{{0,{letters // max(1, len(demands.keywords))}}}"
        words = (_before(word, late, at == 0) + _quoted(word) for at, word in enumerate(demands.keywords))
        parts.append(f"/{''.join(words)}(?s:.*)/")
    else:
        late = "*" if demands.most else f"{{0,{letters}}}"
        parts += (f"/{_before(word, late)}{_quoted(word)}(?s:.*)/" for word in demands.keywords)
    if demands.forbidden:
        parts.append(rf"~/(?s:.*)(?i:{'|'.join(map(_quoted, demands.forbidden))})(?s:.*)/")
    if demands.numbers is not None:
        parts.append(f"/{_numbers(demands.numbers)}/")
    if demands.pattern:
        parts.append("/" + demands.pattern.replace("/", r"\/") + "/")
        if not demands.most:
            parts.append(rf"/(?s:.{{0,{letters}}})/")
    return "start: TEXT\nTEXT: " + " & ".join(parts) + "\n"


def _before(word: str, late: str, first: bool = True) -> str:
    """Return the expression for what stands before a keyword; `first` where it may begin the text."""
    if not _where(word):
        return f"(?s:.{late})"
    return f"(?s:.{late}[^{_SPACED}])" + "?" * first


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


def _refused(demands: Demands, problem: str) -> UserError:
    """Return the error for demands that no way could hold; what llguidance says has only words of its own."""
    if demands.schema:
        line = problem.strip().splitlines()[0][:160] if problem.strip() else "?"
        return UserError(
            _("Texts cannot be held to this JSON schema: {reason}.").format(reason=line.rstrip(".")),
            _("Correct it, or leave parts of it out."),
        )
    if _CONTRADICTION in problem:
        return UserError(_("No text can meet all these demands together."), _("Take one of them back."))
    return UserError(
        _("These are too many demands to hold a text to."), _("Ask for fewer words, or for a shorter text.")
    )
