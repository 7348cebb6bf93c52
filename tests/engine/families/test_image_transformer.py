import itertools

import numpy as np
import pytest
import torch
from PIL import Image

from aigc_desktop.core.config import check
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Metric, Sample
from aigc_desktop.core.fields import ConfigError
from aigc_desktop.core.machine import Machine
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.families import image_tokens, image_transformer
from aigc_desktop.engine.nn.picture_tokenizer import PictureTokenizer
from aigc_desktop.engine.nn.token_transformer import TokenTransformer
from aigc_desktop.engine.pictures.common import open_picture
from aigc_desktop.engine.pictures.tokens_setup import ImageTokensConfig
from aigc_desktop.engine.pictures.tokens_setup import plan as plan_tokens
from aigc_desktop.engine.pictures.transformer_setup import ImageTransformerConfig, plan
from aigc_desktop.engine.training.checkpoint import read_model
from aigc_desktop.engine.training.data import to_pictures
from tests.engine.families.shapes import shapes, started

TINY = {
    "resolution": "32", "width": 8, "batch_size": 16, "threads": 1, "device": "cpu", "precision": "float32",
    "warmup": 5, "log_every": 1, "validate_every": 20, "sample_every": 0, "lr": 5e-3, "shift": 1,
}  # fmt: skip
WRITER = {**TINY, "channels": 8, "width": 32, "layers": 2, "heads": 2, "dropout": 0.0, "writing_lr": 5e-3}
LAPTOP = Machine(cores=4, memory=16 * 2**30, processor="x")


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    workspace = Workspace.open(tmp_path_factory.mktemp("tokens"))
    dataset = shapes(workspace, validation=0.3)
    run, events = started(workspace, image_tokens, ImageTokensConfig(**TINY, dataset=dataset.id, steps=80))
    writing = ImageTransformerConfig(**WRITER, dataset=dataset.id, steps=40, tokens=run.id)
    writer, written = started(workspace, image_transformer, writing)
    return workspace, run, events, writer, written


def told(events, name):
    return [event.values[name] for event in events if isinstance(event, Metric) and name in event.values]


def made(task, config, workspace) -> np.ndarray:
    result = workspace.new_run("image_transformer.task", config.model_dump(mode="json"), parent="results")
    return np.concatenate([event.images for event in task(config, result) if isinstance(event, Sample)])


def base(run, **values):
    return {"run": run.id, "checkpoint": "last", "count": 2, "seed": 3, "device": "cpu", **values}


def test_copies_get_nearer_and_the_use_of_codes_is_told(story):
    _workspace, _run, events, *_rest = story
    errors = told(events, "validation_error")
    assert len(errors) == 4 and errors[-1] < 0.8 * errors[0]
    assert told(events, "validation_psnr")[-1] > told(events, "validation_psnr")[0]
    usage, perplexity = told(events, "code_usage")[-1], told(events, "code_perplexity")[-1]
    assert 1 / 240 <= usage <= 1 and 1 <= perplexity <= usage * 240 + 1e-6


def test_features_of_copies_are_learned_too_where_asked(story):
    workspace, *_rest = story
    config = ImageTokensConfig(**{**TINY, "batch_size": 4}, feature_weight=1.0, dataset=workspace.datasets()[0].id,
                               steps=12)  # fmt: skip
    _run, events = started(workspace, image_tokens, config)
    errors = told(events, "feature_distance")
    assert len(errors) == 12 and min(errors[-3:]) < errors[0]


def test_the_writer_learns_over_frozen_tokens(story):
    _workspace, run, _events, writer, written = story
    losses = told(written, "val_loss")
    assert len(losses) == 2 and losses[1] < losses[0] < np.log(240)
    before, after = read_model(run.checkpoint("best"))[1], read_model(writer.checkpoint("last"))[1]
    tokenizer = {name for name in after if name.startswith("tokenizer.")}
    assert tokenizer and all(torch.equal(before[name], after[name]) for name in tokenizer)
    assert not told(written, "copy_error")


def test_without_chosen_tokens_they_are_learned_first_and_then_stay(story):
    workspace, *_rest = story
    config = ImageTransformerConfig(
        **{**WRITER, "masked": False, "validate_every": 4, "sample_every": 4, "ema": 0.0},
        dataset=workspace.datasets()[0].id, steps=8, tokenizer_share=0.5,
    )  # fmt: skip
    run, events = started(workspace, image_transformer, config)
    steps = {name: [e.step for e in events if isinstance(e, Metric) and name in e.values] for name in
             ("copy_error", "loss", "validation_error", "val_loss")}  # fmt: skip
    assert steps == {"copy_error": [1, 2, 3, 4], "loss": [5, 6, 7, 8], "validation_error": [4], "val_loss": [8]}
    assert [e.role for e in events if isinstance(e, Sample)] == ["reconstruction", "samples"]
    learned, last = (read_model(run.checkpoint(name))[1] for name in ("000004", "last"))
    assert all(torch.equal(learned[name], last[name]) for name in last if name.startswith("tokenizer."))
    assert any(not torch.equal(learned[name], last[name]) for name in last if name.startswith("transformer."))
    with pytest.raises(UserError, match="token by token"):
        fill = image_transformer.FillConfig(**base(run, picture="a.png", mask="b.png"))
        made(image_transformer.fill, fill, workspace)


def test_patience_does_not_end_a_training_before_it_writes(story):
    workspace, *_rest = story
    config = ImageTransformerConfig(
        **{**WRITER, "validate_every": 1, "lr": 1.0, "writing_lr": 1.0, "patience": 1}, grad_clip=0,
        dataset=workspace.datasets()[0].id, steps=30, tokenizer_share=0.2,
    )  # fmt: skip
    _run, events = started(workspace, image_transformer, config)
    errors = told(events, "validation_error")
    assert len(errors) == 6 and any(later > before for before, later in itertools.pairwise(errors))
    assert 2 <= len(told(events, "val_loss")) < 24


