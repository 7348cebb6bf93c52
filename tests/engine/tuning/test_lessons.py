"""Texts become lessons: what is learned, what is given, where they are cut, and that packing changes nothing."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Note
from aigc_desktop.engine.labels.adapting import value_of
from aigc_desktop.engine.nn.linear_loss import linear_cross_entropy
from aigc_desktop.engine.pretrained.load import load_language_model
from aigc_desktop.engine.tuning.lessons import Form, make_lessons
from aigc_desktop.engine.tuning.windows import Windows, sight
from tests.engine.toy import text_dataset
from tests.engine.tuning.conftest import asked_dataset

CPU, PLAIN = torch.device("cpu"), Form()
PAIRS = [(f"thing {i}", f"This is thing {i} 🍵.") for i in range(24)]


@pytest.fixture
def loaded(workspace, base):
    return value_of(load_language_model(workspace.model(base), CPU, "float32"))


def lessons_of(workspace, dataset, loaded, form=PLAIN, context=48):
    """Return (training, held out, notes)."""
    run, notes = workspace.new_run("language_model.train", {}), []
    making = make_lessons(run, dataset, loaded, form, context)
    while True:
        try:
            event = next(making)
        except StopIteration as end:
            return *end.value, notes
        if isinstance(event, Note):
            notes.append(event.message)


def pieces(lessons):
    """Return (given, learned) tokens of each piece."""
    found = []
    for start, end, given in zip(lessons.starts, lessons.ends, lessons.given, strict=True):
        tokens = lessons.tokens[start:end].tolist()
        found.append((tokens[:given], tokens[given:]))
    return found


def test_a_plain_text_is_learned_whole_with_its_end(workspace, dataset, loaded):
    train, held_out, notes = lessons_of(workspace, dataset, loaded)
    texts = dataset.texts("train")
    assert len(train) == len(texts) and len(held_out) == 6 and not notes
    for (given, learned), text, size in zip(pieces(train), texts, train.sizes, strict=True):
        assert given == [loaded.last] and learned[-1] == loaded.last
        assert loaded.words.decode(learned[:-1]) == text and size == len(text.encode()) + 1


@pytest.mark.parametrize("chat", [True, False])
def test_only_the_answer_is_learned(workspace, loaded, chat):
    form = Form("about", chat)
    taught = form.teach(loaded)
    train, _held_out, _notes = lessons_of(workspace, asked_dataset(workspace, PAIRS), loaded, form, 128)
    for (given, learned), (request, text) in zip(pieces(train), PAIRS, strict=False):
        assert tuple(given) == taught.read(request)
        assert loaded.words.decode(learned) == text and learned[-1] == loaded.last
    shown = loaded.words.inner.decode(pieces(train)[0][0], skip_special_tokens=False)
    wanted = "<|im_start|>user\nthing 0<|im_end|><|im_start|>assistant\n" if chat else "<|im_end|>thing 0\n"
    assert shown == wanted


def test_a_long_text_is_cut_between_characters_and_nothing_is_lost(workspace, loaded):
    text = "شاي 🍵茶‮ é" * 60
    train, _held_out, notes = lessons_of(workspace, text_dataset(workspace, [text, "short one " * 9]), loaded)
    assert len(train) > 5 and not notes
    learned = [part for given, part in pieces(train)]
    assert loaded.words.decode([token for part in learned for token in part]) == text
    assert all("�" not in loaded.words.decode(part) for part in learned)
    assert int(train.sizes.sum()) == len(text.encode()) + 1
    assert (train.ends - train.starts).max() <= 49


def test_an_answer_too_long_is_cut_and_a_request_too_long_left_out_and_both_are_told(workspace, loaded):
    pairs = [*PAIRS, ("x", "long " * 60), ("y" * 200, "never read")]
    dataset = asked_dataset(workspace, [*pairs, *PAIRS[:4]])
    train, _held_out, notes = lessons_of(workspace, dataset, loaded, Form("about"), 64)
    assert len(train) == len(pairs) - 1
    assert len(notes) == 2 and "1 text is longer" in " ".join(notes) and "1 request fills" in " ".join(notes)
    given, learned = pieces(train)[24]
    assert len(given) + len(learned) == 65 and learned[-1] != loaded.last


@pytest.mark.parametrize(
    ("form", "reason"), [(Form("mood"), "no attribute “mood”"), (Form("about"), "is empty in all texts")]
)
def test_a_request_nobody_has_is_one_sentence(workspace, loaded, form, reason):
    dataset = asked_dataset(workspace, [("", text) for _request, text in PAIRS])
    with pytest.raises(UserError, match=reason) as caught:
        lessons_of(workspace, dataset, loaded, form)
    assert caught.value.hint


def test_one_text_alone_is_cut_in_two_and_too_short_a_one_refused(workspace, loaded):
    one = text_dataset(workspace, ["All that there is to learn. " * 4], "one", held_out=0)
    train, held_out, _notes = lessons_of(workspace, one, loaded, context=200)
    assert len(train) == len(held_out) == 1 and held_out.learned >= 10
    assert not set(range(train.starts[0], train.ends[0])) & set(range(held_out.starts[0], held_out.ends[0]))
    with pytest.raises(UserError, match="too little text"):
        lessons_of(workspace, text_dataset(workspace, ["Hi."], "short", held_out=0), loaded)


# packing


@torch.no_grad()
def test_packed_texts_have_the_logits_that_they_have_alone(workspace, dataset, loaded):
    train, _held_out, _notes = lessons_of(workspace, dataset, loaded, context=120)
    windows, network = Windows(train, 120, 3, 0), loaded.network
    batch = windows.batch(windows.next(), CPU)
    packed = network.lm_head(network(batch.tokens, None, sight(batch.documents)))
    seen = 0
    for row in range(3):
        for piece in set(batch.documents[row].tolist()) - {-1}:
            here = batch.documents[row] == piece
            alone = network.lm_head(network(batch.tokens[row][here][None]))
            torch.testing.assert_close(packed[row][here], alone[0], atol=1e-5, rtol=1e-4)
            seen += 1
    assert seen > 6


def test_an_epoch_holds_every_learned_token_once_and_the_next_another_order(workspace, dataset, loaded):
    train, _held_out, _notes = lessons_of(workspace, dataset, loaded, context=120)
    windows = Windows(train, 120, 3, 0)
    batches = [windows.batch(indices, CPU) for indices in windows.epoch()]
    assert sum(int((batch.targets >= 0).sum()) for batch in batches) == train.learned
    assert sum(windows.size(indices) for indices in windows.epoch()) == int(train.sizes.sum())
    first = windows.next()
    while windows.position[0] == 0:
        windows.next()
    assert not np.array_equal(windows.packed(1)[0], windows.packed(0)[0]) and first[0] == 0


def test_a_batch_of_single_texts_needs_no_mask(workspace, dataset, loaded):
    train, _held_out, _notes = lessons_of(workspace, dataset, loaded, context=40)
    windows = Windows(train, 40, 3, 0)
    assert windows.batch(windows.next(), CPU).documents is None


# the loss


def test_the_loss_in_pieces_has_the_gradients_of_the_whole(monkeypatch):
    from aigc_desktop.engine.nn import linear_loss

    monkeypatch.setattr(linear_loss, "AT_ONCE", 50 * 16)
    torch.manual_seed(0)
    hidden, weight = torch.randn(70, 8, requires_grad=True), torch.randn(50, 8, requires_grad=True)
    targets = torch.randint(50, (70,))
    whole = F.cross_entropy(hidden @ weight.T, targets, reduction="sum")
    wanted = torch.autograd.grad(whole / 7, (hidden, weight))
    loss = linear_cross_entropy(hidden, weight, targets)
    torch.testing.assert_close(loss, whole)
    for found, right in zip(torch.autograd.grad(loss / 7, (hidden, weight)), wanted, strict=True):
        torch.testing.assert_close(found, right)
    (alone,) = torch.autograd.grad(linear_cross_entropy(hidden, weight.detach(), targets) / 7, (hidden,))
    torch.testing.assert_close(alone, wanted[0])
    with torch.no_grad():
        torch.testing.assert_close(linear_cross_entropy(hidden, weight, targets), whole)
