"""A fine-tuned model for its evaluation: new texts, or answers to held-out requests, and how likely it finds texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from aigc_desktop.core.family import Likelihood
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.device import choose_device, set_up
from aigc_desktop.engine.labels.adapting import value_of
from aigc_desktop.engine.nn.next_token import Sampling
from aigc_desktop.engine.pretrained.decoding import Ask, Rules, decode
from aigc_desktop.engine.pretrained.load import LanguageModel
from aigc_desktop.engine.pretrained.numbers import Numbers, choose_numbers
from aigc_desktop.engine.text.likelihood import nats_in_windows
from aigc_desktop.engine.training.checkpoint import read_card
from aigc_desktop.engine.tuning.lessons import open_lessons, requests_of
from aigc_desktop.engine.tuning.loading import form_of, load_tuned

_BLOCK, _LONGEST = 16, 256
_WINDOW = 1024  # tokens whose logits fit into the memory together


def sampler(folder: Path, device_name: str) -> Callable[..., list[str]]:
    """Return a function (count, seed, temperature) -> texts of the model in a checkpoint's folder."""
    device = choose_device(device_name)
    run, loaded = _loaded(folder, device, choose_numbers("auto", device, _BLOCK))
    card = read_card(folder)
    form = form_of(card)
    requests = [""]
    if form.prompt:
        dataset = Workspace(run.workspace).dataset(card.dataset)
        held_out = open_lessons(run.folder / "tokens")[1]
        requests = requests_of(dataset, held_out, form, 200) or requests
    prompts = [loaded.read(request, form.chat) if request else loaded.first for request in requests]

    def sample(count: int, seed: int, temperature: float = 1.0) -> list[str]:
        rules = Rules(Sampling(temperature), loaded.end)
        texts: list[str] = []
        for start in range(seed, seed + count, _BLOCK):
            asks = []
            for number in range(start, min(seed + count, start + _BLOCK)):
                prompt = prompts[number % len(prompts)]
                asks.append(Ask(prompt, number, min(_LONGEST, loaded.network.shape.context - len(prompt))))
            *_before, last = decode(loaded.network, asks, rules)
            texts += [loaded.words.decode(last.tokens[ask.seed]) for ask in asks]
        return texts

    return sample


def likelihood(folder: Path, device_name: str) -> Likelihood | None:
    """Return a function texts -> nats of each, with weights that are not in 8 bits; None for one that answers."""
    if form_of(read_card(folder)).prompt:
        return None
    device = choose_device(device_name)
    _run, loaded = _loaded(folder, device, "bfloat16" if device.type == "cuda" else "float32")
    network, first = loaded.network, loaded.first
    context = min(_WINDOW, network.shape.context)

    def losses(tokens: Sequence[int], targets: Sequence[int]) -> Tensor:
        logits = network.lm_head(network(torch.tensor([tokens], device=device)))[0].float()
        return F.cross_entropy(logits, torch.tensor(targets, device=device), reduction="none")

    return lambda texts: (
        nats_in_windows(losses, context, len(first), [*first, *loaded.words.encode(text), loaded.last])
        for text in texts
    )


def _loaded(folder: Path, device: torch.device, numbers: Numbers) -> tuple[Run, LanguageModel]:
    """Return the run of a checkpoint's folder, and its model ready to write."""
    run = Run(folder.parents[1], folder.parents[3])
    set_up(device, 0)
    return run, value_of(load_tuned(run, folder.name, device, numbers))
