"""What the tasks that write texts share: their settings, and texts as a stream of events."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Literal, Protocol

from aigc_desktop.core.config import TaskConfig, param
from aigc_desktop.core.events import Event, Note, Progress, Text
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.engine.device import DEVICES
from aigc_desktop.engine.nn.next_token import Written
from aigc_desktop.engine.text.tokenizer import UNKNOWN, CharTokenizer, Tokenizer

SHOWN_EVERY_S = 0.1
_LETTERS = 30  # new characters that are told


class Decoder(Protocol):
    """What makes text of tokens."""

    def decode(self, ids: Sequence[int], unfinished: bool = False) -> str:
        """Return the text; with `unfinished` the last character may lack bytes and is left out then."""


class DrawConfig(TaskConfig):
    """Settings of every task that writes texts: how many, and how the next token is drawn."""

    count: int = param(4, N_("How many"), N_("Texts to write."), ge=1, le=10_000)
    temperature: float = param(
        0.8, N_("Temperature"), N_("Low is careful, high is daring; 0.7 to 1.0 is good, 0 takes the likeliest token."),
        ge=0.0, le=5.0,
    )  # fmt: skip
    top_p: float = param(
        0.95, N_("Top p"), N_("Draws from the likeliest tokens that make up this share; 1 turns it off."),
        ge=0.01, le=1.0, advanced=True,
    )  # fmt: skip
    seed: int = param(
        0, N_("Seed"), N_("Text number i has the seed plus i; the same seed writes the same text."),
        ge=0, le=2**31 - 1,
    )  # fmt: skip
    device: Literal["auto", "cpu", "cuda", "mps"] = param(
        "auto", N_("Device"), N_("Where to compute; automatic takes a graphics card when there is one."),
        labels=DEVICES, advanced=True,
    )  # fmt: skip


class WriteConfig(DrawConfig):
    """Settings of every task that writes texts with a trained model."""

    run: str = param(..., N_("Model"), N_("The trained model that writes."), kind=FieldKind.RUN)
    checkpoint: str = param(
        "best", N_("Version"), N_("Which saved version of it; the best one by default."), kind=FieldKind.CHECKPOINT
    )


def stream_texts(
    states: Iterable[Written], tokenizer: Decoder, count: int, prompt: str = "", alone: bool = True
) -> Iterator[Event]:
    """Yield Progress, what is written so far several times a second as partial Text, and each finished block.

    `alone` says that a text can be made again by its seed, without the others; only then is the seed told.
    """
    started = shown = time.perf_counter()
    finished = made = 0
    for state in states:
        now, block = time.perf_counter(), tuple(state.tokens)
        length = made + sum(map(len, state.tokens.values()))
        if state.done:
            finished, made = finished + len(block), length
        if state.done or now - shown > SHOWN_EVERY_S:
            shown = now
            texts = decoded(tokenizer, state.tokens, block, not state.done, prompt)
            yield Text(0, texts, block if alone else (), partial=not state.done)
        yield Progress(finished, count, _("Writing"), length / (now - started), N_("tokens"))


def not_read(tokenizer: Tokenizer, texts: Collection[str], most: int = 0) -> Iterator[Note]:
    """Yield Notes on what a model cannot read of given texts: new characters, and what lies behind `most` tokens."""
    characters = getattr(tokenizer, "inner", tokenizer)
    whole = "".join(texts) if isinstance(characters, CharTokenizer) else ""
    new = sorted(letter for letter in set(whole) if characters.encode(letter)[0] == UNKNOWN)
    if new:
        text = _("The model never saw these characters and cannot tell them apart: {letters}")
        yield Note(text.format(letters=" ".join(new[:_LETTERS])), "warning")
    if most and any(len(tokenizer.encode(text)) > most for text in texts):
        yield Note(_("Only the first {count} tokens of a given text are read.").format(count=most), "warning")


def decoded(
    tokenizer: Decoder, written: Mapping[int, list[int]], seeds: Sequence[int], unfinished: bool = False,
    prompt: str = "",
) -> tuple[str, ...]:  # fmt: skip
    """Return the texts of `seeds`; one that is not finished may lack the last bytes of a character."""
    return tuple(prompt + tokenizer.decode(written.get(seed, []), unfinished) for seed in seeds)
