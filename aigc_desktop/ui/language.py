"""The language of the window: our texts by gettext, Qt's own buttons by Qt's catalogue."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QLibraryInfo, QTranslator

from aigc_desktop.core.i18n import set_language

_installed: list[QTranslator] = []


def use_language(choice: str) -> str:
    """Use "zh_CN", "en" or "system" for all texts from now on and return the language chosen."""
    chosen = set_language(choice)
    application = QCoreApplication.instance()
    if application is None:
        return chosen
    while _installed:
        application.removeTranslator(_installed.pop())
    translator = QTranslator(application)
    folder = QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath)
    if chosen != "en" and translator.load(f"qtbase_{chosen}", folder):
        application.installTranslator(translator)
        _installed.append(translator)
    return chosen
