"""Matrices in 4 bits: how far off they are, their gradients, and what is said where they cannot be."""

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from aigc_desktop.core.errors import UserError
from aigc_desktop.engine.nn import four_bit
from aigc_desktop.engine.nn.four_bit import BYTES_PER_WEIGHT, Packed, PackedLinear, has_four_bits, need_four_bits
from aigc_desktop.engine.nn.lora import add_lora, lora_state

CPU = torch.device("cpu")
needs_library = pytest.mark.skipif(not four_bit.is_installed(), reason="bitsandbytes is not installed")


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@needs_library
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(64, 64), (64, 48), (48, 96), (100, 70), (7, 9), (576, 1536)])
def test_every_weight_is_within_half_a_gap_of_its_block_and_all_are_a_tenth_off(shape, kind):
    weight = normal(*shape)
    packed = Packed.of(weight, kind)
    whole = packed.whole()
    assert whole.shape == shape and whole.dtype == kind
    flat = torch.nn.functional.pad(weight.reshape(-1), (0, -weight.numel() % 64)).view(-1, 64)
    off = torch.nn.functional.pad((whole.float() - weight).reshape(-1), (0, -weight.numel() % 64)).view(-1, 64)
    widest = flat.abs().amax(1) * (1 - 0.6961928) / 2  # the widest gap of NF4's 16 numbers
    assert (off.abs().amax(1) <= 1.1 * widest + 1e-6).all()
    assert off.norm() / flat.norm() < 0.105  # 0.092 for normal numbers


@needs_library
def test_a_matrix_takes_the_bytes_that_plans_count():
    packed = Packed.of(normal(512, 512), torch.bfloat16)
    scales = packed.state.absmax.nbytes + packed.state.state2.absmax.nbytes
    assert (packed.codes.nbytes + scales) / 512**2 == pytest.approx(BYTES_PER_WEIGHT)


@needs_library
def test_packing_is_the_same_each_time():
    one, two = (Packed.of(normal(96, 80), torch.float32) for _repeat in range(2))
    assert torch.equal(one.codes, two.codes) and torch.equal(one.whole(), two.whole())


@needs_library
def test_products_and_gradients_are_those_of_the_unpacked_matrix():
    layer = PackedLinear(Packed.of(normal(40, 24), torch.float32), nn.Parameter(normal(40, seed=1)))
    plain = nn.Linear(24, 40)
    plain.load_state_dict({"weight": layer.packed.whole(), "bias": layer.bias.detach()})
    ours, theirs = (normal(2, 5, 24, seed=2).requires_grad_() for _repeat in range(2))
    out, wanted = layer(ours), plain(theirs)
    torch.testing.assert_close(out, wanted)
    out.square().sum().backward()
    wanted.square().sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(ours).dtype == torch.bfloat16


@needs_library
def test_adapters_learn_beside_a_packed_matrix_and_a_copy_shares_it():
    model = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64))
    four_bit.pack_linears(model, torch.float32)
    assert add_lora(model, ("0", "1"), 4, 8.0) == ["0", "1"] and len(lora_state(model)) == 4
    assert {name for name, p in model.named_parameters() if p.requires_grad} == lora_state(model).keys()
    model(normal(3, 64)).square().mean().backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    twin = copy.deepcopy(model)
    assert twin[0].packed.packed is model[0].packed.packed and twin[0].lora_A is not model[0].lora_A


ASKED = """
import sys, types
pretended = types.ModuleType("kernels")
pretended.get_kernel = lambda *_args, **_values: print("asked a hub")
sys.modules["kernels"] = pretended
from aigc_desktop.engine.nn import four_bit
four_bit.library()
assert sys.modules["kernels"] is pretended and "bitsandbytes" in sys.modules
"""


@needs_library
def test_importing_it_asks_no_hub_for_kernels_and_says_nothing():
    done = subprocess.run([sys.executable, "-c", ASKED], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_nothing_imports_it_unasked():
    modules = "aigc_desktop.engine.tuning.plan, aigc_desktop.engine.tuning.train"
    code = f"import sys, {modules}; print('bitsandbytes' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# where it cannot be


def test_without_the_package_there_is_one_sentence_and_a_way_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    assert not has_four_bits(CPU)
    with pytest.raises(UserError, match="need the package bitsandbytes") as caught:
        need_four_bits(CPU)
    assert "Numbers of the base" in caught.value.hint


def test_other_devices_are_refused_before_the_package_is_looked_for(monkeypatch):
    monkeypatch.setattr(four_bit, "is_installed", lambda: pytest.fail("looked for"))
    with pytest.raises(UserError, match="NVIDIA cards and processors"):
        need_four_bits(torch.device("mps"))


class Broken:
    """A package without its native part."""

    @staticmethod
    def quantize_4bit(*_args, **_values):
        raise RuntimeError("libbitsandbytes_cuda130.so: cannot open shared object file\nmore lines")


class Wrong:
    """A package whose numbers come out wrong."""

    @staticmethod
    def quantize_4bit(blocks, **_values):
        return torch.zeros_like(blocks), Broken()

    @staticmethod
    def dequantize_4bit(codes, _state):
        return codes


@pytest.mark.parametrize(("library", "reason"), [(Broken, "cannot open shared object file."), (Wrong, "wrong.")])
def test_a_package_that_fails_here_is_told_with_its_reason(monkeypatch, library, reason):
    monkeypatch.setattr(four_bit, "is_installed", lambda: True)
    monkeypatch.setattr(four_bit, "library", lambda: library)
    with pytest.raises(UserError) as caught:
        need_four_bits(CPU)
    assert caught.value.message.endswith(reason) and caught.value.hint
