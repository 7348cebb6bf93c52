"""Fine-tuning: it learns, its files open elsewhere, and what does not belong together is refused."""

import json
import math
import shutil

import pytest
import torch

from aigc_desktop.core.errors import BadInput
from aigc_desktop.core.events import Failed, Finished, Metric, Note, Progress, Stopped, Text
from aigc_desktop.core.job import run_job
from aigc_desktop.core.machine import Machine
from aigc_desktop.core.request import JobRequest
from aigc_desktop.engine.device import describe_machine
from aigc_desktop.engine.families.language_model import FAMILY
from aigc_desktop.engine.host import execute
from aigc_desktop.engine.labels.adapting import value_of
from aigc_desktop.engine.nn.lora import CONFIG, WEIGHTS, LoraShape, save_adapter
from aigc_desktop.engine.pretrained.load import load_language_model
from aigc_desktop.engine.pretrained.tiny import add_tiny_model, tiny_tokenizer
from aigc_desktop.engine.tuning import memory
from aigc_desktop.engine.tuning.lessons import make_lessons
from aigc_desktop.engine.tuning.loading import load_tuned
from aigc_desktop.engine.tuning.plan import plan
from aigc_desktop.engine.tuning.train import load_base
from aigc_desktop.engine.tuning.trainee import TuneTrainee
from aigc_desktop.engine.weights import read_tensors
from tests.engine.toy import text_dataset
from tests.engine.tuning.conftest import QUICK, TEXTS, asked_dataset, tune, use

CPU = torch.device("cpu")
TOKENS = torch.tensor([[257, 65, 80, 81, 7, 99, 200, 31]])


def figures(events, name="loss"):
    return [event.values[name] for event in events if isinstance(event, Metric) and name in event.values]


def logits_of(loaded):
    with torch.no_grad():
        return loaded.network.lm_head(loaded.network(TOKENS))


def tuned_logits(run):
    return logits_of(value_of(load_tuned(run, "last", CPU, "float32")))


def base_logits(workspace, base):
    return logits_of(value_of(load_language_model(workspace.model(base), CPU, "float32")))


@pytest.mark.parametrize("values", [{}, {"method": "full", "lr": 3e-3}, {"ema": 0.2}, {"rank_scaling": True}], ids=str)
def test_it_learns_and_tells_perplexity_and_bits(workspace, dataset, base, values):
    _run, events = tune(workspace, dataset, base, steps=24, validate_every=8, **{"lr": 1e-2, **values})
    assert isinstance(events[-1], Finished), events[-1]
    losses, perplexity, bits = (figures(events, name) for name in ("val_loss", "val_perplexity", "val_bpb"))
    assert losses[-1] < losses[0] and losses[-1] < 5.4
    assert perplexity[-1] == pytest.approx(math.exp(losses[-1]))
    assert 0 < bits[-1] < losses[-1] / math.log(2) * 1.05  # a byte is a token here, an emoji four


def test_only_adapters_learn_or_all_weights_do(workspace, dataset, base):
    adapted, _events = tune(workspace, dataset, base)
    whole, _events = tune(workspace, dataset, base, method="full")
    names = read_tensors(adapted.checkpoint("last") / "model.safetensors")
    assert names and all(".lora_" in name for name in names)
    published = read_tensors(workspace.model(base).folder / "model.safetensors")
    tuned = read_tensors(whole.checkpoint("last") / "model.safetensors")
    assert tuned.keys() == published.keys()
    assert all(not torch.equal(tuned[name], published[name]) for name in tuned)


@pytest.mark.filterwarnings("ignore")
def test_gradients_of_packed_texts_are_those_of_the_published_network_on_each_alone(workspace, dataset, base):
    transformers = pytest.importorskip("transformers")
    config = FAMILY.task("train").config(dataset=dataset.id, base=base, **{**QUICK, "method": "full", "context": 96})
    run = workspace.new_run("language_model.train", config.model_dump(mode="json"))
    began = value_of(load_base(config, run, CPU))
    lessons = value_of(make_lessons(run, dataset, began.loaded, began.form, 96))
    trainee = TuneTrainee(config, began, lessons, [], CPU)
    batch = trainee.lessons.batch(trainee.lessons.next(), CPU)
    trainee.nats(trainee.modules, batch).backward()
    theirs = transformers.LlamaForCausalLM.from_pretrained(
        workspace.model(base).folder, local_files_only=True, dtype=torch.float32, attn_implementation="eager"
    )
    for row, texts in enumerate(batch.documents):
        for text in set(texts.tolist()) - {-1}:
            here = texts == text
            logits = theirs(batch.tokens[row][here][None]).logits[0]
            targets = batch.targets[row][here]
            torch.nn.functional.cross_entropy(logits, targets, ignore_index=-100, reduction="sum").backward()
    wanted = {name: p.grad for name, p in theirs.named_parameters() if p.grad is not None}
    ours = {f"model.{name}": p.grad for name, p in trainee.network.model.named_parameters()}
    assert len(ours) > 15
    for name, gradient in ours.items():
        torch.testing.assert_close(gradient, wanted[name], atol=2e-3, rtol=2e-3, msg=name)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.filterwarnings("ignore")
