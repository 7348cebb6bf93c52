import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aigc_desktop.engine.metrics.tagging import (
    class_counts,
    class_report,
    confusion,
    entities,
    entity_counts,
    entity_report,
    f1_estimate,
    kinds,
    tag_report,
)

TAGS = ["O", "B-per", "I-per", "B-loc", "I-loc", "B-work of art"]


def test_an_entity_is_a_beginning_and_what_continues_it():
    assert entities(["B-per", "I-per", "O", "B-loc", "B-loc"]) == [(0, 2, "per"), (3, 4, "loc"), (4, 5, "loc")]
    assert entities(["I-per", "B-per", "I-loc", "I-loc"]) == [(1, 2, "per")]  # strict: I- alone is nothing
    assert entities([]) == []


def test_an_entity_with_one_wrong_end_is_wrong():
    report = tag_report([["B-per", "I-per", "O"]], [["B-per", "O", "O"]])
    assert report.entities.micro.f1 == 0 and report.token_accuracy == pytest.approx(2 / 3)
    assert report.token_macro_f1 == pytest.approx(0.5)  # B-per 1, I-per 0, and no O


def test_the_same_entity_in_another_text_does_not_count():
    assert entity_report([[(0, 1, "per")], []], [[], [(0, 1, "per")]]).micro.recall == 0


def test_texts_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="length"):
        tag_report([["O"]], [["O", "O"]])


def test_averages_of_classes():
    report = class_report(["a", "a", "a", "b"], ["a", "a", "b", "c"])
    assert report.classes["a"].precision == 1 and report.classes["a"].recall == pytest.approx(2 / 3)
    assert report.micro.f1 == 0.5 and report.micro.support == 4
    assert report.macro.recall == pytest.approx(2 / 9) and report.weighted.recall == pytest.approx(0.5)
    assert report.classes["c"].support == 0


def test_confusion_counts_pairs():
    table = confusion(kinds(["B-per", "I-per", "O"]), kinds(["B-per", "B-loc", "O"]), ["O", "loc", "per"])
    assert table.tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 1]]


def numbers(report) -> dict:
    """Our report under seqeval's names."""
    rows = {**report.classes, "micro avg": report.micro, "macro avg": report.macro, "weighted avg": report.weighted}
    return {
        name: {"precision": s.precision, "recall": s.recall, "f1-score": s.f1, "support": s.support}
        for name, s in rows.items()
    }


pairs = st.lists(
    st.lists(st.tuples(st.sampled_from(TAGS), st.sampled_from(TAGS)), min_size=1, max_size=9), min_size=1, max_size=6
).filter(lambda texts: any(tag.startswith("B") for text in texts for pair in text for tag in pair))


@settings(max_examples=300, deadline=None)
@given(pairs)
def test_every_number_is_that_of_seqeval_in_strict_mode(texts):
    metrics = pytest.importorskip("seqeval.metrics")
    from seqeval.scheme import IOB2

    truth, told = ([[pair[side] for pair in text] for text in texts] for side in (0, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = metrics.classification_report(truth, told, output_dict=True, mode="strict", scheme=IOB2)
    report = tag_report(truth, told)
    ours = numbers(report.entities)
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        for key, value in values.items():
            assert ours[name][key] == pytest.approx(float(value), abs=1e-12), (name, key)
    assert report.token_accuracy == pytest.approx(metrics.accuracy_score(truth, told))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), min_size=1, max_size=30))
def test_scores_of_classes_are_those_of_scikit_learn(items):
    metrics = pytest.importorskip("sklearn.metrics")
    truth, told = (list(side) for side in zip(*items, strict=True))
    names = sorted({*truth, *told})
    theirs = metrics.precision_recall_fscore_support(truth, told, labels=names, zero_division=0)
    ours = class_report(truth, told)
    for row, name in enumerate(names):
        s = ours.classes[name]
        assert np.allclose([s.precision, s.recall, s.f1, s.support], [column[row] for column in theirs])
    weighted = metrics.precision_recall_fscore_support(truth, told, average="weighted", zero_division=0)
    assert np.allclose([ours.weighted.precision, ours.weighted.recall, ours.weighted.f1], weighted[:3])


def test_f1_with_intervals_equals_the_report():
    rng = np.random.default_rng(0)
    truth = [[str(tag) for tag in rng.choice(["O", "B-x", "I-x", "B-y"], 12)] for _text in range(30)]
    told = [[tag if rng.random() < 0.8 else "O" for tag in tags] for tags in truth]
    report = tag_report(truth, told)
    whole = entity_counts([entities(tags) for tags in truth], [entities(tags) for tags in told])
    classes = sorted({tag for part in (*truth, *told) for tag in part})
    single = class_counts(truth, told, classes)
    for average, scores in (("micro", report.entities.micro), ("macro", report.entities.macro)):
        found = f1_estimate(*whole, average)
        assert found.value == pytest.approx(scores.f1) and found.low <= found.value <= found.high
    assert f1_estimate(*single, "weighted").value == pytest.approx(report.tokens.weighted.f1)
    assert f1_estimate(*single, "micro").value == pytest.approx(report.token_accuracy)
