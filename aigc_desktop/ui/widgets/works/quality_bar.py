"""Which works of a batch are shown and in what order: by quality, without what did not pass, or only that."""

from __future__ import annotations

from collections.abc import Collection

from PySide6.QtCore import SignalInstance
from PySide6.QtWidgets import QCheckBox, QPushButton

from aigc_desktop.core.i18n import _
from aigc_desktop.core.rating import counts_text
from aigc_desktop.ui.widgets.controls import ChoiceBox
from aigc_desktop.ui.works import Batch, Work


class QualityBar:
    """Three controls for the bar of a view of works, and the places that they let through."""

    def __init__(self) -> None:
        self.hide_box = QCheckBox(_("Hide rejected"))
        self.hide_box.setToolTip(_("Show only what was not rejected"))
        self.order = ChoiceBox(
            _("Order of the works"), _("The order of the works: as they were made, or by their quality"),
            [("made", _("As made")), ("best", _("Best first"))],
        )  # fmt: skip
        self.failed = QPushButton()
        self.failed.setCheckable(True)
        self.refresh(None)

    @property
    def changes(self) -> tuple[SignalInstance, ...]:
        """Return the signals after which other works are to be shown."""
        return (self.hide_box.toggled, self.order.currentIndexChanged, self.failed.toggled)

    @property
    def sorted(self) -> bool:
        """Return whether new works may come anywhere, not just at the end."""
        return bool(self.order.currentData() == "best")

    def refresh(self, batch: Batch | None) -> None:
        """Offer what the batch has: an order where there are ratings, the failed ones where there are any."""
        works = batch.works if batch else []
        against = [work.rating for work in works if work.failed and work.rating is not None]
        count = len(against)
        self.failed.setText(_("Did not pass: {count}").format(count=count))
        self.failed.setAccessibleName(self.failed.text())
        tip = _("Show what “Only good ones” rejected, with the reasons")
        self.failed.setToolTip(f"{tip}\n{counts_text(against)}")
        self.failed.setVisible(count > 0)
        self.order.setVisible(any(work.rating is not None for work in works))
        if not count:
            self.failed.setChecked(False)

    def places(self, batch: Batch, among: Collection[int]) -> list[int]:
        """Return which of the places in `among` are to be shown, in order."""
        chosen = [place for place in among if self._wanted(batch, place)]
        return sorted(chosen, key=lambda place: -_score(batch.works[place])) if self.sorted else chosen

    def _wanted(self, batch: Batch, place: int) -> bool:
        if batch.works[place].failed != self.failed.isChecked():
            return False
        return not (self.hide_box.isChecked() and batch.marks.get(place) == "rejected")


def _score(work: Work) -> float:
    """Return the score to sort by; what is good comes before anything with a reason against it."""
    if work.rating is None:
        return -1.0
    return work.rating.score + (1000.0 if work.rating.good else 0.0)
