"""What other threads work with is let go on the main thread only.

A function handed to a thread often belongs to a page. When the page goes meanwhile, the thread holds the last reference
to what the page owned, and timers and widgets that die on another thread than their own crash the program.
"""

from __future__ import annotations

from collections.abc import Callable

_held: list[tuple[object, Callable[[], bool]]] = []


def keep(thing: object, needed: Callable[[], bool]) -> None:
    """Hold `thing` as long as `needed` says that a thread uses it; it goes with a later call, here or of `let_go`."""
    let_go()
    _held.append((thing, needed))


def let_go() -> None:
    """Drop what no thread uses any more; on the main thread, as `keep`."""
    _held[:] = [(thing, needed) for thing, needed in _held if needed()]
