"""What the text VAE has beside the contract of all families."""

import itertools

import pytest
import torch

from aigc_desktop.core.config import check
from aigc_desktop.core.events import Failed, Finished, Metric, Note, Text
from aigc_desktop.core.job import run_job
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.families import text_vae
from aigc_desktop.engine.nn.language_model import Shape
from aigc_desktop.engine.nn.sentence_decoder import words_kept
from aigc_desktop.engine.nn.text_vae import ClassMeans, TextVae
from aigc_desktop.engine.text.sentences import rows_of_texts
from aigc_desktop.engine.text.vae_model import load_folder
from tests.engine.toy import text_dataset

CPU = torch.device("cpu")
TEXTS = [f"{who} {does} {what}." for who, does, what in itertools.product(
    ("The cat", "A dog", "My aunt", "Nobody"), ("sees", "likes", "wants"), ("tea", "the moon", "rain", "a red cup"),
)]  # fmt: skip


@pytest.fixture
def network():
    torch.manual_seed(0)
    return TextVae(Shape(20, 1, 16, 2, 9), 4).eval()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two hundred steps in which texts are copied, most of them without a price for the code."""
    workspace = Workspace.open(tmp_path_factory.mktemp("text_vae"))
    dataset = text_dataset(workspace, TEXTS, held_out=4)
    config = check(text_vae.TextVaeConfig, {
        "dataset": dataset.id, "steps": 240, "batch_size": 16, "layers": 1, "width": 64, "heads": 2, "latent": 16,
        "tokenizer": "char", "dropout": 0.0, "copy_share": 0.9, "word_dropout": 0.0, "validate_every": 120,
        "log_every": 10, "sample_every": 0, "device": "cpu", "threads": 1, "precision": "float32",
    })  # fmt: skip
    run = workspace.new_run("text_vae.train", config.model_dump(mode="json"))
    return run, list(run_job(text_vae.train, config, run))


def use(trained, task, **values):
    """Run a task of the trained model; return its last event and the texts it wrote."""
    run = trained[0]
    job = text_vae.FAMILY.task(task)
    config = check(job.config, {"run": run.id, "checkpoint": "last", "device": "cpu", **values})
    again = Workspace(run.workspace).new_run(f"text_vae.{task}", config.model_dump(mode="json"))
    events = list(run_job(job.job, config, again))
    finished = [e for e in events if isinstance(e, Text) and not e.partial]
    seeds = [seed for e in finished for seed in e.seeds]
    texts = [text for e in finished for text in e.items]
    return events[-1], dict(zip(seeds or range(len(texts)), texts, strict=True))


def test_copying_falls_while_it_is_free_and_the_decoder_begins_anew(trained):
    events = trained[1]
    assert isinstance(events[-1], Finished), events[-1]
    recon = {e.step: e.values["recon"] for e in events if isinstance(e, Metric) and "recon" in e.values}
    assert recon[210] < recon[10] / 4
    assert recon[220] > 2 * recon[210]


def test_a_code_says_which_text_it_is_of(trained):
    model = load_folder(trained[0].checkpoint("last"), "cpu")
    codes = {text: model.model.encode(model.ids(text))[0] for text in TEXTS[:12]}
    for (one, a), (other, b) in itertools.combinations(codes.items(), 2):
        assert not torch.allclose(a, b, atol=1e-3), (one, other)


def test_varied_texts_follow_their_seeds(trained):
    end, texts = use(trained, "vary", text="The cat likes tea.", count=3, seed=5, spread=3.0)
    assert isinstance(end, Finished) and set(texts) == {5, 6, 7}
    assert use(trained, "vary", text="The cat likes tea.", count=1, seed=6, spread=3.0)[1] == {6: texts[6]}


def test_what_is_not_read_of_a_text_is_told(trained):
    length = load_folder(trained[0].checkpoint("last"), "cpu").model.length
    for task, values in (
        ("vary", {"text": "The cat 猫 " + "likes tea " * length}),
        ("interpolate", {"text": "The cat", "to_text": "猫 " + "tea " * length}),
    ):
        config = check(text_vae.FAMILY.task(task).config, {"run": trained[0].id, "device": "cpu", **values})
        workspace = Workspace(trained[0].workspace)
        job = workspace.new_run(f"text_vae.{task}", config.model_dump(mode="json"), parent="results")
        events = list(run_job(text_vae.FAMILY.task(task).job, config, job))
        assert isinstance(events[-1], Finished)
        notes = [event.message for event in events if isinstance(event, Note)]
        assert notes[0].endswith("猫") and f"first {length} tokens" in notes[1]


def test_a_way_between_two_texts_begins_and_ends_with_their_copies(trained):
    first, last = "The cat likes tea.", "Nobody wants rain."
    end, texts = use(trained, "interpolate", text=first, to_text=last, count=4)
    assert isinstance(end, Finished) and len(texts) == 4
    for text, place in ((first, 0), (last, 3)):
        assert use(trained, "vary", text=text, count=1, spread=0.0, temperature=0.0)[1] == {0: texts[place]}


def test_held_out_texts_stand_above_their_copies(trained):
    end, texts = use(trained, "reconstruct", count=3)
    assert isinstance(end, Finished)
    assert all(text.split("\n→ ")[0] in TEXTS[-4:] for text in texts.values())


@pytest.mark.parametrize(("task", "values"), [
    ("vary", {"text": "  "}), ("interpolate", {"text": "The cat", "to_text": ""}),
    ("steer", {"text": "The cat", "label": "red"}),
])  # fmt: skip
def test_what_cannot_be_done_is_said_with_a_way_out(trained, task, values):
    end, texts = use(trained, task, **values)
    assert isinstance(end, Failed) and end.kind == "UserError" and end.message and end.hint and not texts


def test_texts_move_between_classes(tmp_path):
    means = ClassMeans(3, 2)
    codes = torch.tensor([[0.0, 0.0], [0.0, 2.0], [4.0, 1.0], [4.0, 3.0]])
    means.fit(codes, torch.tensor([0, 0, 1, 1]))
    assert means.means.tolist() == [[0, 1], [4, 2], [2, 1.5]]  # nothing is known of the third: the mean of all
    assert means.direction(1).tolist() == [3.0, 0.75]


def test_more_draws_make_the_bound_tighter(network):
    rows = rows_of_texts([[3, 4, 5], [6, 7], [8] * 8] * 40, 8, CPU)
    torch.nn.init.normal_(network.decoder.read_code.weight)  # so that the code matters
    bounds = list(text_vae.weighted_nats(network, rows, 16))
    assert len(bounds) == 16 and bounds[0].shape == (120,)
    assert bounds[15].mean() < bounds[3].mean() < bounds[0].mean()


def test_what_lies_behind_the_end_of_a_text_changes_nothing(network):
    alone = rows_of_texts([[3, 4, 5]], 8, CPU)
    beside = rows_of_texts([[3, 4, 5], [6] * 8], 8, CPU)
    for one, two in zip(network.encode(alone.targets, alone.known), network.encode(beside.targets, beside.known),
                        strict=True):  # fmt: skip
        assert torch.allclose(one[0], two[0], atol=1e-6)
    code = torch.randn(2, 4)
    nats = text_vae.text_nats(network.decoder(alone.inputs, None, code[:1]), alone)
    assert torch.allclose(nats[0], text_vae.text_nats(network.decoder(beside.inputs, None, code), beside)[0], atol=1e-5)


def test_active_units_are_those_that_vary():
    means = torch.stack([torch.arange(10.0), torch.full((10,), 3.0), torch.arange(10.0) * 0.01], 1)
    assert text_vae.active_units(means) == 1
    assert text_vae.active_units(means[:1]) == 0


def test_word_dropout_spares_the_first_place():
    torch.manual_seed(0)
    kept = words_kept(torch.zeros(50, 40, dtype=torch.long), 0.3)
    assert kept[:, 0].all() and 0.65 < kept[:, 1:].float().mean() < 0.75
    assert words_kept(torch.zeros(1, 1), 0.0) is None
