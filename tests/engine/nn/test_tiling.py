import math

import pytest
import torch

from aigc_desktop.engine.nn.convnet import Generator, PictureFormat
from aigc_desktop.engine.nn.tiling import doubled, roll, roll_tiles, seam_ratio


def waves(height: int, width: int, periods: float) -> torch.Tensor:
    """Return a picture (1, 1, height, width) that tiles when it has whole periods."""
    rows, columns = torch.arange(height) / height, torch.arange(width) / width
    return torch.sin(2 * math.pi * periods * (rows[:, None] + columns))[None, None]


def test_a_seam_is_told_from_none():
    assert seam_ratio(waves(32, 32, 2.0)).item() == pytest.approx(1.0, abs=0.1)
    assert seam_ratio(waves(32, 32, 2.5)).item() > 3
    assert seam_ratio(torch.zeros(2, 3, 8, 8)).tolist() == [1.0, 1.0]


def test_rolling_moves_around_the_edges_and_loses_nothing():
    torch.manual_seed(0)
    images = torch.randn(16, 3, 6, 8)
    rolled = roll(images)
    assert torch.equal(rolled.flatten(1).sort(1).values, images.flatten(1).sort(1).values)
    assert not torch.equal(rolled, images)
    first = next(
        (down, right) for down in range(6) for right in range(8)
        if torch.equal(images[0].roll((-down, -right), (1, 2)), rolled[0])
    )  # fmt: skip
    assert any(not torch.equal(images[i].roll((-first[0], -first[1]), (1, 2)), rolled[i]) for i in range(1, 16))


def test_only_pictures_that_tile_are_rolled():
    torch.manual_seed(0)
    tile, other = waves(16, 16, 1.0).repeat(8, 1, 1, 1), waves(16, 16, 1.5).repeat(8, 1, 1, 1)
    assert not torch.equal(roll_tiles(tile), tile)
    assert torch.equal(roll_tiles(other), other)


def test_doubling_around_is_the_same_wherever_the_edge_is():
    torch.manual_seed(0)
    x = torch.randn(1, 2, 4, 6)
    assert torch.allclose(doubled(x.roll((1, 2), (2, 3)), True), doubled(x, True).roll((2, 4), (2, 3)), atol=1e-6)
    assert torch.equal(doubled(x, True)[..., 2:-2, 2:-2], doubled(x, False)[..., 2:-2, 2:-2])


def test_a_seamless_generator_has_no_edge():
    torch.manual_seed(0)
    z = torch.randn(64, 8)
    ratios = {}
    for seamless in (False, True):
        torch.manual_seed(1)
        painter = Generator(32, (16, 16, 16), 2, 8, picture=PictureFormat(8, 4, seamless=seamless))
        ratios[seamless] = seam_ratio(painter(z)).median().item()
    assert ratios[True] < 1.2 < 1.5 < ratios[False]
