"""LoRA files: the namings of several programs, what they change, and those that were made for another model."""

import re

import numpy as np
import pytest
import torch

from aigc_desktop.core.errors import BadInput
from aigc_desktop.core.events import Failed
from aigc_desktop.core.model import ModelInfo
from aigc_desktop.engine.diffusion.libraries import quiet
from aigc_desktop.engine.diffusion.lora import add_lora
from aigc_desktop.engine.weights import write_tensors
from tests.engine.diffusion.conftest import NAMES, loaded, made, use
from tests.engine.diffusion.test_import import bring

RANK = 2


def attention(model):
    """Return the layers of attention by name."""
    return {
        name: layer for name, layer in model.denoiser.named_modules()
        if name.endswith((".to_q", ".to_k", ".to_v", ".to_out.0")) and isinstance(layer, torch.nn.Linear)
    }  # fmt: skip


def pairs_for(layers):
    torch.manual_seed(0)
    return {
        name: (torch.randn(RANK, layer.in_features), torch.randn(layer.out_features, RANK))
        for name, layer in layers.items()
    }  # fmt: skip


def peft_names(model, pairs):
    tensors = {}
    for name, (down, up) in pairs.items():
        tensors[f"{model.line.denoiser}.{name}.lora_A.weight"] = down
        tensors[f"{model.line.denoiser}.{name}.lora_B.weight"] = up
    return tensors


def kohya_names(pairs, alpha):
    tensors = {}
    for name, (down, up) in pairs.items():
        flat = "lora_unet_" + name.replace(".", "_")
        tensors |= {f"{flat}.lora_down.weight": down, f"{flat}.lora_up.weight": up}
        tensors[f"{flat}.alpha"] = torch.tensor(alpha)
    return tensors


@pytest.mark.parametrize("line", NAMES)
def test_a_lora_adds_its_product_to_the_weights(studio, tmp_path, line):
    model = loaded(studio, line)
    layers = attention(model)
    pairs = pairs_for(layers)
    before = {name: layer.weight.clone() for name, layer in layers.items()}
    write_tensors(tmp_path / "style.safetensors", peft_names(model, pairs))
    add_lora(model, tmp_path / "style.safetensors", "style", 0.5, "")
    for name, layer in layers.items():
        down, up = pairs[name]
        assert torch.allclose(layer.weight, before[name] + 0.5 * up @ down, atol=1e-5), name


def test_the_naming_of_other_trainers_and_their_scale_are_understood(studio, tmp_path):
    model = loaded(studio, "sd")
    layers = attention(model)
    pairs, before = pairs_for(layers), {name: layer.weight.clone() for name, layer in layers.items()}
    words = model.parts["text_encoder"]
    q_proj = next(layer for name, layer in words.named_modules() if name.endswith("layers.0.self_attn.q_proj"))
    told = "lora_te_text_model_encoder_layers_0_self_attn_q_proj"
    encoder = {f"{told}.lora_down.weight": torch.ones(1, 16), f"{told}.lora_up.weight": torch.ones(16, 1)}
    before["q_proj"] = q_proj.weight.clone()
    write_tensors(tmp_path / "style.safetensors", kohya_names(pairs, alpha=1.0) | encoder)
    add_lora(model, tmp_path / "style.safetensors", "style", 1.0, "")
    for name, layer in layers.items():
        down, up = pairs[name]
        assert torch.allclose(layer.weight, before[name] + up @ down / RANK, atol=1e-5), name
    assert torch.allclose(q_proj.weight, before["q_proj"] + 1.0)


@pytest.mark.parametrize("line", NAMES)
def test_it_changes_the_pictures_as_the_library_itself_does(studio, tmp_path, line):
    pytest.importorskip("peft")
    ours, theirs = loaded(studio, line), loaded(studio, line)
    pairs = {name: (down, 0.1 * up) for name, (down, up) in pairs_for(attention(ours)).items()}
    write_tensors(tmp_path / "style.safetensors", peft_names(ours, pairs))
    add_lora(ours, tmp_path / "style.safetensors", "style", 1.0, "")
    values = {"num_inference_steps": 2, "output_type": "np", "width": 32, "height": 32}
    pipelines = [model.pipeline(model.line.make) for model in (ours, theirs)]
    with quiet():
        pipelines[1].load_lora_weights(str(tmp_path), weight_name="style.safetensors")
        first, second = (p("a cat", generator=torch.Generator().manual_seed(1), **values).images for p in pipelines)
    assert np.abs(first - second).max() < 1e-3


