"""Causal language model from scratch (GPT, Radford et al. 2018) with today's parts; see nn/attention.py.

Hidden matrices are trained by Muon (Jordan 2024), the tied embedding by AdamW. Small data is the normal case: dropout,
strong weight decay and early stopping then matter more than anything else (Kim et al. 2025, arXiv:2509.14786).
What is told of a text is learned as lines before it, and gaps as in arXiv:2207.14255; see text_marks.py.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from aigc_desktop.core.events import Event, EventStream, Note, Progress, Text
from aigc_desktop.core.family import Family, Task
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.run import Run
from aigc_desktop.engine.nn.next_token import Sampling, write_texts
from aigc_desktop.engine.text import gpt_tasks as tasks
from aigc_desktop.engine.text.fields import names_of
from aigc_desktop.engine.text.gpt_data import GPTData
from aigc_desktop.engine.text.gpt_plan import plan
from aigc_desktop.engine.text.gpt_setup import GPTConfig, Model, make_model, make_optimizers
from aigc_desktop.engine.text.gpt_teacher import Teacher, find_teacher, plan_with_teacher
from aigc_desktop.engine.text.tokenizer import END
from aigc_desktop.engine.text.tokens import prepare_tokens
from aigc_desktop.engine.text.writing import decoded
from aigc_desktop.engine.training.data import open_dataset
from aigc_desktop.engine.training.loop import Trainee, begin, fit
from aigc_desktop.engine.training.step import Step

PREVIEW_TEXTS, PREVIEW_TOKENS = 4, 128
SHOWN_EVERY = 4  # tokens; a stop waits no longer than for these


class GPTTrainee(Trainee):
    """A language model in training."""

    family = "gpt"
    generates = ("model",)
    unit = N_("tokens")

    def __init__(self, config: GPTConfig, data: GPTData, device: torch.device, teacher: Teacher | None = None) -> None:
        self.config, self.data, self.device, self.teacher = config, data, device, teacher
        self.model = make_model(config, data.tokenizer.size).to(device)
        self.modules = {"model": self.model}
        self.optimizers = make_optimizers(self.model, config)
        self.sampler = data.train
        self.units_per_step = data.batch_size * config.context
        self.byte_counts = torch.from_numpy(data.tokenizer.byte_counts()).float().to(device)

    def train_step(self, step: Step) -> dict[str, Tensor]:
        """Minimise the cross-entropy of the next token; with a teacher also that against its distribution."""
        values: dict[str, Tensor] = {}
        for positions in step.micro_batches():
            batch = self.data.batch(positions, self.device)
            with step.autocast():
                if self.teacher is None:
                    shown = {"loss": self.model.loss(batch.tokens, batch.targets, batch.documents)}
                else:
                    shown = self.teacher.losses(self.model, batch)
            step.backward(shown["loss"] if self.teacher is None else self.teacher.mix(shown))
            values = {name: step.mean(values.get(name), value) for name, value in shown.items()}
        norms = [step.optimize(optimizer) for optimizer in self.optimizers.values()]
        return values | {"grad_norm": torch.stack(norms).norm()}

    def validate(self, models: Mapping[str, nn.Module]) -> Generator[None, None, dict[str, float]]:
        """Return nats per token and bits per byte of held-out text; attributes are given and do not count."""
        nats = count = size = torch.zeros((), device=self.device)
        for batch in self.data.held_out(self.device):
            losses = self.generating(models).token_losses(batch.tokens, batch.targets, batch.documents)
            counted = batch.targets >= 0
            nats, count = nats + losses.sum(), count + counted.sum()
            size = size + (self.byte_counts[batch.targets.clamp(min=0)] * counted).sum()
            yield
        return {"val_loss": float(nats / count), "val_bpb": float(nats / size / math.log(2))}

    def preview(self, step: int, models: Mapping[str, nn.Module]) -> Iterator[Event]:
        """Write the same few texts at every preview."""
        seeds = tuple(range(PREVIEW_TEXTS))
        sampling = Sampling(temperature=0.8, top_p=0.95, most_tokens=PREVIEW_TOKENS)
        written: dict[int, list[int]] = {}
        prompt = tasks.plain_prompt(self.data.tokenizer)
        for number, state in enumerate(write_texts(self.generating(models), prompt, seeds, END, sampling)):
            written |= state.tokens
            if number % SHOWN_EVERY == 0:
                yield Text(step, decoded(self.data.tokenizer, written, seeds, True), seeds, partial=True)
        yield Text(step, decoded(self.data.tokenizer, written, seeds), seeds)

    @staticmethod
    def generating(models: Mapping[str, nn.Module]) -> Model:
        """Return the averaged model."""
        return cast(Model, models["model"])

    def card(self) -> dict[str, Any]:
        """Return the size of the vocabulary, and what the model can be told."""
        return {"vocab": self.data.tokenizer.size, **self.data.told}

    def write_files(self, folder: Path) -> None:
        """Put the tokenizer beside the weights."""
        self.data.tokenizer.save(folder)


def train(config: GPTConfig, run: Run) -> EventStream:
    """Train a language model on the texts of a data set."""
    yield Progress(0, config.steps, _("Preparing"))
    device = begin(config)
    dataset = open_dataset(run, config.dataset, "text")
    fields = names_of(dataset) if config.attributes else []
    teacher = find_teacher(config, run, device)
    tokens = yield from prepare_tokens(
        run, dataset, config.tokenizer, config.vocab, config.context + 2, fields,
        teacher.tokenizer if teacher is not None else None,
    )
    data = GPTData(config, tokens, run.folder / "tokens", dataset.info.classes)
    if teacher is not None:
        teacher.check(data.told)
    if data.crowded > 0.02:
        yield Note(_("{share:.0%} of the texts have more attributes than half of the context holds.").format(
            share=data.crowded
        ), "warning")  # fmt: skip
    yield from fit(config, run, GPTTrainee(config, data, device, teacher))


GenerateConfig, InfillConfig = tasks.GenerateConfig, tasks.InfillConfig
generate, infill, load = tasks.generate, tasks.infill, tasks.load
sampler, likelihood = tasks.sampler, tasks.likelihood

FAMILY = Family(
    "gpt",
    N_("Text writer"),
    N_("Learns the style of your texts and writes new ones (causal Transformer)."),
    "text",
    (
        Task("train", N_("Train a text writer"), GPTConfig, train, "train", plan_with_teacher(plan)),
        Task("generate", N_("Write texts"), GenerateConfig, generate, "create"),
        Task("infill", N_("Fill a gap"), InfillConfig, infill, "create", requires="infill"),
    ),
    sampler,
    tempered=True,
    likelihood=likelihood,
    likelihood_note=N_("Nothing is told to the model of a text, no class and no attribute."),
)
