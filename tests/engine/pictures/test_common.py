import numpy as np
import torch

from aigc_desktop.engine.pictures.common import ResizedSource, fitted
from tests.engine.families.shapes import shapes


def ramp(height: int, width: int) -> torch.Tensor:
    """Return a picture (1, 1, height, width) whose value is the distance from its middle column."""
    return (torch.arange(width) - (width - 1) / 2).expand(1, 1, height, width)


def test_the_middle_is_cut_out_and_nothing_is_squeezed():
    square = fitted(ramp(16, 32), (16, 16))
    assert torch.equal(square, ramp(16, 16))
    wide = fitted(ramp(32, 32), (8, 16))
    assert torch.allclose(wide[0, 0, 0, 1:] - wide[0, 0, 0, :-1], torch.tensor(2.0))


def test_smaller_pictures_are_means_and_larger_ones_smooth():
    noise = torch.randn(1, 3, 16, 32)
    assert torch.allclose(fitted(noise, (8, 16))[0, :, 0, 0], noise[0, :, :2, :2].mean((1, 2)))
    assert fitted(noise, (32, 64)).shape == (1, 3, 32, 64)
    assert fitted(noise, (16, 32)) is noise or torch.equal(fitted(noise, (16, 32)), noise)


def test_transparent_banners_for_those_who_know_squares_only_and_for_those_who_know_more(workspace):
    dataset = shapes(workspace, count=4, wide=2, ground="#00000000", aspect="2:1", transparency="keep", validation=0.0)
    indices, device = np.arange(4), torch.device("cpu")
    plain = ResizedSource(dataset, "train", device, 16).images(indices)
    assert plain.shape == (4, 3, 16, 16) and plain.amax() == 1 and plain.amin() >= -1
    whole = ResizedSource(dataset, "train", device, (32, 64), channels=4).images(indices)
    assert whole.shape == (4, 4, 32, 64)
    assert (whole[:, :3] <= whole[:, 3:] + 1e-6).all()  # premultiplied: nothing is brighter than its cover
