import pytest
import torch

from aigc_desktop.engine.nn.convnet import Discriminator, Generator, PictureFormat, stages_of
from aigc_desktop.engine.nn.resnet import PictureDecoder, PictureEncoder
from aigc_desktop.engine.pictures.plan import cost_of


@pytest.mark.parametrize(("resolution", "widths"), [(32, (8, 8, 8)), (64, (8,) * 4), (128, (8,) * 5), (256, (8,) * 6)])
def test_shapes_at_each_resolution(resolution, widths):
    assert stages_of(resolution) == len(widths)
    painter, critic = Generator(resolution, widths, 1, 4, 3), Discriminator(resolution, widths, 1, 3)
    labels = torch.tensor([0, 2])
    images = painter(torch.randn(2, 4), labels)
    assert images.shape == (2, 3, resolution, resolution)
    assert critic(images, labels).shape == (2,)
    mean, logvar = PictureEncoder(resolution, widths, 1, 5, 3)(images, torch.eye(3)[labels])
    assert mean.shape == logvar.shape == (2, 5)
    assert PictureDecoder(widths, 1, 5, 3)(mean, torch.eye(3)[labels]).shape == images.shape


@pytest.mark.parametrize(("columns", "rows", "pixels"), [(8, 4, (32, 64)), (3, 4, (32, 24)), (4, 7, (56, 32))])
def test_pictures_of_other_shapes(columns, rows, pixels):
    picture = PictureFormat(columns, rows)
    painter, critic = Generator(32, (8,) * 3, 1, 4, picture=picture), Discriminator(32, (8,) * 3, 1, picture=picture)
    images = painter(torch.randn(2, 4))
    assert images.shape == (2, 3, *pixels) == (2, 3, *picture.pixels(32))
    assert critic(images).shape == (2,) and critic.example()[0].shape == (1, 3, *pixels)


def test_the_fourth_channel_is_cover():
    picture = PictureFormat(channels=4)
    painter, critic = Generator(32, (8,) * 3, 1, 4, picture=picture), Discriminator(32, (8,) * 3, 1, picture=picture)
    images = painter(torch.randn(2, 4))
    assert images.shape == (2, 4, 32, 32) and critic(images).shape == (2,)


def test_widths_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="3 widths"):
        Generator(32, (8, 8), 1, 4)
    with pytest.raises(ValueError, match="resolution 48"):
        stages_of(48)


def test_the_class_changes_picture_and_score():
    torch.manual_seed(0)
    painter, critic = Generator(32, (8, 8, 8), 1, 4, 2), Discriminator(32, (8, 8, 8), 1, 2)
    z, (a, b) = torch.randn(1, 4), (torch.tensor([0]), torch.tensor([1]))
    assert not torch.allclose(painter(z, a), painter(z, b))
    images = painter(z, a)
    assert not torch.allclose(critic(images, a), critic(images, b))


def test_pictures_at_the_start_have_about_unit_spread():
    torch.manual_seed(0)
    images = Generator(32, (64, 48, 32), 1, 64)(torch.randn(64, 64))
    assert 0.2 < images.std().item() < 2.0


def test_codes_follow_the_gaussian_of_their_class():
    torch.manual_seed(0)
    painter = Generator(32, (8, 8, 8), 1, 2, 3)
    noise = torch.randn(4000, 2)
    assert torch.equal(painter.codes(noise, torch.zeros(4000, dtype=torch.long)), noise)
    first, second = torch.randn(500, 2) * 0.5 + 3, torch.randn(500, 2) @ torch.tensor([[2.0, 1.0], [0.0, 1.0]]) - 3
    painter.fit_codes(torch.cat([first, second]), torch.arange(1000) // 500, shrinkage=0.0)
    for k, own in enumerate((first, second)):
        drawn = painter.codes(noise, torch.full((4000,), k))
        assert torch.allclose(drawn.mean(0), own.mean(0), atol=0.15)
        assert torch.allclose(torch.cov(drawn.T), torch.cov(own.T), atol=0.3)
    unseen = painter.codes(noise, torch.full((4000,), 2))
    assert torch.allclose(unseen.mean(0), torch.cat([first, second]).mean(0), atol=0.3)


def test_pooled_codes_have_the_moments_of_all_classes_together():
    torch.manual_seed(0)
    many, few = Generator(32, (8, 8, 8), 1, 2, 2), Generator(32, (8, 8, 8), 1, 2, 1)
    codes = torch.cat([torch.randn(500, 2) * 0.5 + 2, torch.randn(500, 2) - 1])
    many.fit_codes(codes, torch.arange(1000) // 500, shrinkage=0.0)
    few.pool_codes(many.code_means, many.code_factors)
    factor = few.code_factors[0]
    assert torch.allclose(few.code_means[0], codes.mean(0), atol=1e-4)
    assert torch.allclose(factor @ factor.T, torch.cov(codes.T, correction=0), atol=1e-3)


def test_cost_counts_the_operations_of_a_convolution():
    network = Discriminator(32, (4, 4, 4), 1)
    cost = cost_of(lambda: Discriminator(32, (4, 4, 4), 1))
    assert cost.parameters == sum(p.numel() for p in network.parameters())
    first = 2 * 12 * 4 * 9 * 16 * 16
    fine, middle, coarse = (2 * 4 * 4 * 9 * side**2 * 2 for side in (16, 8, 4))
    changes = 2 * 4 * 4 * (16**2 + 8**2)
    last, head = 2 * 4 * 4 * 9 * 16, 2 * 64
    assert round(cost.gigaflops * 1e9) == first + fine + middle + coarse + changes + last + head + 6 * 0
