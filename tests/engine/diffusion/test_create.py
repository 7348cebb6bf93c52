"""Making pictures with tiny pipelines of every line: from words, from pictures, in parts."""

import numpy as np
import pytest
import torch
from PIL import Image

from aigc_desktop.core.config import check
from aigc_desktop.core.events import Failed, Finished, Note, Progress, Sample, Stopped
from aigc_desktop.core.job import run_job
from aigc_desktop.data.pipeline_lines import LINES
from aigc_desktop.engine.diffusion import create, memory, painting
from aigc_desktop.engine.diffusion.given import open_mask_for, open_whole, size_for
from aigc_desktop.engine.diffusion.memory import Placement, place
from aigc_desktop.engine.families.diffusion import FAMILY
from aigc_desktop.engine.pretrained import kept
from tests.engine.diffusion.conftest import NAMES, made, use


@pytest.mark.parametrize("line", NAMES)
def test_each_line_makes_varies_and_fills(studio, picture, mask, line):
    other = {"picture": picture, "width": 48}
    for task, given in (("generate", {}), ("vary", other), ("fill", {**other, "mask": mask})):
        events = use(studio, task, model=line, **given)
        assert isinstance(events[-1], Finished), events[-1]
        (work,) = made(events).values()
        assert work.dtype == np.uint8 and work.std() > 1
        assert work.shape == ((32, 32, 3) if task == "generate" else (32, 48, 3))
        assert torch.is_grad_enabled()  # a pipeline turns gradients off; that must not outlast it


@pytest.mark.parametrize("line", [line for line in LINES if not line.learns], ids=lambda line: line.name)
def test_the_others_do_what_they_are_made_for_and_say_what_that_is(studio, picture, mask, line):
    given = {"picture": picture, "width": 48, "height": 32}
    for task, runs in (("generate", line.make), ("vary", line.vary), ("fill", line.fill)):
        values = {"generate": {}, "vary": given, "fill": {**given, "mask": mask}}[task]
        events = use(studio, task, model=line.name, **values)
        if runs:
            assert isinstance(events[-1], Finished), events[-1]
            (work,) = made(events).values()
            assert work.shape == ((32, 32, 3) if task == "generate" else (32, 48, 3)) and work.std() > 1
        else:
            assert isinstance(events[-1], Failed) and "other tasks" in events[-1].message and events[-1].hint


@pytest.mark.parametrize("line", NAMES)
def test_a_picture_made_alone_is_identical(studio, line):
    together = made(use(studio, "generate", model=line, count=3, seed=4, scheduler="euler"))
    assert sorted(together) == [4, 5, 6] and not np.array_equal(together[4], together[5])
    assert np.array_equal(made(use(studio, "generate", model=line, seed=6, scheduler="euler"))[6], together[6])


def test_every_step_is_told(studio):
    events = use(studio, "generate", count=2, walk_steps=3)
    steps = [(e.step, e.total) for e in events if isinstance(e, Progress) and e.unit == "steps"]
    assert [pair for place, pair in enumerate(steps) if pair not in steps[:place]] >= [(n, 6) for n in range(1, 7)]


def test_a_stop_ends_within_a_step_and_keeps_what_is_finished(studio):
    seen = []

    def enough():
        return any(isinstance(event, Sample) for event in seen)

    task = FAMILY.task("generate")
    config = check(task.config, {"model": "sd", "prompt": "x", "count": 50, "walk_steps": 50, "device": "cpu",
                                 "width": 32, "height": 32})  # fmt: skip
    run = studio.new_run("diffusion.generate", {}, parent="results")
    for event in run_job(task.job, config, run, enough):
        seen.append(event)
    assert isinstance(seen[-1], Stopped) and len(made(seen)) == 1


@pytest.mark.parametrize("scheduler", ["euler_a", "dpm", "dpm_karras", "ddim", "unipc", "lcm"])
def test_each_scheduler_gives_other_pictures(studio, scheduler):
    usual = made(use(studio, "generate", walk_steps=4))[0]
    other = made(use(studio, "generate", walk_steps=4, scheduler=scheduler))[0]
    assert not np.array_equal(usual, other)


