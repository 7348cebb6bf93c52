"""Texts held to demands: not one of a thousand breaks any, whatever a model of random weights would like to write."""

import json
import re

import pytest
import torch

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Failed, Note, Text
from aigc_desktop.core.request import JobRequest
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.host import execute
from aigc_desktop.engine.nn.next_token import Sampling
from aigc_desktop.engine.pretrained import demands as module
from aigc_desktop.engine.pretrained.decoding import Ask, Rules, decode
from aigc_desktop.engine.pretrained.demands import Demands, Guides, grammar, measured, meets
from aigc_desktop.engine.pretrained.load import load_language_model
from aigc_desktop.engine.pretrained.tiny import write_tiny_model

SCHEMA = {
    "type": "object", "additionalProperties": False, "required": ["name", "price"],
    "properties": {
        "name": {"type": "string", "maxLength": 6}, "price": {"type": "integer", "minimum": 0, "maximum": 99},
    },
}  # fmt: skip


MANY = ("coffee", "cup", "morning", "price", "shop", "street", "fresh", "beans", "milk", "sugar", "happy", "music")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    """A workspace with the tiny model."""
    folder = tmp_path_factory.mktemp("demands")
    write_tiny_model(folder / "published", max_position_embeddings=1024)
    workspace = Workspace.open(folder / "w")
    request = JobRequest("models.import", {"source": str(folder / "published")}, str(workspace.folder))
    assert [event for event in execute(request) if not isinstance(event, Failed)]
    return workspace


@pytest.fixture(scope="module")
def loaded(workspace):
    steps = load_language_model(workspace.models()[0], torch.device("cpu"), "float32")
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def made(loaded, demands, count, letters=24):
    """Return `count` whole texts; fails when one is not."""
    most, enough = demands.tokens(letters), 0 if demands.most else letters
    letters = demands.letters(otherwise=letters)
    texts = []
    for start in range(0, count, 50):
        guides = Guides(demands, loaded, letters, enough)
        rules = Rules(Sampling(temperature=1.0), loaded.end, guide=guides.allowed)
        asks = [Ask((1, 2), seed, most) for seed in range(start, min(count, start + 50))]
        tokens = list(decode(loaded.network, asks, rules))[-1].tokens
        assert all(guides.complete(seed, ids) for seed, ids in tokens.items())
        texts += [loaded.words.decode(ids) for ids in tokens.values()]
    return texts


def test_a_thousand_texts_of_a_bounded_length_break_nothing(loaded):
    demands = Demands(4, 12, "characters", ("茶",), ("a", "E"), ("7",))
    texts = made(loaded, demands, 1000)
    assert len(texts) == 1000
    for text in texts:  # said once more in plain words, without the code under test
        assert 4 <= len(text) <= 12 and "茶" in text
        assert not set(text) & set("aAeE") and set(re.findall("[0-9０-９]+", text)) <= {"7"}
        assert meets(text, demands)


@pytest.mark.parametrize(
    "demands",
    [
        Demands(0, 9, "width"), Demands(6, 11, "width", ("新茶",)), Demands(2, 3, "words"), Demands(0, 2, "words"),
        Demands(3, 0), Demands(0, 20, numbers=("12", "3.5")), Demands(0, 20, numbers=()),
        Demands(0, 16, keywords=("a.b*c", "\\d")), Demands(forbidden=("e", "7", ".", "é")),
    ],
    ids=str,
)  # fmt: skip
def test_every_kind_of_demand_is_met(loaded, demands):
    for text in made(loaded, demands, 60):
        assert meets(text, demands), repr(text)


def test_a_keyword_begins_a_word_and_may_have_an_ending(loaded):
    demands = Demands(most=10, keywords=("cup", "茶"))
    assert meets("2 cups 茶", demands) and meets("好茶cup", demands) and not meets("茶 teacup", demands)
    assert all(re.search(r"(?<![A-Za-z0-9])cup", text) for text in made(loaded, demands, 100))


def test_columns_count_wide_letters_twice():
    assert measured("茶 tea！", "width") == 2 + 1 + 3 + 2 and measured("a b\nc", "words") == 3
    assert not meets("茶茶茶", Demands(most=5, unit="width")) and meets("茶茶a", Demands(most=5, unit="width"))
    assert not meets("cost 12,5", Demands(numbers=("12", "5"))) and meets("12, 5.", Demands(numbers=("12", "5")))


def test_no_wide_letter_is_taken_for_a_narrow_one():
    wide = re.compile("[" + re.sub(r"\\u\{(\w+)\}", lambda m: rf"\U{int(m[1], 16):08X}", module._WIDE) + "]")
    letters = (chr(code) for code in range(0x40000) if not 0xD800 <= code <= 0xF8FF)
    assert not [hex(ord(c)) for c in letters if measured(c, "width") == 2 and not wide.fullmatch(c)]


def test_a_pattern_is_matched_whole(loaded):
    texts = made(loaded, Demands(pattern=r"No\. [0-9]{2}/[A-C]+"), 60)
    assert all(re.fullmatch(r"No\. [0-9]{2}/[A-C]+", text) for text in texts) and len(set(texts)) > 30


def test_json_follows_its_schema(loaded):
    for text in made(loaded, Demands(schema=json.dumps(SCHEMA)), 40, letters=120):
        value = json.loads(text)
        assert set(value) == {"name", "price"} and len(value["name"]) <= 6 and 0 <= value["price"] <= 99


