"""The quality of one picture beside it: score, reasons in words, and the training picture nearest to it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QImage, QPixmap
from PySide6.QtWidgets import QVBoxLayout, QWidget

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _
from aigc_desktop.core.rating import Rating, reasons_text
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.ui.theme import Theme
from aigc_desktop.ui.widgets.controls import button, label
from aigc_desktop.ui.widgets.pictures.checks import on_checks
from aigc_desktop.ui.widgets.pictures.thumbnails import to_image

PICTURE_PX = 128
EDGE = 10  # of 100: fewer of the training pictures than a tenth stand out as much


class QualityPanel(QWidget):
    """Shows a Rating; `compare` when the user wants the nearest training picture under a divider."""

    compare = Signal()

    def __init__(self, theme: Theme, workspace: Workspace) -> None:
        super().__init__()
        self.theme, self.workspace = theme, workspace
        self.nearest = QImage()
        self.score = label("", "title")
        self.score.setToolTip(_("The share of training pictures that stand out at least as much as this one"))
        self.reasons = label("", "body")
        self.near_title = label(_("Nearest training picture"), "card")
        self.picture = label("", wrap=False)
        self.picture.setAccessibleName(_("Nearest training picture"))
        self.nearness = label("", "secondary")
        self.button = button(theme, _("Compare"), "columns-2", "", _("Lay both over each other, with a divider"))
        self.button.clicked.connect(self.compare)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(theme.px(8))
        for widget in (self.score, self.reasons, self.near_title, self.picture, self.nearness, self.button):
            box.addWidget(widget)
        box.addStretch(1)
        self.hide()

    def show_rating(self, rating: Rating | None) -> None:
        """Show what is known of a picture; the panel is hidden for one that was not rated."""
        self.setVisible(rating is not None)
        if rating is None:
            return
        self.score.setText(_("Quality {score} of 100").format(score=round(rating.score)))
        self.reasons.setText(_verdict(rating))
        self.nearest = training_picture(self.workspace, rating)
        there = not self.nearest.isNull()
        if there:
            side = round(self.theme.px(PICTURE_PX) * self.devicePixelRatioF())
            shown = QPixmap.fromImage(
                on_checks(self.nearest.scaled(side, side, Qt.AspectRatioMode.KeepAspectRatio))
            )
            shown.setDevicePixelRatio(self.devicePixelRatioF())
            self.picture.setPixmap(shown)
        self.nearness.setText(
            _("Distance: {ratio} times that of unseen real pictures").format(ratio=f"{rating.nearness:.2g}")
            if there else _("The training pictures are not in this workspace any more.")
        )  # fmt: skip
        self.picture.setVisible(there)
        self.button.setVisible(there)


def _verdict(rating: Rating) -> str:
    """Return what speaks against a picture; a low score alone is no reason, but is not passed over."""
    if found := reasons_text(rating):
        return found[:1].upper() + found[1:]
    if rating.score < EDGE:
        return _("Within the bounds of the training pictures, but at their edge.")
    return _("Nothing against it.")


def training_picture(workspace: Workspace, rating: Rating) -> QImage:
    """Return the nearest training picture, a null image when its data set is gone or has become another one."""
    try:
        pictures = workspace.dataset(rating.dataset).image_map
    except (UserError, OSError):
        return QImage()
    return to_image(pictures[rating.nearest]) if 0 <= rating.nearest < len(pictures) else QImage()
