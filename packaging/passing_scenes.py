"""What opens over the pages: the comparison of runs, failures, menus."""

from __future__ import annotations

from PySide6.QtCore import QItemSelectionModel, QPoint
from stage import Stage

from aigc_desktop.core.events import Failed
from aigc_desktop.core.i18n import _
from aigc_desktop.ui.widgets.failure import FailureDialog


def compare(stage: Stage) -> None:
    """Compare two runs of one kind of model, and show a failure with its details."""
    window = stage.window
    window.navigate("runs")
    page = window.pages["runs"]
    stage.settle(1)
    for row in range(min(2, page.filter.rowCount())):
        flags = QItemSelectionModel.SelectionFlag
        page.table.selectionModel().select(page.filter.index(row, 1), flags.Select | flags.Rows)
    page.compare()
    stage.settle(1)
    stage.dialog("runs-compare")
    trace = "".join(f'  File "engine/train.py", line {line}, in step\n' for line in range(40, 60))
    window.show_failure(Failed("OutOfMemory", _("Not enough memory."), "", f"Traceback:\n{trace}"))
    stage.dialog("failure", close=False)
    window.findChild(FailureDialog).details_button.click()
    stage.dialog("failure-details")


def menus(stage: Stage) -> None:
    """Open the menus of a kept work and of a work that was just made."""
    window = stage.window
    window.navigate("library")
    page = window.pages["library"]
    stage.wait(lambda: page.library is not None)
    stage.settle(1)
    page.grid.select_rows([0])
    results = sorted((window.services.workspace.folder / "results").glob("*_image_*"))
    window.navigate("create")
    made = window.pages["create"]
    made._open_result(results[-1])
    made.view.grid.select_rows([0])
    for name, menu in (("library-menu", page.panel.menu([0])), ("create-menu", made.view._menu([0]))):
        menu.popup(window.mapToGlobal(QPoint(300, 200)))
        stage.shoot(name, menu)
        menu.close()
