"""Turn a long call of a library into a stream: it runs in a thread of its own and its steps are passed on.

A pipeline of diffusers runs under `torch.no_grad()` from its first line to its last and knows callbacks only. Grad
modes belong to a thread, so they do not reach what happens between two events. Closing the stream ends the call before
its next module computes; while nobody asks for the next event, the call waits at its next step.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from typing import Any, Generic, TypeVar

from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

TICK_S = 0.1

T = TypeVar("T")
E = TypeVar("E")
Tell = Callable[[Any], None]


class _Left(BaseException):
    """Nobody waits for the result any more."""


class _Outcome(Generic[T]):
    """What the call came to."""

    def __init__(self) -> None:
        self.value: T | None = None
        self.error: BaseException | None = None


_END = object()


def stepwise(call: Callable[[Tell], T]) -> Generator[Any, None, T]:
    """Yield what `call(tell)` tells, and None every TICK_S seconds while it is quiet; return or raise as it does."""
    told: queue.SimpleQueue[Any] = queue.SimpleQueue()
    left, turn = threading.Event(), threading.Semaphore(0)
    outcome: _Outcome[T] = _Outcome()

    def tell(what: Any) -> None:
        told.put(what)
        turn.acquire()
        if left.is_set():
            raise _Left

    def work() -> None:
        try:
            with _ends_when(left):
                outcome.value = call(tell)
        except _Left:
            pass
        except BaseException as error:  # noqa: BLE001 - it is raised again where the stream is read
            outcome.error = error
        finally:
            told.put(_END)

    thread = threading.Thread(target=work, name="diffusion", daemon=True)
    thread.start()
    try:
        while (what := _next(told)) is not _END:
            yield what
            if what is not None:
                turn.release()
    finally:
        left.set()
        turn.release()
        thread.join()
    if outcome.error is not None:
        raise outcome.error
    return outcome.value  # type: ignore[return-value]  # without an error the call has returned


def shown(stream: Generator[Any, None, T], show: Callable[[Any], E]) -> Generator[E, None, T]:
    """Yield `show(what)` for all that a stream tells, and return what it returns."""
    with closing(stream):
        while True:
            try:
                what = next(stream)
            except StopIteration as end:
                value: T = end.value
                return value
            yield show(what)


def _next(told: queue.SimpleQueue[Any]) -> Any:
    try:
        return told.get(timeout=TICK_S)
    except queue.Empty:
        return None


@contextmanager
def _ends_when(left: threading.Event) -> Iterator[None]:
    """Let the modules of this thread compute until `left` is set."""
    own = threading.get_ident()

    def look(_module: nn.Module, _inputs: Any) -> None:
        if left.is_set() and threading.get_ident() == own:
            raise _Left

    hook = register_module_forward_pre_hook(look)
    try:
        yield
    finally:
        hook.remove()
