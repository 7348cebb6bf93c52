"""What is collected of a model, its family, and the directions saved with a version."""

import pytest

from aigc_desktop.core.collected import Collected, kept_ancestors, read_collected, write_collected
from aigc_desktop.core.directions import (
    Direction,
    add_direction,
    read_directions,
    remove_direction,
    rename_direction,
)
from aigc_desktop.core.errors import UserError


@pytest.fixture
def run(workspace):
    return workspace.new_run("image_gan.train", {}, "cups")


def picture(name, parents=(), card=""):
    return Collected(name, name, "000100", "AAAA", parents=parents, card=card)


def test_what_is_collected_is_read_again(run):
    items = [picture("a"), picture("b", ("a",), "card")]
    write_collected(run, items)
    assert read_collected(run) == items


def test_nothing_collected_is_an_empty_list_and_a_damaged_file_is_named(run):
    assert read_collected(run) == []
    (run.folder / "collected.json").write_text('{"items": [{"id": 5}]}', encoding="utf-8")
    with pytest.raises(UserError, match=r"collected\.json"):
        read_collected(run)


def test_the_nearest_kept_ancestors_are_found_over_generations_and_round_circles():
    items = [
        picture("root", card="c1"), picture("left", ("root", "right")), picture("right", ("left",), "c2"),
        picture("child", ("left", "gone")),
    ]  # fmt: skip
    assert kept_ancestors(items, ("child",)) == ("c1", "c2")
    assert kept_ancestors(items, ("right",)) == ("c2",)
    assert kept_ancestors(items, ("gone",)) == ()


def test_directions_are_named_removed_and_put_back(run):
    first, second = Direction("d1", "principal", "AAAA", number=1), Direction("d2", "examples", "AAAA", "round")
    for direction in (first, second):
        add_direction(run, "000100", direction)
    assert [each.title for each in read_directions(run, "000100")] == ["Direction 1", "round"]
    rename_direction(run, "000100", "d1", " size \n")
    assert read_directions(run, "000100")[0].title == "size"
    gone = remove_direction(run, "000100", "d2")
    assert gone == second and len(read_directions(run, "000100")) == 1
    add_direction(run, "000100", gone)
    assert read_directions(run, "000100")[-1] == second
    assert read_directions(run, "000200") == []
    with pytest.raises(UserError, match="name"):
        rename_direction(run, "000100", "d1", "  ")
