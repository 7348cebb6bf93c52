"""Settings of the language model, its network and its optimizers."""

from __future__ import annotations

from typing import Literal

import torch

from aigc_desktop.core.config import param
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.i18n import N_
from aigc_desktop.engine.nn.ensemble import Ensemble
from aigc_desktop.engine.nn.language_model import LanguageModel, Shape
from aigc_desktop.engine.text.setup import TextConfig
from aigc_desktop.engine.training.optim import adamw, muon_and_adamw

ADAM_SHARE = 0.25  # AdamW's learning rate as a share of Muon's
Model = LanguageModel | Ensemble


class GPTConfig(TextConfig):
    """Settings of a language model's training."""

    context: int = param(
        128, N_("Context"), N_("How many tokens the model looks back; longer remembers more and takes longer."),
        unit=N_("tokens"), ge=8, le=8192,
    )  # fmt: skip
    feed_forward: Literal["relu2", "swiglu"] = param(
        "relu2", N_("Feed-forward"), N_("The non-linear part of a layer; both are good, ReLU² is faster."),
        labels={"relu2": "ReLU²", "swiglu": "SwiGLU"}, advanced=True,
    )  # fmt: skip
    attributes: bool = param(
        True, N_("Labels and attributes"),
        N_("Learns to write for a label and attributes where the data have them; safe to leave on."),
    )  # fmt: skip
    infill: float = param(
        0.0, N_("Filling in"),
        N_("Share of the texts in which a gap is learned to be filled; 0.5 teaches it at little cost, 0 turns it off."),
        ge=0.0, le=0.9,
    )  # fmt: skip
    packing: Literal["auto", "stream", "apart"] = param(
        "auto", N_("Packing"),
        N_("Whether texts learned together see each other; automatic parts them where attributes or gaps are learned."),
        labels={"auto": N_("Automatic"), "stream": N_("One after another"), "apart": N_("Kept apart")}, advanced=True,
    )  # fmt: skip
    learn_lines: bool = param(
        False, N_("Learn attribute lines"),
        N_("Learns to write the attributes themselves too; off puts all learning into the texts."), advanced=True,
    )  # fmt: skip
    ensemble: int = param(
        1, N_("Models in an ensemble"),
        N_("So many models learn and write together; 2 to 4 do better on little text and take as many times longer."),
        ge=1, le=16, advanced=True,
    )  # fmt: skip
    teacher: str = param(
        "", N_("Teacher"),
        N_("A trained text writer, best an ensemble, whose judgement of each token is learned too; empty for none."),
        kind=FieldKind.RUN, advanced=True,
    )  # fmt: skip
    teaching: float = param(
        0.5, N_("Share of the teacher"),
        N_("How much the teacher counts beside the text itself; 0.5 is safe, and without a teacher it does nothing."),
        ge=0.0, le=1.0, advanced=True,
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

    def shape(self, vocab: int) -> Shape:
        """Return the size of the network for a vocabulary."""
        return Shape(
            vocab, self.layers, self.width, self.heads, self.context, self.feed_forward == "swiglu", self.dropout
        )


def make_model(config: GPTConfig, vocab: int) -> Model:
    """Return the network, or the ensemble of them, with fresh weights."""
    shape = config.shape(vocab)
    return LanguageModel(shape) if config.ensemble == 1 else Ensemble(shape, config.ensemble)


def make_optimizers(model: Model, config: GPTConfig) -> dict[str, torch.optim.Optimizer]:
    """Return the optimizers of `model`, one or two."""
    if config.optimizer == "adamw":
        return {"adamw": adamw([model], config.lr, config.weight_decay, (0.9, 0.99))}
    return muon_and_adamw(
        model, model.hidden_matrices(), config.lr, config.lr * ADAM_SHARE, config.weight_decay, (0.9, 0.99)
    )
