import json

import pytest

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.place import (
    Move,
    Part,
    Place,
    latent_place,
    mixed,
    places_text,
    read_places,
    seed_place,
)


def test_places_survive_as_text_and_seeds_may_stand_alone():
    places = [
        seed_place(5, "cup", 0.7),
        Place((Part(0.4, 9), Part(0.6, latent="AAAA")), (Move("d1", -1.5),), variant=3, strength=0.25),
    ]
    assert read_places(places_text(places)) == places
    assert read_places("[5, 9]") == [seed_place(5), seed_place(9)]
    assert json.loads(places_text([seed_place(5)])) == [{"parts": [{"seed": 5}]}]


@pytest.mark.parametrize("text", [
    "", "5", "{}", '["x"]', "[-1]", "[1.5]", "[true]", '[{"parts": []}]', '[{"parts": [{"seed": 1, "latent": "AA"}]}]',
    '[{"parts": [{"weight": 1.0}]}]', '[{"parts": [{"seed": 1, "weight": -1}]}]', "[" * 5000,
    '[{"parts": [{"seed": 1}], "moves": [{"direction": 3, "amount": 1}]}]',
])  # fmt: skip
def test_what_is_no_place_is_said(text):
    with pytest.raises(UserError) as caught:
        read_places(text)
    assert caught.value.hint


def test_too_few_places_are_said():
    with pytest.raises(UserError, match="At least 2"):
        read_places("[1]", least=2)


def test_a_mixture_leaves_out_what_has_no_weight():
    made = mixed([seed_place(1), latent_place("AA"), seed_place(3)], [0.25, 0.0, 0.75])
    assert made.parts == (Part(0.25, 1), Part(0.75, 3))