def test_json_has_no_spaces_but_those_between_its_parts(loaded):
    for text in made(loaded, Demands(schema=json.dumps(SCHEMA)), 10, letters=120):
        assert re.fullmatch(r'\{"name": ".*", "price": \d+\}', text), text


@pytest.mark.parametrize(
    ("demands", "words"),
    [
        (Demands(pattern="("), "“[(]” is no regular expression"),
        (Demands(schema="{"), "not whole JSON"),
        (Demands(schema='{"type": "moon"}'), "JSON schema: Invalid type: moon"),
        (Demands(schema="[1]"), "object in braces"),
        (Demands(schema="true"), "object in braces"),
        (Demands(50, 20), "at least 50 and at most 20"),
        (Demands(keywords=("Elephant",), forbidden=("ele",)), "contain “Elephant”.*contain “ele”"),
        (Demands(most=5, keywords=("elephant",)), "“elephant” alone is longer"),
        (Demands(most=70, keywords=MANY), "take 71 characters together, and 70 are allowed"),
        (Demands(most=6, keywords=("茶茶", "水水"), unit="width"), "No text can meet all"),
        (Demands(keywords=("7",), numbers=()), "No text can meet all"),
    ],
    ids=str,
)
def test_what_cannot_be_held_is_one_sentence_with_a_way_out(loaded, demands, words):
    with pytest.raises(UserError, match=words) as caught:
        Guides(demands, loaded, 20)
    assert caught.value.hint


ADVERT = ("best", "the most", "number one", "guaranteed", "first", "top", "only", "ultimate", "leading", "perfect",
          "cheap", "free", "最佳", "第一", "国家级")  # fmt: skip


@pytest.mark.parametrize(
    "demands",
    [
        Demands(keywords=("coffee", "cup")), Demands(20, 40, keywords=("coffee", "cup"), forbidden=("the", "best")),
        Demands(0, 6, "words", ("coffee", "cup"), numbers=("19.99",)), Demands(forbidden=ADVERT),
        Demands(40, 90, "width", ("coffee", "cup"), ADVERT, ("19.99", "3")),
        Demands(12, 16, "words", ("coffee", "cup", "morning"), ADVERT),
    ],
    ids=str,
)  # fmt: skip
def test_what_an_advert_is_asked_for_is_held(loaded, demands):
    """The words of an advert and those that the law forbids are far more than llguidance takes with its own limits."""
    guides = Guides(demands, loaded, demands.letters(40), 0 if demands.most else 40)
    asks = [Ask((1, 2), seed, demands.tokens(40)) for seed in range(6)]
    rules = Rules(Sampling(temperature=1.0), loaded.end, guide=guides.allowed)
    tokens = list(decode(loaded.network, asks, rules))[-1].tokens
    whole = [loaded.words.decode(ids) for seed, ids in tokens.items() if guides.complete(seed, ids)]
    assert len(whole) >= 4 and all(meets(text, demands) for text in whole), whole



@pytest.mark.parametrize(
    "demands",
    [
        Demands(0, 72, keywords=MANY), Demands(70, 90, keywords=MANY, forbidden=("the", "best"), numbers=()),
        Demands(0, 20, "width", ("咖啡", "早晨", "优惠", "新鲜", "牛奶")),
        Demands(0, 12, "words", MANY), Demands(0, 42, keywords=("tea", "pot", "teapot", "cup", "cups", *MANY[2:5])),
    ],
    ids=str,
)  # fmt: skip
def test_many_keywords_find_room_near_a_tight_limit(loaded, demands):
    texts = made(loaded, demands, 4)
    assert all(meets(text, demands) for text in texts), texts


def test_words_are_quoted_whatever_they_hold():
    assert r"\u{2F}" in grammar(Demands(keywords=("a/b",)), 9)


def write(workspace, **values):
    values = {"model": workspace.models()[0].id, "prompt": "x", "chat": False, "device": "cpu", "count": 3,
              "numbers": "float32", **values}  # fmt: skip
    run = workspace.new_run("language_model.generate", values, parent="results")
    events = list(execute(JobRequest("language_model.generate", values, str(workspace.folder), str(run.folder))))
    texts = [text for event in events if isinstance(event, Text) and not event.partial for text in event.items]
    return texts, events


def test_the_task_takes_demands_from_its_fields(workspace):
    texts, events = write(workspace, keywords="茶|7", most=8, allowed_numbers="7", forbidden="b")
    assert len(texts) == 3 and all(len(text) <= 1 + 8 and "茶" in text and "7" in text for text in texts)
    assert any(isinstance(event, Note) and "your beginning" in event.message for event in events)


def test_the_least_length_counts_letters_and_words_not_tokens(workspace):
    long, _events = write(workspace, least=300, length=20)
    assert len(long) == 3 and all(len(text) >= 300 for text in long)
    words, _events = write(workspace, least=12, unit="words", length=20)
    assert len(words) == 3 and all(len(text.split()) >= 12 for text in words)


def test_without_a_limit_the_length_in_tokens_counts(workspace):
    texts, _events = write(workspace, forbidden="zebra", length=60)
    assert all(60 <= len(text.encode()) <= 1 + 60 + 3 for text in texts)  # tokens of this model are bytes


def test_a_text_that_finds_no_end_is_left_out_and_told(workspace):
    texts, events = write(workspace, json_form=json.dumps({"type": "array", "minItems": 400}), length=8)
    assert not texts and isinstance(events[-1], Failed) and events[-1].hint
