"""Texts of a fine-tuned model for its evaluation: new ones, or answers to held-out requests, at temperature 1."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.adapting import value_of
from aigc_desktop.engine.checkpoint import read_card
from aigc_desktop.engine.device import choose_device, set_up
from aigc_desktop.engine.pretrained.decoding import Ask, Rules, decode
from aigc_desktop.engine.pretrained.numbers import choose_numbers
from aigc_desktop.engine.sampling import Sampling
from aigc_desktop.engine.tuning.lessons import open_lessons, requests_of
from aigc_desktop.engine.tuning.loading import form_of, load_tuned

_BLOCK, _LONGEST = 16, 256


def sampler(folder: Path, device_name: str) -> Callable[[int, int], list[str]]:
    """Return a function (count, seed) -> texts of the model in a checkpoint's folder."""
    run = Run(folder.parents[1], folder.parents[3])
    device = choose_device(device_name)
    set_up(device, 0)
    loaded = value_of(load_tuned(run, folder.name, device, choose_numbers("auto", device, _BLOCK)))
    card = read_card(folder)
    form = form_of(card)
    requests = [""]
    if form.prompt:
        dataset = Workspace(run.workspace).dataset(card.dataset)
        held_out = open_lessons(run.folder / "tokens")[1]
        requests = requests_of(dataset, held_out, form, 200) or requests
    prompts = [loaded.read(request, form.chat) if request else loaded.first for request in requests]

    def sample(count: int, seed: int) -> list[str]:
        rules = Rules(Sampling(), loaded.end)
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
