"""8-bit weights: what they change is measured and told, and a model never lies in memory twice while it is loaded."""

import sys
from pathlib import Path

import pytest
import torch

from aigc_desktop.core.events import Note, Progress
from aigc_desktop.core.model import ModelInfo, memory_of
from aigc_desktop.data.model_files import find_model
from aigc_desktop.engine.pretrained import rounding
from aigc_desktop.engine.pretrained.llama import Llama, shape_of
from aigc_desktop.engine.pretrained.load import lending, load_language_model, put, read_network
from aigc_desktop.engine.pretrained.numbers import Int8Linear, make_ready
from aigc_desktop.engine.pretrained.rounding import exact_predictions, rise_of_perplexity, round_and_tell
from aigc_desktop.engine.pretrained.tiny import CONFIG, add_tiny_model, write_tiny_model

CPU = torch.device("cpu")
TOKENS = torch.randint(259, (1, 40), generator=torch.Generator().manual_seed(0))


def made(dtype=torch.float32, **changes):
    torch.manual_seed(0)
    return Llama(shape_of({**CONFIG, **changes})).to(dtype).requires_grad_(False)


def value_of(steps):
    events = []
    while True:
        try:
            events.append(next(steps))
        except StopIteration as end:
            return end.value, events


def lies_in_file(tensor):
    """Return whether the memory of a tensor is a mapped file."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        begin, end = (int(address, 16) for address in line.split()[0].split("-"))
        if begin <= tensor.data_ptr() < end:
            return line.endswith(".safetensors")
    raise AssertionError("memory that is not mapped")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("tied", [True, False])
def test_predictions_are_those_of_the_whole_network_in_float32(dtype, tied):
    network = made(dtype, tie_word_embeddings=tied)
    found, events = value_of(exact_predictions(network, TOKENS))
    assert all(p.dtype == dtype for p in network.parameters())
    assert [event.step for event in events] == [0, 1]
    network.float()
    torch.testing.assert_close(found, network.lm_head(network(TOKENS))[0].log_softmax(1), atol=1e-4, rtol=1e-4)


def test_the_rise_is_nothing_without_rounding_little_with_8_bits_and_much_with_3(monkeypatch):
    network = made()
    exact, _events = value_of(exact_predictions(network, TOKENS))
    assert rise_of_perplexity(make_ready(made(), "float32", CPU), TOKENS, exact) < 1e-5
    eight = rise_of_perplexity(make_ready(made(), "int8", CPU), TOKENS, exact)
    assert 0 < eight < 0.01

    def coarse(self, weight, bias):
        whole(self, weight, bias)
        self.weight = ((self.weight.float() / 32).round() * 32).clamp(-127, 127).to(torch.int8)

    whole = Int8Linear.__init__
    monkeypatch.setattr(Int8Linear, "__init__", coarse)
    assert rise_of_perplexity(make_ready(made(), "int8", CPU), TOKENS, exact) > 10 * eight


def test_it_is_told_with_a_way_out_when_it_is_much(monkeypatch):
    def note():
        return next(e for e in value_of(round_and_tell(made(), TOKENS, "小模型"))[1] if isinstance(e, Note))

    assert note().level == "info" and "“小模型” little" in note().message and "%" in note().message
    monkeypatch.setattr(rounding, "MUCH", 1e-9)
    assert note().level == "warning" and "Numbers" in note().message


def test_only_who_writes_in_8_bits_is_told(workspace):
    model = workspace.model(add_tiny_model(workspace))
    for numbers, count in (("int8", 1), ("bfloat16", 0), (None, 0)):
        _loaded, events = value_of(load_language_model(model, CPU, numbers))
        assert sum(isinstance(event, Note) for event in events) == count
        assert any(isinstance(event, Progress) for event in events)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems do not tell what memory is")
@pytest.mark.parametrize(
    "numbers, lent", [("int8", True), ("float32", False), ("bfloat16", True)], ids=["int8", "the file's", "other"]
)
def test_matrices_that_become_others_lie_in_their_file_until_then(tmp_path, numbers, lent):
    write_tiny_model(tmp_path / "m")
    found = find_model(tmp_path / "m")
    network, _events = value_of(read_network(found, shape_of(found.config), lending(numbers, CPU)))
    layer = network.model.layers[1]
    in_file = {name: lies_in_file(p) for name, p in network.named_parameters()}
    assert in_file["model.layers.1.mlp.up_proj.weight"] is lent
    assert not in_file["model.embed_tokens.weight"] and not in_file["model.layers.1.input_layernorm.weight"]
    own, _events = value_of(read_network(found, shape_of(found.config), put))
    assert not any(lies_in_file(p) for p in own.parameters())
    torch.testing.assert_close(layer.mlp.up_proj.weight, own.model.layers[1].mlp.up_proj.weight)
    ready = make_ready(network, numbers, CPU)
    assert not any(lies_in_file(t) for t in (*ready.parameters(), *ready.buffers()))


def test_a_large_file_needs_no_memory_of_its_own_unless_it_is_changed():
    info = ModelInfo("m", "language", "", "", "", parameters=1000, bytes=4000)
    assert (memory_of(info, 8), memory_of(info, 16), memory_of(info, 32)) == (1200, 2000, 4000)
    assert memory_of(info, 8, whole=True) == 4000
