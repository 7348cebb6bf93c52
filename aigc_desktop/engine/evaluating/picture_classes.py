"""Whether pictures that were asked for by class look like it: a linear classifier on features of real pictures judges.

Classification accuracy of a network that saw real pictures only, the counterpart of arXiv:1807.09499.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from aigc_desktop.core.events import Event, Progress
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.report import UNSEEN, Section, Table
from aigc_desktop.engine.evaluating.samples_made import CHUNK
from aigc_desktop.engine.labels.labelling import confusion_table
from aigc_desktop.engine.metrics.distances import Vectors
from aigc_desktop.engine.metrics.estimate import bootstrap_mean
from aigc_desktop.engine.metrics.features import image_features
from aigc_desktop.engine.metrics.figures import figure, mark
from aigc_desktop.engine.metrics.tagging import confusion
from aigc_desktop.engine.pictures.alpha import opaque

FEWEST = 8  # pictures of a class from which it can be learned
MOST_EACH = 32  # made pictures of a class
_DECAY, _ITERATIONS = 1e-2, 60

OfClass = Callable[[str, int, int], NDArray[np.uint8]]
"""(class, count, seed) -> pictures (count, H, W, C)."""
Known = tuple[Vectors, NDArray[np.int32]]
"""Features (N, D) of real pictures and their classes (N,), -1 without one."""


def class_section(
    make: OfClass, classes: Sequence[str], train: Known, unseen: Known, count: int, seed: int
) -> Generator[Event, str | None, tuple[Section, Table] | None]:
    """Return the share of pictures seen as the class they were asked for, and which classes are taken for which.

    `count` pictures are made in all, at most MOST_EACH a class. None when fewer than two classes have FEWEST pictures.
    """
    sizes = np.bincount(train[1][train[1] >= 0], minlength=len(classes))
    known = [number for number in range(len(classes)) if sizes[number] >= FEWEST]
    if len(known) < 2:
        return None
    yield Progress(0, 0, _("Learning to tell the classes apart"))
    judge = LinearJudge(*_of_classes(train, known), len(known))
    each = max(1, min(MOST_EACH, count // len(known)))
    asked, seen = np.empty(0, np.int64), np.empty(0, np.int64)
    for place, number in enumerate(known):
        for start in range(0, each, CHUNK):
            yield Progress(place * each + start, each * len(known), _("Making pictures of each class"))
            pictures = make(classes[number], min(CHUNK, each - start), seed + start)
            seen = np.append(seen, judge(image_features(opaque(pictures))))
            asked = np.append(asked, np.full(len(pictures), place))
    names = [classes[number] for number in known]
    vectors, truth = _of_classes(unseen, known)
    usual = [mark(UNSEEN, bootstrap_mean(judge(vectors) == truth))] if len(truth) else []
    share = figure(
        N_("Pictures seen as their class"), bootstrap_mean(asked == seen), "higher",
        N_("Share of pictures that a judge of real pictures takes for the class they were asked for."),
        headline=True, marks=usual,
    )  # fmt: skip
    counts = confusion(asked.tolist(), seen.tolist(), range(len(names)))
    table = confusion_table(N_("Classes asked for in rows, as what they are seen in columns"), names, counts)
    return Section(N_("Classes"), [share]), table


class LinearJudge:
    """Multinomial logistic regression on standardised vectors (N, D); every class counts the same."""

    def __init__(self, vectors: Vectors, truth: NDArray[np.int64], classes: int) -> None:
        x = torch.from_numpy(np.asarray(vectors, dtype=np.float32))
        self.mean, self.scale = x.mean(0), x.std(0).clamp(min=1e-4)
        x, y = self._standard(x), torch.from_numpy(truth)
        self.weight = torch.zeros(classes, x.shape[1], requires_grad=True)
        self.bias = torch.zeros(classes, requires_grad=True)
        balance = 1 / torch.bincount(y, minlength=classes).clamp(min=1).float()
        optimizer = torch.optim.LBFGS([self.weight, self.bias], max_iter=_ITERATIONS, line_search_fn="strong_wolfe")

        def loss() -> Any:
            optimizer.zero_grad()
            value = F.cross_entropy(F.linear(x, self.weight, self.bias), y, weight=balance)
            value = value + _DECAY * self.weight.square().sum()
            value.backward()
            return value

        optimizer.step(loss)

    def __call__(self, vectors: Vectors) -> NDArray[np.int64]:
        """Return the likeliest class of each vector, (N,)."""
        with torch.inference_mode():
            x = self._standard(torch.from_numpy(np.asarray(vectors, dtype=np.float32)))
            found: NDArray[np.int64] = F.linear(x, self.weight, self.bias).argmax(1).numpy()
        return found

    def _standard(self, x: torch.Tensor) -> torch.Tensor:
        return (x - self.mean) / self.scale / x.shape[1] ** 0.5


def _of_classes(items: Known, known: Sequence[int]) -> tuple[Vectors, NDArray[np.int64]]:
    """Return the vectors that belong to one of the `known` classes, and its place among them."""
    vectors, labels = items
    places = {number: place for place, number in enumerate(known)}
    chosen = np.isin(labels, known)
    return vectors[chosen], np.array([places[int(number)] for number in labels[chosen]], dtype=np.int64)
