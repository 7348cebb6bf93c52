import itertools

import numpy as np
import pytest
import torch
from PIL import Image

from aigc_desktop.core.config import check
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Progress, Sample
from aigc_desktop.core.extension import extension
from aigc_desktop.core.fields import ConfigError
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.families import image_flow, image_transformer
from aigc_desktop.engine.nn.canvas import Area, Canvas, draw_outwards, put_back, read_canvas, show_canvas
from aigc_desktop.engine.nn.picture_tokenizer import PictureTokenizer, TokenizerShape
from aigc_desktop.engine.pictures.common import open_picture
from aigc_desktop.engine.pictures.extending import SidesConfig, canvas_for
from aigc_desktop.engine.pictures.flow_setup import ImageFlowConfig
from aigc_desktop.engine.pictures.transformer_setup import ImageTransformerConfig
from aigc_desktop.engine.pictures.transformer_tasks import windows_of
from aigc_desktop.engine.training.data import to_pictures
from aigc_desktop.ui.widgets.forms.learned import window_of
from tests.engine.families.shapes import shapes, started

SHAPE = TokenizerShape(32, 8, 8, 1, (4, 4))
COMMON = {
    "resolution": "32", "batch_size": 8, "steps": 6, "threads": 1, "device": "cpu", "precision": "float32",
    "sample_every": 0,
}  # fmt: skip
SMALL = {**COMMON, "channels": 8, "width": 16, "layers": 1, "heads": 2}
FLOW = {**COMMON, "steps": 20, "width": 8, "code_width": 8, "lr": 3e-3, "warmup": 1}
QUICK = {"image_transformer": {}, "image_flow": {"walk_steps": 1}}
EVERY = ("masked", "pixels", "codes")
CANVASES = [
    Canvas(16, 16, Area(4, 4, 12, 12)), Canvas(8, 20, Area(0, 12, 8, 20)), Canvas(32, 11, Area(0, 1, 8, 11)),
    Canvas(9, 8, Area(0, 0, 8, 8)), Canvas(30, 29, Area(16, 5, 24, 28)),
]  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    workspace = Workspace.open(tmp_path_factory.mktemp("extending"))
    told = {"dataset": shapes(workspace).id}
    writers = {name: ImageTransformerConfig(**SMALL, **told, masked=name == "masked") for name in ("masked", "causal")}
    flows = {name: ImageFlowConfig(**FLOW, **told, codes=name == "codes") for name in ("pixels", "codes")}
    return workspace, {
        name: started(workspace, family, config)[0]
        for family, configs in ((image_transformer, writers), (image_flow, flows)) for name, config in configs.items()
    }  # fmt: skip


@pytest.fixture
def photo(tmp_path):
    rows, columns = np.mgrid[0:40, 0:60]
    pixels = np.stack([rows * 6, columns * 4, rows + columns], -1).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "照片.png")
    return tmp_path / "照片.png"


def events(trained, model="masked", **values):
    workspace, runs = trained
    family = image_transformer if model in ("masked", "causal") else image_flow
    values = {"run": runs[model].id, "checkpoint": "last", "count": 2, "seed": 3, "device": "cpu", **values}
    config = check(family.ExtendConfig, {**QUICK[family.FAMILY.name], **values})
    result = workspace.new_run(f"{family.FAMILY.name}.extend", config.model_dump(mode="json"), parent="results")
    return family.extend(config, result)


def made(trained, model="masked", **values):
    return np.concatenate([event.images for event in events(trained, model, **values) if isinstance(event, Sample)])


@pytest.mark.parametrize("canvas", CANVASES)
@pytest.mark.parametrize("side", [4, 8])
def test_every_place_is_drawn_beside_known_ones_and_those_of_the_picture_stay(canvas, side):
    area = canvas.known
    picture = torch.randint(1, 50, (1, 2, area.bottom - area.top, area.right - area.left))
    shown = []

    def draw(places, known):
        assert places.shape == (1, 2, side, side) and torch.equal((places != 0).all(1)[0], known)
        shown.append(known.float().mean().item())
        return torch.full_like(places, 70 + len(shown) % 20)  # also where it is known: that is not its to change

    grids = list(draw_outwards(picture, canvas, side, draw))
    assert len(grids) == len(canvas.outwards(side))
    assert grids[-1].shape == (1, 2, canvas.height, canvas.width) and grids[-1].all()
    assert all(torch.equal(grid[:, :, *area.cut], picture) for grid in grids)
    assert min(shown) >= 0.25  # each window lies by a quarter at least over what is known
    for earlier, later in itertools.pairwise(grids):
        assert torch.equal(later[earlier != 0], earlier[earlier != 0])


def test_a_square_picture_is_read_and_shown_as_one_window():
    torch.manual_seed(0)
    tokenizer = PictureTokenizer(SHAPE).eval()
    picture = torch.rand(1, 3, 32, 32) * 2 - 1
    with torch.inference_mode():
        tokens = tokenizer.tokens(picture)
        assert torch.equal(read_canvas(windows_of(tokenizer), picture).flatten(), tokens[0])
        shown = show_canvas(windows_of(tokenizer), tokens.view(1, 1, 8, 8))
        torch.testing.assert_close(shown, tokenizer.pictures(tokens))


