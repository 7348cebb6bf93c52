"""What was made before, newest first, so that nothing is lost after a restart."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.ui.widgets.controls import ChoiceBox

LISTED = 200


class ResultHistory(ChoiceBox):
    """The results of a workspace; `opened` gives the folder of the one the user chose."""

    opened = Signal(object)

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(_("Earlier results"), _("What was made before; everything is kept until you remove it"))
        self.workspace = workspace
        self.setPlaceholderText(_("Earlier results"))
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(16)
        self.activated.connect(self._chosen)

    def fill(self, shown: Path | None) -> None:
        """Read the results again and point at the one that is shown."""
        self.blockSignals(True)
        self.clear()
        for file in sorted((self.workspace.folder / "results").glob("*/run.json"), reverse=True)[:LISTED]:
            run = Run(file.parent, self.workspace.folder)
            try:
                info, config = run.info, run.config_values
            except (UserError, OSError, TypeError):
                continue  # damaged from outside; the others are still worth showing
            seed = f"#{config['seed']}" if "seed" in config else ""
            parts = (info.created[:16].replace("T", " "), info.title, seed)
            self.addItem(" · ".join(part for part in parts if part), str(run.folder))
        self.setCurrentIndex(self.findData(str(shown)) if shown is not None else -1)
        self.setEnabled(self.count() > 0)
        self.blockSignals(False)

    def _chosen(self, _index: int) -> None:
        self.opened.emit(Path(self.currentData()))
