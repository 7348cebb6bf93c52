"""Published models on disk: whole ones are recognised, everything else is one sentence, and lies are found early."""

import json
import shutil
import struct

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFWriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aigc_desktop.core.errors import BadInput
from aigc_desktop.data.gguf_header import read_gguf
from aigc_desktop.data.model_files import find_model
from aigc_desktop.engine.pretrained.tiny import write_tiny_model


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "模型 whole"
    write_tiny_model(folder)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n# Tiny", encoding="utf-8")
    return folder


@pytest.fixture
def model(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / whole.name)


@pytest.fixture(scope="module")
def gguf_bytes(tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    writer = GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_token_list(["a", "b"])
    writer.add_tensor("token_embd.weight", np.zeros((2, 32), np.float32))
    quantized = np.zeros((4, 18), np.uint8)
    writer.add_tensor("blk.0.attn_q.weight", quantized, raw_dtype=GGMLQuantizationType.Q4_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()


def test_a_whole_model_is_recognised_with_its_licence(model):
    found = find_model(model)
    assert (found.kind, found.architecture, found.licence) == ("language", "llama", "apache-2.0")
    assert found.tensors["model.embed_tokens.weight"] == (259, 32)
    assert find_model(model / "config.json") == found  # a file of it stands for the folder


def _change(model, **values):
    path = model / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def _index(model, places):
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda m: (m / "model.safetensors").unlink(), "half of the model"),
        (lambda m: (m / "model.safetensors").rename(m / "pytorch_model.bin"), "pickled"),
        (lambda m: (m / "tokenizer.json").unlink(), "tokenizer.json"),
        (lambda m: (m / "config.json").write_text("{"), "damaged"),
        (lambda m: (m / "config.json").write_text("[]"), "damaged"),
        (lambda m: (m / "config.json").unlink(), "no model"),
        (lambda m: _change(m, model_type="mamba"), "mamba"),
        (lambda m: _change(m, auto_map={"AutoModel": "evil.Model"}), "code of its own"),
        (lambda m: _index(m, {"a": "../../secret.safetensors"}), "plain name"),
        (lambda m: _index(m, {"a": "model-00001.safetensors"}), "model-00001"),
        (lambda m: _index(m, []), "damaged"),
    ],
)  # fmt: skip
def test_what_is_no_whole_model_is_one_sentence_with_a_way_out(model, spoil, reason):
    spoil(model)
    with pytest.raises(BadInput, match=reason) as caught:
        find_model(model)
    assert caught.value.hint


def test_a_name_in_two_files_is_refused(model):
    shutil.copy(model / "model.safetensors", model / "b.safetensors")
    _index(model, {"a": "model.safetensors", "b": "b.safetensors"})
    with pytest.raises(BadInput, match="another file"):
        find_model(model)


def test_a_pickled_file_is_refused_by_its_name(tmp_path):
    file = tmp_path / "model.bin"
    file.write_bytes(b"\x80\x04")
    with pytest.raises(BadInput, match="pickled"):
        find_model(file)


def test_the_header_of_a_gguf_file_is_read(gguf_bytes, tmp_path):
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf_bytes)
    header = read_gguf(path)
    assert header.values["general.architecture"] == "llama" and header.values["llama.block_count"] == 1
    assert header.tensors["token_embd.weight"].shape == (2, 32)
    assert header.tensors["blk.0.attn_q.weight"].shape == (4, 32)


@pytest.mark.parametrize(
    ("place", "value"),
    [(0, b"GGML"), (4, struct.pack("<I", 99)), (8, struct.pack("<Q", 1 << 60)), (16, struct.pack("<Q", 1 << 60)),
     (24, struct.pack("<Q", 1 << 50))],
)  # fmt: skip
def test_a_gguf_header_that_lies_is_refused(gguf_bytes, tmp_path, place, value):
    path = tmp_path / "m.gguf"
    path.write_bytes(gguf_bytes[:place] + value + gguf_bytes[place + len(value) :])
    with pytest.raises(BadInput):
        read_gguf(path)


@settings(max_examples=1500, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_gguf_files_are_read_or_refused(gguf_bytes, tmp_path, data):
    """Whatever bytes change, the answer is a header within the file or BadInput."""
    mutant = bytearray(gguf_bytes)
    for place, byte in data.draw(st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), min_size=1, max_size=6)):
        mutant[place % len(mutant)] = byte
    del mutant[data.draw(st.integers(1, len(mutant))) :]
    path = tmp_path / "m.gguf"
    path.write_bytes(mutant)
    try:
        header = read_gguf(path)
    except BadInput:
        return
    assert all(t.size > 0 and t.start + t.size <= len(mutant) for t in header.tensors.values())
