"""The report on texts tells a model that writes anew from one that copies and one that repeats itself."""

from __future__ import annotations

import csv

import pytest

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.paths import resources
from aigc_desktop.engine.metrics.text import metric_tokens
from aigc_desktop.engine.metrics.text_report import measure_texts


@pytest.fixture(scope="module")
def speeches():
    with (resources() / "samples" / "texts" / "shakespeare_speeches.csv").open(encoding="utf-8", newline="") as f:
        return [metric_tokens(row["text"]) for row in csv.DictReader(f)][:900]


def report(train, held_out, samples):
    steps = measure_texts(train, held_out, samples)
    while True:
        try:
            next(steps)
        except StopIteration as finished:
            return finished.value


def test_unseen_real_texts_measure_like_the_floor(speeches):
    found = report(speeches[0::3], speeches[1::3], speeches[2::3])

    assert found.samples.count == found.real.count == 150
    assert found.samples.bleu[2].low < found.real.bleu[2].high
    assert found.samples.bleu[2].high > found.real.bleu[2].low
    assert found.samples.unique == 1
    assert found.samples.copied_share.value == pytest.approx(found.real.copied_share.value, abs=0.1)


def test_copied_texts_show(speeches):
    train = speeches[0::3]

    found = report(train, speeches[1::3], train[:150])

    assert found.samples.copied_share.value == 1
    assert found.samples.longest_copy == max(len(text) for text in train[:150])
    assert found.real.copied_share.high < 0.5


def test_repeated_texts_show(speeches):
    found = report(speeches[0::3], speeches[1::3], speeches[2:32:3] * 15)

    assert found.samples.unique < 0.1
    assert found.samples.self_bleu[4].value == pytest.approx(1)
    assert found.samples.distinct[2] < found.real.distinct[2] / 4


def test_too_few_texts_are_refused(speeches):
    with pytest.raises(UserError, match="4 texts are too few"):
        report(speeches[:100], speeches[100:200], [[], *speeches[200:204]])
