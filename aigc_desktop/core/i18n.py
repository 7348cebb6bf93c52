"""Texts in the user's language, by gettext: it works in core, engine, window and command line alike.

English is the message itself. `_` translates now; `N_` marks a text that is translated where it is shown.
"""

from __future__ import annotations

import gettext as _gettext
import locale
import os
import sys

from aigc_desktop.core.paths import resources

DOMAIN = "aigc_desktop"
LANGUAGES = {"zh_CN": "简体中文", "en": "English"}

_current: tuple[str, _gettext.NullTranslations] = ("en", _gettext.NullTranslations())


def set_language(language: str) -> str:
    """Use `language` ("zh_CN", "en" or "system") from now on in this process and return the one chosen."""
    global _current
    chosen = system_language() if language == "system" else language
    if chosen not in LANGUAGES:
        raise ValueError(f"no catalogue for language {language!r}")
    folder = resources() / "locale"
    _current = (chosen, _gettext.translation(DOMAIN, folder, [chosen], fallback=chosen == "en"))
    return chosen


def language() -> str:
    """Return the language in use."""
    return _current[0]


def system_language() -> str:
    """Return the catalogue nearest to the user's locale: Chinese for any zh locale, else English."""
    names = [os.environ.get(key, "") for key in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")]
    names = [name for name in names if name] or [_of_windows() or locale.getlocale()[0] or ""]
    return "zh_CN" if names[0].lower().startswith(("zh", "chinese")) else "en"


def _of_windows() -> str:
    """Return the language that Windows shows its own texts in, which need not be that of its formats."""
    if sys.platform != "win32":
        return ""
    import ctypes

    return locale.windows_locale.get(ctypes.windll.kernel32.GetUserDefaultUILanguage(), "")


def _(message: str) -> str:
    """Return `message` in the language in use."""
    return _current[1].gettext(message) if message else ""


def ngettext(one: str, many: str, count: int) -> str:
    """Return the form of a counted text for `count` in the language in use."""
    return _current[1].ngettext(one, many, count)


def sentences(*parts: str) -> str:
    """Return translated sentences one after another; Chinese ones stand without a space between."""
    return ("" if language() == "zh_CN" else " ").join(part for part in parts if part)


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for a text to translate later
    """Mark a text for the catalogues; it is translated by `_` where it is shown."""
    return message
