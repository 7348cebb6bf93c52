"""Write with a language model, published or fine-tuned: the settings, the tokens to read first, and the texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from aigc_desktop.core.config import param
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import EventStream, Note, Progress
from aigc_desktop.core.i18n import N_, _, ngettext
from aigc_desktop.engine.nn.next_token import Sampling, Written
from aigc_desktop.engine.pretrained.decoding import Ask, Memory, Rules, decode
from aigc_desktop.engine.pretrained.demands import Demands, Guides, meets
from aigc_desktop.engine.pretrained.load import LanguageModel, Words
from aigc_desktop.engine.text.writing import DrawConfig, stream_texts

BLOCK = 16  # texts written side by side
_STOP_TOKENS = 24  # of the end of a text that a stop word is looked for in


class WritingConfig(DrawConfig):
    """Settings for writing with a language model."""

    prompt: str = param(
        "", N_("Request or beginning"),
        N_("In a conversation what you ask for; otherwise the beginning that the text goes on from."), multiline=True,
    )  # fmt: skip
    chat: bool = param(
        True, N_("Conversation"),
        N_("On, the model answers a request as it was trained to; off, it goes on with your text."),
    )  # fmt: skip
    system: str = param(
        "", N_("Role"), N_("Who the model is to be, told before the request; empty leaves it to the model."),
        advanced=True,
    )  # fmt: skip
    length: int = param(
        200, N_("Length"), N_("Most tokens per text; a text may end earlier."), unit=N_("tokens"), ge=1, le=100_000
    )
    stop: str = param(
        "", N_("Stop words"), N_("A text ends before any of these; several are separated by |."), advanced=True
    )
    top_k: int = param(
        0, N_("Top k"), N_("Draws from so many likeliest tokens only; 0 turns it off."), ge=0, le=65_536, advanced=True
    )
    repetition_penalty: float = param(
        1.0, N_("Repetition penalty"), N_("Above 1, tokens that came already are less likely; 1.1 is mild."),
        ge=1.0, le=2.0, advanced=True,
    )  # fmt: skip
    least: int = param(
        0, N_("At least"), N_("Length a text must reach; 0 asks for none."), ge=0, le=100_000, advanced=True
    )
    most: int = param(
        0, N_("At most"), N_("Length a text must not pass; 0 leaves it to the tokens."), ge=0, le=100_000, advanced=True
    )
    unit: Literal["characters", "words", "width"] = param(
        "characters", N_("Counted in"), N_("What the two lengths count; in columns a Chinese character takes two."),
        labels={"characters": N_("characters"), "words": N_("words"), "width": N_("columns")}, advanced=True,
    )  # fmt: skip
    keywords: str = param(
        "", N_("Must contain"), N_("Words that every text must hold; several are separated by |."), advanced=True
    )
    forbidden: str = param(
        "", N_("Must not contain"), N_("Words that no text may hold, in any case; several are separated by |."),
        advanced=True,
    )  # fmt: skip
    allowed_numbers: str = param(
        "", N_("Only these numbers"),
        N_("Other numbers are ruled out, such as a wrong price; several are separated by |, a dash allows none."),
        advanced=True,
    )  # fmt: skip
    pattern: str = param(
        "", N_("Pattern"), N_("A regular expression that the whole text must match; empty for none."), advanced=True
    )
    json_form: str = param(
        "", N_("JSON schema"), N_("The text is then JSON of this form, and the demands above do not count."),
        advanced=True, multiline=True,
    )  # fmt: skip
    numbers: Literal["auto", "float32", "bfloat16", "int8"] = param(
        "auto", N_("Numbers"),
        N_("8 bits write two to three times as fast on a processor; what they change is told. Automatic is fastest."),
        labels={"auto": N_("Automatic"), "int8": N_("8-bit weights"), "bfloat16": "bfloat16", "float32": "float32"},
        advanced=True,
    )  # fmt: skip


def write_texts(config: WritingConfig, loaded: LanguageModel, prompts: Memory | None = None) -> EventStream:
    """Write variants of an answer or of a continuation, side by side; they stream in as partial Text events."""
    answers = config.chat and bool(loaded.template)
    if answers and not config.prompt.strip():
        raise UserError(_("There is no request to answer."), _("Write a request, or switch “Conversation” off."))
    yield Progress(0, config.count, _("Reading the request"))
    if config.chat and not loaded.template and not loaded.begin:
        text = _("“{title}” has no form for conversations, so it goes on with the text.")
        yield Note(text.format(title=loaded.title))
    prompt = loaded.read(config.prompt, config.chat, config.system)
    room = room_after(loaded, prompt)
    begun = "" if answers or loaded.between else config.prompt
    demands, words = demands_of(config), StopWords(loaded.words, config.stop)
    writer = Writer(loaded, prompt, room, config, words, prompts)
    if not demands.any:
        yield from stream_texts(writer.write(), words, config.count, begun, alone=False)
        return
    if begun.strip():
        yield Note(_("The demands are on what the model adds, not on your beginning."))
    yield from stream_texts(writer.write_to(demands), words, config.count, begun, alone=False)
    if writer.left_out:
        text = ngettext(
            "{count} text did not come to an end as demanded and was left out.",
            "{count} texts did not come to an end as demanded and were left out.", len(writer.left_out),
        )  # fmt: skip
        yield Note(text.format(count=len(writer.left_out)), "warning")
    if len(writer.left_out) == config.count:
        raise UserError(
            _("No text came to an end as demanded."),
            _("Raise the length in tokens, ask for less, or tell the model in the request what you want."),
        )


def room_after(loaded: LanguageModel, prompt: Sequence[int]) -> int:
    """Return how many tokens fit after a prompt; UserError when there is no room."""
    room = loaded.network.shape.context - len(prompt)
    if room < 1:
        raise UserError(
            _("The text has {count} tokens; “{title}” reads {most} at most.").format(
                count=len(prompt), title=loaded.title, most=loaded.network.shape.context
            ),
            _("Shorten it."),
        )
    return room


def demands_of(config: WritingConfig) -> Demands:
    """Return what a text must be like."""
    numbers = None if not config.allowed_numbers.strip() else listed(config.allowed_numbers)
    return Demands(
        config.least, config.most, config.unit, listed(config.keywords), listed(config.forbidden),
        () if numbers == ("-",) else numbers, config.pattern, config.json_form.strip(),
    )  # fmt: skip


def listed(text: str) -> tuple[str, ...]:
    """Return the parts of a text between bars, without empty ones."""
    return tuple(part.strip() for part in text.split("|") if part.strip())


@dataclass(frozen=True)
class Writer:
    """Writes the texts of a task block by block; there is `room` for so many tokens after the prompt."""

    loaded: LanguageModel
    prompt: tuple[int, ...]
    room: int
    config: WritingConfig
    words: StopWords
    prompts: Memory | None = None
    left_out: list[int] = field(default_factory=list)
    """Seeds of texts that did not meet the demands."""

    def write(self) -> Iterator[Written]:
        """Yield the texts of one block after another."""
        rules = Rules(self._sampling(), self.loaded.end, self.words.met)
        for asks in self._blocks(min(self.room, self.config.length)):
            yield from decode(self.loaded.network, asks, rules, self.prompts)

    def write_to(self, demands: Demands) -> Iterator[Written]:
        """Yield texts that are held to the demands; one that is not whole at its end is left out of the last state.

        Where a limit is demanded, it says how long a text gets, not the length in tokens; else a text ends after so
        many tokens as soon as it is whole. All within the `room`.
        """
        length = min(self.room, self.config.length)
        guides = Guides(demands, self.loaded, demands.letters(length), 0 if demands.most else length)
        rules = Rules(self._sampling(), self.loaded.end, self.words.met, guides.allowed)
        for asks in self._blocks(min(self.room, demands.tokens(length))):
            for state in decode(self.loaded.network, asks, rules, self.prompts):
                yield Written(self._whole(state.tokens, guides, demands), True) if state.done else state
            guides.forget()

    def _whole(self, tokens: dict[int, list[int]], guides: Guides, demands: Demands) -> dict[int, list[int]]:
        good = {
            seed: made for seed, made in tokens.items()
            if guides.complete(seed, made) and meets(self.words.decode(made), demands)
        }  # fmt: skip
        self.left_out.extend(seed for seed in tokens if seed not in good)
        return good

    def _sampling(self) -> Sampling:
        config = self.config
        return Sampling(config.temperature, config.top_p, config.top_k, config.repetition_penalty)

    def _blocks(self, most: int) -> Iterator[list[Ask]]:
        """Yield the texts to write side by side, each of at most so many tokens."""
        end = self.config.seed + self.config.count
        for start in range(self.config.seed, end, BLOCK):
            yield [Ask(self.prompt, seed, most) for seed in range(start, min(end, start + BLOCK))]


class StopWords:
    """Ends texts at words that the user gave, and leaves those words out."""

    def __init__(self, words: Words, stops: str) -> None:
        self.words = words
        self.stops = listed(stops)

    def met(self, tokens: Sequence[int]) -> bool:
        """Return whether a text has come to one of them."""
        if not self.stops:
            return False
        end = self.words.decode(tokens[-_STOP_TOKENS:])
        return any(stop in end for stop in self.stops)

    def decode(self, ids: Sequence[int], unfinished: bool = False) -> str:
        """Return the text up to the first of them."""
        text = self.words.decode(ids, unfinished)
        places = [place for stop in self.stops if (place := text.find(stop)) >= 0]
        return text[: min(places)] if places else text
