"""Published encoders from the disk: what is read, what is refused, and that the network is the one of its library."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from aigc_desktop.core.errors import BadInput, UserError
from aigc_desktop.data.model_files import ENCODERS
from aigc_desktop.engine.pretrained.encoder import (
    build_network,
    encoder_folder,
    load_encoder,
    quiet_transformers,
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
        return encoder.network.eval()(torch.from_numpy(ids), torch.from_numpy(mask)).last_hidden_state, mask


def test_tokens_and_vectors_are_those_of_the_library(folder):
    transformers = quiet_transformers()
    theirs = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]"
    )
    batch = theirs(TEXTS[:3], padding=True, return_tensors="pt")
    encoder = load_encoder(folder, CPU)
    ours, mask = hidden(encoder, TEXTS[:3])
    assert np.array_equal(mask, batch["attention_mask"].bool().numpy())
    network = transformers.BertModel.from_pretrained(folder, add_pooling_layer=False, local_files_only=True).eval()
    with torch.no_grad():
        other = network(batch["input_ids"], batch["attention_mask"]).last_hidden_state
    assert torch.allclose(ours[torch.from_numpy(mask)], other[torch.from_numpy(mask)], atol=1e-6)


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


@pytest.mark.parametrize("kind", ENCODERS)
def test_every_known_kind_of_network_can_be_built_and_computes(kind):
    sizes = {
        "vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32,
        "max_position_embeddings": 40, "pad_token_id": 1, "embedding_size": 16,
    }  # fmt: skip
    more = {
        "distilbert": {"dim": 16, "n_layers": 1, "n_heads": 2, "hidden_dim": 32},
        "modernbert": {"bos_token_id": 0, "eos_token_id": 2, "cls_token_id": 0, "sep_token_id": 2},
    }  # fmt: skip
    sizes |= more.get(kind, {})
    network = build_network({"model_type": kind, **sizes}).eval()
    ids, mask = torch.randint(3, 50, (2, 6)), torch.ones(2, 6, dtype=torch.bool)
    with torch.no_grad():
        assert network(ids, mask).last_hidden_state.shape == (2, 6, 16)


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
