"""Fine-tuning on a base in 4 bits: it learns, its adapter fits the whole model, and refusals come before the start."""

import json
import sys
from dataclasses import replace

import pytest
import torch

from aigc_desktop.core.events import Failed, Finished, Note, Stopped
from aigc_desktop.core.job import run_job
from aigc_desktop.core.machine import Machine
from aigc_desktop.engine.families.language_model import FAMILY
from aigc_desktop.engine.labels.adapting import value_of
from aigc_desktop.engine.nn import four_bit
from aigc_desktop.engine.nn.four_bit import PackedLinear
from aigc_desktop.engine.nn.lora import CONFIG
from aigc_desktop.engine.pretrained.llama import LlamaShape
from aigc_desktop.engine.pretrained.tiny import add_tiny_model
from aigc_desktop.engine.tuning import memory, train
from aigc_desktop.engine.tuning.memory import Need, frozen_of, is_packed, parameters_of, what_fits
from aigc_desktop.engine.tuning.setup import TuneConfig
from aigc_desktop.engine.tuning.train import load_base
from aigc_desktop.engine.weights import read_tensors
from tests.engine.tuning.conftest import QUICK, tune, use
from tests.engine.tuning.test_compare_merge import merged
from tests.engine.tuning.test_tuning import base_logits, figures, planned, tuned_logits

CPU = torch.device("cpu")
PACKED = {"base_numbers": "nf4"}
LARGE = LlamaShape(32_000, 4096, 32, 32, 8, 128, 14_336, 8192)
needs_library = pytest.mark.skipif(not four_bit.is_installed(), reason="bitsandbytes is not installed")


@pytest.fixture
def without(monkeypatch):
    """A machine without bitsandbytes."""
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)


def adapter_of(run):
    return read_tensors(run.checkpoint("last") / "model.safetensors")


@needs_library
@pytest.mark.parametrize("values", [{}, {"ema": 0.2}, {"precision": "bfloat16"}, {"checkpointing": "on"}], ids=str)
def test_it_learns_and_its_adapter_is_as_ever(workspace, dataset, base, values):
    run, events = tune(workspace, dataset, base, steps=24, validate_every=8, **{"lr": 1e-2, **PACKED, **values})
    assert isinstance(events[-1], Finished), events[-1]
    losses = figures(events, "val_loss")
    assert losses[-1] < losses[0] - 0.1
    plain, _events = tune(workspace, dataset, base, lr=1e-2, **values)
    told, wanted = (json.loads((one.checkpoint("last") / CONFIG).read_text()) for one in (run, plain))
    assert told == wanted
    ours, theirs = adapter_of(run), adapter_of(plain)
    assert {name: t.shape for name, t in ours.items()} == {name: t.shape for name, t in theirs.items()}
    assert all(t.dtype == torch.float32 for t in ours.values())


@needs_library
@pytest.mark.parametrize("tied", [True, False])
def test_only_matrices_of_layers_are_packed(workspace, dataset, tied):
    base = add_tiny_model(workspace, tie_word_embeddings=tied)
    values = {**QUICK, **PACKED, "dataset": dataset.id, "base": base, "precision": "bfloat16"}
    config = TuneConfig.model_validate(values)
    run = workspace.new_run("language_model.train", config.model_dump(mode="json"))
    network = value_of(load_base(config, run, CPU)).loaded.network
    packed = {name for name, layer in network.named_modules() if isinstance(layer, PackedLinear)}
    assert len(packed) == 7 * network.shape.layers and all(".layers." in name for name in packed)
    assert network.model.embed_tokens.weight.dtype == torch.bfloat16 and network.lm_head.weight is not None
    assert all(not p.is_meta and p.dtype == torch.bfloat16 for p in network.parameters())
    files = read_tensors(workspace.model(base).folder / "model.safetensors")
    for name in packed:
        whole = files[f"{name}.weight"].float()
        off = (network.get_submodule(name).packed.whole().float() - whole).norm() / whole.norm()
        assert 0 < off < 0.11, name


