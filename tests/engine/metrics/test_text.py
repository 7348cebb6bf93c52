"""The text metrics against hand-computed values and against naive code."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from aigc_desktop.engine.metrics.copying import find_passage, longest_copies
from aigc_desktop.engine.metrics.text import (
    ORDERS,
    ReferenceTable,
    bits_per_byte,
    bleu_scores,
    distinct_estimate,
    metric_places,
    metric_tokens,
    ngrams,
    self_bleu_scores,
    unique_estimate,
    unique_share,
)


def random_texts(count, seed, vocabulary=12, longest=14):
    generator = np.random.default_rng(seed)
    return [list(generator.integers(0, vocabulary, generator.integers(1, longest))) for _ in range(count)]


def naive_bleu(text, references, order):
    """BLEU of one text by its definition, smoothing 1."""
    logs = 0.0
    for n in range(1, order + 1):
        grams = Counter(tuple(text[i : i + n]) for i in range(len(text) - n + 1))
        matched = 0
        for gram, count in grams.items():
            highest = max(
                sum(tuple(other[i : i + n]) == gram for i in range(len(other) - n + 1)) for other in references
            )
            matched += min(count, highest)
        if n == 1 and not matched:
            return 0.0
        logs += math.log((matched or 0.1) / max(1, sum(grams.values()))) / order
    closest = min((len(other) for other in references), key=lambda length: (abs(length - len(text)), length))
    return math.exp(logs + min(0, 1 - closest / len(text)))


def test_bleu_of_a_hand_computed_case():
    text = list("ttty")
    references = [list("tysotm"), list("ay")]

    # unigrams: t twice of three times, y once: 3/4; bigrams: one of tt, tt, ty: 1/3; of the lengths 6 and 2, which are
    # equally near, the shorter counts: no penalty
    assert bleu_scores([text], references, (2,))[0, 0] == pytest.approx(math.sqrt(3 / 4 * 1 / 3))


def test_a_short_text_pays_the_brevity_penalty():
    assert bleu_scores([["a", "b"]], [["a", "b", "c", "d"]], (2,))[0, 0] == pytest.approx(math.exp(1 - 4 / 2))


def test_bleu_equals_the_definition():
    texts, references = random_texts(25, 0), random_texts(20, 1)

    expected = [[naive_bleu(text, references, n) for n in (2, 3, 4, 5)] for text in texts]

    assert bleu_scores(texts, references) == pytest.approx(np.array(expected), rel=1e-12)


def test_self_bleu_leaves_exactly_the_text_itself_out():
    texts = random_texts(25, 2, vocabulary=5)
    texts += [texts[3], [0, 0, 0, 0], [4] * 30]

    expected = [[naive_bleu(t, texts[:i] + texts[i + 1 :], n) for n in (2, 4)] for i, t in enumerate(texts)]

    assert self_bleu_scores(texts, (2, 4)) == pytest.approx(np.array(expected), rel=1e-12)


def test_a_text_without_any_known_word_scores_zero():
    assert bleu_scores([["x"], []], [["a", "b"]], (2,)).tolist() == [[0], [0]]


def test_repeating_one_text_gives_full_self_bleu():
    assert self_bleu_scores([["a", "b", "c", "d", "e"]] * 3).mean() == pytest.approx(1)


def test_distinct_and_unique():
    texts = [list("abab"), list("abab"), list("cd")]

    assert distinct_estimate(texts, 1).value == pytest.approx(4 / 10)
    assert distinct_estimate(texts, 2).value == pytest.approx(3 / 7)
    assert unique_share(texts) == 2 / 3


def test_bits_per_byte_divides_sums():
    estimate = bits_per_byte([math.log(2) * 8, math.log(2) * 2], [4, 6])

    assert estimate.value == pytest.approx(1)
    assert estimate.low == pytest.approx(1 / 3)
    assert estimate.high == pytest.approx(2)
    assert estimate.count == 2


def test_the_bits_interval_covers_the_truth_about_as_often_as_promised():
    generator = np.random.default_rng(0)
    hits = 0
    for seed in range(100):
        sizes = generator.integers(20, 200, 80)
        rates = generator.normal(1.5, 0.3, 80)
        estimate = bits_per_byte(rates * sizes * math.log(2), sizes, seed=seed)
        hits += estimate.low <= 1.5 <= estimate.high
    assert hits >= 88


def naive_longest_copy(text, training):
    longest = 0
    for other in training:
        for i in range(len(text)):
            for j in range(len(other)):
                length = 0
                while i + length < len(text) and j + length < len(other) and text[i + length] == other[j + length]:
                    length += 1
                longest = max(longest, length)
    return longest


@pytest.mark.parametrize("vocabulary", [2, 6])
def test_longest_copy_equals_trying_everything(vocabulary):
    generated = [*random_texts(20, 3, vocabulary, longest=20), []]
    training = random_texts(12, 4, vocabulary, longest=40)

    expected = [naive_longest_copy(text, training) for text in generated]

    assert longest_copies(generated, training).tolist() == expected


def test_a_copied_training_text_is_found_at_full_length():
    training = [list("春眠不覺曉，處處聞啼鳥。"), list("白日依山盡，黃河入海流。")]

    assert longest_copies([training[1], list("白日不覺曉，")], training).tolist() == [12, 4]


def test_a_copy_does_not_run_over_the_end_of_a_text():
    assert longest_copies([list("abcd")], [list("ab"), list("cd")]).tolist() == [2]


def test_tokens_of_both_scripts():
    assert metric_tokens("it's on a bed.") == ["it", "'s", "on", "a", "bed", "."]
    assert metric_tokens("白日依山盡，AI2x山") == ["白", "日", "依", "山", "盡", "，", "AI2x", "山"]


def test_a_table_of_wanted_grams_scores_as_the_whole_one():
    references = [text.split() for text in ("the cat sat on the mat", "a dog ran over the hill", "the cat ran")]
    text = ["the", "cat", "ran", "over", "the", "mat"]
    wanted = {gram for n in range(1, 6) for gram in ngrams(text, n)}
    whole, small = ReferenceTable(references, 5), ReferenceTable(references, 5, wanted)
    assert small.score(text, ORDERS) == whole.score(text, ORDERS)
    assert len(small.best) < len(whole.best)
    assert bleu_scores([text], references)[0].tolist() == whole.score(text, ORDERS)


def test_estimates_have_the_value_of_the_plain_measures():
    texts = [["a", "b"], ["a", "b"], ["c", "d", "e"], ["a", "d"]] * 5
    assert unique_estimate(texts).value == pytest.approx(unique_share(texts))
    for n, share in ((1, 5 / 45), (2, 4 / 25), (3, 1 / 5)):
        found = distinct_estimate(texts, n)
        assert found.value == pytest.approx(share) and found.low <= found.value <= found.high
    assert distinct_estimate([["a"]], 3) is None


def test_the_interval_of_the_unique_share_is_not_moved_by_resampling():
    texts = [[str(i)] for i in range(300)]
    assert (unique_estimate(texts).low, unique_estimate(texts).high) == (1, 1)


def test_places_are_those_of_the_tokens():
    text = "It's 床前 明月, ok!"
    assert [text[a:b] for a, b in metric_places(text)] == metric_tokens(text)


def test_a_passage_is_found_where_it_stands():
    training = [["x", "y"], ["p", "q", "a", "b", "c", "d", "r"]]
    assert find_passage(["k", "a", "b", "c", "d"], training, 4) == (1, 1, 2)
    assert find_passage(["k", "a", "b", "c", "d"], training, 5) is None
