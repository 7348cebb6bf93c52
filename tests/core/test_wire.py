import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc_desktop.core.events import Failed, Metric, Progress, Result, Sample, Text
from aigc_desktop.core.family import Plan, Preset, Problem
from aigc_desktop.core.fields import FieldKind, FieldSpec
from aigc_desktop.core.wire import read_frame, write_frame


def there_and_back(value):
    pipe = io.BytesIO()
    write_frame(pipe, value)
    pipe.seek(0)
    return read_frame(pipe)


@pytest.mark.parametrize(
    "event",
    [
        Progress(3, 10, "训练", 1.5, "items", None),
        Metric(1, {"loss": 0.25}),
        Text(2, ("春眠不觉晓", ""), (1, 2), partial=True),
        Failed("OSError", "msg", "hint", "details"),
        Result(
            "plan", {"plan": Plan("auto", [Preset("s", "S", "small", {"a": 1})], {"a": 1}, problems=[Problem("x")])}
        ),
        FieldSpec("a", FieldKind.INT, 1, "A", "a", choices=(("x", "X"),)),
    ],
)
def test_plain_events_survive(event):
    assert there_and_back(event) == event


def test_pictures_survive():
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), np.uint8)
    back = there_and_back(Sample(7, images, (1, 2, 3), ("a", "b", "c")))
    assert np.array_equal(back.images, images)
    assert back.seeds == (1, 2, 3)


def test_a_cut_frame_is_the_end_of_the_pipe():
    pipe = io.BytesIO()
    write_frame(pipe, Progress(1, 2))
    with pytest.raises(EOFError):
        read_frame(io.BytesIO(pipe.getvalue()[:-1]))


@given(st.binary(max_size=200))
def test_nonsense_never_does_more_than_raise(data):
    with pytest.raises((EOFError, ValueError, KeyError, TypeError)):
        read_frame(io.BytesIO(data))


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text().filter(lambda k: not k.startswith("$")), inner),
    max_leaves=20,
)


@given(json_values)
def test_any_json_value_survives(value):
    assert there_and_back(value) == value
