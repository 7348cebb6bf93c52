"""Before and after on the same prompts: texts of the base and of the fine-tuned model, and the perplexity of both."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass

import torch

from aigc_desktop.core.config import param
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, EventStream, Progress, Result, Text
from aigc_desktop.core.files import write_json
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.records import read_table
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.device import choose_device, set_up
from aigc_desktop.engine.nn.linear_loss import linear_cross_entropy
from aigc_desktop.engine.nn.next_token import Sampling
from aigc_desktop.engine.pretrained.decoding import Ask, Rules, decode
from aigc_desktop.engine.pretrained.load import LanguageModel, load_language_model
from aigc_desktop.engine.pretrained.numbers import Numbers
from aigc_desktop.engine.text.language_writing import room_after
from aigc_desktop.engine.text.writing import WriteConfig
from aigc_desktop.engine.training.checkpoint import Card, read_card
from aigc_desktop.engine.tuning.lessons import Form, Lessons, beginnings_of, open_lessons, requests_of
from aigc_desktop.engine.tuning.loading import base_of_run, form_of, load_tuned
from aigc_desktop.engine.tuning.trainee import MOST_VALIDATED
from aigc_desktop.engine.tuning.windows import Windows, sight

COMPARISON = "comparison.json"
MOST_PROMPTS = 64
_BEGINNING = 8  # tokens of a held-out text that both go on from
_AT_ONCE = 4  # windows


class CompareConfig(WriteConfig):
    """Settings of a comparison before and after."""

    prompts: str = param(
        "", N_("Prompts"), N_("One a line; empty takes requests or beginnings of texts that were held out."),
        multiline=True,
    )  # fmt: skip
    count: int = param(
        4, N_("How many"), N_("Held-out texts to take prompts from; your own lines count instead."), ge=1,
        le=MOST_PROMPTS,
    )
    length: int = param(
        100, N_("Length"), N_("Most tokens per text; a text may end earlier."), unit=N_("tokens"), ge=1, le=8192
    )


@dataclass(frozen=True)
class Side:
    """What one of the two models did: texts by prompt, and nats, tokens of held-out text."""

    texts: tuple[str, ...] = ()
    nats: float = 0.0
    tokens: int = 0

    @property
    def perplexity(self) -> float:
        """Return the perplexity per token."""
        return math.exp(min(self.nats / max(1, self.tokens), 700))


def compare(config: CompareConfig, run: Run) -> EventStream:
    """Write with both models; each item of the texts is a prompt with both continuations, the first one the figures."""
    workspace = Workspace(run.workspace)
    trained = workspace.run(config.run)
    card = read_card(trained.checkpoint(config.checkpoint))
    form = form_of(card)
    held_out = open_lessons(trained.folder / "tokens")[1].share(MOST_VALIDATED)
    device = choose_device(config.device)
    set_up(device, config.seed)
    numbers: Numbers = "bfloat16" if device.type == "cuda" else "float32"
    base = base_of_run(trained.checkpoint(config.checkpoint), card, workspace)
    loaded = form.teach((yield from load_language_model(base, device, numbers)))
    prompts = _prompts(config, loaded, form, card, held_out, workspace)
    context = int(read_table(trained.folder / "tokens" / "lessons.json")["context"])
    windows = Windows(held_out, context, _AT_ONCE, 0)
    before = yield from _side(config, loaded, form, prompts, windows, None)
    del loaded
    tuned = yield from load_tuned(trained, config.checkpoint, device, numbers)
    after = yield from _side(config, tuned, form, prompts, windows, before)
    yield Text(0, _items(prompts, before, after))
    found = {
        "run": config.run, "prompts": prompts, "before": asdict(before), "after": asdict(after),
        "perplexity_before": before.perplexity, "perplexity_after": after.perplexity,
    }  # fmt: skip
    write_json(run.folder / COMPARISON, found)
    yield Result("comparison", found)


def _prompts(
    config: CompareConfig, loaded: LanguageModel, form: Form, card: Card, held_out: Lessons, workspace: Workspace
) -> list[str]:
    """Return the user's lines, or requests or beginnings of held-out texts."""
    own = [line.strip() for line in config.prompts.splitlines() if line.strip()]
    if len(own) > MOST_PROMPTS:
        raise UserError(
            _("{count} prompts are too many; {most} are compared at once.").format(count=len(own), most=MOST_PROMPTS),
            _("Keep those that matter."),
        )
    asked = requests_of(workspace.dataset(card.dataset), held_out, form, config.count) if form.prompt else []
    return own or asked or beginnings_of(held_out, loaded, config.count, _BEGINNING)


def _side(
    config: CompareConfig, loaded: LanguageModel, form: Form, prompts: Sequence[str], windows: Windows,
    before: Side | None,
) -> Generator[Event, str | None, Side]:  # fmt: skip
    """Measure and write with one of the two models; its texts stream in as partial ones."""
    phase = _("Before: the model as it was") if before is None else _("After: the fine-tuned model")
    side = yield from measure(loaded, windows, phase)
    asks = []
    for number, prompt in enumerate(prompts):
        read = loaded.read(prompt, form.chat)
        asks.append(Ask(read, config.seed + number, min(config.length, room_after(loaded, read))))
    rules = Rules(Sampling(config.temperature, config.top_p), loaded.end)
    for number, state in enumerate(decode(loaded.network, asks, rules)):
        if state.done or number % 8 == 0:
            texts = tuple(loaded.words.decode(state.tokens[ask.seed], not state.done) for ask in asks)
            side = Side(texts, side.nats, side.tokens)
            yield Text(0, _items(prompts, before or side, None if before is None else side), partial=True)
        yield Progress(number, config.length, phase)
    return side


def measure(loaded: LanguageModel, windows: Windows, phase: str) -> Generator[Event, str | None, Side]:
    """Return the nats and the tokens of all windows, without texts; UserError when nothing in them counts."""
    network, nats, tokens = loaded.network, 0.0, 0
    batches = windows.epoch()
    for number, indices in enumerate(batches):
        batch = windows.batch(indices, network.device)
        counted = batch.targets >= 0
        with torch.no_grad():
            hidden = network(batch.tokens, None, sight(batch.documents))[counted]
            weight = network.lm_head.weight
            assert isinstance(weight, torch.Tensor)
            nats += float(linear_cross_entropy(hidden, weight, batch.targets[counted]))
        tokens += int(counted.sum())
        yield Progress(number, len(batches), phase)
    if not tokens:
        raise UserError(_("No text was held out that could be measured."), _("Train with more texts."))
    return Side((), nats, tokens)


def _items(prompts: Sequence[str], before: Side, after: Side | None) -> tuple[str, ...]:
    """Return the figures, then each prompt with what both models made of it."""
    figures = _("Held-out perplexity: {before:.2f} before").format(before=before.perplexity)
    if after is not None:
        text = _("Held-out perplexity: {before:.2f} before, {after:.2f} after ({change:+.1f} %), over {count} tokens.")
        change = 100 * (after.perplexity / before.perplexity - 1)
        figures = text.format(
            before=before.perplexity, after=after.perplexity, change=change, count=f"{after.tokens:,}"
        )
    later = after.texts if after is not None and after.texts else [""] * len(prompts)
    head, tail = _("Before"), _("After")
    rows = zip(prompts, before.texts, later, strict=True)
    return (figures, *(f"{prompt}\n\n{head} → {one}\n\n{tail} → {two}".rstrip() for prompt, one, two in rows))
