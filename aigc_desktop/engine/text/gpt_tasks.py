"""What a trained language model does: write texts for labels and attributes, and fill gaps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from aigc_desktop.core.config import param
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, EventStream, Note, Progress, Text
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.device import choose_device, set_up
from aigc_desktop.engine.nn.next_token import Sampling, write_texts
from aigc_desktop.engine.text.fields import LABEL, parse, unknown_name
from aigc_desktop.engine.text.gpt_setup import GPTConfig, Model, make_model
from aigc_desktop.engine.text.likelihood import ids_of, stream_nats
from aigc_desktop.engine.text.marks import MarkedTokenizer, infill_prompt, text_prompt
from aigc_desktop.engine.text.tokenizer import END, Tokenizer, load_tokenizer
from aigc_desktop.engine.text.writing import WriteConfig, decoded, not_read, stream_texts
from aigc_desktop.engine.training.checkpoint import part, read_model


def _attributes() -> Any:
    return param(
        "", N_("Attributes"), N_("Lines “name: value” that the text is to follow, of the names the model has learned."),
        kind=FieldKind.ATTRIBUTES, multiline=True,
    )  # fmt: skip


def _label() -> Any:
    return param(
        "", N_("Class"), N_("Name of one class the model has learned; empty for a mixture as in the data."),
        kind=FieldKind.CLASS,
    )  # fmt: skip


class ToldConfig(WriteConfig):
    """Settings of every task that writes with a trained language model."""

    top_k: int = param(
        0, N_("Top k"), N_("Draws from so many likeliest tokens only; 0 turns it off."), ge=0, le=65_536, advanced=True
    )
    repetition_penalty: float = param(
        1.0, N_("Repetition penalty"), N_("Above 1, tokens that came already are less likely; 1.1 is mild."),
        ge=1.0, le=2.0, advanced=True,
    )  # fmt: skip

    def sampling(self, most_tokens: int) -> Sampling:
        """Return how tokens are chosen."""
        return Sampling(self.temperature, self.top_p, self.top_k, self.repetition_penalty, most_tokens)

    @property
    def seeds(self) -> tuple[int, ...]:
        """Return the seeds of the texts."""
        return tuple(range(self.seed, self.seed + self.count))


class GenerateConfig(ToldConfig):
    """Settings for writing texts with a trained language model."""

    prompt: str = param(
        "", N_("Beginning"), N_("The text goes on from here; leave it empty to let the model begin."), multiline=True
    )
    length: int = param(
        300, N_("Length"), N_("Most tokens per text; a text may end earlier."), unit=N_("tokens"), ge=1, le=100_000
    )


    attributes: str = _attributes()
    label: str = _label()


class InfillConfig(ToldConfig):
    """Settings for filling a gap in a text."""

    before: str = param("", N_("Before the gap"), N_("What stands before the gap; may be empty."), multiline=True)
    after: str = param("", N_("After the gap"), N_("What stands after the gap; may be empty."), multiline=True)
    length: int = param(
        100, N_("Length"), N_("Most tokens in the gap; the model ends it earlier where it fits."), unit=N_("tokens"),
        ge=1, le=8192,
    )  # fmt: skip
    attributes: str = _attributes()
    label: str = _label()


@dataclass(frozen=True)
class Loaded:
    """A trained model, ready to write; `told` is what its card says of prompts."""

    model: Model
    tokenizer: Tokenizer
    told: dict[str, Any]

    def values(self, attributes: str, label: str) -> dict[str, str]:
        """Return the values by name that a user gave; UserError for a name or class the model does not know."""
        known, classes = self.told.get("fields", []), self.told.get("classes", [])
        values = parse(attributes, known)
        if label.strip():
            if LABEL in values:
                raise UserError(
                    _("The class is given twice, in its field and among the attributes."), _("Keep one of them.")
                )
            values = {LABEL: label.strip()} | values
        if (LABEL in values and classes and values[LABEL] not in classes) or (label.strip() and not classes):
            raise UserError(
                _("This model has not learned the class “{name}”.").format(name=values[LABEL]),
                _("Leave the class empty or choose one of: {names}.").format(names=", ".join(classes))
                if classes else _("Leave the class empty: it was trained without labels."),
            )  # fmt: skip
        if values and not isinstance(self.tokenizer, MarkedTokenizer):
            raise unknown_name(next(iter(values)), [])
        return values


def load_run(config: ToldConfig, run: Run) -> Loaded:
    """Return the model of the run and version that are chosen."""
    return load_folder(Workspace(run.workspace).run(config.run).checkpoint(config.checkpoint), config.device)


def load_folder(folder: Path, device_name: str) -> Loaded:
    """Return the model of a checkpoint, with torch set up to write with it."""
    device = choose_device(device_name)
    set_up(device, 0)
    return read_folder(folder, device)


def read_folder(folder: Path, device: torch.device) -> Loaded:
    """Return the model of a checkpoint; nothing else changes."""
    card, tensors = read_model(folder)
    config = GPTConfig.model_validate(card.config)
    model = make_model(config, card.extra["vocab"])
    model.load_state_dict(part(tensors, "model"))
    tokenizer = load_tokenizer(folder)
    if card.extra.get("marks"):
        tokenizer = MarkedTokenizer(tokenizer)
    return Loaded(model.to(device).eval().requires_grad_(False), tokenizer, card.extra)


def load(folder: Path, device_name: str) -> tuple[Model, Tokenizer]:
    """Return the model of a checkpoint, ready to write, and its tokenizer."""
    loaded = load_folder(folder, device_name)
    return loaded.model, loaded.tokenizer


def plain_prompt(tokenizer: Tokenizer, beginning: str = "", told: dict[str, str] | None = None) -> list[int]:
    """Return the prompt of a text that goes on from `beginning`; empty means the begin of a new text."""
    if isinstance(tokenizer, MarkedTokenizer):
        return text_prompt(tokenizer, told or {}, beginning)
    return [int(i) for i in tokenizer.encode(beginning)]


def generate(config: GenerateConfig, run: Run) -> EventStream:
    """Write texts; what there is so far streams in as partial Text events."""
    yield Progress(0, config.count, _("Loading the model"))
    loaded = load_run(config, run)
    told = loaded.values(config.attributes, config.label)
    prompt = plain_prompt(loaded.tokenizer, config.prompt, told)
    yield from not_read(loaded.tokenizer, [config.prompt, *told.values()])
    states = write_texts(loaded.model, prompt, config.seeds, END, config.sampling(config.length))
    yield from stream_texts(states, loaded.tokenizer, config.count, config.prompt)


def infill(config: InfillConfig, run: Run) -> EventStream:
    """Write what stands between two pieces of text; each Text is the whole."""
    yield Progress(0, config.count, _("Loading the model"))
    loaded = load_run(config, run)
    if not isinstance(loaded.tokenizer, MarkedTokenizer) or not loaded.told.get("infill"):
        raise UserError(
            _("This model has not learned to fill gaps."), _("Train one with “Filling in” above 0, for example 0.5.")
        )
    context = loaded.model.shape.context
    told = loaded.values(config.attributes, config.label)
    room = context - min(config.length, context // 2)
    prompt, cut = infill_prompt(loaded.tokenizer, told, config.before, config.after, room)
    yield from not_read(loaded.tokenizer, [config.before, config.after, *told.values()])
    if cut:
        yield Note(_("Only what stands nearest to the gap is read: {count} tokens at most.").format(count=room))
    sampling = config.sampling(max(1, min(config.length, context - len(prompt))))
    states = write_texts(loaded.model, prompt, config.seeds, END, sampling)
    yield from _between(config.before, stream_texts(states, loaded.tokenizer, config.count), config.after)


def _between(before: str, events: Iterable[Event], after: str) -> Iterator[Event]:
    """Yield the events with each text between `before` and `after`."""
    for event in events:
        if isinstance(event, Text):
            event = replace(event, items=tuple(before + text + after for text in event.items))
        yield event


def sampler(folder: Path, device_name: str) -> Callable[..., list[str]]:
    """Return a function (count, seed, temperature) -> texts; at 1 they are of the distribution that was learned."""
    model, tokenizer = load(folder, device_name)

    def sample(count: int, seed: int, temperature: float = 1.0) -> list[str]:
        seeds = tuple(range(seed, seed + count))
        written: dict[int, list[int]] = {}
        sampling = Sampling(temperature, most_tokens=model.shape.context)
        for state in write_texts(model, plain_prompt(tokenizer), seeds, END, sampling):
            written |= state.tokens
        return list(decoded(tokenizer, written, seeds))

    return sample


def likelihood(folder: Path, device_name: str) -> Callable[[Sequence[str]], Iterator[float]]:
    """Return a function texts -> nats of each; one with a character that the model does not know has none."""
    model, tokenizer = load(folder, device_name)
    opening = plain_prompt(tokenizer) or [END]
    return lambda texts: (stream_nats(model, opening, ids_of(tokenizer, text)) for text in texts)
