"""Make a picture of every page in both languages, both themes and two sizes, to be looked at.

    python packaging/screenshots.py OUT [WORKSPACE]

WORKSPACE is a folder with real work in it; without one a small one is made from the bundled samples.
"""

from __future__ import annotations

import json
import math
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from PIL import Image
from PySide6.QtCore import QCoreApplication, QEvent, QPoint
from PySide6.QtGui import QPixmap, QRegion
from PySide6.QtWidgets import QApplication, QWidget

from aigc_desktop.core.dataset import DatasetInfo, write_info
from aigc_desktop.core.files import write_json
from aigc_desktop.core.i18n import set_language
from aigc_desktop.core.paths import resources
from aigc_desktop.core.settings import Preferences
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.catalog import describe_catalogue
from aigc_desktop.engine.host import execute
from aigc_desktop.ui.language import use_language
from aigc_desktop.ui.main_window import MainWindow
from aigc_desktop.ui.theme import Theme
from tests.fakes import FakeJobCenter

SIZES = {100: (1280, 720), 200: (1280, 720)}


def main(out: Path, folder: Path | None) -> None:
    """Write OUT/<language>-<theme>-<scale>-<page>.png for all of them."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["AIGC_DESKTOP_CONFIG"] = str(Path(home) / "config")
        os.environ["AIGC_DESKTOP_CACHE"] = str(Path(home) / "cache")
        workspace = Workspace.open(folder or Path(home) / "Studio 工作室")
        if folder is None:
            fill(workspace)
        out.mkdir(parents=True, exist_ok=True)
        application = QApplication([])
        application.setQuitOnLastWindowClosed(False)
        for language in ("en", "zh_CN"):
            for theme in ("light", "dark"):
                for scale, size in SIZES.items():
                    shoot(application, workspace, Preferences(language=language, theme=theme, scale=scale), size, out)


def shoot(
    application: QApplication, workspace: Workspace, preferences: Preferences, size: tuple[int, int], out: Path
) -> None:
    """Open the window with these preferences and grab each page once it has come to rest."""
    use_language(preferences.language)
    set_language(preferences.language)
    tasks = describe_catalogue()
    jobs = FakeJobCenter(tasks)
    jobs.scripts = {f"{task.key}:plan": execute for task in tasks if task.planned}
    window = MainWindow(workspace, preferences, jobs, Theme(application, preferences))  # type: ignore[arg-type]
    window.resize(*size)
    window.show()
    for place in window.places:
        window.navigate(place)
        settle(application)
        name = f"{preferences.language}-{preferences.theme}-{preferences.scale}-{place}.png"
        window.grab().save(str(out / name))
        area = window.shell.areas[place]
        if area.verticalScrollBar().maximum():
            whole = QPixmap(area.widget().size())
            whole.fill(window.services.theme.colour("window"))
            area.widget().render(whole, QPoint(), QRegion(), QWidget.RenderFlag.DrawChildren)
            whole.save(str(out / name.replace(".png", "-whole.png")))
    window.close()
    window.deleteLater()
    settle(application)


def settle(application: QApplication, seconds: float = 0.4) -> None:
    """Let timers, threads and layouts do what they have to, however long one of them holds the loop."""
    for _round in range(round(seconds / 0.01)):
        application.processEvents()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        time.sleep(0.01)


def fill(workspace: Workspace) -> None:
    """Put the bundled emoji and three runs with curves into the workspace, without training."""
    files = sorted((resources() / "samples" / "emoji").glob("*/*.png"))[::12]
    pictures = np.stack([np.asarray(Image.open(file).convert("RGB").resize((64, 64))) for file in files])
    folder = workspace.new_dataset_folder("Emoji")
    snapshot = folder / "snapshot"
    snapshot.mkdir(parents=True)
    np.save(snapshot / "images.npy", pictures)
    np.save(snapshot / "labels.npy", np.full(len(files), -1, np.int32))
    np.save(snapshot / "split.npy", (np.arange(len(files)) % 10 == 0).astype(np.uint8))
    np.save(snapshot / "rows.npy", np.arange(len(files)))
    records = [{"name": file.name, "source": str(file), "width": 64, "height": 64} for file in files]
    (folder / "items.jsonl").write_text("\n".join(json.dumps(record) for record in records) + "\n", encoding="utf-8")
    write_info(folder, DatasetInfo(
        folder.name, "Emoji", "image", str(files[0].parent), "2026-11-20T10:00:00+00:00", found=len(files),
        usable=len(files), frozen=True, size=64, channels=3, train=len(files) - len(files) // 10,
        validation=len(files) // 10,
    ))  # fmt: skip
    for number, (title, task, status) in enumerate([
        ("Cups, small", "image_gan.train", "finished"), ("杯子 试验 2", "image_gan.train", "stopped"),
        ("Tang poems", "gpt.train", "failed"),
    ]):  # fmt: skip
        run = workspace.new_run(task, {"steps": 2000, "lr": 1e-3 * (number + 1)}, title)
        steps = range(0, 1000 * (number + 1), 10)
        lines = [json.dumps({"step": s, "loss": 2 * math.exp(-s / 400) + 0.1 * math.sin(s)}) for s in steps]
        run.metrics_file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        checkpoint = run.checkpoints_dir / "000500"
        checkpoint.mkdir(parents=True)
        write_json(checkpoint / "MANIFEST.json", {"files": {}})
        run.update(status=status, step=steps[-1], total=3000, seconds=400.0, best="000500", dataset="Emoji")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
