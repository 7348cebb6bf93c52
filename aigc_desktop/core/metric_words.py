"""What the numbers of a training are called in plain words, and which of them share an axis.

Families report metrics by name. Names follow one grammar, so a new family needs no entry here: `val_` or
`validation_` in front means measured on pictures or texts that were kept aside, `loss` anywhere is a loss, `_mle` at
the end is the same of the model that was trained for likelihood only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from aigc_desktop.core.i18n import N_, _

VALIDATION = ("validation_", "val_")
LIKELIHOOD = "_mle"


@dataclass(frozen=True)
class MetricWords:
    """How a metric is shown: `title` in words, `group` it shares an axis with, whether it is shown at first."""

    title: str
    group: str
    validation: bool
    shown: bool


GROUP_TITLES = {
    "loss": N_("Loss"),
    "kl": N_("KL divergence (nats)"),
    "bits": N_("Bits"),
    "kid": N_("Kernel distance"),
    "psnr": N_("Fidelity (dB)"),
    "frechet": N_("Fréchet distance"),
    "distance": N_("Distance in features"),
    "share": N_("Share (0 to 1)"),
    "gradient": N_("Size of the gradient"),
    "penalty": N_("Penalty"),
    "learning_rate": N_("Learning rate"),
    "memory": N_("Memory (MB)"),
    "other": N_("Value"),
}
"""Label of each group's axis, in the order the plots stand."""

_WORDS = {
    "loss": N_("Loss"),
    "total": N_("Total"),
    "generator": N_("Generator"),
    "g": N_("Generator"),
    "d": N_("Critic"),
    "discriminator": N_("Critic"),
    "critic": N_("Critic"),
    "kl": N_("KL divergence"),
    "nll": N_("Negative log-likelihood"),
    "reconstruction": N_("Reconstruction"),
    "recon": N_("Reconstruction"),
    "mse": N_("Squared error"),
    "lr": N_("Learning rate"),
    "learning": N_("Learning"),
    "rate": N_("rate"),
    "grad": N_("Gradient"),
    "gradient": N_("Gradient"),
    "norm": N_("norm"),
    "accuracy": N_("Accuracy"),
    "acc": N_("Accuracy"),
    "bpb": N_("Bits per byte"),
    "bpc": N_("Bits per character"),
    "perplexity": N_("Perplexity"),
    "r1": N_("R1 penalty"),
    "r2": N_("R2 penalty"),
    "penalty": N_("Penalty"),
    "real": N_("real"),
    "fake": N_("made"),
    "sigma": N_("Sigma"),
    "weight": N_("weight"),
    "memory": N_("Memory"),
    "temperature": N_("Temperature"),
    "ema": N_("averaged"),
    "beta": N_("Beta"),
    "elbo": N_("Evidence bound"),
    "kid": N_("Kernel distance"),
    "psnr": N_("Fidelity"),
    "bits": N_("Bits per value"),
    "copy": N_("Copying"),
    "error": N_("error"),
    "code": N_("Codes"),
    "usage": N_("in use"),
    "active": N_("Active"),
    "units": N_("units"),
    "entity": N_("Entity"),
    "token": N_("Token"),
    "f1": N_("F1"),
    "macro": N_("Macro"),
    "weighted": N_("Importance-weighted bound"),
    "frechet": N_("Fréchet distance"),
    "unique": N_("Different texts"),
    "self": N_("Self"),
    "augmentation": N_("Augmentation"),
    "overfitting": N_("Overfitting"),
    "random": N_("Random features"),
    "feature": N_("Feature"),
    "distance": N_("distance"),
    "untold": N_("without captions"),
    "bleu": "BLEU",
}

_GROUPS = (
    ("learning_rate", {"lr", "learning"}),
    ("gradient", {"grad", "gradient"}),
    ("memory", {"memory"}),
    ("bits", {"bpb", "bpc", "bits"}),
    ("kid", {"kid"}),
    ("psnr", {"psnr"}),
    ("frechet", {"frechet"}),
    ("distance", {"distance"}),
    ("penalty", {"r1", "r2", "penalty"}),
    ("share", {"accuracy", "acc", "share", "fraction", "precision", "recall", "f1", "density", "coverage"}),
    ("share", {"unique", "bleu", "usage", "augmentation", "overfitting"}),
    ("kl", {"kl"}),  # a hundred times other losses, which it would flatten
    ("loss", {"loss", "nll", "mse", "recon", "reconstruction", "elbo", "error"}),
)
SHOWN_FIRST = ("loss", "bits", "kid", "frechet")


def words_for(name: str) -> MetricWords:
    """Return how the metric `name` is shown, in the language in use."""
    base = base_name(name)
    validation = base != name
    parts = base.lower().removesuffix(LIKELIHOOD).split("_")
    group = next((group for group, marks in _GROUPS if marks & set(parts)), "other")
    words = [_(_WORDS[part]) if part in _WORDS else part for part in _without_loss(parts)]
    title = _phrase([words[0][:1].upper() + words[0][1:], *(_inside(word) for word in words[1:])])
    if base.endswith(LIKELIHOOD):
        title = _("{metric}, likelihood only").format(metric=title)
    if validation:
        title = _("{metric}, validation").format(metric=title)
    return MetricWords(title, group, validation, group in SHOWN_FIRST)


def base_name(name: str) -> str:
    """Return the metric that a validation metric belongs to; others are their own."""
    for prefix in VALIDATION:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def _phrase(words: list[str]) -> str:
    """Return words one after another, with a space between, but not between Chinese ones."""
    return re.sub(r"(?<=[\u4e00-\u9fff]) (?=[\u4e00-\u9fff])", "", " ".join(words))


def _inside(word: str) -> str:
    """Return a word as it stands inside a phrase: without its capital, unless it is an abbreviation."""
    return word[:1].lower() + word[1:] if word[1:2].islower() else word


def _without_loss(parts: list[str]) -> list[str]:
    """Leave out "loss" beside another word: the axis says it."""
    rest = [part for part in parts if part != "loss"]
    return rest or parts
