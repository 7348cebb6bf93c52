"""Load the scripts of packaging/, which is a folder of programs and no package."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"packaging_{name}", ROOT / "packaging" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def bundle() -> ModuleType:
    return load("bundle")


@pytest.fixture(scope="session")
def licences() -> ModuleType:
    return load("licences")


@pytest.fixture(scope="session")
def deb() -> ModuleType:
    return load("build_deb")