@pytest.fixture
def style(studio, tmp_path):
    model = loaded(studio, "sdxl")
    write_tensors(tmp_path / "style.safetensors", peft_names(model, pairs_for(attention(model))))
    return tmp_path / "style.safetensors"


def test_an_imported_lora_is_used_with_its_weight(studio, style):
    made_id, events = bring(studio, style)
    assert made_id is not None, events[-1]
    info: ModelInfo = studio.model(made_id).info
    assert (info.kind, info.title) == ("lora", "style")
    usual, changed, off = (
        made(use(studio, "generate", model="sdxl", **values))[0]
        for values in ({}, {"lora": made_id}, {"lora": made_id, "lora_weight": 0.0})
    )
    assert not np.array_equal(usual, changed) and np.array_equal(usual, off)
    twice = {"lora": made_id, "lora_weight": 0.5, "second_lora": made_id, "second_weight": 0.5}
    assert np.abs(made(use(studio, "generate", model="sdxl", **twice))[0].astype(int) - changed).max() <= 1


@pytest.mark.parametrize("line", ["sd", "sd3", "flux"])
def test_a_lora_for_another_model_says_how_many_layers_fit(studio, style, line):
    made_id, _events = bring(studio, style)
    events = use(studio, "generate", model=line, lora=made_id)
    assert isinstance(events[-1], Failed) and events[-1].kind == "BadInput"
    count, total = map(int, re.search(r"Layers that fit.*: (\d+) of its (\d+)", events[-1].message).groups())
    assert count < total == 32 and events[-1].hint


def test_what_it_was_made_for_is_told(studio, tmp_path):
    wide = {"unet.down_blocks.0.attn2.to_k.lora_A.weight": torch.zeros(2, 2048),
            "unet.down_blocks.0.attn2.to_k.lora_B.weight": torch.zeros(640, 2)}  # fmt: skip
    write_tensors(tmp_path / "wide.safetensors", wide)
    made_id, _events = bring(studio, tmp_path / "wide.safetensors")
    assert studio.model(made_id).info.architecture == "Stable Diffusion XL"
    events = use(studio, "generate", model="sd", lora=made_id)
    assert "Layers that fit: 0 of its 1" in events[-1].message and "Stable Diffusion XL" in events[-1].message


def test_half_a_pair_does_not_count(studio, tmp_path):
    model = loaded(studio, "sd")
    tensors = peft_names(model, pairs_for(attention(model)))
    write_tensors(tmp_path / "half.safetensors", {n: t for n, t in tensors.items() if "lora_A" in n})
    with pytest.raises(BadInput, match="0 of its"):
        add_lora(model, tmp_path / "half.safetensors", "half", 1.0, "")


OLD_PLACES = {
    "down_blocks.1.attentions.0": "input_blocks.3.1", "mid_block.attentions.0": "middle_block.1",
    "up_blocks.0.attentions.0": "output_blocks.0.1", "up_blocks.0.attentions.1": "output_blocks.1.1",
}  # fmt: skip


def test_xl_files_with_the_places_of_the_first_programs_fit(studio, tmp_path):
    model = loaded(studio, "sdxl")
    layers = attention(model)
    pairs, before = pairs_for(layers), {name: layer.weight.clone() for name, layer in layers.items()}
    renamed = {
        next(old + name.removeprefix(new) for new, old in OLD_PLACES.items() if name.startswith(new)): pair
        for name, pair in pairs.items()
    }
    write_tensors(tmp_path / "xl.safetensors", kohya_names(renamed, alpha=2.0))
    add_lora(model, tmp_path / "xl.safetensors", "xl", 1.0, "")
    for name, layer in layers.items():
        down, up = pairs[name]
        assert torch.allclose(layer.weight, before[name] + up @ down, atol=1e-5), name


def test_flux_files_with_queries_keys_and_values_in_one_are_parted(studio, tmp_path):
    model = loaded(studio, "flux")
    block = model.denoiser.transformer_blocks[0].attn
    before = [layer.weight.clone() for layer in (block.to_q, block.to_k, block.to_v)]
    down, up = torch.randn(RANK, 16), torch.randn(48, RANK)
    write_tensors(tmp_path / "flux.safetensors", kohya_names({"double_blocks.0.img_attn.qkv": (down, up)}, alpha=2.0))
    add_lora(model, tmp_path / "flux.safetensors", "flux", 1.0, "")
    for part, layer in enumerate((block.to_q, block.to_k, block.to_v)):
        assert torch.allclose(layer.weight, before[part] + up[16 * part : 16 * part + 16] @ down, atol=1e-5)
