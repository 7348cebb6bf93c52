"""The time of a plan comes from steps of the network that will be trained, or of one like it."""

import pytest
import torch
from torch import nn

from aigc_desktop.core.machine import Machine
from aigc_desktop.engine.families import image_flow, image_gan, image_tokens, image_transformer, image_vae
from aigc_desktop.engine.nn.convnet import Trunk
from aigc_desktop.engine.nn.picture_tokenizer import PictureTokenizer
from aigc_desktop.engine.nn.resnet import PictureEncoder
from aigc_desktop.engine.nn.spatial import SpatialEncoder
from aigc_desktop.engine.nn.unet import Unet
from aigc_desktop.engine.pictures import plan as picture_plan
from aigc_desktop.engine.pictures.plan import cost_of, seconds_per_gigaflop

LAPTOP = Machine(cores=2, memory=16 * 10**9, processor="test")


@pytest.mark.parametrize(
    ("family", "values", "kind"),
    [
        (image_gan, {}, Trunk), (image_vae, {}, PictureEncoder), (image_vae, {"spatial": True}, SpatialEncoder),
        (image_flow, {}, Unet), (image_flow, {"codes": True}, Unet), (image_tokens, {}, PictureTokenizer),
        (image_transformer, {}, PictureTokenizer),
    ],
)  # fmt: skip
def test_what_is_timed_is_what_will_be_trained(family, values, kind, monkeypatch):
    asked = []
    monkeypatch.setattr(picture_plan, "_pace", lambda *what: asked.append(what) or 1.0)
    task = next(task for task in family.FAMILY.tasks if task.name == "train")
    plan = task.plan({"dataset": "x", "device": "cpu", **values}, "auto", None, LAPTOP)
    [(device, timed, sizes, _precision)] = asked
    assert device == "cpu" and timed is kind and plan.seconds > 0
    with torch.device("meta"):
        assert isinstance(kind(*sizes), nn.Module)


SEEN: list[int] = []


class Counted(nn.Module):
    """Notes the pictures of each pass."""

    def __init__(self, width):
        super().__init__()
        self.layer = nn.Conv2d(1, width, 1)

    def example(self):
        return torch.zeros(1, 1, 16, 16), torch.zeros(1, dtype=torch.long)

    def forward(self, pictures, labels):
        assert len(labels) == len(pictures)
        SEEN.append(len(pictures))
        return self.layer(pictures), labels, self.layer(pictures).mean()


def test_few_steps_are_timed_and_a_large_network_with_fewer_pictures(monkeypatch):
    picture_plan._pace.cache_clear()
    SEEN.clear()
    pace = seconds_per_gigaflop(Counted, (4,), 100, "cpu", LAPTOP)
    assert pace > 0 and seconds_per_gigaflop(Counted, (4,), 100, "cpu", LAPTOP) == pace
    assert SEEN == [1, 8, 8, 8, 8]  # one to count with; the second plan took what is known
    work = 3 * cost_of(lambda: Counted(8)).gigaflops
    monkeypatch.setattr(picture_plan, "_MOST_GIGAFLOPS", 2.5 * work)
    SEEN.clear()
    assert seconds_per_gigaflop(Counted, (8,), 100, "cpu", LAPTOP) > 0
    assert SEEN == [1, 2, 2, 2, 2]


def test_a_device_that_is_not_there_has_no_pace():
    assert torch.cuda.is_available() or seconds_per_gigaflop(Counted, (4,), 100, "cuda", LAPTOP) is None
