"""Causal language model from scratch (GPT, Radford et al. 2018) with today's parts; see nn/attention.py.

Hidden matrices are trained by Muon (Jordan 2024), the tied embedding by AdamW. Small data is the normal case: dropout,
strong weight decay and early stopping then matter more than anything else (Kim et al. 2025, arXiv:2509.14786).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, cast

import torch
from pydantic import model_validator
from torch import Tensor, nn

from aigc_desktop.core.config import param
from aigc_desktop.core.events import Event, EventStream, Progress, Text
from aigc_desktop.core.family import Family, Task
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.checkpoint import part, read_model
from aigc_desktop.engine.data import open_dataset
from aigc_desktop.engine.device import choose_device, set_up
from aigc_desktop.engine.nn.language_model import LanguageModel, Shape
from aigc_desktop.engine.optim import adamw, muon_and_adamw
from aigc_desktop.engine.sampling import Sampling, write_texts
from aigc_desktop.engine.step import Step
from aigc_desktop.engine.text_data import TokenData, Windows, prepare_tokens, validation_batches, windows
from aigc_desktop.engine.text_plan import plan_language_model
from aigc_desktop.engine.tokenizer import END, Tokenizer, load_tokenizer
from aigc_desktop.engine.training import TrainConfig, Trainee, begin, fit
from aigc_desktop.engine.writing import WriteConfig, decoded, stream_texts

ADAM_SHARE = 0.25  # AdamW's learning rate as a share of Muon's
VALIDATION_WINDOWS = 256
PREVIEW_TEXTS, PREVIEW_TOKENS = 4, 128


class GPTConfig(TrainConfig):
    """Settings of a language model's training."""

    layers: int = param(
        4, N_("Layers"), N_("Depth of the network; 4 for a processor, 6 to 12 for a graphics card."), ge=1, le=48
    )
    width: int = param(
        128, N_("Width"), N_("Numbers per token inside the network; twice as wide takes four times as long."),
        ge=16, le=4096,
    )  # fmt: skip
    heads: int = param(
        4, N_("Heads"), N_("Parallel attentions; width divided by heads must be even, 32 to 64 is good."),
        ge=1, le=64, advanced=True,
    )  # fmt: skip
    context: int = param(
        128, N_("Context"), N_("How many tokens the model looks back; longer remembers more and takes longer."),
        unit=N_("tokens"), ge=8, le=8192,
    )  # fmt: skip
    tokenizer: Literal["auto", "char", "bpe"] = param(
        "auto", N_("Tokens"), N_("Characters suit little text, learned pieces of words suit more; automatic decides."),
        labels={"auto": N_("Automatic"), "char": N_("Characters"), "bpe": N_("Learned pieces")},
    )  # fmt: skip
    vocab: int = param(
        0, N_("Vocabulary"), N_("How many learned pieces there are; 0 chooses by the amount of text."),
        ge=0, le=65_536, advanced=True,
    )  # fmt: skip
    feed_forward: Literal["relu2", "swiglu"] = param(
        "relu2", N_("Feed-forward"), N_("The non-linear part of a layer; both are good, ReLU² is faster."),
        labels={"relu2": "ReLU²", "swiglu": "SwiGLU"}, advanced=True,
    )  # fmt: skip
    dropout: float = param(
        0.0, N_("Dropout"), N_("Share of numbers set to zero while training; 0.1 to 0.3 helps small data."),
        ge=0.0, le=0.9, advanced=True,
    )  # fmt: skip
    optimizer: Literal["muon", "adamw"] = param(
        "muon", N_("Optimizer"), N_("Muon learns more per step; AdamW is the classic and wants a tenth of the rate."),
        labels={"muon": "Muon", "adamw": "AdamW"}, advanced=True,
    )  # fmt: skip
    batch_size: int = param(
        16, N_("Batch size"), N_("Windows of text per update; more is steadier and needs more memory."), ge=1, le=4096
    )
    lr: float = param(
        0.02, N_("Learning rate"), N_("How far an update goes; 0.01 to 0.03 is right for Muon, 0.001 for AdamW."),
        ge=1e-7, le=1.0, advanced=True,
    )  # fmt: skip
    weight_decay: float = param(
        0.1, N_("Weight decay"), N_("Pulls weights towards zero; more helps against learning small data by heart."),
        ge=0.0, le=10.0, advanced=True,
    )  # fmt: skip

    @model_validator(mode="after")
    def _heads_fit(self) -> GPTConfig:
        if self.width % (2 * self.heads):
            raise ValueError(_("The width must be a multiple of twice the number of heads."))
        return self

    def shape(self, vocab: int) -> Shape:
        """Return the size of the network for a vocabulary."""
        return Shape(
            vocab, self.layers, self.width, self.heads, self.context, self.feed_forward == "swiglu", self.dropout
        )