def test_the_checkpoint_is_an_adapter_that_peft_opens_with_the_same_logits(workspace, dataset, tied):
    peft, transformers = pytest.importorskip("peft"), pytest.importorskip("transformers")
    base = add_tiny_model(workspace, tie_word_embeddings=tied)
    run, _events = tune(workspace, dataset, base, lr=1e-2, rank_scaling=True)
    folder = run.checkpoint("last")
    assert (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file()
    plain = transformers.LlamaForCausalLM.from_pretrained(
        workspace.model(base).folder, local_files_only=True, dtype=torch.float32
    )
    theirs = peft.PeftModel.from_pretrained(plain, folder).eval()
    with torch.no_grad():
        wanted = theirs(TOKENS).logits
    torch.testing.assert_close(tuned_logits(run), wanted, atol=1e-4, rtol=1e-4)
    assert (base_logits(workspace, base) - wanted).abs().max() > 1e-3


@pytest.mark.parametrize("tied", [True, False])
def test_a_whole_model_is_imported_again_and_computes_the_same(workspace, dataset, tied):
    base = add_tiny_model(workspace, tie_word_embeddings=tied)
    run, _events = tune(workspace, dataset, base, method="full")
    request = JobRequest("models.import", {"source": str(run.checkpoint("last"))}, str(workspace.folder))
    assert isinstance(list(execute(request))[-1], Finished)
    (imported,) = (model.id for model in workspace.models() if model.id != base)
    torch.testing.assert_close(base_logits(workspace, imported), tuned_logits(run))
    shutil.rmtree(workspace.model(base).folder)  # a whole model needs its base no more
    tuned_logits(run)


def test_a_base_that_was_imported_again_under_another_name_is_found(workspace, dataset, base):
    run, _events = tune(workspace, dataset, base)
    wanted = tuned_logits(run)
    workspace.model(base).folder.rename(workspace.folder / "models" / "other name")
    torch.testing.assert_close(tuned_logits(run), wanted)


def test_a_missing_or_wrong_base_is_refused_with_the_count_of_fitting_parts(workspace, dataset, base):
    run, _events = tune(workspace, dataset, base)
    shutil.rmtree(workspace.model(base).folder)
    with pytest.raises(BadInput, match="none is imported"):
        tuned_logits(run)
    add_tiny_model(workspace, "small", hidden_size=48, intermediate_size=64)
    with pytest.raises(BadInput, match="0 of its 14 parts fit “small”"):
        tuned_logits(run)
    add_tiny_model(workspace, "shallow", num_hidden_layers=1)
    with pytest.raises(BadInput, match="7 of its 14 parts fit “shallow”"):
        tuned_logits(run)
    add_tiny_model(workspace, "twin", rms_norm_eps=1e-4, tie_word_embeddings=False)
    with pytest.raises(BadInput, match="other weights than those of “twin”, although all 14 parts fit"):
        tuned_logits(run)


def test_a_tokenizer_with_more_words_than_the_model_is_refused(workspace, dataset, base):
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["foreign"])
    tokenizer.save(str(workspace.model(base).folder / "tokenizer.json"))
    _run, events = tune(workspace, dataset, base)
    assert isinstance(events[-1], Failed) and "do not belong together" in events[-1].message


def test_an_attribute_that_is_not_there_is_refused(workspace, dataset, base):
    _run, events = tune(workspace, dataset, base, prompt="mood")
    assert isinstance(events[-1], Failed) and "mood" in events[-1].message and events[-1].hint


def test_emoji_and_right_to_left_texts_are_learned_and_written(workspace, base):
    texts = [f"شاي 🍵 {i} ‏‮茶👩‍👩‍👧" for i in range(20)]
    run, events = tune(workspace, text_dataset(workspace, texts), base)
    assert isinstance(events[-1], Finished)
    _result, events = use(workspace, "generate", run=run.id, prompt="شاي 🍵", count=2, length=12)
    assert isinstance(events[-1], Finished) and all(item.startswith("شاي 🍵") for item in last_text(events))


def last_text(events):
    return [event.items for event in events if isinstance(event, Text) and not event.partial][-1]


# the learning rate


