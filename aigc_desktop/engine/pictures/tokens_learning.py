"""Learning the tokens of pictures: a step, what held-out pictures say, and pictures beside their copies."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.nn.diffaugment import moved
from aigc_desktop.engine.nn.picture_tokenizer import PictureTokenizer, TokenizerShape
from aigc_desktop.engine.pictures.common import Pictures, ResizedSource
from aigc_desktop.engine.pictures.feature_maps import FeatureMaps, feature_distance
from aigc_desktop.engine.pictures.tokens_setup import FAMILY_NAME, TokenizerConfig
from aigc_desktop.engine.training.checkpoint import Card, part, read_model
from aigc_desktop.engine.training.data import to_pictures
from aigc_desktop.engine.training.step import Step

MOST_VALIDATED, VALIDATED_AT_ONCE = 1000, 32


def load_tokenizer(card: Card, weights: dict[str, Tensor], device: torch.device) -> PictureTokenizer:
    """Return the tokenizer of a checkpoint in evaluation mode, frozen."""
    tokenizer = PictureTokenizer(TokenizerShape.of(card.extra["tokenizer"]))
    tokenizer.load_state_dict(part(weights, "tokenizer"))
    return tokenizer.to(device).eval().requires_grad_(False)


def chosen_tokenizer(run: Run, name: str, device: torch.device) -> PictureTokenizer:
    """Return the best tokenizer of the run `name`; UserError when that run has learned no tokens."""
    trained = Workspace(run.workspace).run(name)
    if trained.info.task.split(".")[0] != FAMILY_NAME:
        raise UserError(
            _("“{title}” has learned no tokens.").format(title=trained.info.title),
            _("Choose a training of image tokens, or none: then they are learned first."),
        )
    return load_tokenizer(*read_model(trained.checkpoint("best")), device)


def write_tokenizer(tokenizer: PictureTokenizer) -> dict[str, Any]:
    """Return what a card tells of a tokenizer."""
    return {**tokenizer.shape.__dict__, "levels": list(tokenizer.shape.levels)}


def learn_tokens(
    tokenizer: PictureTokenizer, optimizer: Optimizer, source: ResizedSource, config: TokenizerConfig, step: Step,
    eyes: FeatureMaps | None,
) -> dict[str, Tensor]:  # fmt: skip
    """Take one step on the mean absolute error of the copies, and on their distance in what `eyes` see."""
    values: dict[str, Tensor | None] = {}
    for indices in step.micro_batches():
        images = moved(source.images(indices), config.shift)
        with step.autocast():
            copies = tokenizer(images)
        difference = copies - images
        loss = difference.abs().mean()
        shown = {"copy_error": loss, "psnr": -10 * torch.log10(difference.square().mean() / 4)}
        if eyes is not None:
            with step.autocast():
                with torch.no_grad():
                    wanted = eyes(images)
                shown["feature_distance"] = feature_distance(eyes(copies), wanted)
            loss = loss + config.feature_weight * shown["feature_distance"]
        step.backward(loss)
        values = {name: step.mean(values.get(name), value) for name, value in shown.items()}
    told = {name: value for name, value in values.items() if value is not None}
    return {**told, "grad_norm": step.optimize(optimizer)}


def check_tokens(tokenizer: PictureTokenizer, held_out: ResizedSource) -> Generator[None, None, dict[str, float]]:
    """Return the error of copies of held-out pictures, their signal to noise ratio in dB, and how codes are used.

    `code_usage` is the share of the codes that come at all, `code_perplexity` how many come alike often.
    """
    count = min(MOST_VALIDATED, len(held_out))
    seen = torch.zeros(tokenizer.fsq.count, dtype=torch.int64)
    error = square = 0.0
    for start in range(0, count, VALIDATED_AT_ONCE):
        images = held_out.images(np.arange(start, min(count, start + VALIDATED_AT_ONCE)))
        with torch.inference_mode():
            tokens = tokenizer.tokens(images)
            difference = tokenizer.pictures(tokens) - images
            error += float(difference.abs().mean()) * len(images) / count
            square += float(difference.square().mean()) * len(images) / count
            seen += tokens.flatten().bincount(minlength=len(seen)).cpu()
        yield
    if not count:
        return {}
    shares = seen[seen > 0].double() / seen.sum()
    return {
        "validation_error": error,
        "validation_psnr": -10 * math.log10(max(square, 1e-8) / 4),
        "code_usage": float((seen > 0).double().mean()),
        "code_perplexity": float((-(shares * shares.log()).sum()).exp()),
    }


def copies_beside(tokenizer: PictureTokenizer, source: ResizedSource, indices: Any) -> Pictures:
    """Return pictures (2N, H, W, 3): each original followed by its copy."""
    with torch.inference_mode():
        pairs = []
        for index in indices:
            image = source.images(np.array([index]))
            pairs += [image, tokenizer.pictures(tokenizer.tokens(image))]
        return to_pictures(torch.cat(pairs))

