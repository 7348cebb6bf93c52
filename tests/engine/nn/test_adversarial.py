import math

import torch
from torch import nn

from aigc_desktop.engine.nn.adversarial import decayed, gradient_penalty, pairing_loss


def test_pairing_loss_is_softplus_of_the_difference_and_only_of_it():
    real, fake = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0])
    expected = (math.log1p(math.exp(-1)) + math.log1p(math.exp(2))) / 2
    assert math.isclose(pairing_loss(real, fake).item(), expected, rel_tol=1e-6)
    assert torch.allclose(pairing_loss(real + 7, fake + 7), pairing_loss(real, fake))
    assert pairing_loss(torch.ones(1), torch.zeros(1)) < pairing_loss(torch.zeros(1), torch.ones(1))


def test_gradient_penalty_agrees_with_finite_differences():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Softplus(), nn.Flatten(), nn.Linear(12, 1)).double()
    images = torch.randn(2, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    penalty = gradient_penalty(network(images)[:, 0], images)
    step, total = 1e-5, 0.0
    for flat in range(images.numel()):
        ahead, behind = images.detach().clone(), images.detach().clone()
        ahead.view(-1)[flat] += step
        behind.view(-1)[flat] -= step
        total += ((network(ahead).sum() - network(behind).sum()) / (2 * step)).item() ** 2
    assert math.isclose(penalty.item(), total / 2, rel_tol=1e-6)


def test_gradient_penalty_teaches_the_weights():
    torch.manual_seed(0)
    weight = torch.tensor([3.0, 4.0], requires_grad=True)
    images = torch.randn(5, 2, 1, 1, requires_grad=True)
    penalty = gradient_penalty((images.flatten(1) * weight).sum(1), images)
    assert math.isclose(penalty.item(), 25.0, rel_tol=1e-5)
    penalty.backward()
    assert torch.allclose(weight.grad, 2 * weight.detach())  # d |w|^2 / dw


def test_decayed_goes_from_start_to_end():
    assert decayed(2.0, 0.5, 0.0) == 2.0
    assert math.isclose(decayed(2.0, 0.5, 0.5), 1.0)
    assert math.isclose(decayed(2.0, 0.5, 1.0), 0.5)
    assert decayed(0.0, 0.0, 0.3) == 0.0
