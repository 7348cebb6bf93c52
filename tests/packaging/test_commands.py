import os
import re
import shutil
import subprocess
import tomllib

import pytest
from packaging.requirements import Requirement

TARGETS = ["run", "test", "package", "bench", "lint", "screenshots", "locale", "clean"]


@pytest.mark.parametrize("target", TARGETS)
def test_make_knows_the_target(root, target):
    done = subprocess.run(["make", "--dry-run", target], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_script_of_a_target_is_there_and_may_be_run(root):
    for name in re.findall(r"packaging/\w+\.\w+", (root / "Makefile").read_text(encoding="utf-8")):
        path = root / name
        assert path.is_file(), name
        assert path.suffix == ".py" or os.access(path, os.X_OK), name


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
def test_the_shell_scripts_are_clean(root):
    scripts = [*map(str, (root / "packaging").glob("*.sh")), str(root / ".ci" / "run")]
    done = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_lock_pins_every_dependency_within_its_range(root):
    lines = (root / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for text in sum(project["optional-dependencies"].values(), project["dependencies"]):
        wanted = Requirement(text)
        name = re.sub(r"[-_.]+", "-", wanted.name).lower()
        assert name in pins, f"{name}: run make lock"
        assert pins[name] in wanted.specifier, text
    assert "torchvision" not in pins


def test_a_second_call_of_make_has_nothing_to_set_up(root):
    if not (root / ".venv" / ".stamps" / "run").exists():
        pytest.skip("the environment was not made by make")
    done = subprocess.run(["make", "--dry-run", "run"], cwd=root, capture_output=True, text=True, check=True)
    assert "pip" not in done.stdout


@pytest.mark.skipif(not shutil.which("makensis"), reason="nsis is not installed")
def test_the_windows_installer_compiles(root, tmp_path):
    payload = tmp_path / "payload"
    (payload / "_internal").mkdir(parents=True)
    for name in ("aigc-desktop.exe", "aigc-desktop-cli.exe"):
        (payload / name).write_bytes(b"MZ")
    (payload / "_internal" / "library.dll").write_bytes(b"MZ")
    installer = tmp_path / "aigc-desktop-0.1.0-setup.exe"
    done = subprocess.run(
        ["makensis", "-WX", "-V2", "-DVERSION=0.1.0", f"-DPAYLOAD={payload}", f"-DOUTPUT={installer}",
         str(root / "packaging" / "windows" / "installer.nsi")],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert installer.read_bytes()[:2] == b"MZ"