class GPTTrainee(Trainee):
    """A language model in training."""

    family = "gpt"
    generates = ("model",)
    unit = N_("tokens")

    def __init__(self, config: GPTConfig, data: TokenData, device: torch.device) -> None:
        self.config, self.data, self.device = config, data, device
        self.model = LanguageModel(config.shape(data.tokenizer.size)).to(device)
        self.modules = {"model": self.model}
        self.optimizers = make_optimizers(self.model, config)
        self.windows = Windows(data.train, config.context, config.batch_size, config.seed)
        self.sampler = self.windows
        self.units_per_step = config.batch_size * config.context
        self.byte_counts = torch.from_numpy(data.tokenizer.byte_counts()).float().to(device)

    def train_step(self, step: Step) -> dict[str, Tensor]:
        """Minimise the cross-entropy of the next token."""
        total = None
        for positions in step.micro_batches():
            tokens, targets = self.windows.batch(positions, self.device)
            with step.autocast():
                loss = self.model.loss(tokens, targets)
            step.backward(loss)
            total = step.mean(total, loss)
        norms = [step.optimize(optimizer) for optimizer in self.optimizers.values()]
        assert total is not None
        return {"loss": total, "grad_norm": torch.stack(norms).norm()}

    def validate(self, models: Mapping[str, nn.Module]) -> Generator[None, None, dict[str, float]]:
        """Return nats per token and bits per byte of held-out text."""
        nats = count = size = torch.zeros((), device=self.device)
        tokens, context = self.data.validation, self.config.context
        for positions in validation_batches(tokens, context, self.config.batch_size, VALIDATION_WINDOWS):
            inputs, targets = windows(tokens, positions, context, self.device)
            losses = self.generating(models).token_losses(inputs, targets)
            nats, count = nats + losses.sum(), count + losses.numel()
            size = size + self.byte_counts[targets].sum()
            yield
        return {"val_loss": float(nats / count), "val_bpb": float(nats / size / math.log(2))}

    def preview(self, step: int, models: Mapping[str, nn.Module]) -> Iterator[Event]:
        """Write the same few texts at every preview."""
        seeds = tuple(range(PREVIEW_TEXTS))
        sampling = Sampling(temperature=0.8, top_p=0.95, most_tokens=PREVIEW_TOKENS)
        written: dict[int, list[int]] = {}
        for number, state in enumerate(write_texts(self.generating(models), [], seeds, END, sampling)):
            written |= state.tokens
            if number % 16 == 0:
                yield Text(step, decoded(self.data.tokenizer, written, seeds, True), seeds, partial=True)
        yield Text(step, decoded(self.data.tokenizer, written, seeds), seeds)

    @staticmethod
    def generating(models: Mapping[str, nn.Module]) -> LanguageModel:
        """Return the averaged model."""
        return cast(LanguageModel, models["model"])

    def card(self) -> dict[str, Any]:
        """Return the size of the network."""
        return {"vocab": self.data.tokenizer.size}

    def write_files(self, folder: Path) -> None:
        """Put the tokenizer beside the weights."""
        self.data.tokenizer.save(folder)


