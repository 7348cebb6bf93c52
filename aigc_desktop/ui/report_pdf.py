"""Be the helper that lays out a report as PDF by Qt, from the content of the HTML file; drawings are sharp pictures."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from PySide6.QtCore import QBuffer, QByteArray, QIODevice, QMarginsF, QUrl
from PySide6.QtGui import (
    QFont,
    QFontDatabase,
    QGuiApplication,
    QImage,
    QPageLayout,
    QPageSize,
    QPainter,
    QPdfWriter,
    QTextDocument,
)
from PySide6.QtSvg import QSvgRenderer

from aigc_desktop.core.i18n import language, set_language
from aigc_desktop.core.paths import resources
from aigc_desktop.core.report import read_report
from aigc_desktop.core.report_words import title_of
from aigc_desktop.core.run import Run
from aigc_desktop.export.report_html import Page, picture_sheets, print_page
from aigc_desktop.export.report_svg import Drawing

SHARPNESS = 3
_FONTS = ("Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", "WenQuanYi Micro Hei")


def main(arguments: list[str]) -> int:
    """Write the report in a folder, in a language, to the output as PDF."""
    set_language(arguments[0])
    if sys.platform == "linux":  # elsewhere every process may open windows, and this one opens none
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
    application = QGuiApplication([])
    folder = Path(arguments[1])
    evaluation = Run(folder, folder.parents[1])
    report = read_report(evaluation.folder)
    sys.stdout.buffer.write(pdf_bytes(print_page(report, picture_sheets(evaluation)), title_of(report)))
    del application
    return 0


def pdf_bytes(page: Page, title: str) -> bytes:
    """Return a page as a PDF on A4."""
    document = QTextDocument()
    document.setDefaultFont(_font())
    for name, drawing in page.drawings.items():
        document.addResource(QTextDocument.ResourceType.ImageResource.value, QUrl(name), _picture(drawing))
    for name, data in page.pictures.items():
        image = QImage.fromData(QByteArray(data))
        document.addResource(QTextDocument.ResourceType.ImageResource.value, QUrl(name), image)
    document.setHtml(page.html)
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    writer = QPdfWriter(buffer)
    writer.setTitle(title)
    writer.setResolution(300)
    writer.setPageSize(QPageSize(QPageSize.PageSizeId.A4))
    writer.setPageMargins(QMarginsF(0, 0, 0, 0), QPageLayout.Unit.Millimeter)  # the document has 2 cm of its own
    document.print_(writer)
    del writer  # which now writes the end of the file
    return bytes(buffer.data().data())


def _picture(drawing: Drawing) -> QImage:
    image = QImage(
        SHARPNESS * drawing.width, SHARPNESS * drawing.height, QImage.Format.Format_ARGB32_Premultiplied
    )
    image.fill(0)
    painter = QPainter(image)
    QSvgRenderer(QByteArray(drawing.svg.encode())).render(painter)
    painter.end()
    return image


def _font() -> QFont:
    font = QFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont))
    found = [name for name in _FONTS if QFontDatabase.hasFamily(name)]
    if not found:
        number = QFontDatabase.addApplicationFont(str(resources() / "fonts" / "NotoSansSC.otf"))
        found = QFontDatabase.applicationFontFamilies(number) if number >= 0 else []
    font.setFamilies([font.family(), *found])
    font.setPointSizeF(9.5)
    if language() == "en":  # Chinese fonts draw “quotes” and · as wide as an ideograph
        font.setFeature(QFont.Tag("palt"), 1)
    return font
