"""The log of the window or of the engine: filter by level, search, copy, open the folder."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QLineEdit, QPlainTextEdit, QVBoxLayout, QWidget

from aigc_desktop.core.events import Failed
from aigc_desktop.core.i18n import _
from aigc_desktop.core.logs import LEVELS, LogLine, logs_dir, read_log, scrub
from aigc_desktop.ui.background import Background
from aigc_desktop.ui.reveal import open_outside
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.cards import FlowLayout
from aigc_desktop.ui.widgets.controls import ChoiceBox, button, copy_text


class LogView(QWidget):
    """Shows the end of a log file; reading happens beside the window."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.lines: list[LogLine] = []
        self.source = ChoiceBox(_("Log of"), choices=[("window", _("window")), ("engine", _("engine"))])
        words = {"DEBUG": _("everything"), "INFO": _("notes and worse"), "WARNING": _("warnings and errors"),
                 "ERROR": _("errors only")}  # fmt: skip
        self.level = ChoiceBox(_("Show"), choices=[(level, words[level]) for level in LEVELS])
        self.search = QLineEdit()
        self.search.setPlaceholderText(_("Search the log"))
        self.search.setAccessibleName(_("Search the log"))
        self.search.setToolTip(_("Entries that hold this text"))
        self.search.setClearButtonEnabled(True)
        self.search.setMinimumWidth(theme.px(160))
        self.copy_button = button(theme, _("Copy"), "copy", tip=_("Copy what is shown"))
        self.refresh_button = button(theme, _("Read again"), "refresh-cw", tip=_("Read the log again"))
        self.folder_button = button(theme, _("Open folder"), "folder-open", tip=_("Show the log files"))
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setFont(theme.font("mono"))
        self.text.setMinimumHeight(theme.px(240))
        self.text.setAccessibleName(_("Log"))
        self.text.setToolTip(_("What the program noted, newest at the end; without your user name and folders."))
        row = FlowLayout(theme.px(8))
        for widget in (self.source, self.level, self.search, self.copy_button, self.refresh_button, self.folder_button):
            row.addWidget(widget)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.px(8))
        box.addLayout(row)
        box.addWidget(self.text, 1)
        self.source.activated.connect(self.refresh)
        self.refresh_button.clicked.connect(self.refresh)
        self.level.activated.connect(self.show_lines)
        self.search.textChanged.connect(self.show_lines)
        self.copy_button.clicked.connect(self._copy)
        self.folder_button.clicked.connect(self._open_folder)

    def refresh(self) -> None:
        """Read the chosen log again."""
        path = logs_dir() / f"{self.source.currentData()}.log"
        Background(self, lambda: _lines(path), self._take, self._failed)

    def show_lines(self) -> None:
        """Show the entries of the chosen level and worse that hold the text."""
        worst = LEVELS.index(str(self.level.currentData()))
        wanted = self.search.text().casefold()
        shown = [
            line for line in self.lines
            if (line.level not in LEVELS or LEVELS.index(line.level) >= worst) and wanted in line.text.casefold()
        ]  # fmt: skip
        self.text.setPlainText("\n".join(f"{line.time} {line.level:<8}{line.text}" for line in shown))
        bar = self.text.verticalScrollBar()
        bar.setValue(bar.maximum())

    def _take(self, lines: list[LogLine]) -> None:
        self.lines = lines
        self.show_lines()

    def _failed(self, failed: Failed) -> None:
        self.text.setPlainText(failed.message)

    def _copy(self) -> None:
        copy_text(self.text.toPlainText())

    def _open_folder(self) -> None:
        logs_dir().mkdir(parents=True, exist_ok=True)
        open_outside(logs_dir())


def _lines(path: Path) -> list[LogLine]:
    """Return the entries of a log; lines of the engine's libraries, which have no level, count as notes."""
    entries = read_log(path)
    if entries or not path.is_file():
        return [LogLine(e.time, e.level, e.source, scrub(e.text)) for e in entries]
    text = path.read_text(encoding="utf-8", errors="replace")[-200_000:]
    return [LogLine("", "INFO", "", scrub(line)) for line in text.splitlines()]
