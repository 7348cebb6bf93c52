"""Where things are, frozen or not: resources, settings, logs and the default workspace."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import platformdirs

APP_NAME = "aigc-desktop"


def resources() -> Path:
    """Return the folder of the files that ship with the program."""
    bundle = getattr(sys, "_MEIPASS", None)
    return Path(bundle) / "resources" if bundle else Path(__file__).resolve().parents[2] / "resources"


def config_dir() -> Path:
    """Return the folder of the user's settings; AIGC_DESKTOP_CONFIG overrides it."""
    return _overridden("AIGC_DESKTOP_CONFIG") or Path(platformdirs.user_config_dir(APP_NAME, appauthor=False))


def cache_dir() -> Path:
    """Return the folder of what can be computed again: thumbnails, logs of this machine."""
    return _overridden("AIGC_DESKTOP_CACHE") or Path(platformdirs.user_cache_dir(APP_NAME, appauthor=False))


def default_workspace() -> Path:
    """Return the workspace a new user gets, a visible folder; AIGC_DESKTOP_WORKSPACE overrides it."""
    return named_workspace() or Path(platformdirs.user_documents_dir()) / "AIGC Desktop"


def named_workspace() -> Path | None:
    """Return the workspace that the command or the environment names for this time, or None."""
    return _overridden("AIGC_DESKTOP_WORKSPACE")


def chosen_workspace(preferred: str) -> Path:
    """Return the workspace to open: what the command or the environment names, else the preferred, else the default."""
    if preferred and not os.environ.get("AIGC_DESKTOP_WORKSPACE"):
        return Path(preferred)
    return default_workspace()


def command() -> list[str]:
    """Return the command that starts this program again, for the engine process."""
    if getattr(sys, "frozen", False):
        return [sys.executable]
    return [sys.executable, "-m", "aigc_desktop"]


def _overridden(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value).expanduser().absolute() if value else None
