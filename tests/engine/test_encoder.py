"""Published encoders on the disk: what is read, what is refused, and that networks compute what the library does."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from aigc_desktop.core.errors import BadInput, UserError
from aigc_desktop.data.model_files import ENCODERS, find_model
from aigc_desktop.engine.pretrained.encoder import (
    build_network,
    check_encoder,
    encoder_folder,
    load_encoder,
    weights_hash,
)
from aigc_desktop.engine.pretrained.reader import first_tokens
from aigc_desktop.engine.pretrained.tiny_encoder import CONFIG, add_tiny_encoder, write_tiny_encoder
from aigc_desktop.engine.weights import read_tensors, write_tensors

TEXTS = ["Ann lives in Oslo.", "北京是首都。", "unaffable, isn't it?"] * 3
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_encoder(tmp_path_factory.mktemp("encoder") / "tiny", TEXTS)


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "copy")


def change(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def hidden(encoder, texts):
    ids, mask = encoder.reader.rows([ids for ids, _places in encoder.reader.read(texts)])
    with torch.no_grad():
        return encoder.network.eval()(torch.from_numpy(ids), torch.from_numpy(mask)), mask


def test_tokens_are_those_of_the_library(folder):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    )
    batch = theirs(TEXTS[:3], padding=True, return_tensors="pt")
    reader = load_encoder(folder, CPU).reader
    ids, mask = reader.rows([ids for ids, _places in reader.read(TEXTS[:3])])
    assert np.array_equal(ids, batch["input_ids"].numpy())
    assert np.array_equal(mask, batch["attention_mask"].bool().numpy())


_SIZES = {
    "vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 24,
    "max_position_embeddings": 40, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
}  # fmt: skip
_OWN = {
    "distilbert": [{"dim": 16, "n_layers": 3, "n_heads": 2, "hidden_dim": 24}],
    "albert": [
        {"embedding_size": 8},
        {"embedding_size": 8, "num_hidden_layers": 4, "num_hidden_groups": 2, "inner_group_num": 2},
    ],
    "deberta-v2": [
        {"relative_attention": True, "position_buckets": 4, "norm_rel_ebd": "layer_norm", "share_att_key": True,
         "pos_att_type": "p2c|c2p", "position_biased_input": False, "type_vocab_size": 0, "max_relative_positions": -1},
        {"relative_attention": True, "pos_att_type": ["c2p"], "max_relative_positions": 8, "type_vocab_size": 2},
        {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 6, "embedding_size": 8},
    ],
    "electra": [{"embedding_size": 8}, {"embedding_size": 16}],
    "modernbert": [
        {"local_attention": 6, "cls_token_id": 0, "sep_token_id": 2, "num_hidden_layers": 4},
        {"local_attention": 6, "cls_token_id": 0, "sep_token_id": 2, "attention_bias": True, "mlp_bias": True,
         "norm_bias": True, "global_attn_every_n_layers": 2},
    ],
}  # fmt: skip
KINDS = [(kind, own) for kind in ENCODERS for own in _OWN.get(kind, [{}])]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("kind", "own"), KINDS)
def test_every_kind_of_network_computes_what_the_library_does(kind, own, folder, tmp_path):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    theirs = transformers.AutoModel.from_config(transformers.AutoConfig.for_model(kind, **{**_SIZES, **own})).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    theirs.save_pretrained(tmp_path)
    shutil.copy(folder / "tokenizer.json", tmp_path)
    ours = load_network(tmp_path).eval()
    ids = torch.randint(3, 60, (3, 20))
    mask = torch.arange(20) < torch.tensor([[20], [13], [1]])
    ids[~mask] = 1
    with torch.no_grad():
        expected = theirs(input_ids=ids, attention_mask=mask).last_hidden_state
        torch.testing.assert_close(ours(ids, mask)[mask], expected[mask], atol=2e-5, rtol=1e-4)


def load_network(folder):
    """Return the network alone: the tokenizer there is of another model."""
    found = find_model(folder)
    published = {own: name for name, own in check_encoder(found).items()}
    network = build_network(found.config)
    state = read_tensors(folder / "model.safetensors")
    network.load_state_dict({published[own]: tensor for own, tensor in state.items() if own in published})
    return network


def test_weights_of_a_model_with_another_head_and_old_names_are_found(folder, copy):
    tensors = read_tensors(folder / "model.safetensors")
    old = {"bert." + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): t
           for name, t in tensors.items()}  # fmt: skip
    write_tensors(copy / "model.safetensors", {**old, "cls.predictions.bias": torch.zeros(5)})
    assert torch.equal(hidden(load_encoder(copy, CPU), TEXTS[:1])[0], hidden(load_encoder(folder, CPU), TEXTS[:1])[0])


def test_padding_changes_nothing(folder):
    encoder = load_encoder(folder, CPU)
    alone, beside = hidden(encoder, ["Ann lives"])[0], hidden(encoder, ["Ann lives", TEXTS[2]])[0]
    assert torch.allclose(alone[0], beside[0, : alone.shape[1]], atol=1e-6)


def test_a_vocabulary_file_alone_reads_the_same(folder, copy):
    tokenizer = load_encoder(folder, CPU).reader.tokenizer
    vocab = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)
    (copy / "vocab.txt").write_text("\n".join(vocab) + "\n", encoding="utf-8")
    (copy / "tokenizer.json").unlink()
    one, two = load_encoder(folder, CPU).reader, load_encoder(copy, CPU).reader
    assert replace(one, tokenizer=None) == replace(two, tokenizer=None)
    for (a, _p), (b, _q) in zip(one.read(TEXTS), two.read(TEXTS), strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize(("name", "value"), [
    ("hidden_size", "big"), ("hidden_size", 0), ("num_attention_heads", 3), ("layer_norm_eps", -1),
    ("vocab_size", True), ("pad_token_id", -4), ("hidden_dropout_prob", 1.0),
    ("hidden_act", "evil"), ("intermediate_size", 1 << 40),
])  # fmt: skip
def test_settings_that_no_model_has_are_refused(copy, name, value):
    change(copy, **{name: value})
    with pytest.raises(UserError) as caught:
        load_encoder(copy, CPU)
    assert name in caught.value.message and caught.value.hint


@pytest.mark.parametrize("odd", [
    {"conv_kernel_size": 3}, {"relative_attention": False}, {"pos_att_type": "p2p"}, {"num_attention_heads": 5},
])  # fmt: skip
def test_a_deberta_that_cannot_be_computed_is_refused(odd):
    config = {"model_type": "deberta-v2", **_SIZES, "relative_attention": True, **odd}
    with pytest.raises(UserError) as caught:
        build_network(config)
    assert next(iter(odd)) in caught.value.message


def test_code_beside_a_model_is_refused(copy):
    change(copy, auto_map={"AutoModel": "evil.Model"})
    with pytest.raises(BadInput, match="code of its own"):
        load_encoder(copy, CPU)


@pytest.mark.parametrize("kind", ["gpt2", None, ["bert"]])
def test_other_kinds_are_refused_with_those_that_are_known(copy, kind):
    change(copy, model_type=kind)
    with pytest.raises(BadInput) as caught:
        load_encoder(copy, CPU)
    assert "modernbert" in caught.value.hint


@pytest.mark.parametrize("damage", [
    lambda f: (f / "model.safetensors").unlink(), lambda f: (f / "tokenizer.json").unlink(),
    lambda f: (f / "config.json").unlink(), lambda f: (f / "tokenizer.json").write_text("{}"),
    lambda f: (f / "model.safetensors").write_bytes(b"\x05" * 50), lambda f: change(f, hidden_size=24),
    lambda f: change(f, vocab_size=20), lambda f: change(f, num_hidden_layers=2),
])  # fmt: skip
def test_what_is_damaged_is_said_plainly(copy, damage):
    damage(copy)
    with pytest.raises(BadInput) as caught:
        load_encoder(copy, CPU)
    assert caught.value.hint


def test_a_missing_part_is_never_made_up(copy):
    tensors = read_tensors(copy / "model.safetensors")
    del tensors["encoder.layer.0.output.dense.weight"]
    write_tensors(copy / "model.safetensors", tensors)
    with pytest.raises(BadInput, match="missing"):
        load_encoder(copy, CPU)


def test_other_weights_have_another_hash(folder, copy):
    assert weights_hash(folder) == weights_hash(copy)
    tensors = read_tensors(copy / "model.safetensors")
    next(iter(tensors.values())).add_(1)
    write_tensors(copy / "model.safetensors", tensors)
    assert weights_hash(folder) != weights_hash(copy)


def test_an_encoder_is_named_by_id_or_by_a_full_path(workspace, folder):
    name = add_tiny_encoder(workspace, TEXTS)
    assert encoder_folder(name, workspace) == workspace.folder / "models" / name
    assert encoder_folder(str(folder), workspace) == folder
    for missing in ("nothing", "../x", str(folder / "no")):
        with pytest.raises(UserError):
            encoder_folder(missing, workspace)
    assert CONFIG["vocab_size"] >= load_encoder(folder, CPU).reader.tokenizer.get_vocab_size()


def test_first_tokens_of_words():
    assert first_tokens([(0, 3), (4, 9)], [(0, 2), (2, 3), (4, 7), (7, 9)]) == [0, 2]
    assert first_tokens([(0, 1), (1, 3)], [(0, 3)]) == [0, 0]  # a token over two words
    assert first_tokens([(0, 2), (3, 4), (5, 6)], [(0, 2), (5, 6)]) == [0, -1, 1]
    assert first_tokens([(1, 3)], [(0, 0), (0, 3)]) == [1]
    assert first_tokens([(0, 2)], []) == [-1]
