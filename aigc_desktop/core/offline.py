"""No network: the switches of other libraries, a tripwire in this process, a kernel cut for the engine.

The audit hook sees what Python code does, not what a C library does by itself, so it is a tripwire and a
counter; the engine process is cut off by the kernel where the system allows it.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import sys
from pathlib import Path
from typing import Any

from aigc_desktop.core.i18n import _

SWITCHES = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "DIFFUSERS_DISABLE_REMOTE_CODE": "true",
    "DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "HF_TOKEN")
_WATCHED = {"socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg"}
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000

_attempts = 0
_guarded = False


def go_offline() -> None:
    """Set the switches, forget proxies and tokens, and guard this process; call before any heavy import."""
    global _guarded
    os.environ.update(SWITCHES)
    for name in _PROXIES:
        os.environ.pop(name, None)
        os.environ.pop(name.lower(), None)
    if not _guarded:
        sys.addaudithook(_refuse_network)
        _guarded = True


def connection_count() -> int:
    """Return how many network connections were attempted, and refused, in this process since its start."""
    return _attempts


def cut_network() -> bool:
    """Move this process into an empty network namespace; False where the system does not allow it.

    Call while the process has one thread. Linux only: unshare(2) with CLONE_NEWNET, in a new user namespace
    when the process is not root.
    """
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET) == 0:
        return True
    user, group = os.getuid(), os.getgid()
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) != 0:
        return False
    maps = {"setgroups": "deny", "uid_map": f"{user} {user} 1", "gid_map": f"{group} {group} 1"}
    with contextlib.suppress(OSError):  # unmapped, files belong to nobody for us, but the network is cut
        for name, text in maps.items():
            Path(f"/proc/self/{name}").write_text(text, encoding="ascii")
    return True


def _refuse_network(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.getaddrinfo":
        _refuse(str(arguments[0]))
    elif event in _WATCHED:
        family = getattr(arguments[0], "family", None)
        if family in (socket.AF_INET, socket.AF_INET6):
            _refuse(str(arguments[1]) if len(arguments) > 1 else "")


def _refuse(where: str) -> None:
    global _attempts
    _attempts += 1
    raise PermissionError(_("This program does not use the network; refused: {address}").format(address=where))
