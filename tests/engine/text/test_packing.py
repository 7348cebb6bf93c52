"""Texts in windows: lines before them, gaps, pieces of long ones, and attention that stays within a text."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from aigc_desktop.engine.nn.language_model import NO_TARGET, LanguageModel, Shape
from aigc_desktop.engine.text.fields import FieldLines, line
from aigc_desktop.engine.text.items import Items, best_fit
from aigc_desktop.engine.text.marks import MarkedTokenizer, infill_prompt, text_prompt
from aigc_desktop.engine.text.packing import Packs, Recipe
from aigc_desktop.engine.text.tokenizer import END, BPETokenizer, CharTokenizer, train_bpe

CPU = torch.device("cpu")
TEXTS = ["白日依山尽，黄河入海流。", "שלום עולם", "A cat 🐈 sat.", "月" * 90, "x"]
TOLD = [{"form": "五绝", "mood": "calm"}, {"mood": "gay"}, {}, {"form": "long"}, {"form": "z", "mood": "calm"}]
NAMES = ("form", "mood")


def tokenizer_of(kind: str) -> MarkedTokenizer:
    everything = [*TEXTS, *(line(name, value) for told in TOLD for name, value in told.items())]
    if kind == "char":
        return MarkedTokenizer(CharTokenizer("".join(sorted(set("".join(everything))))))
    *_waits, made = train_bpe(everything * 3, 330)
    assert isinstance(made, BPETokenizer)
    return MarkedTokenizer(made)


def items_of(tokenizer, texts=TEXTS, told=TOLD) -> Items:
    rows = [tokenizer.encode(text) for text in texts]
    tokens = np.concatenate([np.append(row, END) for row in rows]).astype(np.uint16)
    ends = np.cumsum([len(row) + 1 for row in rows]) - 1
    ids = [tokenizer.encode(line(n, t[n])) if n in t else np.zeros(0, np.int32) for t in told for n in NAMES]
    offsets = np.cumsum([0, *map(len, ids)])
    starts = np.append(0, ends[:-1] + 1)
    return Items(tokens, starts, ends, np.arange(len(rows)), FieldLines(NAMES, np.concatenate(ids), offsets))


def sequences(packs, batch) -> list[tuple[list[int], list[bool]]]:
    """Return (tokens, which of them are targets) of every text in a batch, taken apart again."""
    found = []
    for tokens, targets, texts in zip(batch.tokens, batch.targets, batch.documents, strict=True):
        for text in [t for t in dict.fromkeys(texts.tolist()) if t >= 0]:
            at = torch.nonzero(texts == text).flatten().tolist()
            found.append((tokens[at].tolist(), [False, *(targets[i].item() != NO_TARGET for i in at[:-1])]))
    return found


def read(packs, tokens: list[int]) -> str:
    names = {packs.marks.text: "<T>", packs.marks.before: "<B>", packs.marks.after: "<A>", packs.marks.middle: "<M>"}
    parts, ids = [], []
    for token in [*tokens, None]:
        if token is None or token in names or token == END:
            parts.append(packs.tokenizer.decode(ids))
            parts.append("<E>" if token == END else names.get(token, ""))
            ids = []
        else:
            ids.append(token)
    return "".join(parts)


def test_pieces_go_where_they_leave_the_least_room():
    places, count = best_fit([6, 5, 4, 5, 3, 1, 10], 10)
    assert (places, count) == ([0, 1, 0, 1, 2, 2, 3], 4)
    lengths = np.random.default_rng(0).integers(1, 40, 3000)
    places, count = best_fit(lengths.tolist(), 64)
    filled = np.bincount(places, lengths)
    assert len(filled) == count and filled.max() <= 64 and filled.mean() > 0.97 * 64


@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_validation_shows_every_text_with_all_its_lines_in_order(kind):
    tokenizer = tokenizer_of(kind)
    packs = Packs(items_of(tokenizer), tokenizer, Recipe(infill=0.5, varied=False), 64, 2, 0)
    shown = [read(packs, tokens) for i in packs.epoch() for tokens, _counted in sequences(packs, packs.batch(i, CPU))]
    # the last token of a full window is a target only
    assert any(text.startswith("<E>form: 五绝\nmood: calm\n<T>白日依山尽，黄河入海流。") for text in shown)
    assert any(text.startswith("<E>mood: gay\n<T>שלום עולם") for text in shown)
    assert any(text.startswith("<E><T>A cat 🐈 sat.") for text in shown)
    long = [text for text in shown if "月" in text]
    if kind == "char":
        assert len(long) > 1 and all("form: long\n<T>月" in text for text in long)
        assert sum(text.startswith("<E>") for text in long) == 1


def test_only_text_and_its_end_count_unless_the_lines_are_learned():
    tokenizer = tokenizer_of("char")
    for whole in (False, True):
        packs = Packs(items_of(tokenizer), tokenizer, Recipe(varied=False, whole=whole), 128, 4, 0)
        (batch,) = [packs.batch(i, CPU) for i in packs.epoch()]
        tokens, counted = next(s for s in sequences(packs, batch) if "黄河" in read(packs, s[0]))
        text = tokens.index(packs.marks.text)
        assert all(counted[text + 1 :]) and tokens[-1] == END and not counted[0] and not counted[text]
        assert all(counted[1:text]) is whole


def test_lines_vary_in_order_and_number_and_all_subsets_come():
    tokenizer = tokenizer_of("char")
    packs = Packs(items_of(tokenizer), tokenizer, Recipe(), 64, 4, 0)
    openings = set()
    for _step in range(120):
        for tokens, _counted in sequences(packs, packs.batch(packs.next(), CPU)):
            text = read(packs, tokens)
            if "白日" in text:
                openings.add(text[: text.index("<T>")])
    form, mood = "form: 五绝\n", "mood: calm\n"
    assert openings == {"<E>", "<E>" + form, "<E>" + mood, "<E>" + form + mood, "<E>" + mood + form}


@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_a_gap_moves_the_middle_to_the_end_and_loses_nothing(kind):
    tokenizer = tokenizer_of(kind)
    packs = Packs(items_of(tokenizer), tokenizer, Recipe(infill=0.9), 80, 4, 1)
    seen = cut_inside = 0
    for _step in range(60):
        for tokens, counted in sequences(packs, packs.batch(packs.next(), CPU)):
            text = read(packs, tokens)
            if "<B>" not in text or not text.endswith("<E>") or "月" in text:
                continue
            rest = text[text.index("<B>") + 3 : -3]
            before, rest = rest.split("<A>")
            after, middle = rest.split("<M>")
            assert before + middle + after in TEXTS
            seen, cut_inside = seen + 1, cut_inside + (len(before) > 0 and len(after) > 0)
            marks = [i for i, token in enumerate(tokens) if token >= tokenizer.inner.size]
            assert len(marks) == 3 and not any(counted[i] for i in marks) and counted[-1]
    assert seen > 50 and cut_inside > 10


def test_a_position_says_all_about_the_windows_to_come():
    tokenizer = tokenizer_of("char")
    one, other = (Packs(items_of(tokenizer), tokenizer, Recipe(infill=0.5), 48, 3, 7) for _copy in range(2))
    for _step in range(9):
        one.next()
    other.position = one.position
    for _step in range(12):
        ours, theirs = one.next(), other.next()
        np.testing.assert_array_equal(ours, theirs)
        a, b = one.batch(ours, CPU), other.batch(theirs, CPU)
        assert torch.equal(a.tokens, b.tokens) and torch.equal(a.targets, b.targets)


def test_every_text_comes_once_per_epoch():
    tokenizer = tokenizer_of("char")
    packs = Packs(items_of(tokenizer), tokenizer, Recipe(), 64, 1, 0)
    for epoch in range(3):
        windows = packs.round(epoch).windows
        shown = [read(packs, s[0]) for _w in range(windows) for s in sequences(packs, packs.batch(packs.next(), CPU))]
        assert packs.position == (epoch + 1, 0)
        assert sorted(next(t[0] for t in TEXTS if t[0] in text.split("<T>")[1]) for text in shown if "月" not in text) \
            == sorted(text[0] for text in TEXTS if "月" not in text)
        assert sum(text.count("月") for text in shown) >= 88  # the last token of a window is a target only


def test_lines_that_do_not_fit_are_left_out_and_told():
    tokenizer = tokenizer_of("char")
    packs = Packs(items_of(tokenizer), tokenizer, Recipe(varied=False), 24, 4, 0)
    assert packs.crowded == pytest.approx(2 / 5)
    shown = [read(packs, s[0]) for i in packs.epoch() for s in sequences(packs, packs.batch(i, CPU))]
    assert any(text.startswith("<E>form: 五绝\n<T>白日") for text in shown)


def test_without_marks_texts_stand_between_ends():
    tokenizer = tokenizer_of("char").inner
    packs = Packs(items_of(tokenizer, told=[{}] * 5), tokenizer, Recipe(varied=False), 32, 8, 0)
    (batch,) = [packs.batch(i, CPU) for i in packs.epoch()]
    texts = [tokens for tokens, _counted in sequences(packs, batch)]
    assert [END, *tokenizer.encode(TEXTS[0]).tolist(), END] in texts


def test_a_text_kept_apart_is_predicted_as_if_it_were_alone():
    torch.manual_seed(0)
    tokenizer = tokenizer_of("char")
    model = LanguageModel(Shape(tokenizer.size, 2, 32, 2, 64)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    packs = Packs(items_of(tokenizer), tokenizer, Recipe(varied=False), 64, 4, 0)
    batch = packs.batch(packs.epoch()[0], CPU)
    together = model.token_losses(batch.tokens, batch.targets, batch.documents)
    crossing = model.token_losses(batch.tokens, batch.targets)
    compared = 0
    for row, texts in enumerate(batch.documents):
        for text in {t for t in texts.tolist() if t >= 0}:
            at = torch.nonzero(texts == text).flatten()
            alone = model.token_losses(batch.tokens[row : row + 1, at], batch.targets[row : row + 1, at])
            torch.testing.assert_close(together[row, at], alone[0], rtol=1e-4, atol=1e-5)
            compared += at[0] > 0 and not torch.allclose(crossing[row, at], alone[0], atol=1e-3)
    assert compared > 0  # at least one text lies behind another, whose sight would change it


def test_prompts_match_what_training_shows():
    tokenizer = tokenizer_of("bpe")
    marks = tokenizer.marks
    prompt = text_prompt(tokenizer, {"form": "五绝"}, "白日")
    assert prompt == [END, *tokenizer.encode("form: 五绝\n"), marks.text, *tokenizer.encode("白日")]
    gap, cut = infill_prompt(tokenizer, {}, "白日", "流。", 100)
    assert not cut
    assert gap == [END, marks.before, *tokenizer.encode("白日"), marks.after, *tokenizer.encode("流。"), marks.middle]


def test_a_long_surrounding_keeps_what_is_nearest_to_the_gap():
    tokenizer = tokenizer_of("char")
    prompt, cut = infill_prompt(tokenizer, {}, "A cat" * 20, "z" * 3, 20)
    assert cut and len(prompt) == 20
    assert tokenizer.decode(prompt) == ("A cat" * 20)[-13:] + "zzz"
    prompt, cut = infill_prompt(tokenizer, {}, "A cat" * 20, "月" * 90, 20)
    assert cut and len(prompt) == 20 and tokenizer.decode(prompt) == ("A cat" * 20)[-8:] + "月" * 8
    assert infill_prompt(tokenizer, {}, "", "月" * 90, 20)[0][1:3] == [tokenizer.marks.before, tokenizer.marks.after]
