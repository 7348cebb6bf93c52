import torch

from aigc_desktop.engine.nn.diffaugment import _colour, diff_augment, shift


def test_nothing_changes_with_probability_zero():
    images = torch.rand(4, 3, 16, 16) * 2 - 1
    assert torch.allclose(diff_augment(images, 0.0), images, atol=1e-6)


def test_every_picture_changes_in_its_own_way():
    torch.manual_seed(0)
    images = torch.rand(1, 3, 16, 16).repeat(8, 1, 1, 1)
    augmented = diff_augment(images)
    assert augmented.shape == images.shape
    assert len({picture.numpy().tobytes() for picture in augmented}) == 8


def test_clear_parts_stay_clear_and_holes_are_clear():
    torch.manual_seed(0)
    images = torch.full((64, 4, 16, 16), -1.0)
    images[:, 3, 4:12, 4:12] = 1.0
    images[:, :3, 4:12, 4:12] = torch.rand(64, 3, 8, 8) * 2 - 1
    augmented = diff_augment(images)
    clear = augmented[:, 3:] == -1
    assert set(augmented[:, 3].unique().tolist()) == {-1.0, 1.0}
    assert torch.allclose(augmented[:, :3][clear.expand(-1, 3, -1, -1)], torch.tensor(-1.0), atol=1e-6)
    assert clear.sum() > (images[:, 3:] == -1).sum()  # holes
    assert not torch.allclose(augmented[:, :3].amax((1, 2, 3)), images[:, :3].amax((1, 2, 3)), atol=0.1)


def test_colours_change_alike_with_and_without_cover():
    images = torch.rand(4, 3, 16, 16) * 2 - 1
    torch.manual_seed(1)
    opaque = _colour(images, 1.0)
    torch.manual_seed(1)
    covered = _colour(torch.cat([images, torch.ones(4, 1, 16, 16)], 1), 1.0)
    assert torch.allclose(covered[:, :3], opaque, atol=1e-5)


def test_gradients_pass_and_are_right():
    images = torch.rand(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)

    def augmented(x: torch.Tensor) -> torch.Tensor:
        torch.manual_seed(3)
        return diff_augment(x)

    assert torch.autograd.gradcheck(augmented, images)


def test_second_derivatives_pass():
    images = torch.rand(2, 3, 8, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(diff_augment(images).pow(3).sum(), images, create_graph=True)
    gradient.square().sum().backward()
    assert images.grad.abs().sum() > 0


def test_shift_moves_by_whole_pixels():
    images = torch.arange(16.0).view(1, 1, 4, 4)
    moved = shift(images, torch.tensor([[1, 0]]), 1)
    assert torch.equal(moved[0, 0, :3], images[0, 0, 1:]) and torch.equal(moved[0, 0, 3], torch.zeros(4))
    edge = shift(images, torch.tensor([[0, -1]]), 1, "replicate")
    assert torch.equal(edge[0, 0, :, 1:], images[0, 0, :, :3]) and torch.equal(edge[0, 0, :, 0], images[0, 0, :, 0])
