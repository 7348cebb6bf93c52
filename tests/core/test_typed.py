"""Values of a JSON file against the types of a dataclass."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from aigc_desktop.core.typed import typed


@dataclass(frozen=True)
class Cup:
    name: str
    kind: Literal["cup", "mug"] = "cup"
    size: int = 1
    weight: float = 0.5
    glazed: bool = False
    seed: int | None = None
    tags: tuple[str, ...] = ()
    sizes: list[int] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)


def test_values_of_every_kind_are_taken():
    values = {
        "name": "杯子", "kind": "mug", "size": 2, "weight": 1, "glazed": True, "seed": None, "tags": ["a", "b"],
        "sizes": [1, 2], "counts": {"red": 3}, "extra": {"any": [None, {}]},
    }  # fmt: skip
    cup = typed(Cup, values)
    assert cup == Cup("杯子", "mug", 2, 1.0, True, None, ("a", "b"), [1, 2], {"red": 3}, {"any": [None, {}]})
    assert type(cup.weight) is float


def test_defaults_stand_for_what_is_not_there_and_unknown_keys_are_left_out():
    assert typed(Cup, {"name": "a", "of a newer version": 1}) == Cup("a")


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": 1}, {"name": None}, {"kind": "bowl"}, {"kind": ["cup"]}, {"size": "2"}, {"size": 2.0},
        {"size": True}, {"weight": "1"}, {"weight": True}, {"weight": 10**400}, {"glazed": 1}, {"seed": "1"},
        {"tags": "ab"}, {"tags": [1]}, {"sizes": {"1": 1}}, {"sizes": ["1"]}, {"counts": [["red", 3]]},
        {"counts": {"red": None}}, {"extra": []},
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_refused(wrong):
    with pytest.raises(ValueError):
        typed(Cup, {"name": "a", **wrong})


@pytest.mark.parametrize("values", [{}, [], None, "name", {"kind": "cup"}])
def test_what_is_no_cup_is_refused(values):
    with pytest.raises(ValueError):
        typed(Cup, values)


def test_a_type_that_json_does_not_have_is_a_programming_error():
    @dataclass
    class Bowl:
        made: complex = 0

    with pytest.raises(TypeError, match="complex"):
        typed(Bowl, {"made": 1})
