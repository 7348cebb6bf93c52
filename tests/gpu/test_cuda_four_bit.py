"""Fine-tuning on a base in 4 bits on a graphics card; skipped without one or without bitsandbytes.

Needs no Qt: `pytest -c /dev/null --rootdir . --noconftest -p no:pytest-qt tests/gpu/test_cuda_four_bit.py`.
"""

import pytest
import torch

from aigc_desktop.core.events import Finished
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.labels.adapting import value_of
from aigc_desktop.engine.nn import four_bit
from aigc_desktop.engine.nn.four_bit import BYTES_PER_WEIGHT, Packed, PackedLinear
from aigc_desktop.engine.pretrained.load import load_language_model
from aigc_desktop.engine.pretrained.tiny import add_tiny_model
from aigc_desktop.engine.tuning.loading import load_tuned
from aigc_desktop.engine.tuning.memory import Need, layer_of
from aigc_desktop.engine.tuning.setup import TuneConfig
from aigc_desktop.engine.tuning.train import load_base
from tests.engine.toy import text_dataset
from tests.engine.tuning.conftest import QUICK, TEXTS, tune
from tests.engine.tuning.test_tuning import figures

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA card"),
    pytest.mark.skipif(not four_bit.is_installed(), reason="bitsandbytes is not installed"),
]
VALUES = {**QUICK, "device": "cuda", "precision": "auto", "base_numbers": "nf4"}
BROAD = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 12}


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    for name in ("AIGC_DESKTOP_CONFIG", "AIGC_DESKTOP_CACHE"):
        monkeypatch.setenv(name, str(tmp_path))
    return Workspace.open(tmp_path / "workspace")


@pytest.fixture
def dataset(workspace):
    return text_dataset(workspace, TEXTS, held_out=6)


@pytest.mark.parametrize("shape", [(64, 48), (100, 70), (576, 1536)])
def test_the_card_and_the_processor_pack_alike(shape):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    here, there = (Packed.of(weight.to(place), torch.float32).whole().cpu() for place in ("cpu", "cuda"))
    torch.testing.assert_close(there, here, atol=0.02, rtol=0.0)  # scales in 8 bits round their own way
    assert (there - weight).norm() / weight.norm() < 0.105


def test_products_and_gradients_in_bfloat16_are_those_of_the_unpacked_matrix():
    layer = PackedLinear(Packed.of(torch.randn(512, 256, device="cuda"), torch.bfloat16), None)
    ours, theirs = (x.requires_grad_() for x in torch.randn(1, 64, 256, device="cuda").bfloat16().repeat(2, 1, 1))
    (out, wanted) = layer(ours), torch.nn.functional.linear(theirs, layer.packed.whole())
    torch.testing.assert_close(out, wanted)
    out.float().square().mean().backward()
    wanted.float().square().mean().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_it_learns_and_its_adapter_works_on_the_whole_base(workspace, dataset):
    base = add_tiny_model(workspace)
    run, events = tune(workspace, dataset, base, **{**VALUES, "steps": 60, "lr": 1e-2, "validate_every": 20})
    assert isinstance(events[-1], Finished), events[-1]
    losses = figures(events, "val_loss")
    assert losses[-1] < losses[0] - 0.2
    tokens = torch.tensor([[257, 65, 80, 81, 7, 99, 200, 31]], device="cuda")
    place = torch.device("cuda")
    plain = value_of(load_language_model(workspace.model(base), place, "float32")).network
    tuned = value_of(load_tuned(run, "last", place, "float32")).network
    with torch.no_grad():
        assert (plain(tokens) - tuned(tokens)).abs().max() > 1e-3


def test_the_whole_model_never_lies_on_the_card(workspace, dataset):
    base = add_tiny_model(workspace, **BROAD)
    config = TuneConfig.model_validate({**VALUES, "dataset": dataset.id, "base": base})
    run = workspace.new_run("language_model.train", config.model_dump(mode="json"))
    four_bit.need_four_bits(torch.device("cuda"))  # what the library takes for itself does not count
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    loaded = value_of(load_base(config, run, torch.device("cuda")))
    shape = loaded.loaded.network.shape
    inside = shape.layers * layer_of(shape)
    assert inside > 150e6
    assert torch.cuda.max_memory_allocated() - before < 0.7 * 2 * inside  # packed, and a matrix or two at a time
    kept = torch.cuda.memory_allocated() - before
    assert kept < 1.1 * (BYTES_PER_WEIGHT * inside + 2 * 2 * shape.vocab * shape.width)


def test_a_training_takes_no_more_than_its_plan_says(workspace, dataset):
    base = add_tiny_model(workspace, **BROAD)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    run, events = tune(workspace, dataset, base, **VALUES)
    assert isinstance(events[-1], Finished), events[-1]
    peak = torch.cuda.max_memory_allocated()
    config = TuneConfig.model_validate(run.config_values)
    shape = value_of(load_base(config, run, torch.device("cuda"))).loaded.network.shape
    assert peak < Need.of(config, shape, True, True).bytes
