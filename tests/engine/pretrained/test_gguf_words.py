"""Vocabularies and stretched contexts of GGUF files: cut and turned as the libraries do."""

import numpy as np
import pytest
import torch
from tokenizers import SentencePieceBPETokenizer, normalizers

from aigc_desktop.core.errors import BadInput, UserError
from aigc_desktop.data.gguf_header import Gguf, GgufTensor
from aigc_desktop.engine.pretrained.gguf import config_of
from aigc_desktop.engine.pretrained.gguf_words import tokenizer_of
from aigc_desktop.engine.pretrained.llama import rotary_tables, shape_of
from aigc_desktop.engine.pretrained.tiny import CONFIG

LINES = [
    "The tea is hot, and the cup is blue.", "  two spaces and a tab\there", "春眠不觉晓，处处闻啼鸟。", "naïve café 🍵",
    "for i in range(10):\n    print(i)", "", " ", "unbelievable",
] * 3  # fmt: skip


def sentence_pieces(add_begin=True, prefix=True):
    """Return (tokenizer of the library, values that a GGUF file has of it)."""
    theirs = SentencePieceBPETokenizer(add_prefix_space=prefix)
    theirs.normalizer = normalizers.Sequence([])
    bytes_ = [f"<0x{number:02X}>" for number in range(256)]
    theirs.train_from_iterator(LINES, 400, 1, ["<unk>", "<s>", "</s>", *bytes_], show_progress=False)
    vocab = sorted(theirs.get_vocab().items(), key=lambda pair: pair[1])
    kinds = [2 if token == "<unk>" else 3 if token in ("<s>", "</s>") else 6 if token in bytes_ else 1
             for token, _number in vocab]  # fmt: skip
    values = {
        "tokenizer.ggml.model": "llama", "tokenizer.ggml.tokens": [token for token, _number in vocab],
        "tokenizer.ggml.scores": [-float(number) for _token, number in vocab], "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.add_bos_token": add_begin, "tokenizer.ggml.add_space_prefix": prefix,
    }  # fmt: skip
    return theirs, values


def gguf_of(values, tmp_path):
    return Gguf(tmp_path / "x.gguf", values, {})


@pytest.mark.parametrize("begin", [True, False])
def test_scored_pieces_of_a_gguf_file_cut_texts_as_sentencepiece_does(tmp_path, begin):
    theirs, values = sentence_pieces(begin)
    ours = tokenizer_of(gguf_of(values, tmp_path), 1000)
    for text in [line for line in LINES if line.strip()]:
        plain = ours.encode(text, add_special_tokens=False)
        expected = [token for token in theirs.encode(text).tokens if token != "<unk>"]
        if "  " not in text:  # the library cuts at each space before it joins, SentencePiece does not
            assert [token for token in plain.tokens if not token.startswith("<0x")] == expected
        assert ours.decode(plain.ids) == text
        assert ours.encode(text).ids == ([1] if begin else []) + plain.ids
    assert ours.decode(ours.encode("Ω unknown 字").ids) == "Ω unknown 字"  # by bytes


@pytest.mark.parametrize(("name", "value"), [
    ("tokenizer.ggml.scores", [0.0]), ("tokenizer.ggml.scores", None), ("tokenizer.ggml.token_type", []),
    ("tokenizer.ggml.model", "bert"), ("tokenizer.ggml.tokens", [1, 2]), ("tokenizer.ggml.tokens", ["a", "a"]),
])  # fmt: skip
def test_a_vocabulary_that_lies_is_refused(tmp_path, name, value):
    _theirs, values = sentence_pieces()
    with pytest.raises(BadInput) as caught:
        tokenizer_of(gguf_of({**values, name: value}, tmp_path), 1000)
    assert caught.value.hint


def test_a_stretched_context_computes_what_the_library_does(tmp_path):
    transformers = pytest.importorskip("transformers")
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    factors = [1.0, 1.5, 2.0, 8.0]
    stretched = {"rope_type": "longrope", "short_factor": factors, "long_factor": factors, "attention_factor": 1.0}
    config = {**CONFIG, "rope_scaling": stretched}
    speeds = rotary_tables(shape_of(config), 16, torch.zeros(()))[1][1, 4:].asin()
    theirs = transformers.LlamaConfig(**config, rope_theta=10_000.0, original_max_position_embeddings=256)
    expected, scale = ROPE_INIT_FUNCTIONS["longrope"](theirs, "cpu", seq_len=16)
    torch.testing.assert_close(speeds, expected)
    assert scale == 1.0
    for wrong in ({"short_factor": factors[:2]}, {"long_factor": [1.0] * 4}, {"attention_factor": 2.0}):
        with pytest.raises(UserError):
            shape_of({**CONFIG, "rope_scaling": {**stretched, **wrong}})


def header(tmp_path, factors=None, **more):
    """Return a header of a model with heads of eight numbers, and with factors of the rotary speeds."""
    path = tmp_path / "x.gguf"
    path.write_bytes(np.array(factors or [], np.float32).tobytes())
    tensors = {"token_embd.weight": GgufTensor("token_embd.weight", (259, 32), "F32", 0, 0)}
    if factors:
        tensors["rope_freqs.weight"] = GgufTensor("rope_freqs.weight", (len(factors),), "F32", 0, 4 * len(factors))
    numbers = {"attention.head_count": 4, "embedding_length": 32, "block_count": 2, "feed_forward_length": 64,
               "context_length": 256}  # fmt: skip
    values = {f"llama.{name}": value for name, value in numbers.items()}
    return Gguf(path, {"general.architecture": "llama", **values, **more}, tensors)


def test_a_stretched_context_in_a_file_is_taken_over(tmp_path):
    plain = config_of(header(tmp_path))
    assert "rope_scaling" not in plain
    factors = config_of(header(tmp_path, [1.0, 1.0, 4.0, 8.0]))
    assert shape_of(factors).scaling["short_factor"] == [1.0, 1.0, 4.0, 8.0]
    linear = {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": 4.0}
    assert shape_of(config_of(header(tmp_path, **linear))).scaling == {"rope_type": "linear", "factor": 4.0}


@pytest.mark.parametrize(("factors", "more"), [
    ([1.0, 2.0], {}), ([0.0, 1.0, 1.0, 1.0], {}), (None, {"llama.rope.scaling.type": "yarn"}),
    (None, {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": "big"}),
    (None, {"llama.rope.scaling.type": "linear", "llama.rope.scaling.factor": -1.0}),
])  # fmt: skip
def test_a_stretching_that_cannot_be_is_refused(tmp_path, factors, more):
    with pytest.raises(BadInput):
        config_of(header(tmp_path, factors, **more))
