"""The editing jobs as hosts run them, and the network that enlarges: tiles without seams, better than it starts."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from aigc_desktop.core.events import Failed, Finished, Note, Progress, Result, Sample
from aigc_desktop.core.paths import resources
from aigc_desktop.core.request import JobRequest
from aigc_desktop.data.samples import read_png
from aigc_desktop.data.sources import join_sources
from aigc_desktop.engine.host import execute
from aigc_desktop.engine.nn.super_resolution import SuperResolution
from aigc_desktop.engine.pictures.upscaling import WEIGHTS, double, upscaler

CROP = [{"operation": "crop", "ratio": "1:1"}]


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"图 {number}.png" for number in range(3)]
    for path in paths:
        Image.fromarray(rng.integers(256, size=(20, 30, 3), dtype=np.uint8)).save(path)
    return paths


def run(workspace, task, **values):
    values["steps"] = json.dumps(values["steps"])
    return list(execute(JobRequest(task, values, str(workspace.folder))))


def test_each_picture_is_edited_into_the_folder_and_the_original_stays(workspace, pictures, tmp_path):
    before = [path.read_bytes() for path in pictures]
    out = tmp_path / "out"
    events = run(workspace, "edit.apply", pictures=join_sources([str(p) for p in pictures]), steps=CROP, out=str(out))
    assert isinstance(events[-1], Finished)
    [result] = [event for event in events if isinstance(event, Result)]
    assert result.data == {"count": 3, "failed": 0}
    assert all(read_png(out / f"00000{i}.png").shape == (20, 20, 3) for i in range(3))
    assert [path.read_bytes() for path in pictures] == before
    assert [event.step for event in events if isinstance(event, Progress)] == [0, 1, 2, 3]


def test_one_bad_picture_is_told_and_left_out_and_only_bad_ones_fail(workspace, pictures, tmp_path):
    pictures[1].write_bytes(b"\x89PNG\r\n\x1a\n broken")
    out = str(tmp_path / "out")
    events = run(workspace, "edit.apply", pictures=join_sources([str(p) for p in pictures]), steps=CROP, out=out)
    [note] = [event for event in events if isinstance(event, Note)]
    assert note.message.count("图 1.png") == 1 and note.level == "warning"
    [result] = [event for event in events if isinstance(event, Result)]
    assert result.data == {"count": 2, "failed": 1}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["000000.png", "000002.png"]
    events = run(workspace, "edit.apply", pictures=str(pictures[1]), steps=CROP, out=out)
    assert isinstance(events[-1], Failed) and events[-1].message.startswith("“图 1.png” is cut off")
    assert not [event for event in events if isinstance(event, Note)]  # the end tells it already


def test_a_stop_keeps_what_is_finished(workspace, pictures, tmp_path):
    sources = join_sources([str(path) for path in pictures])
    values = {"pictures": sources, "steps": json.dumps(CROP), "out": str(tmp_path / "o")}
    stream = execute(JobRequest("edit.apply", values, str(workspace.folder)))
    next(stream), next(stream)
    stream.close()
    assert [path.name for path in (tmp_path / "o").iterdir()] == ["000000.png"]


def test_a_look_shows_the_same_part_before_and_after_with_sizes_and_palette(workspace, pictures):
    steps = [*CROP, {"operation": "upscale", "factor": "2", "method": "lanczos"}]
    events = run(workspace, "edit.look", picture=str(pictures[0]), steps=steps)
    before, after = (event for event in events if isinstance(event, Sample))
    assert before.role == "real" and before.images.shape == (1, 20, 20, 4) and after.images.shape == (1, 40, 40, 4)
    [result] = [event for event in events if isinstance(event, Result)]
    assert result.data["before"] == [30, 20] and result.data["after"] == [40, 40] and len(result.data["palette"]) == 8


def test_a_look_at_a_large_picture_is_small(workspace, tmp_path):
    Image.new("RGB", (5000, 40), "red").save(tmp_path / "wide.png")
    events = run(workspace, "edit.look", picture=str(tmp_path / "wide.png"), steps=[])
    assert [event.images.shape for event in events if isinstance(event, Sample)] == [(1, 16, 2048, 4)] * 2


# the network


def test_untrained_the_network_interpolates():
    network = SuperResolution().eval()
    x = torch.rand(1, 3, 9, 7)
    wanted = torch.nn.functional.interpolate(x, scale_factor=2, mode="bicubic", align_corners=False)
    assert torch.allclose(network(x), wanted)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (33, 20), (40, 17)])
def test_tiles_give_what_the_whole_picture_gives(shape):
    torch.manual_seed(0)
    network = SuperResolution(width=8, blocks=2).eval()
    for parameter in network.tail.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    pixels = np.random.default_rng(1).integers(256, size=(*shape, 3), dtype=np.uint8)
    whole, tiled = double(pixels, network, tile=512), double(pixels, network, tile=16)
    assert whole.shape == (2 * shape[0], 2 * shape[1], 3)
    assert np.abs(whole.astype(int) - tiled).max() <= 1  # sums in another order may round to the other side


def test_the_shipped_network_is_what_its_card_says_and_beats_lanczos():
    path = resources() / "models" / WEIGHTS
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert path.stat().st_size == card["bytes"] <= 1_000_000
    assert sum(parameter.numel() for parameter in upscaler().parameters()) == card["parameters"]
    assert card["measured"]["upscaling.emoji64.2x.psnr_gain"] > 0
    y, x = np.mgrid[:512, :512] / 8
    share = (np.hypot(y - 32, x - 32) < 20).reshape(64, 8, 64, 8).mean(axis=(1, 3))
    sharp = (share[..., None] * (200, 30, 40) + (1 - share[..., None]) * (250, 240, 230)).round().astype(np.uint8)
    small = Image.fromarray(sharp).resize((32, 32), Image.Resampling.BOX)
    lanczos = np.asarray(small.resize((64, 64), Image.Resampling.LANCZOS))
    error = [np.square(found.astype(float) - sharp).mean() for found in (double(np.asarray(small)), lanczos)]
    assert error[0] < 0.7 * error[1]
