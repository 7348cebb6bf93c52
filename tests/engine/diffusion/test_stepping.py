"""A long call as a stream: what it tells, how it ends, and what it leaves behind."""

import threading
import time

import pytest
import torch
from torch import nn

from aigc_desktop.engine.diffusion.stepping import stepwise


class Slow(nn.Module):
    def __init__(self, log):
        super().__init__()
        self.log = log

    def forward(self, x):
        self.log.append(threading.get_ident())
        time.sleep(0.01)
        return x


def told(stream):
    """Return what a stream tells, without its ticks, and its result."""
    seen = []
    while True:
        try:
            what = next(stream)
        except StopIteration as end:
            return seen, end.value
        if what is not None:
            seen.append(what)


def test_it_tells_in_order_and_returns():
    def call(tell):
        for number in range(5):
            tell(number)
        return "done"

    assert told(stepwise(call)) == ([0, 1, 2, 3, 4], "done")


def test_an_error_is_raised_where_the_stream_is_read():
    def call(tell):
        tell(1)
        raise ValueError("odd")

    with pytest.raises(ValueError, match="odd"):
        told(stepwise(call))


def test_grad_mode_stays_in_the_call():
    def call(tell):
        with torch.no_grad():
            tell(torch.is_grad_enabled())

    stream = stepwise(call)
    while (mode := next(stream)) is None:
        pass
    assert mode is False and torch.is_grad_enabled()
    stream.close()


def test_closing_ends_the_call_before_its_next_module():
    log = []
    network = nn.Sequential(*(Slow(log) for _ in range(2000)))
    stream = stepwise(lambda tell: network(torch.zeros(1)))
    assert next(stream) is None  # a tick while nothing is told
    started = time.monotonic()
    stream.close()
    assert time.monotonic() - started < 1 and 0 < len(log) < 2000
    assert threading.get_ident() not in log
    network[0](torch.zeros(1))  # other threads compute on


def test_while_nobody_asks_the_call_waits():
    steps = []

    def call(tell):
        for number in range(3):
            steps.append(number)
            tell(number)

    stream = stepwise(call)
    while next(stream) is None:
        pass
    time.sleep(0.2)
    assert steps == [0]
    assert told(stream) == ([1, 2], None)
