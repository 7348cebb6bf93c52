import torch

from aigc_desktop.engine.nn.diffaugment import diff_augment, shift


def test_nothing_changes_with_probability_zero():
    images = torch.rand(4, 3, 16, 16) * 2 - 1
    assert torch.allclose(diff_augment(images, 0.0), images, atol=1e-6)


def test_every_picture_changes_in_its_own_way():
    torch.manual_seed(0)
    images = torch.rand(1, 3, 16, 16).repeat(8, 1, 1, 1)
    augmented = diff_augment(images)
    assert augmented.shape == images.shape
    assert len({picture.numpy().tobytes() for picture in augmented}) == 8


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
