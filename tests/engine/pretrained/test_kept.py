"""A model that wrote is kept for the next job, its prompts too, and the texts are the same to the bit."""

import os

import pytest
import torch

from aigc_desktop.core.events import Failed, Finished, Text
from aigc_desktop.core.request import JobRequest
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.families import language_model
from aigc_desktop.engine.host import execute
from aigc_desktop.engine.nn.next_token import Sampling
from aigc_desktop.engine.pretrained import kept
from aigc_desktop.engine.pretrained.decoding import Ask, Rules, decode
from aigc_desktop.engine.pretrained.llama import KeyValues, Llama, shape_of
from aigc_desktop.engine.pretrained.tiny import CONFIG, add_tiny_model


@pytest.fixture
def workspace(tmp_path):
    kept.release()
    yield Workspace.open(tmp_path / "工作区")
    kept.release()


@pytest.fixture
def loads(monkeypatch):
    """Names of the models that were loaded."""
    seen = []
    load = language_model.load_language_model

    def counted(model, device, numbers):
        seen.append(model.id)
        return load(model, device, numbers)

    monkeypatch.setattr(language_model, "load_language_model", counted)
    return seen


def written(workspace, model, **values):
    values = {"model": model, "prompt": "tea", "chat": False, "count": 3, "length": 12, "numbers": "float32", **values}
    events = list(execute(JobRequest("language_model.generate", {"device": "cpu", **values}, str(workspace.folder))))
    texts = [event.items for event in events if isinstance(event, Text) and not event.partial]
    return [text for items in texts for text in items], events[-1]


def test_the_next_job_loads_and_reads_nothing_and_writes_the_same(workspace, loads, monkeypatch):
    model = add_tiny_model(workspace, "小")
    first, end = written(workspace, model)
    assert isinstance(end, Finished) and len(first) == 3
    lengths = []
    forward = Llama.forward
    monkeypatch.setattr(
        Llama, "forward", lambda self, tokens, *more: (lengths.append(tokens.shape[1]), forward(self, tokens, *more))[1]
    )
    assert written(workspace, model)[0] == first and loads == [model]
    assert set(lengths) == {1}, "the prompt is not read again"
    kept.release()
    assert written(workspace, model)[0] == first and loads == [model, model]


def test_other_numbers_a_changed_model_and_other_tasks_load_anew(workspace, loads):
    one, two = add_tiny_model(workspace, "one"), add_tiny_model(workspace, "two")
    written(workspace, one)
    written(workspace, two)
    written(workspace, one)
    written(workspace, one, numbers="int8")
    assert loads == [one, two, one, one]
    os.utime(workspace.folder / "models" / one / "model.json", ns=(1, 1))
    written(workspace, one, numbers="int8")
    assert len(loads) == 5
    list(execute(JobRequest("models.import", {"source": "nowhere"}, str(workspace.folder))))
    assert not kept._kept


def test_a_refused_request_keeps_the_model_and_a_failure_does_not(workspace, loads, monkeypatch):
    model = add_tiny_model(workspace, "小")
    assert isinstance(written(workspace, model, prompt="x" * 600)[1], Failed)
    assert written(workspace, model)[0] and loads == [model]

    def broken(*_more):
        raise RuntimeError("broken")

    monkeypatch.setattr(language_model, "write_texts", broken)
    assert isinstance(written(workspace, model)[1], Failed) and not kept._kept


def test_what_takes_much_of_the_memory_is_not_kept(workspace, monkeypatch):
    monkeypatch.setattr(kept, "SHARE", 0.0)
    written(workspace, add_tiny_model(workspace, "小"))
    assert not kept._kept


def test_the_oldest_prompts_are_forgotten_first(monkeypatch):
    shape = shape_of(CONFIG)
    cache = KeyValues(shape, 1, 8, torch.zeros(()))
    prompts = kept.Prompts()
    prompts.remember((1, 2), cache, torch.zeros(1, shape.vocab))
    monkeypatch.setattr(kept, "PROMPT_BYTES", 2 * prompts._read[1, 2].bytes)
    prompts.remember((3, 4), cache, torch.zeros(1, shape.vocab))
    assert prompts.recall((1, 2), cache) is not None
    prompts.remember((5, 6), cache, torch.zeros(1, shape.vocab))
    assert prompts.recall((3, 4), cache) is None and prompts.recall((1, 2), cache) is not None


def test_a_recalled_prompt_gives_the_same_tokens_with_penalty_and_for_any_number_of_texts():
    torch.manual_seed(0)
    network = Llama(shape_of(CONFIG)).eval().requires_grad_(False)
    prompts, rules = kept.Prompts(), Rules(Sampling(repetition_penalty=1.3, top_p=0.9), frozenset())
    for count in (1, 3):
        asks = [Ask((5, 6, 7, 8), seed, 9) for seed in range(count)]
        alone = list(decode(network, asks, rules))[-1].tokens
        assert list(decode(network, asks, rules, prompts))[-1].tokens == alone
        assert list(decode(network, asks, rules, prompts))[-1].tokens == alone
