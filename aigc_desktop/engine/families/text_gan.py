"""Text GAN: a causal Transformer learns by likelihood, then plays against a critic that tells texts apart.

The game follows RelGAN (Nie et al., ICLR 2019): Gumbel-softmax whose inverse temperature rises, a relativistic loss, a
critic of many views; with R1 and R2 (arXiv:1801.04406) on the embedded texts, and the likelihood kept in the loss.
Language GANs rarely beat likelihood (arXiv:1811.02549). So a twin without the critic takes the same steps of likelihood
on the same texts, is kept in each checkpoint and measured beside the GAN; and the game ends when it collapses.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Event, EventStream, Progress, Text
from aigc_desktop.core.family import Family, Task
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.run import Run
from aigc_desktop.engine.nn.adversarial import binary_loss, frozen, gradient_penalty, pairing_loss
from aigc_desktop.engine.nn.gumbel import ramp, straight_through
from aigc_desktop.engine.nn.language_model import LanguageModel
from aigc_desktop.engine.text import gan_tasks as tasks
from aigc_desktop.engine.text.gan_model import Loaded, draw_rows
from aigc_desktop.engine.text.gan_setup import TextGanConfig, make_critic, plan
from aigc_desktop.engine.text.gan_watch import Collapse, Judge, Quality, accuracy, evenly, right_share
from aigc_desktop.engine.text.sentence_setup import SentenceData, prepare_sentences
from aigc_desktop.engine.text.sentences import Rows
from aigc_desktop.engine.text.writing import decoded
from aigc_desktop.engine.training.data import Sampler, open_dataset
from aigc_desktop.engine.training.loop import Trainee, begin, fit
from aigc_desktop.engine.training.optim import adamw, muon_and_adamw
from aigc_desktop.engine.training.schedule import lr_factor
from aigc_desktop.engine.training.step import Step

ADAM_SHARE = 0.25  # AdamW's learning rate as a share of Muon's
CRITIC_FIRST = 0.1  # share of the game in which the generator does not listen to the critic yet
PREVIEW_TEXTS = 6
LEAST_TEXTS = 2
MOST_VALIDATED = 512


def train(config: TextGanConfig, run: Run) -> EventStream:
    """Train generator, critic and twin on the texts of a data set."""
    yield Progress(0, config.steps, _("Preparing"))
    device = begin(config)
    dataset = open_dataset(run, config.dataset, "text")
    data = yield from prepare_sentences(run, dataset, config)
    if len(data.train) < LEAST_TEXTS:
        raise UserError(
            _("“{title}” has only one text to learn from.").format(title=dataset.info.title),
            _("Add more texts on the Data page; each line or file is one text."),
        )
    yield from fit(config, run, TextGanTrainee(config, data, device))


class TextGanTrainee(Trainee):
    """Generator, critic and twin, and one step of likelihood or of the game."""

    family, unit, generates = "text_gan", N_("texts"), ("generator", "likelihood")

    def __init__(self, config: TextGanConfig, data: SentenceData, device: torch.device) -> None:
        self.config, self.data, self.device = config, data, device
        shape = config.shape(data.tokenizer.size)
        self.generator, self.twin, self.reader = (LanguageModel(shape).to(device) for _model in range(3))
        self.critic = make_critic(config, shape.vocab).to(device)
        self.modules = {
            "generator": self.generator, "likelihood": self.twin, "critic": self.critic, "reader": self.reader
        }  # fmt: skip
        self.reader.requires_grad_(False)
        self.twin.load_state_dict(self.generator.state_dict())
        self.optimizers = {
            **muon_and_adamw(
                self.generator, self.generator.hidden_matrices(), config.lr, config.lr * ADAM_SHARE,
                config.weight_decay, (0.9, 0.99),
            ),
            "generator": adamw([self.generator], config.game_lr, betas=(0.5, 0.99)),
            "likelihood": adamw([self.twin], config.game_lr, betas=(0.5, 0.99)),
            "critic": adamw([self.critic], config.critic_lr, betas=(0.5, 0.99)),
        }  # fmt: skip
        self.sampler = Sampler(len(data.train), config.batch_size, config.seed)
        self.units_per_step = config.batch_size
        self.collapse = Collapse()
        self.judge = Judge(self.reader, data, config.length)
        self.taken = 0
        self.reader_is_ready = False

    @property
    def alarm(self) -> str:  # type: ignore[override]
        """Return why the game has collapsed, or ""."""
        return self.collapse.sentence

    # one step

    def train_step(self, step: Step) -> dict[str, Tensor]:
        """Predict the next token at first; then one step of the critic, of the generator, and of its twin."""
        self.taken = step.number + 1
        first, config = self.config.likelihood_steps, self.config
        if step.number < first:
            self._set_rates(step, ("muon", "adamw"), step.number, first, config.warmup)
            loss, norms = self._likelihood_step(step, self.generator, ("muon", "adamw"))
            _copy_weights(self.generator, self.twin)
            return {"loss": loss, "grad_norm": norms}
        number, steps = step.number - first, config.steps - first
        self._set_rates(step, ("generator", "likelihood", "critic"), number, steps, min(config.warmup, steps // 10))
        beta = ramp(config.beta, (number + 1) / steps)
        values: dict[str, Tensor] = {}
        fakes: list[Rows] = []
        for _turn in range(config.critic_steps):
            fakes = self._draw(step)
            values |= self._critic_step(step, fakes, beta)
        values |= self._generator_step(step, fakes, beta, listens=number >= CRITIC_FIRST * steps)
        loss, _norm = self._likelihood_step(step, self.twin, ("likelihood",))
        return values | {"loss_mle": loss}

    def _set_rates(self, step: Step, names: tuple[str, ...], number: int, steps: int, warmup: int) -> None:
        """Give each part of the training a schedule of its own."""
        factor = lr_factor(self.config.schedule, number, steps, warmup) * step.guard.lr_scale
        for name in names:
            for group in self.optimizers[name].param_groups:
                group["lr"] = group["initial_lr"] * factor

    def _likelihood_step(
        self, step: Step, model: LanguageModel, optimizers: tuple[str, ...]
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """Return nats per token, and the norm of the gradient."""
        total: Tensor | None = None
        for indices in step.micro_batches():
            nats = self._nats(step, model, self.data.train.rows(indices, self.device))
            step.backward(nats)
            total = step.mean(total, nats)
        assert total is not None
        return total, torch.stack([step.optimize(self.optimizers[name]) for name in optimizers]).norm()

    def _nats(self, step: Step, model: LanguageModel, rows: Rows) -> Tensor:
        model.train()
        with step.autocast():
            logits = model(rows.inputs)
        return token_nats(logits, rows) / rows.known.sum()

    def _draw(self, step: Step) -> list[Rows]:
        """Return texts of the generator, as many as real ones, in the pieces of the batch."""
        self.generator.eval()  # the tokens must be those that the parallel pass explains
        return [draw_rows(self.generator, len(indices), self.config.length) for indices in step.micro_batches()]

    def _critic_step(self, step: Step, fakes: list[Rows], beta: float) -> dict[str, Tensor]:
        config, values = self.config, dict[str, Tensor | None]()
        penalised = config.gamma > 0 and step.number % config.penalty_every == 0

        def report(name: str, value: Tensor) -> None:
            values[name] = step.mean(values.get(name), value)

        for indices, made in zip(step.micro_batches(), fakes, strict=True):
            true = self.data.train.rows(indices, self.device)
            with torch.no_grad():
                drawn = made.targets if config.hard else self._soft(step, made, beta)
            seen, others = self.critic.embed(true.targets), self.critic.embed(drawn)
            with step.autocast() if not penalised else nullcontext():  # second derivatives need exact numbers
                real, fake = self.critic(seen, true.known).float(), self.critic(others, made.known).float()
            loss = pairing_loss(real, fake) if config.game == "relativistic" else binary_loss(real, fake)
            report("d_loss", loss)
            report("d_accuracy", right_share(real, fake, config.game == "relativistic"))
            if penalised:
                r1, r2 = gradient_penalty(real, seen), gradient_penalty(fake, others)
                report("r1", r1)
                report("r2", r2)
                loss = loss + 0.5 * config.gamma * config.penalty_every * (r1 + r2)
            step.backward(loss)
        step.optimize(self.optimizers["critic"])
        return {name: value for name, value in values.items() if value is not None}

    def _generator_step(self, step: Step, fakes: list[Rows], beta: float, listens: bool) -> dict[str, Tensor]:
        """Please the critic and predict the next token, in one update; at first the latter only."""
        config, values = self.config, dict[str, Tensor | None]()
        with frozen(self.critic):
            for indices, made in zip(step.micro_batches(), fakes, strict=True):
                true = self.data.train.rows(indices, self.device)
                if listens:
                    loss = self._game_loss(step, true, made, beta)
                    step.backward(loss)
                    values["g_loss"] = step.mean(values.get("g_loss"), loss)
                nats = self._nats(step, self.generator, true)
                values["loss"] = step.mean(values.get("loss"), nats)
                if config.likelihood_weight or not listens:
                    step.backward(config.likelihood_weight * nats if listens else nats)
        values["grad_norm"] = step.optimize(self.optimizers["generator"])
        return {name: value for name, value in values.items() if value is not None}

    def _game_loss(self, step: Step, true: Rows, made: Rows, beta: float) -> Tensor:
        self.generator.eval()  # without dropout, as the tokens were drawn
        tokens = self._soft(step, made, beta)
        with step.autocast():
            fake = self.critic(self.critic.embed(tokens), made.known).float()
            if self.config.game == "binary":
                return binary_loss(fake)
            with torch.no_grad():
                real = self.critic(self.critic.embed(true.targets), true.known).float()
        return pairing_loss(fake, real)

    def _soft(self, step: Step, made: Rows, beta: float) -> Tensor:
        """Return drawn tokens as weights over the vocabulary (B, T, V) that pass gradients to the generator."""
        with step.autocast():
            logits = self.generator(made.inputs)
        return straight_through(logits, made.targets, beta, self.config.hard)

    # what is measured and shown

    def validate(self, models: Mapping[str, nn.Module]) -> Generator[None, None, dict[str, float]]:
        """Return nats per held-out token; once the game begins first the Fréchet distance, and all for the twin too."""
        generator, twin = cast(LanguageModel, models["generator"]), cast(LanguageModel, models["likelihood"])
        values = yield from self._held_out_nats("val_loss", generator)
        if self.taken < self.config.likelihood_steps:
            return values
        self._prepare_reader(twin)
        ours, drawn = yield from self.judge.measure(generator)
        theirs, _drawn = yield from self.judge.measure(twin)
        values |= yield from self._held_out_nats("val_loss_mle", twin)
        if self.taken > self.config.likelihood_steps:
            values |= yield from self._held_out_accuracy(drawn)
        self.collapse.look(ours, theirs)
        return _named(ours, "") | _named(theirs, "_mle") | values

    def _prepare_reader(self, twin: LanguageModel) -> None:
        """Keep the likelihood model as it is when the game begins: its features measure all that follows."""
        if not self.reader_is_ready:
            self.reader.load_state_dict(twin.state_dict())
            self.reader_is_ready = True
        self.reader.eval()

    def _held_out_nats(self, name: str, model: LanguageModel) -> Generator[None, None, dict[str, float]]:
        nats, tokens = 0.0, 0
        for rows in evenly(self.data.validation, MOST_VALIDATED, self.device):
            with torch.no_grad():
                nats += float(token_nats(model(rows.inputs), rows))
            tokens += int(rows.known.sum())
            yield
        return {name: nats / tokens} if tokens else {}

    def _held_out_accuracy(self, drawn: list[Rows]) -> Generator[None, None, dict[str, float]]:
        self.critic.eval()
        rights = []
        for real, made in zip(evenly(self.data.validation, MOST_VALIDATED, self.device), drawn, strict=False):
            rights.append(accuracy(self.critic, real, made, self.config.game == "relativistic"))
            yield
        return {"val_d_accuracy": sum(rights) / len(rights)} if rights else {}

    def verdict(self, best: int) -> str:
        """Say so when the game did not help."""
        before = best <= self.config.likelihood_steps < self.config.steps
        return _("The game did not make the texts better.") if before else ""

    def preview(self, step: int, models: Mapping[str, nn.Module]) -> Iterator[Event]:
        """Write texts of the same seeds; when the game is on, those of the twin too."""
        seeds = tuple(range(PREVIEW_TEXTS))
        for name, role in (("generator", "samples"), ("likelihood", "baseline")):
            if role == "baseline" and self.taken <= self.config.likelihood_steps:
                return
            model = Loaded(cast(LanguageModel, models[name]), self.data.tokenizer, self.config.length)
            tokens: dict[int, list[int]] = {}
            for state in model.write(seeds):
                tokens |= state.tokens
                yield Progress(step, self.config.steps, _("Writing"))
            yield Text(step, decoded(self.data.tokenizer, tokens, seeds), seeds, role)  # type: ignore[arg-type]

    # what is kept

    def card(self) -> dict[str, Any]:
        """Return what `load` needs."""
        return {"vocab": self.data.tokenizer.size}

    def write_files(self, folder: Path) -> None:
        """Put the tokenizer beside the weights."""
        self.data.tokenizer.save(folder)

    def state(self) -> dict[str, Tensor]:
        """Return how far training is, whether the reader is set, and what the watch remembers."""
        known = {"taken": torch.tensor(self.taken), "reader_is_ready": torch.tensor(self.reader_is_ready)}
        return known | self.collapse.tensors()

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Take them back."""
        self.taken, self.reader_is_ready = int(tensors["taken"]), bool(tensors["reader_is_ready"])
        self.collapse.load(tensors)
        self.judge.real = None  # the reader may be another one now


