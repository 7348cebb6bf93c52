"""The PDF of a report: it opens, and holds pages, pictures and foreign texts."""

import re
import sys
import zlib
from dataclasses import replace

import numpy as np
import pytest

from aigc_desktop.core import paths
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Result, Sample
from aigc_desktop.core.i18n import set_language
from aigc_desktop.core.report import Copied
from aigc_desktop.data.recorder import record
from aigc_desktop.export.report_pdf import write_pdf
from tests.core.test_report import REPORT


def evaluation_of(workspace, report):
    evaluation = workspace.new_run("evaluate.run", {"run": "x"}, "cups", parent="evaluations")
    list(record(evaluation, [
        Sample(0, np.random.default_rng(0).integers(0, 255, (4, 8, 8, 3), np.uint8)),
        Result("evaluation", report.plain()),
    ]))  # fmt: skip
    return evaluation


def pages_of(data: bytes) -> int:
    """Return the number of pages that the file counts, also in its compressed objects."""
    unpacked = [data]
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL):
        try:
            unpacked.append(zlib.decompress(stream))
        except zlib.error:
            continue
    counts = [int(count) for part in unpacked for count in re.findall(rb"/Count (\d+)", part)]
    return max(counts, default=0)


def test_the_pdf_opens_and_has_pages(workspace, tmp_path):
    long = "文 <script>alert(1)</script> " * 400
    report = replace(REPORT, samples=[long] * 8, copied=[Copied(long, 0, 5, long, 0, 5, 3)], title="杯子 <b>x</b>")
    for language in ("en", "zh_CN"):
        set_language(language)
        target = tmp_path / f"{language}.pdf"
        write_pdf(evaluation_of(workspace, report), target)
        data = target.read_bytes()
        assert data.startswith(b"%PDF-1.") and data.rstrip().endswith(b"%%EOF")
        assert pages_of(data) >= 3 and b"/Image" in data
    assert list(tmp_path.glob("*.partial")) == []


@pytest.mark.parametrize("helper", ["import sys; sys.exit(3)", "print('%PDF-1.4 half')"])
def test_a_helper_that_fails_leaves_no_file_and_says_what_to_do(workspace, tmp_path, monkeypatch, helper):
    monkeypatch.setattr(paths, "command", lambda: [sys.executable, "-c", helper])
    with pytest.raises(UserError, match="could not be made") as error:
        write_pdf(evaluation_of(workspace, REPORT), tmp_path / "a.pdf")
    assert "HTML" in error.value.hint
    assert list(tmp_path.glob("a.pdf*")) == []
