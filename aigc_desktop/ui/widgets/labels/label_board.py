"""What is seen while texts are labelled: filters, the text, its buttons, the list; and the keys that work in them."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QProgressBar, QPushButton, QSplitter, QVBoxLayout, QWidget

from aigc_desktop.core.i18n import N_, _
from aigc_desktop.data.label_index import Counts
from aigc_desktop.data.label_session import MOST_SHOWN, Shown
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.cards import FlowLayout
from aigc_desktop.ui.widgets.controls import ChoiceBox, button, label, set_role
from aigc_desktop.ui.widgets.labels.label_list import LabelList
from aigc_desktop.ui.widgets.labels.marked_text import MarkedText, class_words
from aigc_desktop.ui.widgets.segmented import Segmented

ORIGINS = {
    "none": N_("Not labelled yet"), "imported": N_("As it was imported"),
    "proposed": N_("Proposed, {certainty} certain"), "draft": N_("Begun, not accepted yet"), "accepted": N_("Accepted"),
}  # fmt: skip
ROLES = {"accepted": "good", "proposed": "accent", "draft": "warning"}


class LabelBoard(QWidget):
    """The widgets; `wanted` says that filter or order changed."""

    wanted = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self.kind = Segmented(theme, [("names", _("Names in texts")), ("class", _("Classes of texts"))])
        self.state = self._combo(_("Which texts"), [
            ("any", _("All texts")), ("open", _("Not labelled yet")), ("proposed", _("Proposed")),
            ("done", _("Labelled")),
        ])  # fmt: skip
        self.order = self._combo(
            _("Order"), [("data", _("As in the data")), ("certainty", _("Least certain first"))]
        )  # fmt: skip
        self.counts = label("", "secondary", wrap=False)
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setAccessibleName(_("Labelled"))
        self.given, self.told = label("", "card", wrap=False), label("", "secondary")
        self.text, self.list = MarkedText(theme), LabelList(theme)
        self.accept_button = button(theme, _("Accept"), "check", "primary", _("Accept and go to the next text (Enter)"))
        self.skip_button = button(theme, _("Skip"), "skip-forward", "", _("Leave this text as it is (Ctrl+Down)"))
        self.back_button = button(theme, _("Previous"), "skip-back", "", _("The text before (Ctrl+Up)"))
        self.remove_button = button(
            theme, _("Remove"), "x", "", _("Remove the name at the cursor, or the class (Backspace)")
        )
        self.undo_button = button(theme, _("Undo"), "undo-2", "", _("Take back the last label (Ctrl+Z)"))
        for made in (*self.buttons, self.undo_button):
            made.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # after a click the keys still work in the text
        self._lay_out()
        self.enable(False, False)

    @property
    def buttons(self) -> tuple[QPushButton, ...]:
        """Return the buttons that need a text."""
        return self.accept_button, self.skip_button, self.back_button, self.remove_button

    def enable(self, text: bool, session: bool) -> None:
        """Let the buttons work when there is a text and a session."""
        for made in self.buttons:
            made.setEnabled(text)
        self.undo_button.setEnabled(session)

    def show_counts(self, counts: Counts) -> None:
        """Show how far the labelling is."""
        texts = _("{done} labelled · {proposed} proposed · {open} to do")
        self.counts.setText(
            texts.format(done=f"{counts.done:,}", proposed=f"{counts.proposed:,}", open=f"{counts.open:,}")
        )
        self.bar.setRange(0, max(1, counts.done + counts.proposed + counts.open))
        self.bar.setValue(counts.done)

    def show_text(self, shown: Shown, colours: dict[str, int], *, keep_place: bool) -> None:
        """Show a text with its labels, and where these come from."""
        self.text.show_text(shown.text, shown.spans, colours, keep_place=keep_place)
        told = _(ORIGINS[shown.origin]).format(certainty=f"{shown.certainty:.0%}")
        self.given.setText(class_words(shown.label).strip())
        self.given.setToolTip(shown.label)
        self.given.setVisible(bool(shown.label))
        if not shown.whole:
            told += " · " + _("Only the first {count} letters are shown.").format(count=f"{MOST_SHOWN:,}")
        self.told.setText(told)
        set_role(self.told, role=ROLES.get(shown.origin, "secondary"))

    def show_nothing(self, reason: str) -> None:
        """Show no text, and why."""
        self.text.show_text("", (), {})
        self.given.hide()
        self.told.setText(reason)
        set_role(self.told, role="secondary")

    def _combo(self, name: str, choices: list[tuple[str, str]]) -> QComboBox:
        made = ChoiceBox(name, choices=choices)
        made.activated.connect(self.wanted)
        return made

    def _lay_out(self) -> None:
        theme = self.theme
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.px(8))
        filters, buttons = FlowLayout(theme.px(8)), FlowLayout(theme.px(8))
        for part in (self.kind, self.state, self.order):
            filters.addWidget(part)
        for made in (self.accept_button, self.skip_button, self.back_button, self.remove_button, self.undo_button):
            buttons.addWidget(made)
        box.addLayout(filters)
        progress = QHBoxLayout()
        progress.setSpacing(theme.px(12))
        progress.addWidget(self.counts)
        progress.addWidget(self.bar, 1)
        box.addLayout(progress)
        upper = QWidget()
        above = QVBoxLayout(upper)
        above.setContentsMargins(0, 0, 0, 0)
        above.setSpacing(theme.px(8))
        labels = QHBoxLayout()
        labels.setSpacing(theme.px(12))
        labels.addWidget(self.given)
        labels.addWidget(self.told, 1)
        above.addLayout(labels)
        above.addWidget(self.text, 1)
        above.addLayout(buttons)
        split = QSplitter(Qt.Orientation.Vertical)
        split.setChildrenCollapsible(False)
        split.setHandleWidth(theme.px(12))
        split.addWidget(upper)
        split.addWidget(self.list)
        split.setSizes([300, 150])
        split.setStretchFactor(0, 2)
        split.setStretchFactor(1, 1)
        box.addWidget(split, 1)
