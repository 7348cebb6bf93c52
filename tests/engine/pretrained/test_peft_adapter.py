"""Adapters that others made: what is worked into the weights computes what PEFT computes; the rest is refused."""

import json
import warnings

import pytest
import torch

from aigc_desktop.core.errors import BadInput
from aigc_desktop.core.files import write_json
from aigc_desktop.core.model import Model
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.pretrained.llama import Llama
from aigc_desktop.engine.pretrained.load import open_language_model
from aigc_desktop.engine.pretrained.peft_adapter import Part, read_adapter
from aigc_desktop.engine.pretrained.tiny import add_tiny_model, write_tiny_model
from aigc_desktop.engine.tuning.loading import adapter_of, base_of_adapter
from aigc_desktop.engine.weights import read_tensors, write_tensors
from tests.engine.pretrained.test_model_import import bring, lora_files, write

CPU = torch.device("cpu")
TOKENS = torch.randint(256, (2, 30), generator=torch.Generator().manual_seed(1))
Q = {"r": 4, "lora_alpha": 6, "target_modules": ["q_proj", "down_proj"]}
KINDS = {
    "plain": Q,
    "by the root of the rank": {**Q, "use_rslora": True},
    "dora": {**Q, "use_dora": True},
    "dora by the root of the rank": {**Q, "use_dora": True, "use_rslora": True},
    "ranks and strengths of single layers": {
        **Q, "rank_pattern": {"down_proj": 2, "layers.1.self_attn.q_proj": 3}, "use_rslora": True,
        "alpha_pattern": {"^model.layers.0.self_attn.q_proj": 20, "q_proj": 1},
    },
    "output kept whole": {**Q, "modules_to_save": ["lm_head"]},
    "embedding kept whole": {**Q, "modules_to_save": ["embed_tokens"]},
    "embedding and output kept whole": {**Q, "modules_to_save": ["embed_tokens", "lm_head"]},
    "both kept whole as one": {**Q, "modules_to_save": ["embed_tokens"], "ensure_weight_tying": True},
    "norms kept whole": {**Q, "modules_to_save": ["norm", "input_layernorm"]},
    "embedding and output changed": {**Q, "target_modules": ["embed_tokens", "lm_head", "v_proj"]},
    "embedding changed by dora": {**Q, "target_modules": ["embed_tokens", "v_proj"], "use_dora": True},
    "every linear layer": {**Q, "target_modules": "all-linear"},
}  # fmt: skip


def published(folder, base, **settings):
    """Write an adapter that PEFT made of tensors of some size; return the logits of base and adapter there."""
    peft, transformers = pytest.importorskip("peft"), pytest.importorskip("transformers")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = transformers.AutoModelForCausalLM.from_pretrained(base, local_files_only=True, dtype=torch.float32)
        network = peft.get_peft_model(plain, peft.LoraConfig(task_type="CAUSAL_LM", **settings)).eval()
        draw = torch.Generator().manual_seed(2)
        for name, weight in network.named_parameters():
            if "lora_" in name or "modules_to_save" in name or (settings.get("bias") and name.endswith("bias")):
                weight.data += 0.3 * torch.randn(weight.shape, generator=draw)
        with torch.no_grad():
            logits = network(TOKENS).logits
        network.save_pretrained(folder)
    return logits


def ours(base, adapter):
    """Return the network of a base with an adapter worked in."""
    return loaded(base, adapter_of(adapter, "float32"))


def loaded(base, change=None):
    steps = open_language_model(Model(base), "tiny", CPU, None, change)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value.network


@torch.no_grad()
def logits_of(network: Llama) -> torch.Tensor:
    return network.lm_head(network(TOKENS))


PARTING = {
    "output kept whole", "embedding kept whole", "embedding and output kept whole", "embedding and output changed",
    "embedding changed by dora",
}  # fmt: skip
"""Kinds after which embedding and output are no longer one."""
CASES = [(kind, tied) for kind in KINDS for tied in (True, False) if tied or kind != "both kept whole as one"]


@pytest.mark.parametrize(("kind", "tied"), CASES)
def test_worked_in_it_computes_what_peft_computes(tmp_path, kind, tied):
    base = tmp_path / "base"
    write_tiny_model(base, tie_word_embeddings=tied)
    theirs = published(tmp_path / "lora", base, **KINDS[kind])
    network = ours(base, tmp_path / "lora")
    torch.testing.assert_close(logits_of(network), theirs, atol=2e-4, rtol=2e-4)
    assert network.shape.tied == (tied and kind not in PARTING)
    assert not torch.allclose(logits_of(loaded(base)), theirs, atol=1e-2)


def test_biases_that_were_learned_come_along(tmp_path):
    base = tmp_path / "base"
    write_tiny_model(base, model_type="qwen2", architectures=["Qwen2ForCausalLM"])
    theirs = published(tmp_path / "lora", base, **Q, bias="all")
    torch.testing.assert_close(logits_of(ours(base, tmp_path / "lora")), theirs, atol=2e-4, rtol=2e-4)


