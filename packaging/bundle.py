"""What goes into the frozen app: the rules that build.spec applies, kept here so that tests can read them."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

TocEntry = tuple[str, str, str]
"""(destination inside the bundle, source file, PyInstaller's type code)."""

# The import graph reaches these through functions that the app never calls.
EXCLUDED_MODULES = [
    # development tools and optional helpers of our dependencies
    "IPython",
    "_pytest",
    "babel",
    "grimp",
    "hypothesis",
    "importlinter",
    "jedi",
    "matplotlib",
    "mypy",
    "pip",
    "pkg_resources",
    "pluggy",
    "py",
    "pytest",
    "pytestqt",
    "rich",
    "ruff",
    "setuptools",
    "tkinter",
    "typer",
    "wheel",
    "xdist",
    "pydoc_data",
    "curses",
    "idlelib",
    "lib2to3",
    "readline",
    "turtle",
    "turtledemo",
    "ensurepip",
    # other frameworks that torch, diffusers, transformers, pyqtgraph, tokenizers and gguf look for
    "OpenGL",
    "cupy",
    "datasets",
    "jax",
    "joblib",
    "kernels",
    "mistral_common",
    "narwhals",
    "networkx",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "pandas",
    "peft",
    "pygments",
    "scipy",
    "sentencepiece",
    "sklearn",
    "tensorboard",
    "tensorflow",
    "torchaudio",
    "torchvision",
    "triton",
    # clients of the network: the app opens no connection. Those that huggingface_hub imports at once must be there.
    "aiohttp",
    "hf_xet",
    "httpx",
    # Qt modules behind QML, and pyqtgraph's parts for OpenGL and notebooks
    "PySide6.QtDesigner",
    "PySide6.QtHelp",
    "PySide6.QtOpenGL",
    "PySide6.QtOpenGLWidgets",
    "PySide6.QtQml",
    "PySide6.QtQuick",
    "PySide6.QtQuickWidgets",
    "PySide6.QtSql",
    "PySide6.QtTest",
    "PySide6.QtUiTools",
    "pyqtgraph.canvas",
    "pyqtgraph.console",
    "pyqtgraph.examples",
    "pyqtgraph.flowchart",
    "pyqtgraph.jupyter",
    "pyqtgraph.opengl",
    # torch's compiler back end, exporters to other formats, and its own test suite
    "torch._inductor.autoheuristic",
    "torch._inductor.codegen",
    "torch._inductor.compile_fx",
    "torch._inductor.fx_passes",
    "torch._inductor.graph",
    "torch._inductor.kernel",
    "torch._inductor.lowering",
    "torch._inductor.scheduler",
    "torch._inductor.select_algorithm",
    "torch.distributed.benchmarks",
    "torch.testing._internal.common_utils",
    "torch.testing._internal.opinfo",
    "torch.utils.benchmark",
    "torch.utils.bottleneck",
    "torch.utils.tensorboard",
]

# Files that hooks and the library scan collect although no code path of the app opens them.
DROPPED_FILES = [
    r"^torch/bin/(?!torch_shm_manager)",
    r"^torch/(include|share|test)/",
    r"^torch/lib/lib(aoti_custom_ops|backend_with_compiler|jitbackend_test|torchbind_test)\.so",
    r"\.(a|cpp|cuh|h|hpp|lib|pyi)$",
    r"^PySide6/(Qt/)?plugins/(egldeviceintegrations|generic|networkinformation|qmltooling|sqldrivers"
    r"|vectorimageformats|tls)/",
    r"^PySide6/Qt/plugins/platforms/libq(eglfs|linuxfb|minimalegl|vkkhrdisplay|vnc)\.so",
    r"^PySide6/(Qt/)?plugins/platforminputcontexts/(lib)?qtvirtualkeyboard",
    r"^PySide6/Qt/plugins/platformthemes/libqgtk3",
    r"(^|/)(lib)?Qt6(Egl\w+|Pdf|Qml\w*|Quick\w*|Sql|Test|VirtualKeyboard\w*)\.(so|dll)",
    r"^PySide6/(Qt/)?translations/(?!qt(base)?_(en|zh_CN)\.qm)",
    r"^lib(cudart|jpeg)\.so[.0-9]*$",  # wanted by a CUDA build and by the GTK theme only, both absent
]

# Libraries of the desktop that must be the host's own: a copy older than the host's drivers, font caches or
# display server breaks them. The Debian package depends on them. Whole names, because a loose prefix would also
# catch the renamed copies that wheels carry (libXau-<hash>.so in Pillow).
HOST_LIBRARIES = re.compile(
    r"^lib(stdc\+\+|gcc_s|X11|X11-xcb|Xau|Xdmcp|Xext|Xrender|xcb(-[a-z0-9]+)*|xkbcommon(-x11)?|fontconfig|freetype"
    r"|expat|dbus-1|systemd|glib-2\.0|gio-2\.0|gobject-2\.0|gmodule-2\.0|gthread-2\.0|selinux|mount|blkid"
    r"|gdk_pixbuf-2\.0|pango[a-z0-9]*-1\.0|cairo(-gobject)?|atk-1\.0|harfbuzz|fribidi|thai|datrie|graphite2"
    r"|pixman-1|GL|EGL|GLX|GLdispatch|OpenGL|drm|gbm|wayland-(client|cursor|egl|server)|png16|brotli(common|dec)"
    r"|bsd|md|cap|gcrypt|gpg-error|lz4|zstd|pcre2-8|pcre)\.so(\.[0-9]+)*$"
)

# Of the models and pipelines in these packages, those that diffusion models of data/pipeline_lines.py reach, and
# what their modules import with them. The others are two thirds of the packages.
KEPT_PARTS = {
    "transformers.models": {
        "auto", "clip", "dinov2_with_registers", "encoder_decoder", "siglip", "t5", "vit_mae",
    },
    "diffusers.pipelines": {
        "auto_pipeline", "flux", "free_init_utils", "free_noise_utils", "onnx_utils", "pipeline_flax_utils",
        "pipeline_loading_utils", "pipeline_utils", "pixart_alpha", "stable_diffusion", "stable_diffusion_3",
        "stable_diffusion_xl", "transformers_loading_utils",
    },
}  # fmt: skip


def unused_parts() -> list[str]:
    """Return the modules of the packages in KEPT_PARTS that nobody here reaches."""
    unused = []
    for package, kept in KEPT_PARTS.items():
        found = importlib.util.find_spec(package)
        assert found is not None and found.submodule_search_locations is not None, package
        names = {path.stem for place in found.submodule_search_locations for path in Path(place).iterdir()}
        unused += [f"{package}.{name}" for name in sorted(names - kept) if not name.startswith("_")]
    return unused


_DROPPED = [re.compile(pattern) for pattern in DROPPED_FILES]


def is_wanted(destination: str, *, linux: bool = True) -> bool:
    """Tell whether a file belongs into the bundle; destination is its path there, with either kind of slash."""
    path = destination.replace("\\", "/")
    if any(pattern.search(path) for pattern in _DROPPED):
        return False
    return not (linux and HOST_LIBRARIES.match(path))


def wanted(entries: Iterable[TocEntry], *, linux: bool = True) -> list[TocEntry]:
    """Return the entries that belong into the bundle."""
    return [entry for entry in entries if is_wanted(entry[0], linux=linux)]


def version_resource(version: str) -> Any:
    """Return what Windows shows of a program under “Details” and in its task manager."""
    from PyInstaller.utils.win32 import versioninfo as win

    texts = {
        "CompanyName": "AIGC Desktop developers", "FileDescription": "AIGC Desktop", "FileVersion": version,
        "LegalCopyright": "AIGC Desktop developers, Apache-2.0", "ProductName": "AIGC Desktop",
        "ProductVersion": version,
    }  # fmt: skip
    numbers = (*(int(number) for number in re.findall(r"\d+", version)[:3]), 0)
    table = win.StringTable("040904B0", [win.StringStruct(name, text) for name, text in texts.items()])
    return win.VSVersionInfo(
        ffi=win.FixedFileInfo(filevers=numbers, prodvers=numbers),
        kids=[win.StringFileInfo([table]), win.VarFileInfo([win.VarStruct("Translation", [0x0409, 0x04B0])])],
    )


def duplicates(folder: Path, minimum_bytes: int = 1_000_000) -> dict[str, list[Path]]:
    """Return big files that lie in the bundle twice, of one name and size (a second libtorch costs 444 MB)."""
    places: dict[tuple[str, int], list[Path]] = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.stat().st_size >= minimum_bytes:
            places.setdefault((path.name, path.stat().st_size), []).append(path)
    return {name: paths for (name, _size), paths in places.items() if len(paths) > 1}


def strip_symbols(folder: Path) -> int:
    """Strip the libraries that ship with symbols; return the bytes saved.

    Only these: the other wheels are either stripped already or patched by auditwheel in ways that strip can break.
    """
    saved = 0
    for pattern in (
        "torch/lib/libtorch_cpu.so",
        "torch/lib/libtorch_python.so",
        "libpython3*.so*",
        "python3.*/lib-dynload/*.so",
    ):
        for path in folder.glob(pattern):
            before = path.stat().st_size
            subprocess.run(["strip", "--strip-unneeded", str(path)], check=True)
            saved += before - path.stat().st_size
    return saved
