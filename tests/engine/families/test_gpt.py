import math

import numpy as np
import pytest
import torch

from aigc_desktop.core.config import check
from aigc_desktop.core.events import Failed, Finished, Metric, Note, Progress, Text
from aigc_desktop.core.fields import ConfigError
from aigc_desktop.core.job import run_job
from aigc_desktop.core.machine import Machine
from aigc_desktop.engine import device
from aigc_desktop.engine.families.gpt import FAMILY, GenerateConfig, GPTConfig, generate, train
from aigc_desktop.engine.nn.language_model import Shape
from aigc_desktop.engine.text import tokens as text_data
from aigc_desktop.engine.text.gpt_plan import PRESETS, automatic_preset
from aigc_desktop.engine.text.small_data import restraint
from aigc_desktop.engine.text.tokenizer import END
from aigc_desktop.engine.text.tokens import Windows, choose_tokenizer, open_tokens, prepare_tokens, validation_batches
from aigc_desktop.engine.training import muon
from aigc_desktop.engine.training.checkpoint import read_card, read_model
from tests.engine.toy import new_run, text_dataset

TINY = {
    "layers": 1, "width": 16, "heads": 2, "context": 16, "batch_size": 4, "steps": 4, "threads": 1, "device": "cpu",
    "precision": "float32", "warmup": 0, "log_every": 1, "validate_every": 2,
}  # fmt: skip
POEMS = ["白日依山尽，黄河入海流。", "欲穷千里目，更上一层楼。", "床前明月光，疑是地上霜。"] * 20
PLAN = FAMILY.task("train").plan
LAPTOP = Machine(cores=2, memory=16 * 10**9, processor="test")


def trained(workspace, dataset, stop_at=None, **values):
    """Return settings and run of a training, which may be stopped at a step."""
    config = check(GPTConfig, {**TINY, "dataset": dataset.id, "width": 64, "context": 32, **values})
    run = new_run(workspace)
    stream = run_job(train, config, run)
    for event in stream:
        if isinstance(event, Metric) and event.step == stop_at:
            stream.close()
            break
    return config, run


@pytest.mark.parametrize("pays", [False, True])
@pytest.mark.parametrize("products", [(True, False), (True, True)])
def test_another_process_goes_on_with_the_arithmetic_of_the_first(workspace, monkeypatch, pays, products):
    """What is faster is found out by each process anew, and may be something else there."""
    def choose(bfloat16, products):
        monkeypatch.setattr(muon, "bfloat16_pays", lambda kind: bfloat16)
        monkeypatch.setattr(device, "_try_products", lambda: products)

    dataset = text_dataset(workspace, POEMS, held_out=6)
    choose(pays, products)
    _config, straight = trained(workspace, dataset, steps=6)
    config, run = trained(workspace, dataset, stop_at=3, steps=6)
    assert read_card(run.checkpoint("last")).step == 3
    choose(not pays, (True, not products[1]))
    notes = [event.message for event in run_job(train, config, run) if isinstance(event, Note)]
    assert not any("last bit" in note for note in notes)
    ours, theirs = (read_model(one.checkpoint("last"))[1] for one in (run, straight))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_arithmetic_that_rounds_here_is_not_taken_over_and_told(workspace, monkeypatch):
    dataset = text_dataset(workspace, POEMS, held_out=6)
    monkeypatch.setattr(device, "_try_products", lambda: (True, True))
    config, run = trained(workspace, dataset, stop_at=3, steps=6)
    monkeypatch.setattr(device, "_try_products", lambda: (False, True))
    notes = [event.message for event in run_job(train, config, run) if isinstance(event, Note)]
    assert device.products() == "none" and any("last bit" in note for note in notes)


def tokens_of(workspace, dataset, kind="char", vocab=0):
    preparing = prepare_tokens(new_run(workspace), dataset, kind, vocab, 4)
    events = []
    while True:
        try:
            events.append(next(preparing))
        except StopIteration as end:
            return end.value, events


