import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc_desktop.engine.nn.bio import decode, tags_of, transitions

TAGS = tags_of(["loc", "per"])


def test_tags_and_what_may_follow_what():
    assert TAGS == ["O", "B-loc", "I-loc", "B-per", "I-per"]
    begin, follow = transitions(TAGS)
    assert begin.tolist() == [True, True, False, True, False]
    allowed = {(TAGS[a], TAGS[b]) for a, b in zip(*np.nonzero(follow), strict=True) if TAGS[b].startswith("I")}
    assert allowed == {("B-loc", "I-loc"), ("I-loc", "I-loc"), ("B-per", "I-per"), ("I-per", "I-per")}


def best_by_trying(scores):
    begin, follow = transitions(TAGS)
    paths = (
        path for path in itertools.product(range(len(TAGS)), repeat=len(scores))
        if begin[path[0]] and all(follow[a, b] for a, b in itertools.pairwise(path))
    )  # fmt: skip
    return max(paths, key=lambda path: sum(row[tag] for row, tag in zip(scores, path, strict=True)))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=4), st.integers(0, 10_000))
def test_the_path_is_the_best_of_all_allowed_ones_whatever_lies_beside_it(lengths, seed):
    rng = np.random.default_rng(seed)
    scores = [rng.normal(size=(length, len(TAGS))) for length in lengths]
    for part, path in zip(scores, decode(scores, TAGS), strict=True):
        assert len(path) == len(part)
        if len(part):
            assert tuple(path) == best_by_trying(part)


def test_a_word_that_continues_nothing_is_not_called_so():
    scores = np.log([[0.1, 0.2, 0.6, 0.05, 0.05]])
    assert [TAGS[i] for i in decode([scores], TAGS)[0]] == ["B-loc"]
