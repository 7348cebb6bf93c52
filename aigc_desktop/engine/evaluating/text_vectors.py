"""Sentence vectors of a published text encoder: the mean over the tokens, of length one (arXiv:1908.10084)."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import numpy as np
import numpy.typing as npt
import torch

from aigc_desktop.core.events import Event, Progress
from aigc_desktop.core.i18n import _
from aigc_desktop.engine.pretrained.encoder import Encoder

LONGEST = 256  # tokens that are read of a text
_BATCH = 32

Vectors = npt.NDArray[np.float32]


def text_vectors(
    encoder: Encoder, texts: Sequence[str], device: torch.device
) -> Generator[Event, str | None, Vectors]:  # fmt: skip
    """Return vectors (N, width) of texts; yields Progress after each batch."""
    longest = min(LONGEST, encoder.reader.longest)
    pieces = []
    for start in range(0, len(texts), _BATCH):
        pieces += [ids[:longest] for ids, _places in encoder.reader.read(texts[start : start + _BATCH])]
    order = sorted(range(len(pieces)), key=lambda i: len(pieces[i]))
    found: list[Vectors] = [np.zeros(0, np.float32)] * len(pieces)
    for start in range(0, len(order), _BATCH):
        chosen = order[start : start + _BATCH]
        ids, mask = (torch.from_numpy(part).to(device) for part in encoder.reader.rows([pieces[i] for i in chosen]))
        for i, vector in zip(chosen, _means(encoder, ids, mask), strict=True):
            found[i] = vector
        yield Progress(start + len(chosen), len(texts), _("Reading texts with the text encoder"))
    return np.stack(found)


@torch.no_grad()
def _means(encoder: Encoder, ids: torch.Tensor, mask: torch.Tensor) -> Vectors:
    states = encoder.network(ids, mask).float()  # (B, T, C)
    weights = mask[:, :, None].float()
    means = (states * weights).sum(1) / weights.sum(1)
    vectors: Vectors = torch.nn.functional.normalize(means, dim=1).cpu().numpy()
    return vectors
