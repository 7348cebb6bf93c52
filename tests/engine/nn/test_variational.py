import math

import torch
from torch.distributions import Normal, kl_divergence

from aigc_desktop.engine.nn.variational import bits_per_dimension, draw, kl_per_dimension, reconstruction_nats


def test_kl_agrees_with_torch_distributions():
    mean, logvar = torch.randn(4, 3), torch.randn(4, 3)
    expected = kl_divergence(Normal(mean, (0.5 * logvar).exp()), Normal(0.0, 1.0))
    assert torch.allclose(kl_per_dimension(mean, logvar), expected, atol=1e-5)


def test_the_analytic_variance_is_the_best_one():
    torch.manual_seed(0)
    x, copy = torch.randn(2, 50), torch.randn(2, 50)
    squared = (x - copy).square().mean()
    best = reconstruction_nats(squared, 50)

    def nats(variance: float) -> float:
        return -Normal(copy, math.sqrt(variance)).log_prob(x).sum(1).mean().item()

    assert math.isclose(best.item(), nats(squared.item()), rel_tol=1e-5)
    assert all(nats(squared.item() * factor) > best.item() for factor in (0.5, 0.9, 1.1, 2.0))


def test_draws_follow_mean_and_variance_and_pass_gradients():
    torch.manual_seed(0)
    mean = torch.full((20_000, 1), 2.0, requires_grad=True)
    drawn = draw(mean, torch.full((20_000, 1), math.log(0.25)))
    assert abs(drawn.mean().item() - 2) < 0.02 and abs(drawn.std().item() - 0.5) < 0.02
    drawn.sum().backward()
    assert torch.equal(mean.grad, torch.ones_like(mean))


def test_bits_per_dimension_of_uniform_noise_is_eight():
    # a uniform density on [-1, 1] has log 2 nats; there are 255 steps of 2 / 255 on it
    assert math.isclose(bits_per_dimension(math.log(2), 1), math.log2(255), rel_tol=1e-9)
