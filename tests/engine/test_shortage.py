"""Where memory is short outside of trainings: batches are halved, a picture that is too large spoils no others."""

import numpy as np
import pytest
import torch
from PIL import Image

from aigc_desktop.core.config import check
from aigc_desktop.core.events import Note, Result
from aigc_desktop.core.run import Run
from aigc_desktop.engine.metrics import features
from aigc_desktop.engine.pictures import editing
from aigc_desktop.engine.shortage import again_when_short, in_halves

CPU = torch.device("cpu")


def test_work_is_halved_until_it_fits_and_keeps_its_order():
    sizes = []

    def work(items):
        sizes.append(len(items))
        if len(items) > 3:
            raise torch.OutOfMemoryError("no room")
        return np.array(items)

    assert in_halves(work, range(10), CPU).tolist() == list(range(10))
    assert sizes == [10, 5, 2, 3, 5, 2, 3]


@pytest.mark.parametrize("error", [MemoryError(), ValueError("another error")])
def test_one_item_that_does_not_fit_and_other_errors_are_told(error):
    def work(items):
        raise error

    with pytest.raises(type(error)):
        in_halves(work, [1], CPU)
    with pytest.raises(type(error)):
        again_when_short(lambda: work([1]), CPU)


def test_features_of_a_batch_that_does_not_fit_are_the_same(monkeypatch):
    pictures = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
    usual, whole = features.image_features(pictures), features._features_of_batch

    def short(network, images, device):
        if len(images) > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return whole(network, images, device)

    monkeypatch.setattr(features, "_features_of_batch", short)
    np.testing.assert_allclose(features.image_features(pictures), usual, rtol=1e-3, atol=1e-4)


def test_a_picture_that_is_too_large_to_edit_is_told_and_the_others_are_edited(tmp_path, monkeypatch):
    for name, side in (("large.png", 40), ("small.png", 20)):
        Image.new("RGB", (side, side), "red").save(tmp_path / name)
    usual = editing.apply_steps

    def short(pixels, *given):
        if len(pixels) > 30:
            raise MemoryError
        return usual(pixels, *given)

    monkeypatch.setattr(editing, "apply_steps", short)
    pictures = "\n".join(str(tmp_path / name) for name in ("large.png", "small.png"))
    config = check(editing.EditConfig, {"pictures": pictures, "steps": "[]", "out": str(tmp_path / "out")})
    events = list(editing.edit(config, Run(tmp_path, tmp_path)))
    assert [e.message for e in events if isinstance(e, Note)] == ["large.png: Not enough memory for this picture."]
    assert [e.data for e in events if isinstance(e, Result)] == [{"count": 1, "failed": 1}]
