"""Steps that a graphics card repeats, rehearsed on the processor: a stand-in for a graph does the work of the recorded
step again, whose Python numbers are those of the recording. On a card itself see tests/gpu."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch

from aigc_desktop.core.events import Note
from aigc_desktop.engine.families import image_flow, image_gan, image_tokens, image_transformer, image_vae
from aigc_desktop.engine.training.loop import Loop, begin
from aigc_desktop.engine.training.recording import WARM_STEPS, Recorder, Recording
from tests.engine.families.shapes import shapes

COMMON = {
    "resolution": "32", "batch_size": 4, "threads": 1, "device": "cpu", "precision": "float32", "log_every": 1,
    "validate_every": 0, "sample_every": 0, "checkpoint_every": 0, "steps": 16, "warmup": 4,
}  # fmt: skip
GAN = {"width": 8, "latent": 8, "penalty_every": 2, "copy_share": 0.4}
FAMILIES = {
    "flow": (image_flow.ImageFlowConfig, image_flow.FlowTrainee, {"width": 8}),
    "flow on an own vae": (image_flow.ImageFlowConfig, image_flow.FlowTrainee,
                           {"width": 8, "codes": True, "code_width": 8}),
    "gan": (image_gan.ImageGanConfig, image_gan.GanTrainee, GAN),
    "adaptive gan": (image_gan.ImageGanConfig, image_gan.GanTrainee, {**GAN, "adaptive": True}),
    "projected gan": (image_gan.ImageGanConfig, image_gan.GanTrainee, {**GAN, "projected": True}),
    "tokens": (image_tokens.ImageTokensConfig, image_tokens.TokensTrainee, {"width": 8, "feature_weight": 0.5}),
    "masked": (image_transformer.ImageTransformerConfig, image_transformer.WriterTrainee,
               {"width": 16, "heads": 2, "layers": 1, "channels": 8, "tokenizer_share": 0.4}),
    "raster": (image_transformer.ImageTransformerConfig, image_transformer.WriterTrainee,
               {"width": 16, "heads": 2, "layers": 1, "channels": 8, "tokenizer_share": 0.4, "masked": False}),
    "captions": (image_transformer.ImageTransformerConfig, image_transformer.WriterTrainee,
                 {"width": 16, "heads": 2, "layers": 1, "channels": 8, "tokenizer_share": 0.4}),
    "grid vae": (image_vae.ImageVaeConfig, image_vae.VaeTrainee, {"width": 8, "latent": 64, "spatial": True}),
    "vae": (image_vae.ImageVaeConfig, image_vae.VaeTrainee, {"width": 8, "latent": 8, "feature_weight": 0.5}),
}  # fmt: skip


@pytest.fixture
def card(monkeypatch):
    """Stand in for what a graphics card has, and count what is recorded and repeated."""
    seen = SimpleNamespace(recorded=0, repeated=0)

    def record(self, step, work):
        seen.recorded += 1

        def replay():
            seen.repeated += 1
            step.functions = []
            self.values = work(step)

        self.graph = SimpleNamespace(replay=replay)

    stream = SimpleNamespace(wait_stream=lambda other: None)
    for name, stand_in in {
        "Stream": lambda device: stream, "current_stream": lambda device: stream, "stream": lambda s: nullcontext(),
        "graph_pool_handle": lambda: None, "CUDAGraph": lambda: None,
    }.items():  # fmt: skip
        monkeypatch.setattr(torch.cuda, name, stand_in)
    monkeypatch.setattr(Recording, "record", record)
    return seen


def trained(workspace, family, records):
    config_class, trainee_class, own = FAMILIES[family]
    known = workspace.datasets()
    dataset = known[0] if known else shapes(workspace, captions=family == "captions")
    config = config_class(**{**COMMON, **own, "dataset": dataset.id})
    run = workspace.new_run("x.train", config.model_dump(mode="json"))
    device = begin(config)
    loop = Loop(config, run, trainee_class(config, dataset, device))
    recorder = Recorder(device, loop.trainee.optimizers.values())
    recorder._keep_rates()  # for the same rounding in both
    loop.recorder = recorder if records else None
    events = list(loop.events())
    return loop, events


@pytest.mark.parametrize("family", FAMILIES)
def test_a_training_whose_steps_are_repeated_ends_with_the_same_weights(family, workspace, card):
    usual, _events = trained(workspace, family, records=False)
    loop, _events = trained(workspace, family, records=True)
    assert card.recorded == len(loop.recorder.recordings) and card.repeated >= 4
    kinds = {key[0] for key in loop.recorder.recordings}
    taken = sum(recording.warm for recording in loop.recorder.recordings.values()) - card.recorded
    assert card.repeated + taken + family.endswith("vae") == COMMON["steps"], kinds
    for name, module in usual.trainee.modules.items():
        other = loop.trainee.modules[name].state_dict()
        for key, tensor in module.state_dict().items():
            assert torch.allclose(tensor.float(), other[key].float(), rtol=1e-4, atol=1e-6), (name, key)


def test_what_was_recorded_is_dropped_after_a_roll_back_and_with_smaller_pieces(workspace, card):
    loop, _events = trained(workspace, "flow", records=True)
    assert loop.recorder.recordings
    loop._smaller_pieces(torch.OutOfMemoryError("no room"))
    assert not loop.recorder.recordings


def test_a_card_that_cannot_record_says_so_once_and_goes_on(workspace, card, monkeypatch):
    usual, _events = trained(workspace, "flow", records=False)

    def fails(self, step, work):
        for tensor in loops[-1].trainee.network.parameters():
            tensor.grad = torch.full_like(tensor, 1e6)  # what a step that was begun leaves behind
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    loops = []
    begun = Loop.events
    monkeypatch.setattr(Loop, "events", lambda loop: (loops.append(loop), begun(loop))[1])
    monkeypatch.setattr(Recording, "record", fails)
    loop, events = trained(workspace, "flow", records=True)
    told = [event.message for event in events if isinstance(event, Note) and "operation not permitted" in event.message]
    assert len(told) == 1 and "more" not in told[0]
    assert loop.step == COMMON["steps"] and loop.recorder is None
    for one, other in zip(usual.trainee.network.parameters(), loop.trainee.network.parameters(), strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)


def test_errors_of_the_first_steps_are_not_hidden(card):
    recorder = Recorder(torch.device("cpu"), [])

    def broken(step):
        raise RuntimeError("a fault of the family")

    step = SimpleNamespace(accumulation=1, indices=[0], functions=[])
    for _attempt in range(WARM_STEPS):
        with pytest.raises(RuntimeError, match="a fault of the family"):
            recorder.take("step", step, broken)
    assert not recorder.trouble
