import subprocess
import sys
import types

import pytest


@pytest.mark.parametrize(
    "path",
    [
        "torch/bin/protoc",
        "torch/test/cpp_rpc.so",
        "torch/include/ATen/ATen.h",
        "torch/lib/libtorchbind_test.so",
        "PySide6/Qt/plugins/platforms/libqeglfs.so",
        "PySide6/Qt/plugins/platformthemes/libqgtk3.so",
        "PySide6/Qt/lib/libQt6Quick.so.6",
        "PySide6/Qt6Quick.dll",
        "PySide6\\plugins\\tls\\qschannelbackend.dll",
        "PySide6/translations/qtbase_de.qm",
        "PySide6/Qt/translations/qtbase_de.qm",
        "libstdc++.so.6",
        "libX11.so.6",
        "libxcb-cursor.so.0",
        "libglib-2.0.so.0",
        "torch\\bin\\protoc.exe",
    ],
)
def test_what_nobody_opens_or_the_host_must_bring_is_left_out(bundle, path):
    assert not bundle.is_wanted(path)


@pytest.mark.parametrize(
    "path",
    [
        "torch/bin/torch_shm_manager",
        "torch/lib/libtorch_cpu.so",
        "torch/lib/libgomp.so.1",
        "PySide6/Qt/plugins/platforms/libqxcb.so",
        "PySide6/Qt/plugins/platforms/libqoffscreen.so",
        "PySide6/Qt/lib/libQt6OpenGL.so.6",
        "PySide6/Qt/translations/qtbase_zh_CN.qm",
        "pillow.libs/libXau-154567c4.so.6.0.0",
        "pillow.libs/libfreetype-0ab1.so.6",
        "libcrypto.so.3",
        "PySide6/plugins/platforms/qwindows.dll",
        "PySide6/Qt6Gui.dll",
        "PySide6/translations/qtbase_zh_CN.qm",
        "resources/samples/texts/LICENSE-MIT-chinese-poetry.txt",
        "resources/icons/app.svg",
    ],
)
def test_what_the_app_opens_stays(bundle, path):
    assert bundle.is_wanted(path)


def test_other_systems_keep_their_libraries(bundle):
    assert bundle.wanted([("libX11.so.6", "/usr/lib/libX11.so.6", "BINARY")], linux=False)


def test_windows_shows_name_and_version_of_the_programs(bundle, monkeypatch):
    for name in ("pefile", "win32api"):  # read and write programs, which is not done here
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setattr("PyInstaller.compat.win32api", sys.modules["win32api"], raising=False)
    told = bundle.version_resource("1.2.3")
    assert told.ffi.fileVersionMS == 0x0001_0002 and told.ffi.fileVersionLS == 0x0003_0000
    assert "AIGC Desktop".encode("utf-16-le") in told.toRaw()


def test_no_excluded_module_is_imported_by_the_app(bundle, root):
    """An excluded module is missing in the frozen app only, where no test but the self-check would meet it."""
    pattern = "|".join(name.replace(".", r"\.") for name in bundle.EXCLUDED_MODULES)
    found = subprocess.run(
        ["grep", "-rnE", rf"^ *(import|from) ({pattern})( |\.|$)", str(root / "aigc_desktop"), "--include=*.py"],
        capture_output=True,
        text=True,
    )
    assert found.stdout == ""


def test_a_second_copy_of_a_big_library_is_found(bundle, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "libtorch_cpu.so").write_bytes(bytes(2_000))
    (tmp_path / "b" / "small.txt").write_text("x")
    (tmp_path / "link.so").symlink_to("a/libtorch_cpu.so")
    assert list(bundle.duplicates(tmp_path, minimum_bytes=1_000)) == ["libtorch_cpu.so"]
    (tmp_path / "b" / "libtorch_cpu.so").write_bytes(bytes(3_000))  # two models may have one name
    assert bundle.duplicates(tmp_path, minimum_bytes=1_000) == {}


WITHOUT = """
import importlib.abc, sys, tempfile
from importlib.machinery import PathFinder
from pathlib import Path

gone = set(sys.argv[1].split(","))


class Finder(importlib.abc.MetaPathFinder):
    find_distributions = staticmethod(PathFinder.find_distributions)

    def find_spec(self, name, path, target=None):
        return None if name in gone else PathFinder.find_spec(name, path, target)


sys.meta_path[:] = [Finder() if finder is PathFinder else finder for finder in sys.meta_path]
from aigc_desktop.core.offline import connection_count, go_offline

go_offline()
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.selfcheck import check_diffusion, diffusion_lines

with tempfile.TemporaryDirectory() as folder:
    workspace = Workspace.open(Path(folder) / "workspace")
    for line in diffusion_lines():
        check_diffusion(workspace, Path(folder) / line, line)
print("connections", connection_count())
"""


def test_diffusion_models_run_without_what_is_left_out_and_without_a_connection(bundle, root):
    gone = ",".join([*bundle.EXCLUDED_MODULES, *bundle.unused_parts()])
    done = subprocess.run([sys.executable, "-c", WITHOUT, gone], capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.endswith("connections 0\n")


def test_of_the_libraries_for_4_bits_those_stay_that_torch_can_use(root):
    hook = (root / "packaging" / "hooks" / "hook-bitsandbytes.py").read_text(encoding="utf-8").partition("\n_CUDA =")[0]
    rules: dict = {}
    exec(hook, rules)
    names = ["cpu.so", "cuda118.so", "cuda128.so", "cuda130.so", "cuda132.dll", "rocm70.so", "xpu2025.so"]

    def used(cuda):
        return [name for name in names if rules["_is_used"](f"/x/bitsandbytes/libbitsandbytes_{name}", cuda)]

    assert used("") == ["cpu.so"]
    assert used("12.6") == ["cpu.so", "cuda128.so"]
    assert used("13.0") == ["cpu.so", "cuda130.so", "cuda132.dll"]
