"""The evaluation of models that write: every figure with its interval, and what bad input says."""

import itertools
import json
import math

import pytest
import torch

from aigc_desktop.core.config import check
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Failed, Finished, Note, Progress, Result, Stopped
from aigc_desktop.core.family import Family
from aigc_desktop.core.job import run_job
from aigc_desktop.core.report import read_report, report_of
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.recorder import record
from aigc_desktop.engine.evaluating import text_copies, text_report
from aigc_desktop.engine.evaluating.evaluation import EvaluateConfig, evaluate, new_report, read_temperatures
from aigc_desktop.engine.evaluating.text_material import TextJob, batch_of
from aigc_desktop.engine.families import gpt, text_gan, text_vae
from aigc_desktop.engine.labels.adapting import value_of
from aigc_desktop.engine.nn.language_model import LanguageModel, Shape
from aigc_desktop.engine.pretrained.tiny_encoder import add_tiny_encoder
from aigc_desktop.engine.text import gan_watch as text_gan_watch
from aigc_desktop.engine.text.likelihood import ids_of, stream_nats
from aigc_desktop.engine.text.tokenizer import END, CharTokenizer
from tests.engine.toy import text_dataset

TEXTS = [f"{who} {does} {what}." for who, does, what in itertools.product(
    ("The cat", "A dog", "My aunt", "Nobody", "A bird"), ("sees", "likes", "wants"),
    ("tea", "the moon", "rain", "a red cup"),
)]  # fmt: skip
SMALL = {
    "batch_size": 16, "layers": 1, "width": 32, "heads": 2, "tokenizer": "char", "dropout": 0.0, "length": 32,
    "log_every": 10, "sample_every": 0, "device": "cpu", "threads": 1, "precision": "float32", "validate_every": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """A text GAN, briefly trained, and its full evaluation with an encoder and two temperatures."""
    workspace = Workspace.open(tmp_path_factory.mktemp("evaluation"))
    dataset = text_dataset(workspace, TEXTS, held_out=12)
    before, text_gan_watch.MEASURED = text_gan_watch.MEASURED, 64
    config = check(text_gan.TextGanConfig, {
        "dataset": dataset.id, **SMALL, "views": 8, "steps": 60, "likelihood_share": 0.8, "lr": 0.01,
    })  # fmt: skip
    run = workspace.new_run("text_gan.train", config.model_dump(mode="json"))
    assert isinstance(list(run_job(text_gan.train, config, run))[-1], Finished)
    text_gan_watch.MEASURED = before
    encoder = add_tiny_encoder(workspace, TEXTS)
    values = {"run": run.id, "count": 48, "sweep": 24, "temperatures": "0.7, 1", "encoder": encoder, "device": "cpu"}
    evaluation = workspace.new_run("evaluate.run", values, "twin", parent="evaluations")
    shortest, text_copies.SHORTEST = text_copies.SHORTEST, 1  # its texts are short
    events = list(record(evaluation, run_job(evaluate, check(EvaluateConfig, values), evaluation)))
    text_copies.SHORTEST = shortest
    return run, evaluation, events, values


def measured(run, **values):
    """Return the events of an evaluation."""
    config = check(EvaluateConfig, {"run": run.id, "count": 20, "sweep": 0, "device": "cpu", **values})
    return list(run_job(evaluate, config, run))


def test_every_figure_is_finite_explained_and_within_its_interval(story):
    _run, evaluation, events, _values = story
    assert isinstance(events[-1], Finished), events[-1]
    report = read_report(evaluation.folder)
    assert report == report_of(json.loads(json.dumps(next(e for e in events if isinstance(e, Result)).data)))
    assert [section.title for section in report.sections] == [
        "Likelihood", "Nearness to real texts", "Variety", "Copies of training data", "Meaning"
    ]
    for figure in report.figures():
        assert math.isfinite(figure.value) and figure.explanation and figure.better, figure
        if figure.low is not None:
            assert figure.low <= figure.value <= figure.high, figure
        low, high = figure.span()
        assert low <= figure.value <= high and low < high
    names = {figure.name for figure in report.figures()}
    assert {"Bits per byte", "BLEU-2 (pairs of words)", "BLEU-5 (5 words)", "Self-BLEU-2 (pairs of words)",
            "Distinct-3 (3 words)", "Different texts", "Longest copied passage, median", "MAUVE-like score",
            "Fréchet distance of meanings", "Precision (fidelity)", "Recall (variety)", "Density",
            "Coverage"} <= names  # fmt: skip


def test_real_texts_and_the_twin_stand_beside_each_figure(story):
    report = read_report(story[1].folder)
    for name in ("BLEU-4 (4 words)", "Self-BLEU-4 (4 words)", "Fréchet distance of meanings", "MAUVE-like score"):
        assert [mark.name for mark in report.figure(name).marks] == ["real data", "likelihood model"], name
    distance, score = report.figure("Fréchet distance of meanings"), report.figure("MAUVE-like score")
    assert distance.marks[0].value < distance.value and score.marks[0].value >= score.value


def test_the_sweep_has_a_point_for_each_temperature_and_model(story):
    words, meaning = read_report(story[1].folder).plots
    for plot in (words, meaning):
        assert [curve.name for curve in plot.curves] == ["this model", "real data", "likelihood model"]
        for curve in plot.curves[::2]:
            assert curve.labels == ["0.7", "1"] and len(curve.x) == len(curve.y) == 2
    own, usual, _twin = meaning.curves
    assert usual.y[0] < min(own.y)


def test_the_most_copied_passages_stand_in_both_texts(story):
    copied = read_report(story[1].folder).copied
    assert copied and [one.tokens for one in copied] == sorted((one.tokens for one in copied), reverse=True)
    for one in copied:
        assert one.text[one.start : one.end] == one.source[one.source_start : one.source_end] != ""


def test_the_same_seed_measures_the_same(story):
    run, evaluation, _events, values = story
    again = next(e for e in run_job(evaluate, check(EvaluateConfig, values), run) if isinstance(e, Result))
    assert report_of(again.data).sections == read_report(evaluation.folder).sections


def test_a_stop_in_the_middle_leaves_no_report(story):
    run, _evaluation, _events, values = story
    workspace = Workspace(run.workspace)
    for phase in ("Comparing with held-out texts", "Looking for copied passages", "Measuring MAUVE-like score"):
        half = workspace.new_run("evaluate.run", values, parent="evaluations")
        seen: list[str] = []
        job = run_job(evaluate, check(EvaluateConfig, values), half, lambda seen=seen, phase=phase: phase in seen)
        ending = None
        for ending in record(half, job):
            if isinstance(ending, Progress):
                seen.append(ending.phase)
        assert isinstance(ending, Stopped), phase
        assert not (half.folder / "report.json").exists() and half.info.status == "stopped"


def test_without_an_encoder_meanings_are_left_out_and_said(story):
    events = measured(story[0])
    report = report_of(next(e for e in events if isinstance(e, Result)).data)
    assert "Meaning" not in [section.title for section in report.sections] and not report.plots
    assert any("no text encoder was chosen" in note for note in report.notes)


def test_an_encoder_that_is_not_there_is_one_sentence_before_anything_is_made(story):
    events = measured(story[0], encoder="nowhere")
    assert isinstance(events[-1], Failed) and "nowhere" in events[-1].message
    assert not any(isinstance(e, Progress) and e.phase == "Writing texts" for e in events)


@pytest.mark.parametrize("text", ["warm", "0", "1 4", " ".join(f"0.{i}" for i in range(10, 30))])
def test_temperatures_that_cannot_be_used_are_told(text):
    with pytest.raises(UserError, match="no list of temperatures"):
        read_temperatures(text)
    assert read_temperatures("1，0.6, 0.6") == [0.6, 1.0]


# a family of one's own, whose texts are known


def told(workspace, dataset, texts, count=20, **family):
    """Return the report on a family that writes these texts over and over, and the events."""
    def sample(amount, seed):
        return [texts[(seed + i) % len(texts)] for i in range(amount)]

    made = Family("echo", "Echo", "", "text", (), lambda _folder, _device: sample, **family)
    run = workspace.new_run("echo.train", {"dataset": dataset.id}, "echo")
    job = TextJob(made, run.folder, "cpu", dataset, workspace)
    events, measuring = [], text_report.measure_texts(job, new_report(run, "000001", dataset, count))
    while True:
        try:
            events.append(next(measuring))
        except StopIteration as end:
            return end.value, events


def test_known_texts_give_known_figures(workspace):
    dataset = text_dataset(workspace, ["a b c d e f", "one two three", "six seven", "x y z w", "a b"], held_out=2)
    training = list(dataset.texts("train"))
    report, events = told(workspace, dataset, [training[0], "q r s"], likelihood=lambda *_: lambda texts: iter(
        [math.log(2) * 8 * (len(text.encode()) + 1) for text in texts]
    ))  # fmt: skip
    assert report.figure("Different texts").value == pytest.approx(2 / 20)
    assert report.figure("Self-BLEU-2 (pairs of words)").value == pytest.approx(1)
    assert report.figure("Bits per byte").value == pytest.approx(8)
    assert report.figure("Longest copied passage of all").value == len(training[0].split())
    assert report.copied[0].text[report.copied[0].start : report.copied[0].end] == training[0]
    assert len(report.copied) == 1, "no text is shown twice"
    assert not [e for e in events if isinstance(e, Note) and e.level == "warning"]


def test_one_held_out_text_gives_no_interval_and_is_told(workspace):
    dataset = text_dataset(workspace, ["a b c d e f", "one two three", "six seven", "x y z w"], held_out=1)
    report, events = told(workspace, dataset, ["q r s", "t u v"], likelihood=lambda *_: lambda texts: iter([3.0]))
    bits = report.figure("Bits per byte")
    assert bits.value > 0 and bits.low is None and bits.high is None
    assert any(isinstance(e, Note) and "Only 1 text was held out" in e.message for e in events)


def test_a_checkpoint_without_likelihood_says_so(workspace):
    report, events = told(workspace, text_dataset(workspace, ["a b"] * 6, held_out=2), ["a b", "c d"],
                          likelihood=lambda *_: None)  # fmt: skip
    assert "Bits per byte" not in [figure.name for section in report.sections for figure in section.figures]
    assert any(isinstance(event, Note) and "answers requests" in event.message for event in events)


def test_a_family_without_likelihood_says_so(workspace):
    dataset = text_dataset(workspace, ["a b c", "d e f", "g h i"], held_out=1)
    report, _events = told(workspace, dataset, ["a b", "c d"])
    assert any("Bits per byte are not available" in note for note in report.notes) or any(
        isinstance(e, Note) and "not available" in e.message for e in _events
    )
    assert "Bits per byte" not in [figure.name for figure in report.figures()]


def test_without_held_out_texts_there_is_no_bleu_and_it_says_so(workspace):
    dataset = text_dataset(workspace, ["a b c", "d e f", "g h i"], held_out=0)
    report, events = told(workspace, dataset, ["a b", "c d"], likelihood=lambda *_: lambda texts: iter(()))
    assert not any(figure.name.startswith(("BLEU", "Bits")) for figure in report.figures())
    assert any(isinstance(e, Note) and "No texts were held out" in e.message for e in events)
    assert report.figure("Different texts").value == pytest.approx(2 / 20)


@pytest.mark.parametrize("texts", [[""], ["", " \n"], [""] * 19 + ["one"]])
def test_a_model_that_writes_nothing_is_told(workspace, texts):
    dataset = text_dataset(workspace, ["a b c", "d e f"], held_out=0)
    with pytest.raises(UserError, match="are empty"):
        told(workspace, dataset, texts)


def test_some_empty_texts_are_left_out_and_counted(workspace):
    dataset = text_dataset(workspace, ["a b c", "d e f"], held_out=0)
    _report, events = told(workspace, dataset, ["a b", "c d", "", "e"])
    assert any(isinstance(e, Note) and "5 of 20 texts are empty" in e.message for e in events)


def test_texts_the_model_cannot_read_are_left_out_of_its_bits(workspace):
    dataset = text_dataset(workspace, ["a b c", "d e f", "g h", "i j"], held_out=2)
    report, events = told(
        workspace, dataset, ["a b", "c d"], likelihood=lambda *_: lambda texts: iter([math.nan, math.log(2) * 4])
    )
    assert report.figure("Bits per byte").value == pytest.approx(4 / (len(dataset.texts("validation")[1]) + 1))
    assert any(isinstance(e, Note) and "1 held-out text" in e.message for e in events)


def test_copies_are_found_across_parts_and_in_long_texts(workspace, monkeypatch):
    monkeypatch.setattr(text_copies, "PART", 10)
    long = " ".join(f"w{i}" for i in range(60_000))
    dataset = text_dataset(workspace, ["a b c d e", *(f"n{i} m{i}" for i in range(20)), long], held_out=0)
    passage = " ".join(f"w{i}" for i in range(40_000, 40_012))
    section, copied = value_of(text_copies.copying(
        batch_of(["k a b c d", f"z {passage} z"]), None, batch_of(["n1 m1"]), dataset.texts("train")
    ))  # fmt: skip
    assert section.figures[1].value == 12 and [one.tokens for one in copied] == [12, 4]
    assert copied[0].source[copied[0].source_start : copied[0].source_end] == passage
    assert len(copied[0].source) < 1000


def test_books_are_read_in_pieces_of_limited_size(workspace):
    book = "word " * 500_000
    dataset = text_dataset(workspace, ["a b c d", book, "e f g", book], held_out=2)
    sizes = []

    def nats(texts):
        sizes.extend(map(len, texts))
        return iter([1.0] * len(texts))

    report, _events = told(workspace, dataset, ["a b c", "word word"], likelihood=lambda *_: nats)
    assert max(sizes) <= text_report.LONGEST_READ and report.figure("Bits per byte").value > 0
    assert report.figure("BLEU-2 (pairs of words)").value > 0


# likelihood


def test_nats_in_windows_agree_with_one_pass_and_leave_nothing_out():
    torch.manual_seed(0)
    long, short = Shape(16, 1, 16, 2, 64), Shape(16, 1, 16, 2, 8)
    model, narrow = LanguageModel(long).eval(), LanguageModel(short).eval()
    narrow.load_state_dict(model.state_dict())
    ids = torch.randint(1, 16, (30,)).tolist()
    row = torch.tensor([[END, *ids, END]])
    whole = float(model.token_losses(row[:, :-1], row[:, 1:]).sum())
    assert stream_nats(model, [END], ids) == pytest.approx(whole, rel=1e-5)
    assert stream_nats(narrow, [END], ids[:7]) == pytest.approx(stream_nats(model, [END], ids[:7]), rel=1e-5)
    with torch.no_grad():  # an even distribution costs log 16 a token, however it is cut
        narrow.embedding.weight.zero_()
    for length in (0, 1, 7, 8, 9, 30):
        assert stream_nats(narrow, [END], ids[:length]) == pytest.approx((length + 1) * math.log(16), rel=1e-5)
    assert math.isnan(stream_nats(model, [END], None))


def test_a_character_that_is_not_known_has_no_likelihood():
    tokenizer = CharTokenizer("abc")
    assert ids_of(tokenizer, "abca") == [2, 3, 4, 2] and ids_of(tokenizer, "abx") is None


@pytest.mark.parametrize(("module", "values"), [
    (gpt, {"context": 16}), (gpt, {"context": 16, "infill": 0.5}), (text_vae, {"latent": 8}),
    (text_gan, {"views": 8, "likelihood_share": 1.0}),
])  # fmt: skip
def test_the_likelihood_of_each_family_falls_for_what_it_learned(workspace, module, values):
    dataset = text_dataset(workspace, TEXTS, held_out=6)
    name = module.FAMILY.name
    config_type = module.FAMILY.task("train").config
    known = {k: v for k, v in SMALL.items() if k in config_type.model_fields}
    config = check(config_type, {"dataset": dataset.id, **known, "steps": 80, "lr": 0.01, **values})
    run = workspace.new_run(f"{name}.train", config.model_dump(mode="json"))
    assert isinstance(list(run_job(module.FAMILY.task("train").job, config, run))[-1], Finished)
    nats = module.FAMILY.likelihood(run.checkpoint("last"), "cpu")
    own, foreign, unknown = nats([TEXTS[0], TEXTS[0][::-1], "Ωλ"])
    assert 0 < own < foreign and math.isnan(unknown)
    long, empty = nats([" ".join(TEXTS), ""])
    assert long > 10 * own and 0 < empty < own + foreign
    sample = module.FAMILY.sampler(run.checkpoint("last"), "cpu")
    assert sample(2, 0, temperature=1.0) == sample(2, 0)
    assert sample(2, 0, temperature=0.1) != sample(2, 0, temperature=2.0)
