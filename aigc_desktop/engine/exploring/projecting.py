"""Put an own picture into a model: find the point whose picture is nearest to it, and say how near that is.

A VAE encodes it, a flow goes its way back to the noise. For a GAN an encoder is fitted to pictures the model makes, and
from there, as for a VAE, the point is moved until the picture is most alike, in pixels and in
feature maps (engine/pictures/feature_maps.py).
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from aigc_desktop.core.config import param
from aigc_desktop.core.events import Event, EventStream, Progress, Result, Sample
from aigc_desktop.core.fields import FieldKind
from aigc_desktop.core.i18n import N_, _
from aigc_desktop.core.run import Run
from aigc_desktop.engine.exploring.directing import made
from aigc_desktop.engine.exploring.map import looks
from aigc_desktop.engine.exploring.opened import ExploreConfig, opened
from aigc_desktop.engine.metrics.features import feature_network
from aigc_desktop.engine.pictures.alpha import on_colour, opaque
from aigc_desktop.engine.pictures.common import Pictures, open_picture
from aigc_desktop.engine.pictures.feature_maps import FeatureMaps, feature_distance
from aigc_desktop.engine.pictures.latent import LatentModel, decoded, pack
from aigc_desktop.engine.training.data import to_pictures

NEAREST = 8  # of these are tried as a start
RIDGE = 0.03  # of the fitted encoder, as a share of the mean variance
LR, PRIOR, FEATURE_WEIGHT = 0.15, 1e-4, 0.3


class ProjectConfig(ExploreConfig):
    """Settings of putting a picture into a model."""

    picture: Path = param(..., N_("Picture"), N_("The picture to put in; its centre is used."), kind=FieldKind.FILE)
    steps: int = param(
        120, N_("Steps"), N_("More steps come nearer to the picture; a flow takes none."), ge=0, le=2000, advanced=True
    )


def project(config: ProjectConfig, run: Run) -> EventStream:
    """Find the point nearest to a picture; a Sample has the picture and its copy side by side.

    The Result "projection" has the `latent`, the PSNR of the copy in dB, and that of the most alike of `tried` pictures
    by chance.
    """
    found = opened(config, run)
    model = found.model
    image = open_picture(config.picture, model.size).to(model.device)
    points, pictures = yield from made(model, model.seen, 0)
    if model.encode is not None:
        with torch.no_grad():
            start = model.encode(image)
    else:
        start = best_start(model, image, points, pictures)
    if not model.quick_steps:  # through the steps of a flow gradients are dear, and its way back is exact
        start = yield from refined(model, image, start, points, config.steps)
    original, copy = to_pictures(image), opaque(decoded(model, start[None]))
    yield Sample(0, np.concatenate([original, copy]), role="reconstruction")
    by_chance = max(psnr(original[0], picture) for picture in opaque(pictures))
    told = {"latent": pack(start), "psnr": round(psnr(original[0], copy[0]), 2), "chance_psnr": round(by_chance, 2),
            "tried": len(pictures)}
    yield Result("projection", {**told, "label": model.label_at(start), "checkpoint": found.version})


def best_start(model: LatentModel, image: Tensor, points: Tensor, pictures: Pictures) -> Tensor:
    """Return the point (D + K,) that looks most like the image (1, 3, H, W): of a fitted encoder, or of the drawn."""
    seen, wanted = torch.from_numpy(looks(pictures)), torch.from_numpy(looks(to_pictures(image)))[0]
    mean, centre = seen.mean(0), points.mean(0).double()
    gram = (seen - mean).T @ (seen - mean) / len(seen)
    ridge = RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    slope = torch.linalg.solve(gram + ridge, (seen - mean).T @ (points.double() - centre) / len(seen))
    fitted = (centre + (wanted - mean) @ slope).float()
    nearest = (seen - wanted).square().sum(1).topk(min(NEAREST, len(seen)), largest=False).indices
    tried = torch.cat((fitted[None], points[nearest]))
    with torch.no_grad():
        errors = [float((_colours(model, point[None].to(model.device)) - image).square().mean()) for point in tried]
    return tried[int(np.argmin(errors))]


def refined(
    model: LatentModel, image: Tensor, start: Tensor, points: Tensor, steps: int
) -> Generator[Event, str | None, Tensor]:
    """Return the point (D + K,) moved from `start` for `steps` steps of Adam; yield the progress.

    Steps are taken in units of the spread of drawn `points`, and a weak pull leads back to their middle: what is far
    out looks like the picture and cannot be varied.
    """
    mean, spread = points.mean(0).to(model.device), points.std(0).clamp(min=1e-3).to(model.device)
    away = ((start.to(model.device) - mean) / spread).detach().clone().requires_grad_(True)
    optimizer = torch.optim.Adam([away], lr=LR)
    eyes = FeatureMaps(feature_network(str(model.device)))
    with torch.no_grad():
        wanted = eyes(image)
    best, least = start, float("inf")
    for step in range(steps):
        point = mean + away * spread
        copy = _colours(model, point[None])
        error = (copy - image).square().mean() + FEATURE_WEIGHT * feature_distance(eyes(copy), wanted)
        if (now := float(error.detach())) < least:
            best, least = point.detach().cpu(), now
        optimizer.zero_grad()
        (error + PRIOR * away.square().mean()).backward()
        optimizer.param_groups[0]["lr"] = LR * (1 - step / steps)
        optimizer.step()
        if step % 5 == 0:
            yield Progress(step, steps, _("Coming nearer to the picture"))
    return best


def psnr(first: Pictures, second: Pictures) -> float:
    """Return the peak signal-to-noise ratio of two pictures (H, W, C) in dB; 99 for equal ones."""
    error = float(np.square(first.astype(np.float64) - second).mean())
    return min(99.0, 10 * float(np.log10(255**2 / error))) if error else 99.0


def _colours(model: LatentModel, points: Tensor) -> Tensor:
    """Return the pictures (B, 3, H, W) of points; what is transparent is white."""
    pictures = model.decode(points, 0)
    return on_colour(pictures) if pictures.shape[1] == 4 else pictures
