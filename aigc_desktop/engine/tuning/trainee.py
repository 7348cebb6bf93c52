"""One training of a published language model: what learns, a step, held-out text, and the files of a checkpoint."""

from __future__ import annotations

import math
import shutil
from collections.abc import Generator, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from aigc_desktop.core.events import Event, Text
from aigc_desktop.core.files import write_json
from aigc_desktop.core.i18n import N_
from aigc_desktop.data.model_files import FoundModel
from aigc_desktop.engine import device as devices
from aigc_desktop.engine.nn.linear_loss import linear_cross_entropy
from aigc_desktop.engine.nn.lora import add_lora, save_adapter
from aigc_desktop.engine.nn.next_token import Sampling
from aigc_desktop.engine.pretrained.decoding import Ask, Rules, decode
from aigc_desktop.engine.pretrained.llama import Llama
from aigc_desktop.engine.pretrained.load import LanguageModel
from aigc_desktop.engine.text.packing import Batch
from aigc_desktop.engine.training.loop import Trainee
from aigc_desktop.engine.training.optim import adamw
from aigc_desktop.engine.training.step import Step
from aigc_desktop.engine.tuning.lessons import Form, Lessons
from aigc_desktop.engine.tuning.setup import TuneConfig
from aigc_desktop.engine.tuning.windows import Windows, sight
from aigc_desktop.engine.weights import read_tensors

MOST_VALIDATED = 16_384  # tokens
PREVIEW_TEXTS, PREVIEW_TOKENS = 3, 64
SHOWN_EVERY = 2  # tokens of a published model; a stop waits no longer than for these
FAMILY = "language_model"


class Body(nn.Module):
    """All layers of a network but its output; with an adapter its state is what learns only."""

    def __init__(self, layers: nn.Module, adapted: bool) -> None:
        super().__init__()
        self.layers, self.adapted = layers, adapted

    def forward(self, batch: Batch) -> Tensor:
        """Return the last hidden states (B, T, C)."""
        return self.layers(batch.tokens, None, sight(batch.documents))

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Return what must be kept, named as published weights are."""
        state = self.layers.state_dict()
        return {name: t for name, t in state.items() if ".lora_" in name} if self.adapted else state

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Take back what `state_dict` gave; RuntimeError when it is of another network."""
        if state_dict.keys() != self.state_dict().keys():
            raise RuntimeError("the state is of another network")
        return self.layers.load_state_dict(state_dict, False, assign)


@dataclass(frozen=True)
class Base:
    """The model a training begins with: where it came from, how texts are laid out for it, and its numbers."""

    id: str
    hash: str
    found: FoundModel
    loaded: LanguageModel
    form: Form
    precision: str
    packed: bool = False  # its matrices lie in 4 bits, where they are used


