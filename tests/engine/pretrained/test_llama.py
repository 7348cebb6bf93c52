"""The network equals the published one in every kind, with and without its cache, and in other numbers nearly so."""

import pytest
import torch
import transformers

from aigc_desktop.core.errors import UserError
from aigc_desktop.engine.pretrained.llama import KeyValues, Llama, shape_of
from aigc_desktop.engine.pretrained.numbers import Int8Linear, choose_numbers, make_ready
from aigc_desktop.engine.pretrained.tiny import CONFIG

SIZES = {
    "vocab_size": 99, "hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 6, "num_key_value_heads": 2,
    "intermediate_size": 64, "max_position_embeddings": 256, "tie_word_embeddings": False,
}  # fmt: skip
STRETCHED = {
    "rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}  # fmt: skip
KINDS = {
    "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM, {}),
    "llama with biases": (transformers.LlamaConfig, transformers.LlamaForCausalLM, {"attention_bias": True}),
    "llama, stretched": (transformers.LlamaConfig, transformers.LlamaForCausalLM, {"rope_parameters": STRETCHED}),
    "mistral": (transformers.MistralConfig, transformers.MistralForCausalLM, {}),
    "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM, {}),
    "qwen3": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM, {"head_dim": 16}),
}


@pytest.fixture(params=sorted(KINDS))
def pair(request):
    """The published network with weights of some size, and ours with the same."""
    make_config, make, changes = KINDS[request.param]
    config = make_config(**SIZES, **changes)
    torch.manual_seed(0)
    theirs = make(config).eval()
    for weight in theirs.parameters():
        weight.data += 0.1 * torch.randn_like(weight)
    ours = Llama(shape_of(config.to_dict())).eval()
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


@torch.no_grad()
def test_logits_equal_the_published_network(pair):
    theirs, ours = pair
    tokens = torch.randint(99, (2, 100), generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(ours.lm_head(ours(tokens)), theirs(tokens).logits, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_token_by_token_equals_all_at_once(pair):
    _theirs, ours = pair
    tokens = torch.randint(99, (2, 40), generator=torch.Generator().manual_seed(1))
    cache = KeyValues(ours.shape, 2, 64, ours.model.norm.weight)
    parts = [ours(tokens[:, :20], cache), *(ours(tokens[:, i : i + 1], cache) for i in range(20, 40))]
    torch.testing.assert_close(torch.cat(parts, 1), ours(tokens), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_fused_matrices_compute_the_same(pair):
    _theirs, ours = pair
    tokens = torch.randint(99, (1, 12), generator=torch.Generator().manual_seed(1))
    before = ours.lm_head(ours(tokens))
    ready = make_ready(ours, "float32", torch.device("cpu"))
    torch.testing.assert_close(ready.lm_head(ready(tokens)), before, atol=1e-4, rtol=1e-4)
    assert not any(weight.requires_grad for weight in ready.parameters())


@torch.no_grad()
def test_eight_bits_change_the_logits_by_about_a_hundredth(pair):
    _theirs, ours = pair
    tokens = torch.randint(99, (1, 12), generator=torch.Generator().manual_seed(1))
    before = ours.lm_head(ours(tokens))
    ready = make_ready(ours, "int8", torch.device("cpu"))
    assert any(isinstance(part, Int8Linear) for part in ready.modules())
    change = (ready.lm_head(ready(tokens)).float() - before).std() / before.std()
    assert 0 < change < 0.05


def test_eight_bits_are_for_few_texts_on_a_processor():
    cpu = torch.device("cpu")
    assert choose_numbers("auto", cpu, rows=16) == "float32"
    assert choose_numbers("bfloat16", cpu) == "bfloat16"
    assert choose_numbers("auto", torch.device("cuda")) == "bfloat16"
    with pytest.raises(UserError, match="processors"):
        choose_numbers("int8", torch.device("cuda"))


@pytest.mark.parametrize(
    "change",
    [
        {"model_type": "gpt2"}, {"hidden_size": 0}, {"hidden_size": "x"}, {"num_hidden_layers": 10**9},
        {"num_key_value_heads": 3}, {"hidden_act": "gelu"}, {"quantization_config": {}}, {"vocab_size": None},
        {"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, {"rope_scaling": 7},
        {"num_attention_heads": -1}, {"head_dim": 10**30}, {"hidden_size": -(10**30)},
        {"max_position_embeddings": 1e400},
        {"rms_norm_eps": -1}, {"rms_norm_eps": float("nan")}, {"rope_theta": -5.0}, {"rope_theta": float("inf")},
    ],
    ids=str,
)  # fmt: skip
def test_a_configuration_that_cannot_be_computed_is_one_sentence(change):
    with pytest.raises(UserError) as error:
        shape_of({**CONFIG, **change})
    assert error.value.hint and "\n" not in error.value.message
