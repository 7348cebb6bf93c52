"""Collect torch: what the import graph reaches, instead of every module with its source beside it.

The stock hook collects all 2,285 modules twice (compiled and as text), half of them tests and the compiler back
end. Only its settings modules must be there as text: torch reads flags from their comments at import.
"""

import importlib.metadata
import sys
from pathlib import Path

from PyInstaller.utils.hooks import (
    PY_DYLIB_PATTERNS,
    collect_data_files,
    collect_dynamic_libs,
    collect_submodules,
    get_package_paths,
)


def settings_modules() -> list[str]:
    """Return the modules of torch that hand themselves to install_config_module, which reads their text."""
    base, package = (Path(folder) for folder in get_package_paths("torch"))
    texts = (path for path in package.rglob("*config*.py") if "testing" not in path.parts)
    found = [path for path in texts if "install_config_module(sys.modules" in path.read_text(encoding="utf-8")]
    return [".".join(path.relative_to(base).with_suffix("").parts) for path in found]


SOURCE_NEEDED = settings_modules()
module_collection_mode = {"torch": "pyz"} | dict.fromkeys(SOURCE_NEEDED, "pyz+py")
warn_on_missing_hiddenimports = False

# Imported by name at run time: settings, and the table of Python fall-backs that the first optimizer loads.
hiddenimports = [
    *SOURCE_NEEDED,
    *collect_submodules("torch._dynamo.polyfills"),
    *collect_submodules("torch.backends"),
    "torch._inductor.test_operators",
    "torch.utils._config_typing",
]
datas = collect_data_files("torch", includes=["**/*.json", "**/*.yaml", "bin/torch_shm_manager"])
binaries = collect_dynamic_libs("torch", search_patterns=[*PY_DYLIB_PATTERNS, "*.so.*"])
bindepend_symlink_suppression = ["**/torch/lib/*.so*"]

if sys.platform == "linux":
    # A CUDA build keeps its libraries in the nvidia-* wheels; most of them are opened by name, not linked.
    from _pyinstaller_hooks_contrib.utils import nvidia_cuda
    from packaging.requirements import Requirement

    required = [Requirement(text) for text in importlib.metadata.requires("torch") or []]
    names = [item.name for item in required if item.marker is None or item.marker.evaluate()]
    hiddenimports += nvidia_cuda.infer_hiddenimports_from_requirements(names)