def test_the_learning_rate_is_chosen_by_the_held_out_loss_and_told(workspace, dataset, base):
    run, events = tune(workspace, dataset, base, lr=0.0, steps=40, sample_every=0)
    tried = json.loads((run.folder / "tuning.json").read_text())["losses"]
    assert list(tried) == ["0.0001", "0.0002", "0.0005", "0.001"]
    best = min(tried, key=tried.get)
    (note,) = [event.message for event in events if isinstance(event, Note) and "Learning rates" in event.message]
    assert f"{best} is taken" in note and all(f"{loss:.4f}" in note for loss in tried.values())


def test_a_search_that_was_interrupted_goes_on_to_the_same_training(workspace, dataset, base):
    values = {"lr": 0.0, "steps": 40, "lora_dropout": 0.2}
    whole, events = tune(workspace, dataset, base, **values)
    config = FAMILY.task("train").config.model_validate(whole.config_values)
    run, seen = workspace.new_run("language_model.train", whole.config_values), []

    def third_rate():
        return any(isinstance(event, Progress) and "0.0005" in event.phase for event in seen)

    for event in run_job(FAMILY.task("train").job, config, run, third_rate):
        seen.append(event)
    assert isinstance(seen[-1], Stopped) and not run.checkpoints()
    assert len(json.loads((run.folder / "tuning.json").read_text())["losses"]) == 2
    rest = list(run_job(FAMILY.task("train").job, config, run))
    assert [loss.hex() for loss in figures(rest)] == [loss.hex() for loss in figures(events)]


def test_all_weights_are_tried_with_a_tenth(workspace, dataset, base):
    run, _events = tune(workspace, dataset, base, lr=0.0, method="full")
    assert list(json.loads((run.folder / "tuning.json").read_text())["losses"]) == ["1e-05", "2e-05", "5e-05", "0.0001"]


# memory and numbers


def test_saving_memory_changes_no_loss(workspace, dataset, base):
    (_run, plain), (_run, saving) = (
        tune(workspace, dataset, base, checkpointing=wish, lora_dropout=0.2) for wish in ("off", "on")
    )
    assert figures(saving) == pytest.approx(figures(plain), rel=1e-5)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_bfloat16_is_near_float32(workspace, dataset, base, method):
    (_run, half), (_run, whole) = (
        tune(workspace, dataset, base, precision=precision, method=method) for precision in ("bfloat16", "float32")
    )
    assert figures(half) == pytest.approx(figures(whole), rel=0.03)


def test_early_stopping_brings_back_the_best_version(workspace, dataset, base):
    run, events = tune(workspace, dataset, base, steps=200, lr=1.0, schedule="constant", validate_every=1, patience=2)
    assert run.info.best or any("ended early" in event.message for event in events if isinstance(event, Note))
    steps = [event.step for event in events if isinstance(event, Metric) and "val_loss" in event.values]
    assert len(steps) < 200


# the plan


def planned(dataset, base, machine=None, **values):
    return plan({"dataset": dataset.id, "base": base, **values}, "auto", dataset, machine or describe_machine())


def test_the_plan_tells_steps_memory_and_what_learns(dataset, base):
    made = planned(dataset, base)
    assert not made.problems and made.seconds > 0 and made.memory_mb > 100 and made.steps >= 20
    assert any("weights learn" in note for note in made.notes) and any("rates are tried" in note for note in made.notes)
    assert made.parameters == pytest.approx(25_000, rel=0.2)


def test_a_plan_counts_the_weights_as_they_are(workspace, base):
    shape = value_of(load_language_model(workspace.model(base), CPU)).network
    counted = sum(p.numel() for p in shape.parameters() if p.ndim == 2)
    assert memory.parameters_of(shape.shape) == counted


@pytest.mark.parametrize(
    ("available", "values", "way_out"),
    [
        (1250e6, {"batch_size": 256, "context": 256, "checkpointing": "off"}, "“Save memory” on"),
        (610e6, {"batch_size": 256, "context": 256}, "batch size of 1"),
        (1e6, {}, "choose a smaller model"),
    ],
)
def test_what_does_not_fit_says_what_would(dataset, base, available, values, way_out):
    machine = Machine(2, int(available / 0.9), "tiny")
    (problem,) = planned(dataset, base, machine, precision="float32", **values).problems
    assert "of memory are needed" in problem.message and way_out in problem.message, problem.message


def test_a_window_longer_than_the_model_reads_is_a_problem(dataset, base):
    (problem,) = planned(dataset, base, context=512).problems
    assert problem.field == "context" and "256 tokens at most" in problem.message


# writing


