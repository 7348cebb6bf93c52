import pytest

from aigc_desktop.core.errors import UserError
from aigc_desktop.engine.pictures.caption_words import caption_notes, learn_words, passed_over, saved_words, split_words

CAPTIONS = ["A red square", "a BLUE disc,", "red square; a", "红色的方块", "", "   "]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Red hat, a_b!", ["red", "hat", "a", "b"]),
        ("戴红hat子", ["戴", "红", "hat", "子"]),
        ("flag: Côte d’Ivoire 20", ["flag", "côte", "d", "ivoire", "20"]),
        ("ホテル 한국어", ["ホ", "テ", "ル", "한국어"]),
        ("go❤️🚀", ["go", "❤", "🚀"]),
        ("हिन्दी", ["हिन्दी"]),
        (" …—!", []),
    ],
)
def test_captions_fall_into_words_and_letters_of_scripts_without_spaces(text, words):
    assert split_words(text) == words


def test_the_most_frequent_words_come_first_and_unknown_ones_are_left_out():
    words = learn_words(CAPTIONS)
    assert words.words[:3] == ("a", "red", "square") and set("红色的方块") < set(words.words)
    number = {word: words.words.index(word) + 1 for word in words.words}
    rows = words.rows(["Square, green RED", "", "方块"])
    assert rows.tolist() == [
        [number["square"], number["red"]] + 6 * [0], 8 * [0], [number["方"], number["块"]] + 6 * [0]
    ]  # fmt: skip
    assert words.unknown("a green, Green 蓝 square") == ["green", "蓝"]


def test_saved_words_are_the_same():
    words = learn_words(CAPTIONS)
    assert saved_words(words.told()) == words and saved_words(None) is None


def test_without_a_word_there_is_nothing_to_learn():
    assert learn_words(["", " ", "…"]) is None


def test_the_longest_of_few_captions_are_cut_and_told():
    captions = 99 * ["a red square on a white ground, left of it"] + [" ".join(f"word{i}" for i in range(300))]
    words = learn_words(captions)
    assert words.read == 10 and words.cut(captions) == 1 and words.rows(captions[-1:]).shape == (1, 10)
    assert any("first 10 words" in note and "1" in note for note in caption_notes(captions, words))
    assert learn_words(captions[-1:]).read == 64


def test_missing_captions_are_told():
    words = learn_words(CAPTIONS)
    assert any(note.startswith("5 of 6") for note in caption_notes([*CAPTIONS[:4], "a", ""], words))
    assert caption_notes(CAPTIONS[:4], words) == []


def test_what_a_model_passes_over_is_told_and_nothing_at_all_refused():
    words = learn_words(CAPTIONS)
    assert passed_over(words, "a red square") == []
    (note,) = passed_over(words, "a green square, Green")
    assert note.endswith(": green.")
    (note,) = passed_over(words, " ".join(9 * ["red"]))
    assert "first 8 words" in note
    with pytest.raises(UserError, match="green") as told:
        passed_over(words, "green")
    assert "A red square" in told.value.hint
    with pytest.raises(UserError, match="not learned captions"):
        passed_over(None, "a red square")