class TuneTrainee(Trainee):
    """A language model in fine-tuning."""

    family, unit = FAMILY, N_("tokens")

    def __init__(
        self, config: TuneConfig, base: Base, lessons: tuple[Lessons, Lessons], requests: list[str],
        device: torch.device,
    ) -> None:  # fmt: skip
        self.config, self.base, self.device = config, base, device
        network = base.loaded.network
        self.network, self.shape = network, network.shape
        adapted = config.method == "lora"
        frozen = torch.bfloat16 if adapted and base.precision == "bfloat16" else torch.float32
        if not base.packed:
            network.to(device, frozen)
        torch.manual_seed(config.seed)
        if adapted:
            network.requires_grad_(False)
            add_lora(network.model, config.adapter.targets, config.rank, config.adapter.alpha, config.lora_dropout)
        else:
            network.requires_grad_(True)
        self.body = Body(network.model, adapted)
        self.modules: dict[str, nn.Module] = {"model": self.body}
        if not adapted and not self.shape.tied:
            self.modules["lm_head"] = network.lm_head
        for module in self.modules.values():
            module.train()
        self.generates = tuple(self.modules)
        self.set_rate(config.rates[0])
        train, held_out = lessons
        self.lessons = self.sampler = Windows(train, config.context, config.batch_size, config.seed)
        self.held_out = Windows(held_out.share(MOST_VALIDATED), config.context, config.batch_size, 0)
        self.requests = requests[:PREVIEW_TEXTS]
        self.units_per_step = config.batch_size * config.context

    def set_rate(self, rate: float) -> None:
        """Begin with this learning rate and without any history."""
        self.optimizer = adamw(self.modules.values(), rate, self.config.weight_decay, (0.9, 0.999))
        self.optimizers = {"model": self.optimizer}

    def train_step(self, step: Step) -> dict[str, Tensor]:
        """Take one step on the cross entropy of the learned tokens, in nats per token."""
        total: Tensor | None = None
        for indices in step.micro_batches():
            batch = self.lessons.batch(indices, self.device)
            with step.autocast():
                loss = self.nats(self.modules, batch) / (batch.targets >= 0).sum().clamp(min=1)
            step.backward(loss)
            total = step.mean(total, loss)
        assert total is not None
        return {"loss": total, "grad_norm": step.optimize(self.optimizer)}

    def nats(self, models: Mapping[str, nn.Module], batch: Batch) -> Tensor:
        """Return the sum of -log p of the targets of a batch."""
        hidden = cast(Tensor, models["model"](batch))
        counted = batch.targets >= 0
        return linear_cross_entropy(hidden[counted], self.output(models), batch.targets[counted])

    def output(self, models: Mapping[str, nn.Module]) -> Tensor:
        """Return the output matrix (V, C) that belongs to `models`."""
        if "lm_head" in models:
            return cast(Tensor, models["lm_head"].weight)
        if self.shape.tied:
            return cast(Tensor, cast(nn.Module, cast(Body, models["model"]).layers.embed_tokens).weight)
        return cast(Tensor, self.network.lm_head.weight)

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context of a forward pass outside of a step."""
        return devices.autocast(self.base.precision, self.device)

    def validate(self, models: Mapping[str, nn.Module]) -> Generator[None, None, dict[str, float]]:
        """Return nats per token, perplexity and bits per byte of held-out text; requests are given and do not count."""
        nats, count, size = yield from self.measure(models, self.held_out.epoch())
        loss = nats / max(1, count)
        bits = nats / math.log(2) / max(1, size)
        return {"val_loss": loss, "val_perplexity": math.exp(min(loss, 700)), "val_bpb": bits}

    def measure(
        self, models: Mapping[str, nn.Module], batches: list[Any]
    ) -> Generator[None, None, tuple[float, int, int]]:
        """Return (nats, tokens, bytes) of batches of held-out windows."""
        nats, count, size = torch.zeros((), device=self.device), torch.zeros((), device=self.device), 0
        for indices in batches:
            batch = self.held_out.batch(indices, self.device)
            with torch.no_grad(), self.autocast():
                nats = nats + self.nats(models, batch)
            count, size = count + (batch.targets >= 0).sum(), size + self.held_out.size(indices)
            yield
        return float(nats), int(count), size

    def preview(self, step: int, models: Mapping[str, nn.Module]) -> Iterator[Event]:
        """Write a few texts, the same at every preview: answers to held-out requests, or new texts."""
        loaded = self.base.loaded
        asks = []
        for seed, request in enumerate(self.requests):
            prompt = loaded.read(request, self.base.form.chat) if request else loaded.first
            asks.append(Ask(prompt, seed, min(PREVIEW_TOKENS, self.shape.context - len(prompt))))
        rules = Rules(Sampling(0.8, 0.95), loaded.end)
        for number, state in enumerate(decode(self.assembled(models), asks, rules)):
            if state.done or number % SHOWN_EVERY == 0:
                texts = [loaded.words.decode(state.tokens[ask.seed], not state.done) for ask in asks]
                pairs = zip(self.requests, texts, strict=True)
                shown = tuple(f"{request}\n→ {text}" if request else text for request, text in pairs)
                yield Text(step, shown, partial=not state.done)

    def assembled(self, models: Mapping[str, nn.Module]) -> Llama:
        """Return a network of `models`, which share their weights with it, to write with."""
        with torch.device("meta"):
            made = Llama(self.shape)
        made.model = cast(Any, models["model"]).layers
        made.lm_head.weight = nn.Parameter(self.output(models), requires_grad=False)
        return made

    def card(self) -> dict[str, Any]:
        """Return what `tuning/loading.py` needs: the base with the hash of its weights, and the form of the texts."""
        return {
            "base": self.base.id, "base_hash": self.base.hash, "prompt": self.base.form.prompt,
            "chat": self.base.form.chat, "targets": list(self.config.adapter.targets),
        }  # fmt: skip

    def write_files(self, folder: Path) -> None:
        """Make the checkpoint an adapter as PEFT writes it, or a model folder as publishers give it."""
        if self.config.method == "lora":
            state = read_tensors(folder / "model.safetensors")
            save_adapter(folder, state, self.config.adapter, self.base.id, "CAUSAL_LM")
            return
        for path in self.base.found.beside:
            shutil.copyfile(path, folder / path.name)
        write_json(folder / "config.json", {**self.base.found.config, "torch_dtype": "float32"})
