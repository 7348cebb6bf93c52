"""Write the report of an evaluation as PDF: Qt lays it out in a helper process, on a main thread of its own.

The helper is this program started with `--pdf`: the language and the folder are its arguments, the file its output.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.files import atomic_file
from aigc_desktop.core.i18n import _, language
from aigc_desktop.core.report import read_report
from aigc_desktop.core.run import Run
from aigc_desktop.export.helper import ask_helper

_LAST = b"%%EOF"


def write_pdf(evaluation: Run, target: Path) -> None:
    """Write the PDF whole or not at all; UserError when it cannot be made."""
    read_report(evaluation.folder)  # says what is wrong with it better than the helper can
    try:
        data = ask_helper(["--pdf", language(), str(evaluation.folder)])
    except subprocess.SubprocessError as error:
        raise _no_pdf() from error
    if not data.rstrip().endswith(_LAST):
        raise _no_pdf()
    with atomic_file(target) as out:
        out.write(data)


def _no_pdf() -> UserError:
    return UserError(_("The PDF could not be made."), _("Save the report as HTML and print that."))
