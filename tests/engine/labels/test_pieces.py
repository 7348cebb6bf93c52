import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc_desktop.core.words import tags_on, words_of
from aigc_desktop.engine.labels.pieces import LengthSampler, _cut
from aigc_desktop.engine.labels.words import marked_up, spans_on


def test_every_piece_comes_once_an_epoch_beside_others_of_its_length():
    lengths = np.random.default_rng(0).integers(3, 100, 500).tolist()
    sampler = LengthSampler(lengths, 8, 1)
    epoch = [sampler.next() for _batch in range(63)]
    assert sorted(np.concatenate(epoch)) == list(range(500)) and sampler.position == (1, 0)
    waste = sum(max(lengths[i] for i in batch) * len(batch) for batch in epoch) / sum(lengths)
    assert waste < 1.1
    again = LengthSampler(lengths, 8, 1)
    assert any(not np.array_equal(a, b) for a, b in zip(epoch, again.batches(1), strict=True))


def test_a_sampler_goes_on_from_its_position():
    sampler, again = LengthSampler([5, 3, 9, 4, 7], 2, 3), LengthSampler([5, 3, 9, 4, 7], 2, 3)
    for _batch in range(4):
        sampler.next()
    again.position = sampler.position
    assert [again.next().tolist() for _b in range(5)] == [sampler.next().tolist() for _b in range(5)]
    with pytest.raises(ValueError):
        LengthSampler([], 2, 0)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=30), st.integers(2, 9), st.integers(0, 4))
def test_pieces_hold_every_word_once_and_its_token_lies_inside(sizes, length, before):
    starts = before + np.cumsum([0, *sizes])[:-1] if sizes else np.zeros(0, np.int64)
    ids = np.arange(before + sum(sizes) + 1)
    pieces = list(_cut(0, ids, np.array(starts, np.int64), np.arange(len(sizes)), length))
    assert [word for piece in pieces for word in piece.words] == list(range(len(sizes)))
    for piece in pieces:
        assert 0 < len(piece.ids) <= length and np.array_equal(piece.labels, piece.words)
        assert np.array_equal(piece.ids[piece.places], starts[piece.words])


def test_words_are_runs_of_letters_single_signs_and_chinese_characters():
    text = "Ann's iPhone-15 在北京。"
    assert [text[a:b] for a, b in words_of(text)] == ["Ann", "'", "s", "iPhone", "-", "15", "在", "北", "京", "。"]


def test_names_become_tags_and_names_again():
    text = "Ann Lee likes New York."
    words, spans = words_of(text), [(0, 7, "per"), (14, 22, "loc")]
    tags = tags_on(words, spans)
    assert tags == ["B-per", "I-per", "O", "B-loc", "I-loc", "O"]
    assert spans_on(words, tags) == spans
    assert marked_up(text, spans) == "[Ann Lee | per] likes [New York | loc]."


def test_a_name_takes_every_word_it_has_a_letter_of_and_the_first_name_wins():
    assert tags_on([(0, 6)], [(0, 2, "a"), (3, 5, "b")]) == ["B-a"]
    assert tags_on([(0, 3), (3, 6)], [(2, 4, "a")]) == ["B-a", "I-a"]
    assert tags_on([(0, 3)], [(4, 6, "a")]) == ["O"]
