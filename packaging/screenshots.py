"""Make pictures of the window in its many states, with real data and the real engine, to be looked at.

    python packaging/screenshots.py OUT [--workspace FOLDER] [--scenes places train ...] [--looks zh_CN-dark-200 ...]

FOLDER holds real work, of which a copy is used; without one the rehearsal makes some, which takes some minutes.
A look is LANGUAGE-THEME-SCALE; all of them by default, at 1280 × 720, and one more at 1920 × 1200.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import scenes
from PySide6.QtWidgets import QApplication

from aigc_desktop.app import engine_starter
from aigc_desktop.core.i18n import set_language
from aigc_desktop.core.paths import command
from aigc_desktop.core.settings import Preferences
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.ui.jobs import JobCenter
from aigc_desktop.ui.language import use_language
from aigc_desktop.ui.main_window import MainWindow
from aigc_desktop.ui.theme import Theme

LOOKS = ["-".join(parts) for parts in product(("en", "zh_CN"), ("light", "dark"), ("100", "200"))]
LARGE = (1920, 1200)
FRESH = ("empty", "starter")  # scenes that begin with nothing


def main(options: argparse.Namespace) -> None:
    """Write OUT/LOOK-SCENE.png for all looks and scenes."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["AIGC_DESKTOP_CONFIG"] = str(Path(home) / "config")
        os.environ["AIGC_DESKTOP_CACHE"] = str(Path(home) / "cache")
        folder = Path(home) / "Studio 工作室"
        if set(options.scenes) <= set(FRESH):
            Workspace.open(folder)
        elif options.workspace:
            shutil.copytree(options.workspace, folder)
        else:
            subprocess.run([*command(), "rehearse", "--workspace", str(folder), "--seconds", "20"], check=True)
        options.out.mkdir(parents=True, exist_ok=True)
        application = QApplication([])
        application.setQuitOnLastWindowClosed(False)
        for look in options.looks:
            shoot(application, folder, look, (1280, 720), options)
        if "places" in options.scenes:
            options.scenes = ["places"]
            shoot(application, folder, options.looks[0], LARGE, options)


def shoot(
    application: QApplication, folder: Path, look: str, size: tuple[int, int], options: argparse.Namespace
) -> None:
    """Open windows with this look and play all scenes in them."""
    language, theme, scale = look.split("-")
    preferences = Preferences(language=language, theme=theme, scale=int(scale))  # type: ignore[arg-type]
    prefix = look if size != LARGE else f"{look}-large"
    use_language(language)
    set_language(language)
    for workspace, wanted in ((folder, [*scenes.SCENES]), *((folder.with_name(name), [name]) for name in FRESH)):
        played = [name for name in wanted if name in options.scenes and (name in FRESH) == (workspace != folder)]
        if played:
            jobs = JobCenter(engine_starter(preferences))
            window = MainWindow(Workspace.open(workspace), preferences, jobs, Theme(application, preferences))
            window.resize(*size)
            window.show()
            stage = scenes.Stage(window, options.out, prefix)
            jobs.warm_up()
            stage.wait(lambda jobs=jobs: bool(jobs.catalogue))  # type: ignore[misc]
            for name in played:
                scenes.SCENES[name](stage)
            window.close()
            window.deleteLater()
            stage.settle()


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--scenes", nargs="+", default=[*scenes.SCENES], choices=[*scenes.SCENES])
    parser.add_argument("--looks", nargs="+", default=LOOKS, choices=LOOKS)
    return parser.parse_args()


if __name__ == "__main__":
    main(arguments())