def token_nats(logits: Tensor, rows: Rows) -> Tensor:
    """Return the sum of -log p of all known targets in nats, from logits (B, T, V)."""
    losses = F.cross_entropy(logits.float().transpose(1, 2), rows.targets, reduction="none")
    return (losses * rows.known).sum()


@torch.no_grad()
def _copy_weights(source: nn.Module, target: nn.Module) -> None:
    torch._foreach_copy_([p.data for p in target.parameters()], [p.data for p in source.parameters()])


def _named(quality: Quality, ending: str) -> dict[str, float]:
    return {
        f"val_frechet{ending}": quality.frechet, f"val_unique{ending}": quality.unique,
        f"val_self_bleu{ending}": quality.self_bleu,
    }  # fmt: skip


FAMILY = Family(
    "text_gan",
    N_("Text GAN"),
    N_("A Transformer that also plays against a critic; the same network without the game is kept to compare."),
    "text",
    (
        Task("train", N_("Train a text GAN"), TextGanConfig, train, "train", plan),
        Task("generate", N_("Write texts"), tasks.GenerateConfig, tasks.generate),
    ),
    tasks.sampler_of("generator"),
    tasks.sampler_of("likelihood"),
    tempered=True,
    likelihood=tasks.likelihood_of("generator"),
    baseline_likelihood=tasks.likelihood_of("likelihood"),
    likelihood_note=N_("A game moves a model away from the likelihood, so these bits tell little of its texts."),
)