def test_dora_is_its_formula():
    draw = torch.Generator().manual_seed(0)
    weight, down, up = (torch.randn(size, generator=draw) for size in ((5, 7), (2, 7), (5, 2)))
    norms = torch.rand(5, generator=draw) + 0.5
    made = Part(down, up, 1.5, norms).changed(weight)
    for row in range(5):
        direction = weight[row] + 1.5 * sum(up[row, k] * down[k] for k in range(2))
        torch.testing.assert_close(made[row], norms[row] * direction / direction.square().sum().sqrt())
    torch.testing.assert_close(made.norm(dim=1), norms)


@pytest.mark.parametrize("change", [
    {"layer_replication": [[0, 2]]}, {"alora_invocation_tokens": [1]}, {"lora_bias": True}, {"fan_in_fan_out": True},
    {"trainable_token_indices": [3]}, {"target_parameters": ["x"]}, {"use_qalora": True}, {"to_come": {"a": 1}},
    {"init_lora_weights": "pissa"}, {"init_lora_weights": "olora"}, {"init_lora_weights": ["x"]},
    {"rank_pattern": {"(a+)+b": 2}}, {"alpha_pattern": {"q_proj|k_proj": 2}}, {"alpha_pattern": {"": 2}},
])  # fmt: skip
def test_what_would_need_another_network_is_refused_by_its_name(tmp_path, change):
    path = lora_files(tmp_path / "lora") / "adapter_config.json"
    write_json(path, {**json.loads(path.read_text()), **change})
    with pytest.raises(BadInput) as caught:
        read_adapter(path.parent)
    assert next(iter(change)) in caught.value.reason and "Merge it" in caught.value.hint


@pytest.mark.parametrize("change", [
    {"r": 5}, {"r": True}, {"r": "x"}, {"lora_alpha": 0}, {"lora_alpha": None}, {"lora_alpha": 10**400},
    {"use_dora": True}, {"rank_pattern": {"q_proj": 3}}, {"alpha_pattern": {"q_proj": "x"}}, {"peft_type": "IA3"},
])  # fmt: skip
def test_damaged_settings_are_told(tmp_path, change):
    path = lora_files(tmp_path / "lora") / "adapter_config.json"
    write_json(path, {**json.loads(path.read_text()), **change})
    with pytest.raises(BadInput) as caught:
        read_adapter(path.parent)
    assert caught.value.hint


@pytest.mark.parametrize("change", [
    lambda t: t.pop("lora_B.weight"), lambda t: t.update({"lora_B.weight": torch.zeros(32, 3)}),
    lambda t: t.update({"lora_A.weight": torch.zeros(2, 32, 1)}), lambda t: t.update({"lora_E": torch.zeros(2)}),
    lambda t: t.update({"lora_magnitude_vector": torch.zeros(31)}), lambda t: t.clear(),
])  # fmt: skip
def test_half_pairs_and_odd_tensors_are_told(tmp_path, change):
    folder = lora_files(tmp_path / "lora")
    prefix = "base_model.model.model.layers.0.self_attn.q_proj."
    tensors = {name.removeprefix(prefix): t for name, t in read_tensors(folder / "adapter_model.safetensors").items()}
    change(tensors)
    write_tensors(folder / "adapter_model.safetensors", {prefix + name: tensor for name, tensor in tensors.items()})
    with pytest.raises(BadInput) as caught:
        read_adapter(folder)
    assert caught.value.hint


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["embedding and output kept whole", "dora", "embedding and output changed"])
def test_such_an_adapter_is_imported_for_its_base_and_writes(tmp_path, kind):
    workspace = Workspace.open(tmp_path / "ws")
    base = add_tiny_model(workspace)
    published(tmp_path / "lora", workspace.model(base).folder, **KINDS[kind])
    made, events = bring(workspace, tmp_path / "lora")
    assert made is not None and workspace.model(made).info.base == base, events[-1]
    for numbers in ("float32", "int8", "bfloat16"):
        texts, events = write(workspace, made, prompt="x", numbers=numbers)
        assert texts is not None and len(texts) == 2, events[-1]
    steps = base_of_adapter(workspace.model(made), workspace)
    with pytest.raises(StopIteration) as end:
        next(steps)
    assert end.value.value.id == base


def test_an_adapter_with_more_words_than_its_base_is_told(tmp_path):
    workspace = Workspace.open(tmp_path / "ws")
    add_tiny_model(workspace)
    folder = lora_files(tmp_path / "lora")
    tensors = read_tensors(folder / "adapter_model.safetensors")
    tensors["base_model.model.model.embed_tokens.weight"] = torch.zeros(261, 32)
    write_tensors(folder / "adapter_model.safetensors", tensors)
    made, events = bring(workspace, folder)
    assert made is None and "how many words" in events[-1].message and "Merge it" in events[-1].hint
