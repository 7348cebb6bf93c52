"""A report as PDF, laid out by Qt from the content of the HTML file; drawings are pictures of three times the size."""

from __future__ import annotations

import os
from pathlib import Path

from PySide6.QtCore import QBuffer, QByteArray, QEventLoop, QIODevice, QMarginsF, QUrl
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

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.files import atomic_file
from aigc_desktop.core.i18n import _, language
from aigc_desktop.core.paths import resources
from aigc_desktop.core.report import read_report
from aigc_desktop.core.report_words import title_of
from aigc_desktop.core.run import Run
from aigc_desktop.export.report_html import Page, picture_sheets, print_page
from aigc_desktop.export.report_svg import Drawing

SHARPNESS = 3
_FONTS = ("Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", "WenQuanYi Micro Hei")


def write_pdf(evaluation: Run, target: Path) -> None:
    """Write the report of an evaluation as PDF, whole or not at all; a Qt application is made when there is none."""
    application = QGuiApplication.instance() or _headless()
    report = read_report(evaluation.folder)
    data = pdf_bytes(print_page(report, picture_sheets(evaluation)), title_of(report))
    del application
    with atomic_file(target) as out:
        out.write(data)


def pdf_bytes(page: Page, title: str) -> bytes:
    """Return a page as a PDF on A4; any thread may do this."""
    timers = QEventLoop()  # a layout starts timers, which a thread that Python made has not by itself
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
    del writer, document, timers  # the writer now writes the end of the file
    data = bytes(buffer.data().data())
    if not data.rstrip().endswith(b"%%EOF"):
        raise UserError(_("The PDF could not be made."), _("Save the report as HTML and print that."))
    return data


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


def _headless() -> QGuiApplication:
    """Return an application without a screen, for the command line."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    return QGuiApplication([])
