"""The Create page offers the classes and attributes that a model has learned, and nothing it has not."""

import json

import pytest

from aigc_desktop.core.fields import FieldKind, FieldSpec
from aigc_desktop.core.run import MANIFEST
from aigc_desktop.ui.widgets.forms.learned import asked_for

SPECS = [
    FieldSpec("label", FieldKind.CLASS, "", "Class", "Which."),
    FieldSpec("attributes", FieldKind.ATTRIBUTES, "", "Attributes", "Lines.", multiline=True),
    FieldSpec("count", FieldKind.INT, 4, "How many", "Texts."),
]


@pytest.fixture
def run(workspace):
    run = workspace.new_run("gpt.train", {})
    (run.checkpoints_dir / "000010").mkdir(parents=True)
    (run.checkpoints_dir / "000010" / MANIFEST).write_text("{}")
    return run


def card(run, extra):
    (run.checkpoints_dir / "000010" / "model.json").write_text(json.dumps({"extra": extra}))


def test_known_names_are_offered(run):
    card(run, {"classes": ["唐", "", "宋"], "fields": ["label", "poet"]})
    label, attributes, count = asked_for(SPECS, run, "best")
    assert label.kind is FieldKind.CHOICE and [value for value, _text in label.choices] == ["", "唐", "宋"]
    assert [text for _name, text in attributes.choices] == ["label: …", "poet: …"] and count == SPECS[2]


def test_a_caption_is_offered_with_examples_to_a_model_that_learned_captions(run):
    caption = FieldSpec("caption", FieldKind.CAPTION, "", "Caption", "What.", multiline=True)
    card(run, {"captions": {"words": ["red"], "read": 8, "examples": ["a red cup", "红杯"]}})
    (offered,) = asked_for([caption], run, "best")
    assert [text for text, _shown in offered.choices] == ["a red cup", "红杯"] and offered.kind is FieldKind.CAPTION
    for extra in ({"captions": None}, {}, {"captions": "odd"}):
        card(run, extra)
        assert asked_for([caption, *SPECS[2:]], run, "best") == SPECS[2:]


@pytest.mark.parametrize("extra", [{}, {"classes": [], "fields": None}, {"classes": 5}, "no table"])
def test_without_any_the_fields_are_left_out(run, extra):
    card(run, extra)
    assert asked_for(SPECS, run, "best") == SPECS[2:]


def test_a_card_that_cannot_be_read_offers_nothing_and_stops_nothing(run):
    (run.checkpoints_dir / "000010" / "model.json").write_text("{damaged")
    assert asked_for(SPECS, run, "best") == SPECS[2:] == asked_for(SPECS, run, "000999")
    (run.checkpoints_dir / "000010" / "model.json").unlink()
    assert asked_for(SPECS, run, "best") == SPECS[2:]
