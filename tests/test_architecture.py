"""The rules that keep the tree as ARCHITECTURE.md says, each shown to bite."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "aigc_desktop"
MODULES = sorted(PACKAGE.rglob("*.py"))
MOST_LINES, MOST_FUNCTION_LINES, MOST_CLASS_LINES = 400, 60, 250


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_sizes_stay_readable(path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MOST_LINES
    for node in ast.walk(ast.parse(text)):
        lines = getattr(node, "end_lineno", 0) - getattr(node, "lineno", 0) + 1
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert lines <= MOST_FUNCTION_LINES, node.name
        if isinstance(node, ast.ClassDef):
            assert lines <= MOST_CLASS_LINES, node.name


def test_nothing_unpickles():
    banned = re.compile(
        r"\b(torch\.load|pickle\.|import pickle|joblib|allow_pickle=True|yaml\.load|torch\.hub"
        r"|trust_remote_code(?!=False,))\b"
    )
    found = [path.name for path in MODULES if banned.search(path.read_text(encoding="utf-8"))]
    assert found == []


def test_architecture_names_every_folder_and_root():
    text = (PACKAGE / "ARCHITECTURE.md").read_text(encoding="utf-8")
    folders = {path.parent.name for path in MODULES if path.parent != PACKAGE}
    roots = {path.name for path in PACKAGE.glob("*.py") if path.name != "__init__.py"}
    assert [name for name in sorted(folders | roots) if name not in text] == []


def run_contracts(folder: Path) -> subprocess.CompletedProcess[str]:
    lint = Path(sys.executable).with_name("lint-imports")
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [str(lint), "--no-cache"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_the_contracts_hold():
    done = run_contracts(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


VIOLATIONS = {
    "core/discover.py": ("import torch", "core, data, editing, export and ui are free of torch"),
    "data/__init__.py": ("import PySide6.QtCore", "only ui and its roots know Qt"),
    "core/machine.py": ("import aigc_desktop.engine.device", "roots over ui and engine"),
    "ui/page.py": ("import aigc_desktop.engine.device", "roots over ui and engine"),
    "core/files.py": ("import http.client", "no network library anywhere"),
    "editing/operations/crop.py": (
        "import aigc_desktop.editing.operations.resize",
        "operations do not import operations",
    ),
    "engine/training/step.py": (
        "import aigc_desktop.engine.text.tokens",
        "rooms of the engine, one above the other",
    ),
    "ui/widgets/pictures/checks.py": (
        "import aigc_desktop.ui.widgets.forms.form",
        "rooms of the widgets, one above the other",
    ),
    "engine/families/gpt.py": (
        "import aigc_desktop.engine.families.image_vae",
        "families do not import families",
    ),
}


@pytest.mark.parametrize("path", VIOLATIONS)
def test_each_contract_bites(path, tmp_path):
    line, contract = VIOLATIONS[path]
    shutil.copytree(PACKAGE, tmp_path / "aigc_desktop", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    target = tmp_path / "aigc_desktop" / path
    target.write_text(target.read_text(encoding="utf-8") + f"\n{line}\n", encoding="utf-8")
    done = run_contracts(tmp_path)
    assert done.returncode != 0
    broken = [text for text in done.stdout.splitlines() if "BROKEN" in text]
    assert any(contract in text for text in broken), done.stdout


def loaded_after(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(' '.join(m for m in sys.modules if '.' not in m))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_every_page_loads_without_torch():
    loaded = loaded_after(
        "from aigc_desktop.core.discover import discover; from aigc_desktop.ui import pages; discover(pages, 'PAGE')"
    )
    assert "PySide6" in loaded and "torch" not in loaded


def test_the_engine_loads_without_qt_and_without_network_libraries():
    loaded = loaded_after("from aigc_desktop.engine.catalog import load_catalogue; assert load_catalogue()")
    assert "torch" in loaded
    assert not loaded & {"PySide6", "pyqtgraph", "requests", "httpx", "aiohttp", "huggingface_hub", "torchvision"}
