"""What every test shares: a home of its own, an offscreen window, and English texts."""

from __future__ import annotations

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("AIGC_DESKTOP_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")

from collections.abc import Iterator
from pathlib import Path

import pytest

from aigc_desktop.core.i18n import set_language
from aigc_desktop.core.workspace import Workspace


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Keep settings, logs and the default workspace of a test away from the user's own."""
    home = tmp_path_factory.mktemp("home")
    for name in ("CONFIG", "CACHE", "WORKSPACE"):
        monkeypatch.setenv(f"AIGC_DESKTOP_{name}", str(home / name.lower()))
    set_language("en")
    yield
    set_language("en")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "工作 space é😀")
