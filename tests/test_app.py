"""The start of the window as a process: arguments, workspace, a clean end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aigc_desktop.app import choose_input_method, need_workspace, read_arguments
from aigc_desktop.core import paths
from aigc_desktop.core.settings import Preferences, load_preferences, save_preferences
from aigc_desktop.core.workspace import Workspace


def test_arguments_name_files_and_workspace(tmp_path, monkeypatch):
    monkeypatch.delenv("AIGC_DESKTOP_WORKSPACE")
    assert read_arguments(["--workspace", str(tmp_path), "a.png", "杯子"]) == [Path("a.png"), Path("杯子")]
    assert paths.chosen_workspace("/elsewhere") == tmp_path


def test_the_environment_goes_before_the_preferences(tmp_path, monkeypatch):
    monkeypatch.setenv("AIGC_DESKTOP_WORKSPACE", str(tmp_path))
    assert paths.chosen_workspace("/elsewhere") == tmp_path
    monkeypatch.delenv("AIGC_DESKTOP_WORKSPACE")
    assert paths.chosen_workspace("/elsewhere") == Path("/elsewhere")


CLOSE_SOON = """
import sys
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
import aigc_desktop.app as app
real = app.make_application
def make(arguments):
    application = real(arguments)
    QTimer.singleShot(1500, application.closeAllWindows)
    return application
app.make_application = make
sys.exit(app.main(sys.argv[1:]))
"""


LOADED_AT_THE_PAINT = """
import os
import sys
import aigc_desktop.app as app
class Window(app.MainWindow):
    def __init__(self, *parts):
        super().__init__(*parts)
        self.painted.connect(self.tell)
    def tell(self):
        print(*{name.partition(".")[0] for name in sys.modules}, flush=True)
        os._exit(0)
app.MainWindow = Window
sys.exit(app.main(sys.argv[1:]))
"""
HEAVY = {
    "PIL", "email", "multiprocessing", "numpy", "psutil", "pydantic", "pyqtgraph", "sqlite3", "tokenizers", "torch",
    "transformers",
}  # fmt: skip


def test_nothing_heavy_is_loaded_before_the_window_is_painted(tmp_path):
    workspace = Workspace.open(tmp_path)
    workspace.new_run("image_vae.train", {}, "A run that the first page lists")
    save_preferences(Preferences(theme="dark"))
    done = subprocess.run(
        [sys.executable, "-c", LOADED_AT_THE_PAINT, "--workspace", str(tmp_path)],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"}, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    loaded = set(done.stdout.split())
    assert {"PySide6", "aigc_desktop"} <= loaded
    assert not loaded & HEAVY


def test_the_window_opens_and_closes_with_code_0(tmp_path):
    save_preferences(Preferences(language="zh_CN"))
    done = subprocess.run(
        [sys.executable, "-c", CLOSE_SOON, "--workspace", str(tmp_path / "工作区")],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "工作区" / "runs").is_dir()


@pytest.mark.parametrize("variable", ["AIGC_DESKTOP_CONFIG", "AIGC_DESKTOP_CACHE"])
def test_the_window_opens_where_settings_or_logs_cannot_be_written(tmp_path, monkeypatch, variable):
    (tmp_path / "file").touch()
    monkeypatch.setenv(variable, str(tmp_path / "file" / "below"))
    done = subprocess.run(
        [sys.executable, "-c", CLOSE_SOON, "--workspace", str(tmp_path / "work")],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert (tmp_path / "work" / "runs").is_dir()


QUIT_WHEN_ASKED = """
import sys
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QLabel
import aigc_desktop.app as app
real = app.make_application
def quit_box():
    box = QApplication.activeModalWidget()
    if box is None:
        QTimer.singleShot(50, quit_box)
        return
    print(*[label.text() for label in box.findChildren(QLabel)], box.buttons["quit"].text(), flush=True)
    box.buttons["quit"].click()
def make(arguments):
    application = real(arguments)
    QTimer.singleShot(50, quit_box)
    return application
app.make_application = make
sys.exit(app.main(sys.argv[1:]))
"""


def test_a_workspace_that_cannot_be_used_is_asked_for_and_not_a_traceback(tmp_path):
    (tmp_path / "file").touch()
    save_preferences(Preferences(language="zh_CN"))
    done = subprocess.run(
        [sys.executable, "-c", QUIT_WHEN_ASKED, "--workspace", str(tmp_path / "file" / "工作区")],
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen"}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "不能用作工作区" in done.stdout and "退出" in done.stdout


@pytest.mark.parametrize("named", [True, False])
def test_a_workspace_chosen_instead_is_opened_and_remembered_unless_one_was_named(tmp_path, monkeypatch, named):
    (tmp_path / "file").touch()
    if named:
        monkeypatch.setenv("AIGC_DESKTOP_WORKSPACE", str(tmp_path / "file" / "x"))
    else:
        monkeypatch.delenv("AIGC_DESKTOP_WORKSPACE", raising=False)
        monkeypatch.setattr("platformdirs.user_documents_dir", lambda: str(tmp_path / "file"))
    answers = [tmp_path / "file" / "also not", tmp_path / "good"]
    opened = need_workspace(load_preferences(), lambda _error: answers.pop(0))
    assert opened is not None and opened[0].folder == tmp_path / "good" and opened[1] is None
    assert load_preferences().workspace == ("" if named else str(tmp_path / "good"))


def test_fcitx_is_reached_through_ibus_and_other_input_methods_stay():
    for before, after in [
        ({"XMODIFIERS": "@im=fcitx"}, "ibus"), ({"QT_IM_MODULE": "fcitx5"}, "ibus"),
        ({"QT_IM_MODULE": "ibus"}, "ibus"), ({"XMODIFIERS": "@im=none"}, None),
    ]:  # fmt: skip
        choose_input_method(before)
        assert before.get("QT_IM_MODULE") == after


LEAVE_WITH_WORK = """
import sys
import threading
import time
from pathlib import Path
from PySide6.QtCore import QThreadPool
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QApplication, QWidget
from aigc_desktop.app import wait_for_threads
from aigc_desktop.ui.background import Background
def save():
    time.sleep(0.3)
    Path(sys.argv[1]).touch()
def scale_for_ever():
    image = QImage(800, 800, QImage.Format.Format_RGB32)
    while True:
        image.scaled(300, 300)
application = QApplication([])
owner = QWidget()
Background(owner, save, print, print)
QThreadPool.globalInstance().start(threading.current_thread)  # as the log does on threads of Qt
if sys.argv[2] == "endless":
    Background(owner, scale_for_ever, print, print)
time.sleep(0.1)
wait_for_threads(7, 1.0)
sys.exit(7)
"""


@pytest.mark.parametrize("work", ["short", "endless"])
def test_the_program_ends_in_good_order_while_something_works_beside_the_window(tmp_path, work):
    saved = tmp_path / "saved"
    done = subprocess.run(
        [sys.executable, "-c", LEAVE_WITH_WORK, str(saved), work], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (7, "") and saved.exists()
