import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from aigc_desktop.engine.text.sentences import Sentences, rows_of_texts
from aigc_desktop.engine.text.tokenizer import END

CPU = torch.device("cpu")
TEXTS = st.lists(st.lists(st.integers(END + 1, 40), max_size=12), max_size=8)


def row_of(texts, closed=True):
    ids = [i for text in texts for i in [*text, END]]
    return np.array(ids if closed else ids[:-1], np.uint16)


def test_a_row_of_tokens_falls_into_its_texts():
    sentences = Sentences(row_of([[5, 6], [], [7, 8, 9]]), 8)
    assert [sentences.ids(i) for i in range(len(sentences))] == [[5, 6], [7, 8, 9]]
    assert sentences.text.tolist() == [0, 2]


def test_targets_end_and_inputs_follow_one_place_later():
    rows = Sentences(row_of([[5, 6], [7, 8, 9]]), 8).rows(np.array([0, 1]), CPU)
    assert rows.targets.tolist() == [[5, 6, END, END], [7, 8, 9, END]]
    assert rows.inputs.tolist() == [[END, 5, 6, END], [END, 7, 8, 9]]
    assert rows.known.tolist() == [[True, True, True, False], [True] * 4]


def test_only_the_last_piece_of_a_long_text_has_an_end():
    sentences = Sentences(row_of([[5, 6, 7, 8, 9]]), 2)
    rows = sentences.rows(np.arange(3), CPU)
    assert [sentences.ids(i) for i in range(3)] == [[5, 6], [7, 8], [9]]
    assert rows.known.tolist() == [[True, True, False], [True, True, False], [True, True, False]]
    assert rows.targets[2].tolist()[:2] == [9, END]


def test_a_text_that_is_cut_off_has_no_end():
    rows = Sentences(row_of([[5, 6]], closed=False), 8).rows(np.array([0]), CPU)
    assert rows.known.tolist() == [[True, True, False]]


@given(TEXTS, st.integers(1, 6))
def test_pieces_together_are_the_texts(texts, length):
    sentences = Sentences(row_of(texts), length)
    found = [[] for _text in texts]
    for index in range(len(sentences)):
        assert 0 < len(sentences.ids(index)) <= length
        found[sentences.text[index]] += sentences.ids(index)
    assert found == texts


@given(TEXTS.map(lambda texts: [text for text in texts if text]).filter(bool))
def test_given_texts_make_the_same_batch_as_those_of_the_data(texts):
    ours = rows_of_texts(texts, 12, CPU)
    theirs = Sentences(row_of(texts), 12).rows(np.arange(len(texts)), CPU)
    assert torch.equal(ours.known, theirs.known)
    assert torch.equal(ours.targets * ours.known, theirs.targets * theirs.known)
    assert torch.equal(ours.inputs, theirs.inputs)