@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_texts_become_one_row_of_tokens_with_ends(workspace, kind):
    dataset = text_dataset(workspace, POEMS, held_out=6)
    data, _events = tokens_of(workspace, dataset, kind, 300)
    assert (data.train == END).sum() == 54 and (data.validation == END).sum() == 6
    ends = np.flatnonzero(data.train == END)
    assert data.tokenizer.decode(data.train[: ends[0]]) == POEMS[0]
    assert data.tokenizer.decode(data.train[ends[4] + 1 : ends[5]]) == POEMS[5]
    assert not data.tail


def test_one_single_text_holds_out_its_tail_and_says_so(workspace):
    text = "".join(POEMS)
    data, events = tokens_of(workspace, text_dataset(workspace, [text], held_out=0))
    assert data.tail and any(isinstance(e, Note) and "last tenth" in e.message for e in events)
    assert len(data.validation) == len(text) // 10
    assert data.tokenizer.decode(np.concatenate([data.train, data.validation])) == text


@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_one_single_text_trains_and_writes(workspace, kind):
    dataset = text_dataset(workspace, ["静夜思 the moon " * 200], held_out=0)
    config = GPTConfig(dataset=dataset.id, tokenizer=kind, vocab=300, **TINY)
    run = new_run(workspace, config, "gpt.train")
    events = list(run_job(train, config, run))
    assert isinstance(events[-1], Finished), events[-1]
    assert all(math.isfinite(v) for e in events if isinstance(e, Metric) for v in e.values.values())


def test_tokens_are_made_once_per_run(workspace, monkeypatch):
    dataset = text_dataset(workspace, POEMS)
    config = GPTConfig(dataset=dataset.id, **TINY)
    run = new_run(workspace, config, "gpt.train")
    list(run_job(train, config, run))
    monkeypatch.setattr(text_data, "_make", lambda *arguments: pytest.fail("made again"))
    longer = config.model_copy(update={"steps": 6})
    assert isinstance(list(run_job(train, longer, run))[-1], Finished)
    assert open_tokens(run.folder / "tokens").tokenizer.size > 20


def test_stopping_while_tokens_are_made_leaves_nothing_half_written(workspace):
    dataset = text_dataset(workspace, ["words and words " * 500] * 40)
    config = GPTConfig(dataset=dataset.id, tokenizer="bpe", **TINY)
    run = new_run(workspace, config, "gpt.train")
    for event in run_job(train, config, run, lambda: True):
        assert event is not None
    stream = train(config, run)
    assert [type(next(stream)) for _event in range(3)] == [Progress] * 3
    stream.close()
    assert not (run.folder / "tokens").exists() and not list(run.folder.glob("*.partial"))
    assert isinstance(list(run_job(train, config, run))[-1], Finished)


def test_too_little_text_is_said_plainly(workspace):
    dataset = text_dataset(workspace, ["ab", "cd", "ef"])
    config = GPTConfig(dataset=dataset.id, **TINY)
    *_events, last = run_job(train, config, new_run(workspace, config))
    assert isinstance(last, Failed) and "too little text" in last.message


