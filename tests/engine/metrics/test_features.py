"""The feature network: shipped weights, shapes, determinism."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import torch
from PIL import Image

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.paths import resources
from aigc_desktop.engine.metrics.features import (
    EfficientNetLite0,
    SameConv2d,
    feature_network,
    image_features,
    iter_image_features,
    load_network,
    prepare,
)


def pictures(count, size=32, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def test_the_card_names_the_weights_that_are_there():
    folder = resources() / "models"
    card = json.loads((folder / "efficientnet_lite0.json").read_text(encoding="utf-8"))

    assert hashlib.sha256((folder / card["file"]).read_bytes()).hexdigest() == card["sha256"]
    assert (folder / card["licence_file"]).is_file()
    assert sum(p.numel() for p in EfficientNetLite0().parameters()) == card["parameters"]


def test_loading_the_network_takes_no_random_numbers():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    load_network(resources() / "models" / "efficientnet_lite0.safetensors")
    assert torch.equal(torch.rand(1), expected)


def test_features_have_the_promised_shape_and_are_the_same_every_time():
    images = pictures(20)

    first, second = image_features(images), image_features(images)

    assert first.shape == (20, 1280)
    assert first.dtype == np.float32
    assert np.array_equal(first, second)


def test_batches_add_up_and_no_grad_mode_leaks_into_the_reader():
    batches = []
    for features in iter_image_features(pictures(20)):
        batches.append(len(features))
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()

    assert sum(batches) == 20
    assert len(batches) > 1


def test_no_pictures_give_no_features():
    assert image_features(pictures(0)).shape == (0, 1280)


def test_the_shipped_weights_recognise_likeness():
    """Feature distance between two emoji of one kind is smaller than to noise."""
    noise = pictures(4)
    smooth = np.repeat(np.arange(4, dtype=np.uint8)[:, None, None, None] * 60, 32, 1).repeat(32, 2).repeat(3, 3)

    near = np.linalg.norm(image_features(smooth)[0] - image_features(smooth)[1])
    far = np.linalg.norm(image_features(smooth)[0] - image_features(noise)[0])
    assert near < far / 2


def test_the_features_are_those_of_the_published_network():
    """The eight strongest features that the published code and float32 weights give for one bundled emoji."""
    with Image.open(resources() / "samples" / "emoji" / "animals" / "tiger-face.png") as picture:
        rgba = np.asarray(picture)
    expected = {591: 4.9839, 936: 5.1017, 299: 5.1823, 848: 5.2339, 1162: 5.4370, 707: 5.5399, 555: 5.6206, 828: 5.6932}

    features = image_features(rgba[None, ..., :3] * (rgba[None, ..., 3:] > 127))[0]

    assert sorted(np.argsort(features)[-8:]) == sorted(expected)
    assert features[list(expected)] == pytest.approx(list(expected.values()), abs=0.02)
    assert np.linalg.norm(features) == pytest.approx(31.816, abs=0.2)


@pytest.mark.parametrize(
    "images", [np.zeros((2, 8, 8), np.uint8), np.zeros((2, 8, 8, 3)), np.zeros((2, 8, 8, 4), np.uint8)]
)
def test_other_arrays_are_refused(images):
    with pytest.raises(ValueError, match="uint8 pictures"):
        image_features(images)


def test_input_is_scaled_as_the_network_was_trained():
    x = prepare(torch.tensor([0, 127, 255]).view(3, 1, 1, 1).expand(3, 3, 40, 50))

    assert x.shape == (3, 3, 128, 128)
    assert torch.allclose(x.mean((1, 2, 3)), torch.tensor([-127 / 128, 0, 1]), atol=1e-5)


def test_same_padding_puts_the_odd_pixel_last():
    convolution = SameConv2d(1, 1, 3, stride=2, bias=False)
    with torch.no_grad():
        convolution.weight.fill_(1)

    out = convolution(torch.ones(1, 1, 4, 4))

    assert out[0, 0].tolist() == [[9, 6], [6, 4]]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"gone\.safetensors"):
        load_network(tmp_path / "gone.safetensors")


def test_the_network_is_loaded_once_and_frozen():
    network = feature_network()

    assert network is feature_network()
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())