@needs_library
def test_the_network_in_4_bits_answers_nearly_as_the_whole_one(workspace, dataset, base):
    (_run, packed), (_run, whole) = (tune(workspace, dataset, base, lora_dropout=0.0, base_numbers=numbers)
                                     for numbers in ("nf4", "whole"))  # fmt: skip
    assert figures(packed)[0] != figures(whole)[0]
    assert figures(packed) == pytest.approx(figures(whole), rel=0.05)


@needs_library
def test_the_adapter_works_on_the_whole_base_without_the_package(workspace, dataset, base, monkeypatch):
    run, _events = tune(workspace, dataset, base, lr=1e-2, **PACKED)
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    monkeypatch.setattr(four_bit, "library", lambda: pytest.fail("4 bits were used"))
    ours = tuned_logits(run)
    assert (ours - base_logits(workspace, base)).abs().max() > 1e-3
    _result, events = use(workspace, "compare", run=run.id, length=8, count=2)
    assert isinstance(events[-1], Finished), events[-1]
    model, _note = merged(workspace, run=run.id, title="whole")
    torch.testing.assert_close(base_logits(workspace, model.id), ours, atol=1e-5, rtol=1e-5)


@needs_library
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.filterwarnings("ignore")
def test_peft_opens_the_adapter_with_the_same_logits(workspace, dataset, tied):
    peft, transformers = pytest.importorskip("peft"), pytest.importorskip("transformers")
    base = add_tiny_model(workspace, tie_word_embeddings=tied, attention_bias=True)
    run, _events = tune(workspace, dataset, base, lr=1e-2, **PACKED)
    plain = transformers.LlamaForCausalLM.from_pretrained(
        workspace.model(base).folder, local_files_only=True, dtype=torch.float32
    )
    theirs = peft.PeftModel.from_pretrained(plain, run.checkpoint("last")).eval()
    with torch.no_grad():
        wanted = theirs(torch.tensor([[257, 65, 80, 81, 7, 99, 200, 31]])).logits
    torch.testing.assert_close(tuned_logits(run), wanted, atol=1e-4, rtol=1e-4)


@needs_library
def test_a_training_that_was_stopped_goes_on_to_the_same_weights(workspace, dataset, base):
    values = {**PACKED, "lora_dropout": 0.2, "steps": 8, "checkpoint_every": 4}
    whole, events = tune(workspace, dataset, base, **values)
    config = FAMILY.task("train").config.model_validate(whole.config_values)
    run, seen = workspace.new_run("language_model.train", whole.config_values), []

    for event in run_job(FAMILY.task("train").job, config, run, lambda: len(figures(seen)) >= 4):
        seen.append(event)
    assert isinstance(seen[-1], Stopped)
    rest = list(run_job(FAMILY.task("train").job, config, run))
    assert isinstance(rest[-1], Finished), rest[-1]
    assert figures(seen) + figures(rest) == figures(events)
    ours, theirs = adapter_of(run), adapter_of(whole)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@needs_library
def test_a_run_in_4_bits_stays_so_and_one_of_an_earlier_version_whole(workspace, dataset, base, monkeypatch):
    run, _events = tune(workspace, dataset, base, **PACKED)
    config = FAMILY.task("train").config.model_validate({**run.config_values, "base_numbers": "auto"})
    assert value_of(load_base(config, run, CPU)).packed
    (run.folder / "tuning.json").write_text('{"precision": "float32"}')
    again = value_of(load_base(config, run, CPU))
    assert not again.packed and not any(isinstance(m, PackedLinear) for m in again.loaded.network.modules())
    (run.folder / "tuning.json").write_text('{"precision": "float32", "packed": true}')
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    last = list(run_job(FAMILY.task("train").job, config, run))[-1]
    assert isinstance(last, Failed) and "bitsandbytes, which is not installed" in last.message


@needs_library
def test_automatic_packs_only_when_memory_is_short_and_says_so(workspace, dataset, base, monkeypatch):
    _run, events = tune(workspace, dataset, base)
    assert not any("4 bits" in event.message for event in events if isinstance(event, Note))
    monkeypatch.setattr(train, "usable", lambda _device: 600e6)
    run, events = tune(workspace, dataset, base)
    assert isinstance(events[-1], Finished)
    assert any("lies in 4 bits" in event.message for event in events if isinstance(event, Note))
    assert json.loads((run.folder / "tuning.json").read_text())["packed"] is True