def test_a_scheduler_for_another_kind_of_model_is_refused(studio):
    events = use(studio, "generate", model="flux", scheduler="ddim")
    assert isinstance(events[-1], Failed) and "flow model" in events[-1].message and events[-1].hint


@pytest.mark.parametrize("line", NAMES)
def test_prompt_and_negative_prompt_count(studio, line):
    usual = made(use(studio, "generate", model=line, guidance=5.0))[0]
    for changed in ({"prompt": "a blue dog"}, {"negative": "blur"}):
        assert not np.array_equal(made(use(studio, "generate", model=line, guidance=5.0, **changed))[0], usual)


def test_a_long_prompt_is_told(studio):
    events = use(studio, "generate", prompt="cat " * 60)
    assert any(isinstance(event, Note) and "77" in event.message for event in events)
    assert not any("tokens" in event.message for event in use(studio, "generate") if isinstance(event, Note))


def test_a_mask_may_be_white_on_an_empty_layer(tmp_path, picture):
    layer = np.full((32, 48, 4), (255, 255, 255, 0), np.uint8)
    layer[:, 24:, 3] = 255
    Image.fromarray(layer).save(tmp_path / "layer.png")
    marked = open_mask_for(tmp_path / "layer.png", open_whole(picture), 48, 32)
    assert marked[:, 25:].all() and not marked[:, :23].any()


def test_what_is_not_painted_anew_stays_to_the_bit(studio, picture, mask):
    work = made(use(studio, "fill", picture=picture, mask=mask, width=48, height=32))[0]
    before = np.asarray(Image.open(picture))
    assert np.array_equal(work[:, :24], before[:, :24]) and not np.array_equal(work[:, 24:], before[:, 24:])


def test_a_mask_of_another_form_is_told_with_both_sizes(studio, picture, tmp_path):
    Image.new("L", (32, 32), 255).save(tmp_path / "square.png")
    events = use(studio, "fill", picture=picture, mask=tmp_path / "square.png")
    assert isinstance(events[-1], Failed)
    assert "32 × 32" in events[-1].message and "48 × 32" in events[-1].message and events[-1].hint


def test_a_larger_mask_of_the_same_form_is_fitted(studio, picture, tmp_path):
    white = np.zeros((64, 96), np.uint8)
    white[:, 48:] = 255
    Image.fromarray(white).save(tmp_path / "double.png")
    work = made(use(studio, "fill", picture=picture, mask=tmp_path / "double.png", width=48, height=32))[0]
    assert np.array_equal(work[:, :24], np.asarray(Image.open(picture))[:, :24])


def test_a_mask_without_white_is_refused(studio, picture, tmp_path):
    Image.new("L", (48, 32)).save(tmp_path / "black.png")
    events = use(studio, "fill", picture=picture, mask=tmp_path / "black.png")
    assert isinstance(events[-1], Failed) and "white" in events[-1].message


def test_a_turned_picture_is_used_upright(studio, picture, tmp_path):
    turned = Image.open(picture).transpose(Image.Transpose.ROTATE_90)
    marks = turned.getexif()
    marks[0x0112] = 6  # the camera says: turn it by a quarter
    turned.save(tmp_path / "turned.png", exif=marks)
    upright, other = (made(use(studio, "vary", picture=path))[0] for path in (picture, tmp_path / "turned.png"))
    assert np.array_equal(upright, other)


def test_what_is_no_picture_is_told(studio, tmp_path):
    (tmp_path / "no.png").write_text("hello")
    events = use(studio, "vary", picture=tmp_path / "no.png")
    assert isinstance(events[-1], Failed) and "no.png" in events[-1].message


def test_without_a_model_it_says_where_to_get_one(studio):
    events = use(studio, "generate", model="")
    assert isinstance(events[-1], Failed) and "Models page" in events[-1].hint


