"""A trained text GAN with the likelihood model it is compared with; and texts drawn many at once while training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.device import choose_device, set_up
from aigc_desktop.engine.nn.language_model import LanguageModel
from aigc_desktop.engine.nn.next_token import Sampling, Written, draw, write_texts
from aigc_desktop.engine.text.gan_setup import TextGanConfig
from aigc_desktop.engine.text.sentences import Rows, rows_of
from aigc_desktop.engine.text.tokenizer import END, Tokenizer, load_tokenizer
from aigc_desktop.engine.text.writing import WriteConfig
from aigc_desktop.engine.training.checkpoint import part, read_model

Which = Literal["generator", "likelihood"]
_LOOK_EVERY = 8  # tokens between two questions to the device whether all texts ended


@dataclass(frozen=True)
class Loaded:
    """One of the two models of a checkpoint, ready to write."""

    model: LanguageModel
    tokenizer: Tokenizer
    length: int

    def write(self, seeds: Sequence[int], temperature: float = 1.0, top_p: float = 1.0) -> Iterator[Written]:
        """Yield the texts of `seeds`, as `write_texts` does; temperature 1 is the distribution that was learned."""
        return write_texts(self.model, [], seeds, END, Sampling(temperature, top_p, most_tokens=self.length))


def load(config: WriteConfig, run: Run, which: Which) -> Loaded:
    """Return a model of a run's checkpoint, in evaluation mode."""
    return load_folder(Workspace(run.workspace).run(config.run).checkpoint(config.checkpoint), config.device, which)


def load_folder(folder: Path, device_name: str, which: Which) -> Loaded:
    """Return a model that lies in a checkpoint's folder, in evaluation mode."""
    device = choose_device(device_name)
    set_up(device, 0)
    card, tensors = read_model(folder)
    config = TextGanConfig.model_validate(card.config)
    model = LanguageModel(config.shape(card.extra["vocab"]))
    model.load_state_dict(part(tensors, which))
    return Loaded(model.to(device).eval().requires_grad_(False), load_tokenizer(folder), config.length)


@torch.no_grad()
def draw_rows(model: LanguageModel, count: int, length: int, generator: torch.Generator | None = None) -> Rows:
    """Return `count` texts of at most `length` tokens drawn side by side; `model` is in evaluation mode.

    Faster than `write_texts`, but a text depends on those beside it. `generator` lies on the model's device.
    """
    device = model.embedding.weight.device
    cache, last = model.new_cache(count), torch.full((count, 1), END, device=device)
    ended = torch.zeros(count, 1, dtype=torch.bool, device=device)
    drawn: list[Tensor] = []
    known: list[Tensor] = []
    for place in range(length):
        uniform = torch.rand(count, generator=generator, device=device)
        last = draw(model(last, cache)[:, -1].float(), uniform, Sampling())[:, None].masked_fill(ended, END)
        drawn.append(last)
        known.append(~ended)
        ended = ended | (last == END)
        if place % _LOOK_EVERY == _LOOK_EVERY - 1 and bool(ended.all()):
            break
    return rows_of(torch.cat(drawn, 1), torch.cat(known, 1))


def texts_of(rows: Rows, tokenizer: Tokenizer) -> list[str]:
    """Return what rows say."""
    sizes = rows.known.sum(1).tolist()
    return [tokenizer.decode(ids[:size]) for ids, size in zip(rows.targets.tolist(), sizes, strict=True)]