def test_every_window_comes_once_per_epoch_and_moves_between_epochs():
    tokens = np.arange(1000, dtype=np.uint16)
    windows = Windows(tokens, context=10, batch_size=7, seed=3)
    count = windows.room // 10
    firsts = np.concatenate([windows.next() for _batch in range(3 * count // 7)])
    first, second = (set((firsts[i * count : (i + 1) * count] // 10).tolist()) for i in range(2))
    assert first == second == set(range(count))
    assert firsts.max() <= windows.room and len(set((firsts % 10).tolist())) > 1
    x, y = windows.batch(firsts[:5], __import__("torch").device("cpu"))
    assert (x[:, 1:] == y[:, :-1]).all() and x.shape == y.shape == (5, 10)


def test_a_position_says_all_about_the_windows_to_come():
    one = Windows(np.arange(500), 10, 6, seed=1)
    for _batch in range(13):
        one.next()
    other = Windows(np.arange(500), 10, 6, seed=1)
    other.position = one.position
    for _batch in range(20):
        np.testing.assert_array_equal(one.next(), other.next())


def test_validation_covers_the_tokens_or_an_even_share():
    tokens = np.arange(1001)
    everything = np.concatenate(validation_batches(tokens, 10, 32, 10**6))
    np.testing.assert_array_equal(everything, np.arange(0, 1000, 10))
    share = np.concatenate(validation_batches(tokens, 10, 32, 20))
    assert len(share) == 20 and share[0] == 0 and share[-1] == 990


def test_bits_per_byte_agree_with_nats_per_character(workspace):
    dataset = text_dataset(workspace, ["明月几时有把酒问青天" * 30] * 20, held_out=4)
    config = GPTConfig(dataset=dataset.id, tokenizer="char", **{**TINY, "steps": 2})
    events = list(run_job(train, config, new_run(workspace, config)))
    values = [e.values for e in events if isinstance(e, Metric) and "val_loss" in e.values][-1]
    # nearly all characters have three bytes
    assert values["val_bpb"] == pytest.approx(values["val_loss"] / math.log(2) / 3, rel=0.02)


def test_the_tokenizer_fits_the_amount_of_text():
    assert choose_tokenizer("auto", 0, 50_000)[0] == "char"
    kind, vocab = choose_tokenizer("auto", 0, 5_000_000)
    assert kind == "bpe" and 4096 <= vocab <= 16_384
    assert choose_tokenizer("bpe", 700, 10) == ("bpe", 700)


def test_width_must_fit_the_heads():
    with pytest.raises(ConfigError, match="multiple"):
        check(GPTConfig, {"dataset": "x", "width": 100, "heads": 8})


# writing


@pytest.fixture(scope="module")
def writer(tmp_path_factory):
    from aigc_desktop.core.workspace import Workspace

    workspace = Workspace.open(tmp_path_factory.mktemp("writer"))
    dataset = text_dataset(workspace, POEMS)
    config = GPTConfig(dataset=dataset.id, tokenizer="char", **{**TINY, "steps": 60, "width": 32, "validate_every": 20})
    run = new_run(workspace, config, "gpt.train")
    assert isinstance(list(run_job(train, config, run))[-1], Finished)
    return workspace, run


def write(writer, **values):
    workspace, run = writer
    config = GenerateConfig(run=run.id, device="cpu", **values)
    result = workspace.new_run("gpt.generate", config.model_dump(), parent="results")
    return list(run_job(generate, config, result))


def test_texts_stream_in_and_end(writer, monkeypatch):
    monkeypatch.setattr("aigc_desktop.engine.text.writing.SHOWN_EVERY_S", 0.0)
    events = write(writer, count=3, length=30, seed=4)
    partial = [e for e in events if isinstance(e, Text) and e.partial]
    final = [e for e in events if isinstance(e, Text) and not e.partial]
    assert len(partial) > 3 and isinstance(events[-1], Finished)
    assert sorted(seed for e in final for seed in e.seeds) == [4, 5, 6]
    done = {seed: text for e in final for seed, text in zip(e.seeds, e.items, strict=True)}
    for event in partial:
        for seed, text in zip(event.seeds, event.items, strict=True):
            assert done[seed].startswith(text)


def test_a_text_goes_on_from_its_beginning(writer):
    events = write(writer, count=2, length=8, prompt="床前明")
    for event in events:
        if isinstance(event, Text):
            assert all(item.startswith("床前明") for item in event.items)


def test_unknown_letters_in_the_beginning_are_no_problem_and_told(writer):
    events = write(writer, count=1, length=8, prompt="床前 zb🦓")
    assert isinstance(events[-1], Finished)
    (told,) = [event.message for event in events if isinstance(event, Note)]
    assert told.endswith("b z 🦓") and "床" not in told
    assert not [event for event in write(writer, count=1, length=8, prompt="床前") if isinstance(event, Note)]


def test_a_damaged_version_is_not_used_to_write(writer):
    _workspace, run = writer
    file = run.checkpoint("last") / "model.safetensors"
    data = file.read_bytes()
    file.write_bytes(data[:-4] + b"\0\0\0\1")
    try:
        last = write(writer, count=1, checkpoint="last")[-1]
    finally:
        file.write_bytes(data)
    assert isinstance(last, Failed) and last.kind == "BadInput"


# plans


def test_a_preset_is_chosen_from_data_and_machine():
    card = Machine(8, 32 * 10**9, "x", "cuda", "card", 24 * 10**9)
    assert automatic_preset(10**6, LAPTOP) == "XS"
    assert automatic_preset(10**6, card) == "S"
    assert automatic_preset(5 * 10**7, card) == "M"
    assert automatic_preset(5 * 10**8, card) == "L"


def test_presets_have_the_sizes_they_promise():
    sizes = {
        preset.name: Shape(8192, *(preset.values[name] for name in ("layers", "width", "heads", "context"))).matrices
        for preset in PRESETS
    }
    assert [round(size / 1e6, 1) for size in sizes.values()] == [0.8, 10.6, 37.7, 84.9]


def test_a_plan_tells_time_size_and_epochs(workspace):
    dataset = text_dataset(workspace, POEMS * 10)
    plan = PLAN({"dataset": dataset.id, "steps": 100}, "auto", dataset, LAPTOP)
    assert plan.preset == "XS" and plan.steps == 100 and plan.problems == []
    assert plan.seconds > 0 and plan.parameters > 800_000 and plan.items == 599
    assert plan.values["steps"] == 100 and plan.values["dropout"] > 0
    assert any("times" in note for note in plan.notes)


def test_the_time_of_a_plan_grows_with_the_steps(workspace):
    dataset = text_dataset(workspace, POEMS * 10)
    one, ten = (PLAN({"dataset": dataset.id, "steps": n}, "XS", dataset, LAPTOP).seconds for n in (100, 1000))
    assert ten == pytest.approx(10 * one)


def test_where_no_context_is_small_enough_more_text_is_asked_for(workspace):
    dataset = text_dataset(workspace, ["one", "two"])
    plan = PLAN({"dataset": dataset.id}, "XS", dataset, LAPTOP)
    assert [(problem.field, "add more" in problem.message) for problem in plan.problems] == [("dataset", True)]


def test_a_few_steps_promise_no_good_result(workspace):
    """A good result takes what the preset advises, however few steps are chosen to try it out."""
    dataset = text_dataset(workspace, POEMS * 10)
    few = PLAN({"dataset": dataset.id, "steps": 15}, "XS", dataset, LAPTOP)
    assert few.good_after_s == pytest.approx(100 * few.seconds)
    all_of_them = PLAN({"dataset": dataset.id}, "XS", dataset, LAPTOP)
    assert all_of_them.good_after_s == all_of_them.seconds


def test_a_model_too_large_for_the_machine_is_a_problem(workspace):
    dataset = text_dataset(workspace, POEMS * 10)
    small = Machine(cores=2, memory=10**9, processor="x")
    plan = PLAN({"dataset": dataset.id, "context": 64}, "L", dataset, small)
    assert [problem.field for problem in plan.problems] == ["batch_size"]


def test_less_text_for_more_weights_is_held_back_more():
    much, some, little = (restraint(10**6, tokens, 10**7 / tokens, 0.02) for tokens in (10**7, 10**6, 10**5))
    assert (much.weight_decay, much.dropout, much.patience) == (0.1, 0.0, 0)
    assert much.weight_decay < little.weight_decay and some.dropout <= little.dropout and little.patience > 0
    assert (little.weights_per_token, little.epochs) == (10, 100)
    slower = restraint(10**6, 10**5, 100, 0.002)
    assert slower.weight_decay == pytest.approx(10 * little.weight_decay, rel=0.2)  # a step forgets as much
    assert restraint(10**9, 10, 10**6, 1e-6).weight_decay == 10


def test_the_plan_says_how_it_holds_the_model_back(workspace):
    dataset = text_dataset(workspace, POEMS * 10)
    plan = PLAN({"dataset": dataset.id}, "XS", dataset, LAPTOP)
    assert plan.values["weight_decay"] > 0.1 and plan.values["dropout"] > 0
    assert any(f"weight decay {plan.values['weight_decay']:g} and dropout" in note for note in plan.notes)
    assert any("ensemble" in note for note in plan.notes)
    weak = PLAN({"dataset": dataset.id, "weight_decay": 0.01, "ensemble": 2}, "XS", dataset, LAPTOP)
    assert any("weight decay 0.01 is low" in note for note in weak.notes)
    assert not any("ensemble" in note for note in weak.notes)
    short = PLAN({"dataset": dataset.id, "steps": 5}, "XS", dataset, LAPTOP)
    assert short.values["weight_decay"] < plan.values["weight_decay"]
