import itertools
import math

import torch

from aigc_desktop.engine.nn.density import LatentDensity


def two_clouds(count: int = 2000) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(count, 2, generator=generator, dtype=torch.float64)
    narrow = noise[: count // 4] * 0.3 + torch.tensor([5.0, 0.0])
    slanted = noise[count // 4 :] @ torch.tensor([[1.0, 0.8], [0.0, 0.6]], dtype=torch.float64) - 4
    return torch.cat([narrow, slanted])


def test_an_unfitted_density_is_the_prior():
    density = LatentDensity(3, 4)
    expected = -0.5 * 3 * math.log(2 * math.pi)
    assert math.isclose(density.log_density(torch.zeros(1, 3)).item(), expected, rel_tol=1e-9)


def test_the_fit_finds_weights_means_and_covariances():
    density = LatentDensity(2, 2)
    levels = list(density.fit(two_clouds(), torch.Generator().manual_seed(0), shrinkage=0.0))
    small, large = density.weights.argsort().tolist()
    assert abs(density.weights[small].item() - 0.25) < 0.01
    assert torch.allclose(density.means[small], torch.tensor([5.0, 0.0]).double(), atol=0.1)
    covariance = density.factors[large] @ density.factors[large].T
    assert torch.allclose(covariance, torch.tensor([[1.0, 0.8], [0.8, 1.0]]).double(), atol=0.1)
    assert all(later >= earlier - 1e-9 for earlier, later in itertools.pairwise(levels))


def test_log_density_agrees_with_torch_distributions():
    density = LatentDensity(2, 2)
    points = two_clouds(400)
    list(density.fit(points, torch.Generator().manual_seed(0)))
    normal = torch.distributions.MultivariateNormal(density.means, scale_tril=density.factors)
    mixture = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(density.weights), normal)
    assert torch.allclose(density.log_density(points), mixture.log_prob(points), atol=1e-8)


def test_draws_have_the_moments_of_the_points():
    density = LatentDensity(2, 2)
    points = two_clouds()
    list(density.fit(points, torch.Generator().manual_seed(0), shrinkage=0.0))
    generator = torch.Generator().manual_seed(5)
    draws = torch.stack([density.sample(generator) for _ in range(3000)]).double()
    assert torch.allclose(draws.mean(0), points.mean(0), atol=0.25)
    assert torch.allclose(torch.cov(draws.T), torch.cov(points.T), atol=1.0)


def test_fewer_points_than_dimensions_still_fit():
    points = torch.randn(6, 16, generator=torch.Generator().manual_seed(0))
    density = LatentDensity(16, 3)
    list(density.fit(points, torch.Generator().manual_seed(0)))
    assert torch.isfinite(density.log_density(points)).all()
    assert torch.isfinite(density.sample(torch.Generator().manual_seed(0))).all()


def test_each_class_is_fitted_to_its_own_points_and_a_lone_one_to_all():
    points, density = two_clouds(), LatentDensity(2, 2, classes=3)
    labels = torch.where(torch.arange(len(points)) < 500, 0, 1)
    labels[-1] = 2
    list(density.fit_classes(points, labels, torch.Generator().manual_seed(0)))
    for label, mean in ((0, points[:500].mean(0)), (1, points[500:-1].mean(0)), (2, points.mean(0))):
        assert torch.allclose(density.centre(label).double(), mean, atol=0.05)
    assert torch.allclose(density.weights.view(3, 2).sum(1), torch.ones(3).double())
    draws = torch.stack([density.sample(torch.Generator().manual_seed(i), label=0) for i in range(300)])
    assert torch.allclose(draws.mean(0), torch.tensor([5.0, 0.0]), atol=0.5)


def test_the_fewer_points_a_class_has_the_wider_it_is_made():
    points = torch.cat([torch.randn(200, 2, generator=torch.Generator().manual_seed(0)), torch.zeros(60, 2)])
    labels = torch.tensor([0] * 200 + [1] * 2 + [2] * 58)
    density = LatentDensity(2, 1, classes=3)
    list(density.fit_classes(points, labels, torch.Generator().manual_seed(0)))
    _all, few, many = (factor.diagonal().prod() for factor in density.factors)
    assert few > 2 * many


def test_one_seed_decides_a_draw_and_spread_zero_is_a_mean():
    density = LatentDensity(2, 2)
    list(density.fit(two_clouds(), torch.Generator().manual_seed(0)))
    a, b = (density.sample(torch.Generator().manual_seed(9)) for _ in range(2))
    assert torch.equal(a, b)
    still = density.sample(torch.Generator().manual_seed(9), spread=0.0)
    assert any(torch.allclose(still.double(), mean, atol=1e-6) for mean in density.means)
