import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc_desktop.core.errors import UserError
from aigc_desktop.engine.text.tokenizer import END, UNKNOWN, load_tokenizer, pieces, train_bpe, train_characters

TEXTS = [
    "白日依山尽，黄河入海流。欲穷千里目，更上一层楼。",
    "The quick brown fox jumps over the lazy dog. " * 5,
    "👩‍👩‍👧 family 😀🇨🇳 flags é e\u0301",
    "مرحبا بالعالم שלום עולם",
    "line one\n\n  indented\ttab\r\nend   ",
    "数字 12345678901234567890 和 3.14",
]


def last(training):
    *_pauses, tokenizer = training
    return tokenizer


@pytest.fixture(scope="module", params=["char", "bpe"])
def tokenizer(request):
    return last(train_characters(TEXTS) if request.param == "char" else train_bpe(TEXTS, 400))


@pytest.mark.parametrize("text", TEXTS)
def test_every_script_comes_back(tokenizer, text):
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert END not in ids and ids.max() < tokenizer.size


@pytest.mark.parametrize("text", TEXTS)
def test_bytes_are_counted(tokenizer, text):
    assert tokenizer.byte_counts()[tokenizer.encode(text)].sum() == len(text.encode())


def test_saved_and_loaded_it_is_the_same(tokenizer, tmp_path):
    tokenizer.save(tmp_path)
    again = load_tokenizer(tmp_path)
    assert again.size == tokenizer.size
    for text in TEXTS:
        np.testing.assert_array_equal(again.encode(text), tokenizer.encode(text))


def test_a_damaged_file_is_said_plainly(tokenizer, tmp_path):
    for text in ('{"kind": "bpe", "tokenizer": {}}', '{"kind": "bpe"}', "[]"):
        (tmp_path / "tokenizer.json").write_text(text, encoding="utf-8")
        with pytest.raises(UserError, match="damaged"):
            load_tokenizer(tmp_path)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_learned_pieces_can_write_anything(text):
    tokenizer = BPE
    assert tokenizer.decode(tokenizer.encode(text)) == text


BPE = last(train_bpe(TEXTS, 400))


def test_learned_pieces_are_learned():
    assert len(BPE.encode(TEXTS[1])) < len(TEXTS[1]) / 2
    assert BPE.size <= 400


def test_a_character_cut_in_the_middle_is_left_out_while_writing():
    ids = BPE.encode("好😀")
    for cut in range(len(ids) + 1):
        assert "\ufffd" not in BPE.decode(ids[:cut], unfinished=True)


def test_unseen_characters_become_the_unknown_token():
    tokenizer = last(train_characters(["abc"]))
    assert tokenizer.encode("aXc").tolist() == [2, UNKNOWN, 4]
    assert tokenizer.decode([2, UNKNOWN, 4]) == "a\ufffdc"


@pytest.mark.parametrize("text", ["a" * 3_000_000, "中" * 1_000_000, " " * 2_000_000, "😀" * 500_000])
def test_one_endless_line_is_no_problem(text):
    for training in (train_characters([text]), train_bpe([text], 300)):
        tokenizer = last(training)
        assert tokenizer.decode(tokenizer.encode(text[:5000])) == text[:5000]


def test_pieces_lose_nothing_and_cut_at_spaces():
    text = "word " * 1000
    parts = list(pieces(text, 256))
    assert "".join(parts) == text
    assert all(part.startswith(" ") for part in parts[1:])
    assert list(pieces("")) == []


def test_a_stopped_training_ends_its_thread():
    def endless():
        while True:
            yield "some words to learn from " * 100

    training = train_bpe(endless(), 1000)
    assert next(training) is None
    threads = [thread for thread in threading.enumerate() if thread.name == "bpe"]
    training.close()
    for thread in threads:
        thread.join(timeout=20)
        assert not thread.is_alive()


def test_errors_of_the_texts_reach_the_caller():
    def broken():
        yield "good"
        raise OSError("the file is gone")

    with pytest.raises(OSError, match="gone"):
        list(train_bpe(broken(), 300))
