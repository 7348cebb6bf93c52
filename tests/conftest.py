"""What every test shares: a home of its own, an offscreen window, and English texts."""

from __future__ import annotations

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("AIGC_DESKTOP_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")

import sys
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


@pytest.fixture(autouse=True)
def own_number_formats() -> Iterator[None]:
    """Undo what trainings set for their whole process, in fixtures and in tests.

    Hypothesis refuses to draw floats, in whichever test comes next, while subnormal numbers are flushed to zero.
    """
    _usual_numbers()
    yield
    _usual_numbers()


def _usual_numbers() -> None:
    torch = sys.modules.get("torch")  # most tests do without it
    if torch is not None:
        torch.set_flush_denormal(False)
        torch.set_num_threads(1)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "工作 space é😀")
