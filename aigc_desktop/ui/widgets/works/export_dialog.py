"""Choose format, folder and names, then export beside the window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QProgressBar,
    QVBoxLayout,
    QWidget,
)

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Failed
from aigc_desktop.core.i18n import _, language, ngettext, sentences
from aigc_desktop.export.label import MARKS
from aigc_desktop.export.piece import LEAST
from aigc_desktop.ui.background import Background
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.widgets.controls import ChoiceBox, button, icon_button, label, spin_box

if TYPE_CHECKING:
    from aigc_desktop.export.piece import Piece


SIZES = (0, LEAST, 512, 1024, 2048)


@dataclass(frozen=True)
class ExportChoice:
    """What the dialog asked for."""

    format: str
    folder: Path
    pattern: str
    quality: int
    least: int
    visible_label: Any
    """A choice of Preferences.picture_label or text_label."""
    fps: int = 12


class ExportDialog(QDialog):
    """Exports works of one kind; `exported` gives the new files. `load` is called on a thread, once a piece.

    `to` is the name of the format that is chosen at first.
    """

    exported = Signal(object)

    def __init__(
        self,
        services: Services,
        kind: Literal["image", "text"],
        loads: Sequence[Callable[[], Piece]],
        parent: QWidget | None = None,
        to: str = "",
    ) -> None:
        super().__init__(parent)
        from aigc_desktop.export.export import formats

        self.services, self.kind, self.loads = services, kind, loads
        self.formats = formats(kind)
        self.task: Background | None = None
        theme = services.theme
        self.setWindowTitle(_("Export"))
        self.setSizeGripEnabled(True)
        self.setMinimumWidth(theme.px(460))
        box = QVBoxLayout(self)
        box.setContentsMargins(*[theme.px(24)] * 4)
        box.setSpacing(theme.px(12))
        self.title = label("", "card")
        box.addWidget(self.title)
        box.addLayout(self._make_form())
        about = _("Each file carries the label for generated content and the settings to make it again.")
        box.addWidget(label(about, "hint"))
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setRange(0, 0)
        self.bar.setAccessibleName(_("Progress"))
        self.bar.hide()
        box.addWidget(self.bar)
        self.problem = label("", "problem")
        self.problem.hide()
        box.addWidget(self.problem)
        box.addStretch(1)
        box.addLayout(self._make_buttons())
        self.format_box.setCurrentIndex(max(0, self.format_box.findData(to)))
        self._format_changed()

    def _make_form(self) -> QFormLayout:
        theme = self.services.theme
        form = QFormLayout()
        form.setSpacing(theme.px(8))
        self.format_box = ChoiceBox()
        for each in self.formats:
            reason = each.missing()
            words = f"{_(each.title)} ({each.ending})"
            self.format_box.addItem(f"{words} — {reason}" if reason else words, each.name)
            if reason:
                model: Any = self.format_box.model()
                model.item(self.format_box.count() - 1).setEnabled(False)
        self.folder_line = QLineEdit(str(self.services.workspace.folder / "exports"))
        browse = icon_button(theme, "folder-open", _("Choose a folder"))
        browse.clicked.connect(self._browse)
        folder = QHBoxLayout()
        folder.addWidget(self.folder_line, 1)
        folder.addWidget(browse)
        self.pattern_line = QLineEdit("{title}")
        self.quality_box, self.fps_box = spin_box(1, 100, 92), spin_box(1, 50, 12)
        self.size_box = ChoiceBox()
        for least in SIZES:
            words = _("At least {size} px").format(size=f"{least:,}") if least else _("As it was made")
            self.size_box.addItem(words, least)
        self.size_box.setCurrentIndex(SIZES.index(LEAST))
        self.label_box = self._make_label_box()
        rows = (
            (_("Format"), self.format_box, self.format_box, _("The kind of file.")),
            (_("Folder"), self.folder_line, folder, _("Files that are there already are never written over.")),
            (_("Names"), self.pattern_line, self.pattern_line,
             _("May hold {names}.").format(names="{title} {seed} {number} {label} {checkpoint}")),
            (_("Quality"), self.quality_box, self.quality_box, _("1 to 100; 92 looks like the original.")),
            (_("Frames per second"), self.fps_box, self.fps_box,
             _("How fast the film runs; 12 is calm, 25 is smooth.")),
            (_("Size"), self.size_box, self.size_box,
             _("Smaller pictures are enlarged smoothly; that adds no details.")),
            (_("Visible AI label"), self.label_box, self.label_box,
             _("Words that tell people, as rules ask where works are published. None: you take care of it yourself; "
               "the label inside the file is always written.")),
        )  # fmt: skip
        for text, control, item, tip in rows:
            title = label(text, wrap=False)
            title.setBuddy(control)
            control.setAccessibleName(text)
            control.setToolTip(tip)
            form.addRow(title, item)
            if control is self.pattern_line:
                self.pattern_hint = label("", "hint")
                form.addRow("", self.pattern_hint)
        self.quality_title = form.labelForField(self.quality_box)
        self.fps_title = form.labelForField(self.fps_box)
        form.setRowVisible(self.size_box, self.kind == "image")
        self.format_box.currentIndexChanged.connect(self._format_changed)
        return form

    def _make_label_box(self) -> QComboBox:
        box, preferences = ChoiceBox(), self.services.preferences
        chosen: str = preferences.picture_label if self.kind == "image" else preferences.text_label
        if self.kind == "image":
            for code, words in MARKS.items():
                box.addItem(_("“{words}” in a corner").format(words=words), code)
        else:
            box.addItem(_("At the end"), "end")
            box.addItem(_("At the beginning"), "start")
        box.addItem(_("None"), "none")
        box.setCurrentIndex(box.findData(language() if chosen == "auto" else chosen))
        box.activated.connect(self._label_chosen)
        return box

    def _label_chosen(self) -> None:
        """Keep the choice for the next export."""
        field = "picture_label" if self.kind == "image" else "text_label"
        changed = replace(self.services.preferences, **{field: self.label_box.currentData()})
        self.services.change_preferences(changed)

    def _make_buttons(self) -> QHBoxLayout:
        theme = self.services.theme
        self.go_button = button(theme, _("Export"), "download", "primary")
        self.go_button.setDefault(True)
        self.go_button.clicked.connect(self.export)
        cancel = button(theme, _("Cancel"))
        cancel.clicked.connect(self.reject)
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(cancel)
        row.addWidget(self.go_button)
        return row

    def choice(self) -> ExportChoice:
        """Return what is chosen."""
        return ExportChoice(
            str(self.format_box.currentData()), Path(self.folder_line.text().strip()).expanduser(),
            self.pattern_line.text().strip() or "{title}", self.quality_box.value(), self.size_box.currentData(),
            self.label_box.currentData(), self.fps_box.value(),
        )  # fmt: skip

    def export(self) -> None:
        """Export on a thread; the dialog closes when it is done, or says what is wrong."""
        if self.task is not None:
            return
        choice, loads, kind = self.choice(), self.loads, self.kind
        self.go_button.setEnabled(False)
        self.problem.hide()
        self.bar.show()
        self.task = Background(self, lambda: export_works(choice, kind, loads), self._done, self._failed)

    def _done(self, files: Any) -> None:
        self.task = None
        text = ngettext("{count} file exported to {folder}", "{count} files exported to {folder}", len(files))
        self.services.notify(text.format(count=len(files), folder=self.choice().folder))
        self.exported.emit(files)
        self.accept()

    def _failed(self, failed: Failed) -> None:
        self.task = None
        self.go_button.setEnabled(True)
        self.bar.hide()
        self.problem.setText(sentences(failed.message, failed.hint))
        self.problem.show()

    def _format_changed(self) -> None:
        chosen = self.format_box.currentData()
        lossy = chosen in ("jpeg", "webp", "svg", "webp-film")
        self.quality_box.setVisible(lossy)
        self.quality_title.setVisible(lossy)
        shape = next((each for each in self.formats if each.name == chosen), None)
        together, film = (shape.together, shape.film) if shape else (False, False)
        self.title.setText(self._what(film))
        self.fps_box.setVisible(film)
        self.fps_title.setVisible(film)
        self.label_box.setEnabled(self.kind == "image" or chosen in ("txt", "docx"))
        names = _("May hold {names}.").format(names="{title} {seed} {number} {label} {checkpoint}")
        about = _("All texts come into one file, named after the first.") if together else names
        about = _("All pictures become one film, named after the first.") if film else about
        self.pattern_line.setToolTip(about)
        self.pattern_hint.setText(about)

    def _what(self, film: bool) -> str:
        count = len(self.loads)
        if self.kind == "text":
            counted = ngettext("{count} text", "{count} texts", count)
        elif film:
            counted = ngettext("a film of {count} picture", "a film of {count} pictures", count)
        else:
            counted = ngettext("{count} picture", "{count} pictures", count)
        return _("Export {what}").format(what=counted.format(count=count))

    def _browse(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, _("Choose a folder"), self.folder_line.text())
        if chosen:
            self.folder_line.setText(chosen)


def export_works(
    choice: ExportChoice, kind: Literal["image", "text"], loads: Sequence[Callable[[], Piece]]
) -> list[Path]:
    """Export works; called on a thread, one picture in memory at a time."""
    from aigc_desktop.export.export import export_pieces, file_stem, format_named
    from aigc_desktop.export.piece import labelled

    to = format_named(choice.format, kind)
    chosen = choice.visible_label
    look = labelled(chosen, "end") if kind == "image" else labelled("none", chosen)
    options = replace(look, quality=choice.quality, least=choice.least, fps=choice.fps)
    if not str(choice.folder).strip(" ."):
        raise UserError(_("No folder is chosen."), _("Choose a folder for the files."))
    if to.together:
        return export_pieces([load() for load in loads], choice.folder, to, choice.pattern, options)
    files = []
    for number, load in enumerate(loads, 1):
        piece = load()
        pattern = file_stem(choice.pattern, piece, number).replace("{", "{{").replace("}", "}}")
        files += export_pieces([piece], choice.folder, to, pattern, options)
    return files