def test_a_larger_canvas_is_read_and_shown_whole():
    torch.manual_seed(0)
    tokenizer = PictureTokenizer(SHAPE).eval()
    picture = torch.rand(1, 3, 32, 52) * 2 - 1
    with torch.inference_mode():
        tokens = read_canvas(windows_of(tokenizer), picture)
        shown = show_canvas(windows_of(tokenizer), tokens)
        assert tokens.shape == (1, 1, 8, 13) and shown.shape == picture.shape
        left, right = (tokenizer.tokens(part).view(8, 8) for part in (picture[..., :32], picture[..., -32:]))
        assert torch.equal(tokens[0, 0, :, :2], left[:, :2]) and torch.equal(tokens[0, 0, :, -2:], right[:, -2:])
        torch.testing.assert_close(shown[..., :16], tokenizer.pictures(tokens[..., :8].reshape(1, -1))[..., :16])


def test_what_tokens_miss_fades_outside_so_there_is_no_seam():
    shown, picture = torch.zeros(1, 3, 20, 20), torch.full((1, 3, 8, 8), 0.8)
    joined = put_back(shown, picture, Area(6, 6, 14, 14), 4)
    assert torch.equal(joined[:, :, 6:14, 6:14], picture)
    row = joined[0, 0, 10]
    steps = (row[1:] - row[:-1]).abs()
    assert steps.max() < 0.5 and (row[:7].diff() >= 0).all() and row[:3].max() < 1e-6 and row[-3:].max() < 1e-6


@pytest.mark.parametrize("model", EVERY)
def test_a_picture_of_any_form_stays_to_the_bit_within_what_is_new(trained, photo, model):
    bottom = {"pixels": 12}.get(model, 1)  # percent of 32 pixels, or of 8 codes of 4
    pictures = made(trained, model, picture=photo, left=25, right=0, top=50, bottom=bottom)
    assert pictures.shape == (2, 32 + 16 + 4, 48 + 8, 3)
    inside = to_pictures(open_picture(photo, (32, 48)))[0]
    assert all(np.array_equal(picture[16:48, 8:], inside) for picture in pictures)
    assert not np.array_equal(pictures[0], pictures[1])


def test_a_photograph_is_turned_as_it_is_shown(trained, photo, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter to the right
    with Image.open(photo) as opened:
        opened.save(tmp_path / "turned.png", exif=exif)
    assert made(trained, picture=tmp_path / "turned.png", count=1, left=0, right=0, top=0).shape == (1, 64, 32, 3)


@pytest.mark.parametrize("model", EVERY)
def test_the_seed_alone_decides(trained, photo, model):
    both = made(trained, model, picture=photo, top=0)
    assert np.array_equal(made(trained, model, picture=photo, top=0, seed=4, count=1)[0], both[1])


@pytest.mark.parametrize("model", EVERY)
def test_a_class_is_asked_for_or_any(trained, photo, model):
    name = trained[0].datasets()[0].info.classes[0]
    for asked in ("", name):
        stream = events(trained, model, picture=photo, label=asked, left=0, top=0)
        assert [event.labels for event in stream if isinstance(event, Sample)] == [(asked,)] * 2


def test_a_flow_pushes_towards_the_class_that_is_asked_for(trained, photo):
    told = {"picture": photo, "label": trained[0].datasets()[0].info.classes[0], "left": 0, "top": 0, "count": 1}
    told |= {"walk_steps": 6}
    pushed = made(trained, "pixels", **told)
    assert not np.array_equal(pushed, made(trained, "pixels", **told, guidance=1.0))
    assert not np.array_equal(pushed, made(trained, "pixels", **{**told, "label": ""}))


@pytest.mark.parametrize("model", EVERY)
def test_it_can_be_stopped_before_each_window(trained, photo, model):
    stream = events(trained, model, picture=photo, count=2)
    before = list(itertools.takewhile(lambda event: isinstance(event, Progress), stream))
    assert len(before) > 4 and before[-1].total == 2 * len(before) and [e.step for e in before] == [*range(len(before))]
    stream.close()


def test_what_cannot_be_is_told(trained, photo, tmp_path):
    with pytest.raises(ConfigError, match="at least one side"):
        events(trained, picture=photo, left=0, right=0, top=0, bottom=0)
    for share in (-1, 201):
        with pytest.raises(ConfigError):
            events(trained, picture=photo, left=share)
    with pytest.raises(UserError, match="token by token and cannot extend"):
        made(trained, "causal", picture=photo)
    with pytest.raises(UserError, match=r"“gone\.png” is not there"):
        made(trained, picture=tmp_path / "gone.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(UserError, match=r"text\.png"):
        made(trained, picture=tmp_path / "text.png")


@pytest.mark.parametrize("model", EVERY)
def test_the_canvas_that_the_window_shows_is_the_one_that_is_made(trained, model, photo):
    side, patch = window_of(trained[1][model], "last")
    told = extension((60, 40), (0, 50, 100, 25), side).times(patch)
    pictures = made(trained, model, picture=photo, left=0, right=50, top=100, bottom=25, count=1)
    assert pictures.shape[1:3] == (told.height, told.width)
    left, top, width, height = told.picture
    known = to_pictures(open_picture(photo, (height, width)))[0]
    assert np.array_equal(pictures[0, top : top + height, left : left + width], known)


def test_too_large_results_are_refused():
    def canvas(size, **sides):
        sides = {"left": 0, "right": 0, "top": 0, "bottom": 0, **sides}
        return canvas_for(SidesConfig(run="x", picture="y.png", **sides), size, windows)

    windows = windows_of(PictureTokenizer(SHAPE))

    assert canvas((500, 500), left=200, right=100) == Canvas(8, 32, Area(0, 16, 8, 24))
    assert canvas((1000, 251), top=1) == Canvas(9, 31, Area(1, 0, 9, 31))
    with pytest.raises(UserError, match="160 × 32 pixels; this model makes 128"):
        canvas((500, 500), left=200, right=200)
    with pytest.raises(UserError, match="320 × 36"):
        canvas((5000, 500), top=1)