@needs_library
def test_a_base_too_large_even_so_is_told_before_it_is_read(workspace, dataset, base, monkeypatch):
    monkeypatch.setattr("aigc_desktop.engine.pretrained.load.free_memory_of", lambda _device: 10_000)
    _run, events = tune(workspace, dataset, base, **PACKED)
    assert isinstance(events[-1], Failed) and "more than is free" in events[-1].message and events[-1].hint


# the plan


@needs_library
def test_the_plan_tells_what_4_bits_save(dataset, base):
    packed, whole = planned(dataset, base, **PACKED), planned(dataset, base)
    assert not packed.problems and packed.seconds > 0 and packed.parameters == whole.parameters
    assert any("in 4 bits instead of" in note for note in packed.notes)
    assert not any("4 bits" in note for note in whole.notes)


@needs_library
def test_the_plan_of_a_short_memory_packs_by_itself_and_offers_it_where_it_was_declined(dataset, monkeypatch, base):
    config = TuneConfig.model_validate({**QUICK, "dataset": "x", "base": "y", "batch_size": 1, "context": 64})
    whole, packed = (Need.of(config, LARGE, True, p).saving for p in (False, True))
    assert parameters_of(LARGE) == pytest.approx(7.24e9, rel=0.01)
    assert frozen_of(LARGE, True, False) == 2 * parameters_of(LARGE)
    assert 3.9e9 < frozen_of(LARGE, True, True) < 4.3e9  # 7 G weights at 0.516 bytes, embedding and output at two
    limit = (whole + packed) / 2
    assert is_packed(config, LARGE, True, limit, CPU) and not is_packed(config, LARGE, True, 2 * whole, CPU)
    declined = config.model_copy(update={"base_numbers": "whole"})
    assert not is_packed(declined, LARGE, True, limit, CPU)
    assert what_fits(declined, LARGE, True, limit, CPU) == "It fits with a base in 4 bits."
    monkeypatch.setattr(memory, "has_four_bits", lambda _device: False)
    assert not is_packed(config, LARGE, True, limit, CPU)
    assert "smaller model" in what_fits(declined, LARGE, True, limit, CPU)


def test_an_average_shares_what_is_packed():
    config = TuneConfig.model_validate({**QUICK, "dataset": "x", "base": "y"})
    averaged = config.model_copy(update={"ema": 0.1})
    plain, packed = (
        Need.of(averaged, LARGE, True, p).bytes - Need.of(config, LARGE, True, p).bytes for p in (False, True)
    )
    adapters = 4 * memory.adapters_of(LARGE, config.rank)
    assert plain == pytest.approx(2 * parameters_of(LARGE) + adapters)
    assert packed == pytest.approx(2 * parameters_of(replace(LARGE, layers=0)) + adapters)


def test_asking_for_4_bits_without_the_package_is_one_sentence_in_the_plan_and_at_the_start(
    workspace, dataset, base, without
):
    (problem,) = planned(dataset, base, **PACKED).problems
    assert problem.field == "base_numbers"
    assert problem.message.startswith("Weights in 4 bits need the package bitsandbytes, which is not installed. Inst")
    _run, events = tune(workspace, dataset, base, **PACKED)
    assert isinstance(events[-1], Failed) and "bitsandbytes" in events[-1].message and events[-1].hint


def test_without_the_package_automatic_stays_as_it_was(workspace, dataset, base, without):
    made = planned(dataset, base, Machine(2, int(1e6 / 0.9), "tiny"))
    assert all("4 bits" not in problem.message for problem in made.problems) and made.problems
    run, events = tune(workspace, dataset, base)
    assert isinstance(events[-1], Finished)
    assert json.loads((run.folder / "tuning.json").read_text())["packed"] is False


def test_all_weights_cannot_learn_in_4_bits(workspace, dataset, base):
    (problem,) = planned(dataset, base, method="full", **PACKED).problems
    assert problem.field == "base_numbers" and "adapters (LoRA)" in problem.message
    _run, events = tune(workspace, dataset, base, method="full", **PACKED)
    assert isinstance(events[-1], Failed) and "cannot learn itself" in events[-1].message
