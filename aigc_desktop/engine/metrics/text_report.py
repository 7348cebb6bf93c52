"""Everything measured on one set of generated texts, beside the same figures of unseen real texts."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.engine.metrics.copying import longest_copies
from aigc_desktop.engine.metrics.estimate import Estimate, bootstrap_mean
from aigc_desktop.engine.metrics.text import ORDERS, Text, bleu_scores, distinct_n, self_bleu_scores, unique_share

FEWEST = 10


@dataclass(frozen=True)
class TextFigures:
    """The figures of one set of texts; BLEU is against the reference texts and maps the order to its mean."""

    bleu: dict[int, Estimate]
    self_bleu: dict[int, Estimate]
    distinct: dict[int, float]
    unique: float
    longest_copy: int  # tokens in the longest passage taken word for word from one training text
    copied_share: Estimate  # longest such passage / length of the text, mean over the texts
    count: int


@dataclass(frozen=True)
class TextReport:
    """Samples and, as their floor, real texts that were not trained on, in the same number."""

    samples: TextFigures
    real: TextFigures


def measure_texts(
    train: Sequence[Text], held_out: Sequence[Text], samples: Sequence[Text], seed: int = 0
) -> Generator[str, None, TextReport]:
    """Yield the name of each step before it is computed, so that a job can stop there; return the report.

    Half of the held-out texts are the BLEU references, the other half is the floor; both sets are cut to one size,
    because Self-BLEU and distinct-n depend on it.
    """
    order = np.random.default_rng(seed).permutation(len(held_out))
    shuffled = [held_out[index] for index in order]
    references, unseen = shuffled[: len(shuffled) // 2], shuffled[len(shuffled) // 2 :]
    samples, unseen = _without_empty(samples), _without_empty(unseen)
    count = min(len(samples), len(unseen))
    if count < FEWEST:
        raise UserError(
            _("{count} texts are too few to measure quality; at least {fewest} are needed.").format(
                count=count, fewest=FEWEST
            ),
            _("Generate more texts or use a data set with more validation texts."),
        )
    measured = yield from _figures(train, references, samples[:count])
    real = yield from _figures(train, references, unseen[:count])
    return TextReport(measured, real)


def _figures(
    train: Sequence[Text], references: Sequence[Text], texts: Sequence[Text]
) -> Generator[str, None, TextFigures]:
    yield "BLEU"
    bleu = bleu_scores(texts, references)
    yield "Self-BLEU"
    self_bleu = self_bleu_scores(texts)
    yield "copying"
    copies = longest_copies(texts, train)
    shares = copies / np.array([len(text) for text in texts])
    return TextFigures(
        bleu={n: bootstrap_mean(bleu[:, column]) for column, n in enumerate(ORDERS)},
        self_bleu={n: bootstrap_mean(self_bleu[:, column]) for column, n in enumerate(ORDERS)},
        distinct={n: distinct_n(texts, n) for n in (1, 2) if any(len(text) >= n for text in texts)},
        unique=unique_share(texts),
        longest_copy=int(copies.max()),
        copied_share=bootstrap_mean(shares),
        count=len(texts),
    )


def _without_empty(texts: Sequence[Text]) -> list[Text]:
    return [text for text in texts if len(text)]
