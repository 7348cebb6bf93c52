"""Published language models from the disk: they answer or go on with a text as they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from aigc_desktop.core.config import param
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import EventStream, Note, Progress
from aigc_desktop.core.family import Family, Task
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.device import choose_device, set_up
from aigc_desktop.engine.pretrained.chat import Message, render
from aigc_desktop.engine.pretrained.decoding import Ask, Rules, decode
from aigc_desktop.engine.pretrained.load import LanguageModel, Words, load_language_model
from aigc_desktop.engine.pretrained.numbers import choose_numbers
from aigc_desktop.engine.sampling import Sampling, Written
from aigc_desktop.engine.writing import DrawConfig, stream_texts

BLOCK = 16  # texts written side by side
_STOP_TOKENS = 24  # of the end of a text that a stop word is looked for in


class GenerateConfig(DrawConfig):
    """Settings for writing with a published model."""

    model: str = param(..., N_("Model"), N_("The imported language model that writes."), kind=FieldKind.MODEL)
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
    numbers: Literal["auto", "float32", "bfloat16", "int8"] = param(
        "auto", N_("Numbers"),
        N_("8 bits write two to three times as fast on a processor and change little; automatic measures it."),
        labels={"auto": N_("Automatic"), "int8": N_("8-bit weights"), "bfloat16": "bfloat16", "float32": "float32"},
        advanced=True,
    )  # fmt: skip


def generate(config: GenerateConfig, run: Run) -> EventStream:
    """Write variants of an answer or of a continuation, side by side; they stream in as partial Text events."""
    if config.chat and not config.prompt.strip():
        raise UserError(_("There is no request to answer."), _("Write a request, or switch “Conversation” off."))
    model = Workspace(run.workspace).model(config.model)
    device = choose_device(config.device)
    set_up(device, config.seed)
    numbers = choose_numbers(config.numbers, device, min(config.count, BLOCK))
    loaded = yield from load_language_model(model, device, numbers)
    yield Progress(0, config.count, _("Reading the request"))
    if config.chat and not loaded.template:
        text = _("“{title}” has no form for conversations, so it goes on with the text.")
        yield Note(text.format(title=loaded.title))
    prompt = prompt_tokens(config, loaded)
    room = loaded.network.shape.context - len(prompt)
    if room < 1:
        raise UserError(
            _("The text has {count} tokens; “{title}” reads {most} at most.").format(
                count=len(prompt), title=loaded.title, most=loaded.network.shape.context
            ),
            _("Shorten it."),
        )
    writer = Writer(loaded, prompt, min(config.length, room), config)
    begun = "" if config.chat and loaded.template else config.prompt
    yield from stream_texts(writer.write(), StopWords(loaded.words, config.stop), config.count, begun, alone=False)


def prompt_tokens(config: GenerateConfig, loaded: LanguageModel) -> tuple[int, ...]:
    """Return the tokens to read before writing: a conversation laid out by the model's template, or plain text."""
    if not (config.chat and loaded.template):
        tokens = loaded.words.encode(config.prompt, special=True)
        return tuple(tokens) or (min(loaded.end, default=0),)
    messages: list[Message] = [{"role": "system", "content": config.system}] if config.system.strip() else []
    messages.append({"role": "user", "content": config.prompt})
    return tuple(loaded.words.encode(render(loaded.template, messages, loaded.special)))


@dataclass(frozen=True)
class Writer:
    """Writes the texts of a task block by block."""

    loaded: LanguageModel
    prompt: tuple[int, ...]
    length: int
    config: GenerateConfig

    def write(self) -> Iterator[Written]:
        """Yield the texts of one block after another."""
        config = self.config
        sampling = Sampling(
            config.temperature, config.top_p, config.top_k, config.repetition_penalty, self.length
        )
        stops = StopWords(self.loaded.words, config.stop)
        rules = Rules(sampling, self.loaded.end, stops.met)
        for start in range(0, config.count, BLOCK):
            seeds = range(config.seed + start, config.seed + min(config.count, start + BLOCK))
            yield from decode(self.loaded.network, [Ask(self.prompt, seed, self.length) for seed in seeds], rules)


class StopWords:
    """Ends texts at words that the user gave, and leaves those words out."""

    def __init__(self, words: Words, stops: str) -> None:
        self.words = words
        self.stops = [stop for part in stops.split("|") if (stop := part.strip())]

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


FAMILY = Family(
    "language_model",
    N_("Local language model"),
    N_("A published model from your disk: answers requests and goes on with texts."),
    "text",
    (Task("generate", N_("Write with the model"), GenerateConfig, generate),),
)