def make_optimizers(model: LanguageModel, config: GPTConfig) -> dict[str, torch.optim.Optimizer]:
    """Return the optimizers of `model`, one or two."""
    if config.optimizer == "adamw":
        return {"adamw": adamw([model], config.lr, config.weight_decay, (0.9, 0.99))}
    return muon_and_adamw(
        model, model.hidden_matrices(), config.lr, config.lr * ADAM_SHARE, config.weight_decay, (0.9, 0.99)
    )


def train(config: GPTConfig, run: Run) -> EventStream:
    """Train a language model on the texts of a data set."""
    yield Progress(0, config.steps, _("Preparing"))
    device = begin(config)
    dataset = open_dataset(run, config.dataset, "text")
    data = yield from prepare_tokens(run, dataset, config.tokenizer, config.vocab, config.context + 2)
    yield from fit(config, run, GPTTrainee(config, data, device))


class GenerateConfig(WriteConfig):
    """Settings for writing texts with a trained language model."""

    prompt: str = param(
        "", N_("Beginning"), N_("The text goes on from here; leave it empty to let the model begin."), multiline=True
    )
    length: int = param(
        300, N_("Length"), N_("Most tokens per text; a text may end earlier."), unit=N_("tokens"), ge=1, le=100_000
    )
    top_k: int = param(
        0, N_("Top k"), N_("Draws from so many likeliest tokens only; 0 turns it off."), ge=0, le=65_536, advanced=True
    )
    repetition_penalty: float = param(
        1.0, N_("Repetition penalty"), N_("Above 1, tokens that came already are less likely; 1.1 is mild."),
        ge=1.0, le=2.0, advanced=True,
    )  # fmt: skip


def generate(config: GenerateConfig, run: Run) -> EventStream:
    """Write texts; what there is so far streams in as partial Text events."""
    yield Progress(0, config.count, _("Loading the model"))
    folder = Workspace(run.workspace).run(config.run).checkpoint(config.checkpoint)
    model, tokenizer = load(folder, config.device)
    sampling = Sampling(
        config.temperature, config.top_p, config.top_k, config.repetition_penalty, config.length
    )
    prompt = [int(i) for i in tokenizer.encode(config.prompt)]
    seeds = tuple(range(config.seed, config.seed + config.count))
    yield from stream_texts(write_texts(model, prompt, seeds, END, sampling), tokenizer, config.count, config.prompt)


def load(folder: Path, device_name: str) -> tuple[LanguageModel, Tokenizer]:
    """Return the model of a checkpoint, ready to write, and its tokenizer."""
    device = choose_device(device_name)
    set_up(device, 0)
    card, tensors = read_model(folder)
    config = GPTConfig.model_validate(card.config)
    model = LanguageModel(config.shape(card.extra["vocab"]))
    model.load_state_dict(part(tensors, "model"))
    return model.to(device).eval().requires_grad_(False), load_tokenizer(folder)


def sampler(folder: Path, device_name: str) -> Callable[[int, int], list[str]]:
    """Return a function (count, seed) -> texts at temperature 1, the distribution that was learned."""
    model, tokenizer = load(folder, device_name)

    def sample(count: int, seed: int) -> list[str]:
        seeds = tuple(range(seed, seed + count))
        written: dict[int, list[int]] = {}
        for state in write_texts(model, [], seeds, END, Sampling(most_tokens=model.shape.context)):
            written |= state.tokens
        return list(decoded(tokenizer, written, seeds))

    return sample


plan = plan_language_model(GPTConfig, make_optimizers)

FAMILY = Family(
    "gpt",
    N_("Text writer"),
    N_("Learns the style of your texts and writes new ones (causal Transformer)."),
    "text",
    (
        Task("train", N_("Train a text writer"), GPTConfig, train, "train", plan),
        Task("generate", N_("Write texts"), GenerateConfig, generate, "create"),
    ),
    sampler,
)