def test_a_picture_is_the_same_alone_and_in_the_preview(story):
    workspace, _run, _events, writer, written = story
    sample = [e for e in written if isinstance(e, Sample)][-1]
    checkpoint = "best" if writer.info.best != writer.checkpoints()[-1] else "last"
    for cell, label in itertools.product((0, 15), (False, True)):
        values = base(writer, count=1, seed=sample.seeds[cell], checkpoint=checkpoint)
        values |= {"label": sample.labels[cell]} if label else {}
        alone = made(image_transformer.generate, image_transformer.GenerateConfig(**values), workspace)
        assert np.array_equal(alone[0], sample.images[cell])


def test_class_guidance_steps_order_and_wildness_change_a_picture(story):
    workspace, _run, _events, writer, _written = story
    names = workspace.datasets()[0].info.classes

    def picture(**values):
        config = image_transformer.GenerateConfig(**base(writer, count=1, label=names[0], **values))
        return made(image_transformer.generate, config, workspace)

    plain = picture()
    for values in ({"guidance": 1.0}, {"walk_steps": 2}, {"order": "confidence"}, {"wildness": 0.3}):
        assert not np.array_equal(plain, picture(**values)), values
    with pytest.raises(UserError, match="nothing"):
        config = image_transformer.GenerateConfig(**base(writer, label="nothing"))
        made(image_transformer.generate, config, workspace)


def photo(folder):
    grid = np.mgrid[0:32, 0:32]
    pixels = np.stack([grid[0] * 5, grid[1] * 3, grid[0] + grid[1]], -1).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "photo.png")
    return folder / "photo.png"


@pytest.mark.parametrize("outside", [False, True])
def test_a_filled_picture_keeps_what_lies_outside_the_squares_of_the_mask(story, tmp_path, outside):
    workspace, _run, _events, writer, _written = story
    mask = np.full((32, 32), 255 if outside else 0, np.uint8)
    mask[9:20, 8:24] = 0 if outside else 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    squares = np.kron(mask.reshape(8, 4, 8, 4).max((1, 3)), np.ones((4, 4))) > 0
    config = image_transformer.FillConfig(**base(writer, picture=photo(tmp_path), mask=tmp_path / "mask.png"))
    original = to_pictures(open_picture(photo(tmp_path), 32))
    pictures = made(image_transformer.fill, config, workspace)
    assert np.array_equal(pictures[:, ~squares], np.repeat(original[:, ~squares], 2, 0))
    assert not np.array_equal(pictures[0][squares], pictures[1][squares])


def test_a_mask_of_another_form_is_refused(story, tmp_path):
    workspace, _run, _events, writer, _written = story
    Image.new("L", (32, 48), 255).save(tmp_path / "mask.png")
    config = image_transformer.FillConfig(**base(writer, picture=photo(tmp_path), mask=tmp_path / "mask.png"))
    with pytest.raises(UserError, match="32 × 48 pixels, the picture 32 × 32"):
        made(image_transformer.fill, config, workspace)


def test_a_picture_that_is_not_there_is_told_in_own_words(story, tmp_path):
    workspace, _run, _events, writer, _written = story
    config = image_transformer.FillConfig(**base(writer, picture=tmp_path / "gone.png", mask=photo(tmp_path)))
    with pytest.raises(UserError, match=r"“gone\.png” is not there") as told:
        made(image_transformer.fill, config, workspace)
    assert "import" not in told.value.message + told.value.hint


def test_only_a_training_of_tokens_can_give_tokens(story):
    workspace, _run, _events, writer, _written = story
    config = ImageTransformerConfig(**WRITER, dataset=workspace.datasets()[0].id, steps=2, tokens=writer.id)
    with pytest.raises(UserError, match="no tokens"):
        started(workspace, image_transformer, config)


def test_the_plans_choose_by_machine_and_name_what_does_not_fit(workspace):
    dataset = shapes(workspace)
    tokens = plan_tokens({"dataset": dataset.id}, "auto", dataset, LAPTOP)
    assert tokens.preset == "cpu32" and tokens.problems == [] and tokens.seconds > 0
    config = ImageTokensConfig(**{"dataset": "x", **tokens.values})
    reading = PictureTokenizer(config.tokenizer_shape())
    assert tokens.parameters == sum(p.numel() for p in reading.parameters())
    writing = plan({"dataset": dataset.id}, "auto", dataset, LAPTOP)
    assert writing.preset == "cpu32" and writing.problems == [] and writing.seconds > 0
    config = ImageTransformerConfig(**{"dataset": "x", **writing.values})
    network = TokenTransformer(config.shape(reading.shape, 240, len(dataset.info.classes)))
    assert writing.parameters == tokens.parameters + sum(p.numel() for p in network.parameters())
    assert any("2,100" in note for note in writing.notes)
    for plain in (tokens, writing):
        assert plain.good_after_s is None and any("graphics card" in note for note in plain.notes)
    huge = plan({"dataset": dataset.id, "width": 4080, "batch_size": 4096}, "cpu64", dataset, LAPTOP)
    assert huge.problems and "memory" in huge.problems[0].message.lower()


def test_settings_that_do_not_fit_are_refused():
    for values in ({"codes": "7"}, {"tokenizer_share": 1.0}, {"width": 100, "heads": 6}, {"class_dropout": 1.5}):
        with pytest.raises(ConfigError):
            check(ImageTransformerConfig, {"dataset": "x", **values})
