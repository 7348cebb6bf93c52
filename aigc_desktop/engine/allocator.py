"""Keep freed memory in the process while it computes, and give it back afterwards.

The allocator of glibc takes big blocks from the system and returns them at once, so each step of a training gets
its activations as fresh pages, which the system clears one by one at first touch. Other allocators stay as they are.
"""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h
_NEVER = -1


def keep_freed_memory() -> None:
    """Let later allocations reuse the pages of freed tensors, of any size."""
    if (libc := _glibc()) is not None:
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, _NEVER)


def return_freed_memory() -> None:
    """Give pages that nothing uses back to the system."""
    if (libc := _glibc()) is not None:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None  # other systems' libraries lack these functions
