"""Find what a package offers: import each of its modules and collect one constant. No list to keep."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType
from typing import Any


def discover(package: ModuleType, constant: str) -> list[Any]:
    """Return the value of `constant` in every module of `package` that has it, by module name; works frozen."""
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    modules = [importlib.import_module(f"{package.__name__}.{name}") for name in names]
    return [getattr(module, constant) for module in modules if hasattr(module, constant)]