def test_only_good_ones_needs_training_pictures(studio):
    events = use(studio, "generate", good=True)
    assert isinstance(events[-1], Failed) and "training pictures" in events[-1].message and events[-1].hint


@pytest.mark.parametrize(("given", "size"), [
    ((0, 0), (632, 392)), ((320, 0), (320, 200)), ((0, 320), (512, 320)), ((100, 100), (96, 96)),
])  # fmt: skip
def test_sizes_follow_the_wish_then_the_form_of_the_picture(given, size):
    picture = np.zeros((100, 160, 3), np.uint8)
    assert size_for(picture, *given, 500, 8) == size


# memory


@pytest.mark.parametrize(("free", "wish", "mode"), [
    (9e9, "auto", "whole"), (5e9, "auto", "parts"), (2e9, "auto", "layers"), (9e9, "layers", "layers"),
])  # fmt: skip
def test_the_mode_follows_what_the_card_has(monkeypatch, free, wish, mode):
    sizes = {"unet": 1_500_000_000, "text_encoder": 800_000_000, "vae": 80_000_000}
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_named: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (free, free))
    placement = place(sizes, torch.device("cuda"), wish, "model")
    assert (placement.mode, placement.dtype) == (mode, torch.bfloat16)


def test_a_model_beyond_the_memory_is_refused_with_figures():
    with pytest.raises(memory.UserError, match="more than is free"):
        place({"unet": 10**13}, torch.device("cpu"), "auto", "huge")


def test_when_the_card_is_full_less_of_the_model_lies_on_it(monkeypatch, studio):
    """The card is the processor here; what runs out is feigned."""
    tried, inner = [], painting.Painter._call

    def call(self, seed, tell):
        tried.append(self.model.placement.mode)
        if len(tried) < 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return inner(self, seed, tell)

    next_mode = {"whole": "parts", "parts": "layers"}
    monkeypatch.setattr(painting.Painter, "_call", call)
    monkeypatch.setattr(Placement, "smaller", lambda self: Placement(self.device, self.dtype, next_mode[self.mode]))
    events = use(studio, "generate")
    assert isinstance(events[-1], Finished) and tried == ["whole", "parts", "layers"]
    assert sum(isinstance(e, Note) and "Memory is short" in e.message for e in events) == 2


def test_out_of_memory_on_the_processor_names_the_size(monkeypatch, studio):
    def call(_self, _seed, _tell):
        raise MemoryError

    monkeypatch.setattr(painting.Painter, "_call", call)
    events = use(studio, "generate")
    assert isinstance(events[-1], Failed) and events[-1].kind == "OutOfMemory" and "32 × 32" in events[-1].message


# kept for the next job


@pytest.fixture
def loads(monkeypatch):
    """Names of the models that were loaded."""
    seen, load = [], create.load_diffusion

    def counted(model, placement):
        seen.append(model.id)
        return load(model, placement)

    monkeypatch.setattr(create, "load_diffusion", counted)
    kept.release()
    yield seen
    kept.release()


def test_the_next_job_needs_not_load_the_model_again(studio, picture, loads):
    first = made(use(studio, "generate", scheduler="ddim"))[0]
    use(studio, "vary", picture=picture, width=48)
    assert np.array_equal(made(use(studio, "generate", scheduler="ddim"))[0], first) and loads == ["sd"]
    usual = made(use(studio, "generate"))[0]  # its own scheduler comes back
    kept.release()
    assert np.array_equal(made(use(studio, "generate"))[0], usual) and loads == ["sd", "sd"]
    use(studio, "generate", model="sdxl")
    assert loads == ["sd", "sd", "sdxl"]


def test_a_training_lets_go_of_it(studio, loads):
    use(studio, "generate")
    kept.release("diffusion.train")
    use(studio, "generate")
    assert loads == ["sd", "sd"]


def test_lines_share_no_class():
    classes = [name for line in LINES for name in line.classes]
    assert len(classes) == len(set(classes))
