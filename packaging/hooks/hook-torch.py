"""Collect torch: what the import graph reaches, instead of every module with its source beside it.

The stock hook collects all 2,285 modules twice (compiled and as text), half of them tests and the compiler back
end. Only two sorts must be there as text: settings modules, from whose comments torch reads flags at import, and
modules with overloaded TorchScript functions, whose text it looks for at import and warns when it is missing.
"""

import importlib.metadata
import re
import sys
from pathlib import Path

from PyInstaller.utils.hooks import (
    PY_DYLIB_PATTERNS,
    collect_data_files,
    collect_dynamic_libs,
    collect_submodules,
    get_package_paths,
)

READS_ITS_OWN_TEXT = re.compile(
    r"install_config_module\(sys\.modules|^ *@(torch\.jit\.|torch\._jit_internal\.)?_overload",
    re.MULTILINE,
)


def modules_read_as_text() -> list[str]:
    """Return the modules of torch whose text is read when they are imported."""
    base, package = (Path(folder) for folder in get_package_paths("torch"))
    texts = (path for path in package.glob("*/**/*.py") if not {"testing", "_inductor", "onnx"} & {*path.parts[:-1]})
    found = [path for path in texts if READS_ITS_OWN_TEXT.search(path.read_text(encoding="utf-8"))]
    names = [".".join(path.relative_to(base).with_suffix("").parts) for path in found]
    return [*names, "torch.functional", "torch._inductor.config"]


SOURCE_NEEDED = modules_read_as_text()
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