def test_a_model_that_learned_to_answer_answers_and_one_that_learned_to_go_on_goes_on(workspace, dataset, base):
    asked = asked_dataset(workspace, [(f"tea {i}", text) for i, text in enumerate(TEXTS)])
    chat, _events = tune(workspace, asked, base, prompt="about", context=96)
    lines, _events = tune(workspace, asked, base, prompt="about", chat=False, context=96)
    plain, _events = tune(workspace, dataset, base)
    for run in (chat, lines):
        _result, events = use(workspace, "generate", run=run.id, prompt="tea 3", count=2, length=9)
        assert not any(item.startswith("tea 3") for item in last_text(events))
    _result, events = use(workspace, "generate", run=plain.id, prompt="Ann", count=2, length=9, numbers="float32")
    assert all(item.startswith("Ann") for item in last_text(events))
    assert not any(isinstance(event, Note) for event in events)
    _result, events = use(workspace, "generate", run=chat.id, count=1)
    assert isinstance(events[-1], Failed) and "no request" in events[-1].message


def test_a_fine_tuned_model_is_held_to_demands_like_an_imported_one(workspace, dataset, base):
    run, _events = tune(workspace, dataset, base)
    values = {"count": 2, "most": 6, "forbidden": "a|e", "length": 20, "numbers": "float32"}
    _result, events = use(workspace, "generate", run=run.id, **values)
    assert all(len(item) <= 6 and not set("ae") & set(item) for item in last_text(events))


def test_without_a_model_the_way_out_is_told(workspace):
    _result, events = use(workspace, "generate", prompt="x")
    assert isinstance(events[-1], Failed) and "Choose a model" in events[-1].message


def bring(workspace, source):
    """Import a model and return its id."""
    before = {model.id for model in workspace.models()}
    events = list(execute(JobRequest("models.import", {"source": str(source)}, str(workspace.folder))))
    assert isinstance(events[-1], Finished), events[-1]
    (made,) = {model.id for model in workspace.models()} - before
    return made


def test_an_evaluation_measures_the_bits_that_training_told_and_draws_at_any_temperature(workspace, dataset, base):
    run, events = tune(workspace, dataset, base, steps=8, validate_every=8, lr=1e-2)
    nats = FAMILY.likelihood(run.checkpoint("last"), "cpu")
    held_out = TEXTS[-6:]
    values = list(nats(held_out))
    bits = sum(values) / math.log(2) / sum(len(text.encode()) + 1 for text in held_out)
    assert bits == pytest.approx(figures(events, "val_bpb")[-1], rel=1e-4)
    long = " ".join(TEXTS * 40)  # several windows
    assert math.isfinite(next(iter(nats([long])))) and next(iter(nats([long]))) > 20 * max(values)
    sample = FAMILY.sampler(run.checkpoint("last"), "cpu")
    assert sample(2, 0) == sample(2, 0, temperature=1.0) != sample(2, 0, temperature=0.2)


def test_a_model_that_answers_requests_has_no_bits_of_texts_alone(workspace, base):
    asked = asked_dataset(workspace, [(f"say {i}", f"{i} and {i} and {i}") for i in range(24)])
    run, _events = tune(workspace, asked, base, prompt="about", chat=False)
    assert FAMILY.likelihood(run.checkpoint("last"), "cpu") is None


def test_an_imported_adapter_writes_with_its_base(workspace, dataset, base):
    run, _events = tune(workspace, dataset, base, lr=1e-2, steps=12)
    adapter = bring(workspace, run.checkpoint("last"))
    assert workspace.model(adapter).info.base == base
    settings = {"prompt": "Ann", "chat": False, "count": 2, "length": 12, "numbers": "float32"}
    _result, changed = use(workspace, "generate", model=adapter, **settings)
    _result, plain = use(workspace, "generate", model=base, **settings)
    assert isinstance(changed[-1], Finished) and last_text(changed) != last_text(plain)
    workspace.model(base).folder.rename(workspace.folder / "models" / "moved")
    _result, events = use(workspace, "generate", model=adapter, **settings)
    assert last_text(events) == last_text(changed)
    assert any("which is gone" in event.message for event in events if isinstance(event, Note))
    shutil.rmtree(workspace.folder / "models" / "moved")
    _result, events = use(workspace, "generate", model=adapter, **settings)
    assert isinstance(events[-1], Failed) and "none is imported" in events[-1].message


def test_an_adapter_prefers_the_model_it_names(workspace, tmp_path):
    first = add_tiny_model(workspace, "first")
    add_tiny_model(workspace, "second")
    name = "model.layers.0.self_attn.q_proj"
    pair = {f"{name}.lora_A.weight": torch.zeros(2, 32), f"{name}.lora_B.weight": torch.zeros(32, 2)}
    (tmp_path / "lora").mkdir()
    save_adapter(tmp_path / "lora", pair, LoraShape(("q_proj",), 2, 4.0), f"publisher/{first}")
    assert workspace.model(bring(workspace, tmp_path / "lora")).info.base == first
