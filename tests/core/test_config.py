from typing import Literal

import pytest

from aigc_desktop.core.config import TaskConfig, again, check, describe, param
from aigc_desktop.core.fields import ConfigError, FieldKind
from aigc_desktop.core.i18n import set_language


class Cooking(TaskConfig):
    minutes: int = param(10, "Minutes", "How long.", unit="min", ge=1, le=60)
    heat: float = param(0.5, "Heat", "How hot.", ge=0, le=1)
    method: Literal["boil", "fry"] = param("boil", "Method", "How.", labels={"fry": "Fry it"})
    lid: bool = param(True, "Lid", "Closed.", advanced=True)
    dish: str = param(..., "Dish", "What.", kind=FieldKind.DATASET)


def test_fields_are_described_as_plain_data():
    fields = {spec.name: spec for spec in describe(Cooking)}
    assert (fields["minutes"].kind, fields["minutes"].minimum, fields["minutes"].maximum) == (FieldKind.INT, 1, 60)
    assert fields["method"].choices == (("boil", "boil"), ("fry", "Fry it"))
    assert fields["lid"].advanced and fields["lid"].default is True
    assert fields["dish"].required and fields["dish"].kind is FieldKind.DATASET


def test_a_field_declared_again_differs_in_its_default_only():
    class Roasting(Cooking):
        minutes: int = again(Cooking, "minutes", 45)

    before, after = describe(Cooking), describe(Roasting)
    assert [spec.name for spec in before] == [spec.name for spec in after]
    changed = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    assert [(new.name, new.default) for _old, new in changed] == [("minutes", 45)]
    with pytest.raises(ConfigError, match="at most 60"):
        check(Roasting, {"dish": "x", "minutes": 61})


def test_check_names_every_wrong_field():
    with pytest.raises(ConfigError) as caught:
        check(Cooking, {"minutes": 99, "heat": -1, "method": "bake", "oven": 1})
    assert set(caught.value.problems) == {"minutes", "heat", "method", "oven", "dish"}
    assert caught.value.problems["minutes"] == "must be at most 60"
    assert "Minutes: must be at most 60" in caught.value.message


def test_nan_is_refused():
    with pytest.raises(ConfigError) as caught:
        check(Cooking, {"dish": "soup", "heat": float("nan")})
    assert "heat" in caught.value.problems


def test_round_trip_through_json():
    config = check(Cooking, {"dish": "汤", "heat": 1e-9})
    assert Cooking.model_validate_json(config.model_dump_json()) == config


def test_a_field_without_param_is_a_programming_error():
    class Bare(TaskConfig):
        value: int = 3

    with pytest.raises(TypeError, match="param"):
        describe(Bare)


def test_problems_come_in_chinese():
    set_language("zh_CN")
    with pytest.raises(ConfigError) as caught:
        check(Cooking, {"dish": "soup", "minutes": 0})
    assert caught.value.problems["minutes"] != "must be at least 1"
    assert "1" in caught.value.problems["minutes"]
