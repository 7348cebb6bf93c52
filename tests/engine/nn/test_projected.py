import pytest
import torch

from aigc_desktop.engine.metrics.features import EfficientNetLite0
from aigc_desktop.engine.pictures.plan import cost_of
from aigc_desktop.engine.pictures.projected import FixedConv2d, ProjectedCritic, feature_maps, input_size


def test_maps_of_four_scales_let_gradients_pass():
    images = torch.zeros(2, 3, 32, 32, requires_grad=True)
    maps = feature_maps(images)
    assert [tuple(x.shape) for x in maps] == [(2, 24, 32, 32), (2, 40, 16, 16), (2, 112, 8, 8), (2, 320, 4, 4)]
    sum(x.square().mean() for x in maps).backward()
    assert images.grad.abs().sum() > 0


def test_the_network_that_looks_never_learns():
    sum(x.mean() for x in feature_maps(torch.randn(1, 3, 32, 32, requires_grad=True))).backward()
    maps = feature_maps(torch.randn(1, 3, 32, 32))
    assert not any(x.requires_grad for x in maps)


@pytest.mark.parametrize(
    ("pixels", "enlarged"), [((32, 32), (128, 128)), ((32, 64), (96, 192)), ((256, 192), (256, 192))]
)
def test_pictures_of_any_shape_keep_about_their_shape(pixels, enlarged):
    assert input_size(*pixels) == enlarged
    critic = ProjectedCritic(pixels=pixels)
    maps = feature_maps(torch.randn(2, 3, *pixels))
    assert [x.shape[1:] for x in maps] == [x.shape[1:] for x in critic.example()[0]]
    assert critic(maps).shape[0] == 2


def test_each_place_of_each_scale_has_a_score_and_the_class_counts():
    torch.manual_seed(0)
    critic, maps = ProjectedCritic(classes=2), feature_maps(torch.randn(2, 3, 32, 32))
    critic.eval()  # spectral norms stand still
    one, other = critic(maps, torch.tensor([0, 0])), critic(maps, torch.tensor([0, 1]))
    assert one.shape == (2, 4 * 16)
    assert torch.equal(one[0], other[0]) and not torch.allclose(one[1], other[1])


def test_random_projections_are_saved_and_never_trained():
    critic, other = ProjectedCritic(), ProjectedCritic()
    fixed = [name for name, module in critic.named_modules() if isinstance(module, FixedConv2d)]
    assert len(fixed) == 7
    trained = {name for name, _parameter in critic.named_parameters()}
    assert not any(name.startswith(tuple(fixed)) for name in trained)
    other.load_state_dict(critic.state_dict())
    maps = feature_maps(torch.randn(1, 3, 32, 32))
    assert torch.allclose(critic.eval()(maps), other.eval()(maps))


def test_what_shows_through_a_cover_differs_each_time():
    clear = torch.full((1, 4, 32, 32), -1.0)
    solid = torch.cat([torch.zeros(1, 3, 32, 32), torch.ones(1, 1, 32, 32)], 1)
    assert not torch.allclose(feature_maps(clear)[0], feature_maps(clear)[0])
    assert torch.allclose(feature_maps(solid)[0], feature_maps(solid[:, :3])[0], atol=1e-4)


def test_its_cost_is_known_without_weights():
    critic, eyes = cost_of(ProjectedCritic), cost_of(EfficientNetLite0)
    assert 0.05 < critic.gigaflops < 0.5 and 0.1 < eyes.gigaflops < 0.5
    assert critic.parameters == sum(p.numel() for p in ProjectedCritic().parameters())
