import numpy as np
import torch

from aigc_desktop.engine.pictures.alpha import on_colour, opaque, premultiplied, straight
from aigc_desktop.engine.pictures.common import as_colour, fitted
from aigc_desktop.engine.training.data import to_model, to_pictures


def pixels(*colours: tuple[int, int, int, int]) -> torch.Tensor:
    return to_model(torch.tensor([[list(colours)]], dtype=torch.uint8))  # (1, 4, 1, N)


def test_premultiplied_and_back_is_the_same_picture():
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (2, 8, 8, 4), np.uint8)
    pictures[..., 3] = random.choice([0, 120, 255], (2, 8, 8))
    back = to_pictures(straight(premultiplied(to_model(torch.from_numpy(pictures)))))
    assert (back[..., 3] == pictures[..., 3]).all()
    seen = pictures[..., 3] > 0
    assert (back[seen] == pictures[seen]).all()
    assert (back[~seen] == (255, 255, 255, 0)).all()


def test_what_a_network_overshoots_is_cut():
    wild = torch.tensor([[3.0], [0.9], [-5.0], [0.0]]).view(1, 4, 1, 1)  # brighter than its cover of a half, and darker
    assert to_pictures(straight(wild))[0, 0, 0].tolist() == [255, 255, 0, 128]


def test_clear_colours_do_not_bleed_when_pictures_shrink():
    edge = pixels((255, 0, 0, 0), (0, 0, 255, 255)).repeat(1, 1, 2, 1)
    (small,) = to_pictures(straight(fitted(premultiplied(edge), (1, 1))))
    assert small[0, 0].tolist() == [0, 0, 255, 128]


def test_laid_on_white_as_files_are():
    half = pixels((255, 0, 0, 128), (9, 9, 9, 0), (10, 20, 30, 255))
    by_file = opaque(to_pictures(half))
    assert np.abs(to_pictures(on_colour(premultiplied(half))).astype(int) - by_file).max() <= 1
    assert np.abs(to_pictures(as_colour(half)).astype(int) - by_file).max() <= 1
    black = to_pictures(on_colour(premultiplied(half), torch.full((1, 3, 1, 1), -1.0)))
    assert black[0, 0].tolist() == [[128, 0, 0], [0, 0, 0], [10, 20, 30]]
