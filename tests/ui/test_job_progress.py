"""The progress of a job in the words of people."""

from types import SimpleNamespace

from aigc_desktop.core.events import Progress
from aigc_desktop.ui.widgets.job_progress import _detail


def test_bytes_are_told_in_the_unit_that_fits():
    handle = SimpleNamespace(started=0.0)
    words = _detail(handle, Progress(571_520, 12_574_322, unit="B", rate=605_564_856.0))
    assert words.startswith("572 KB of 13 MB · 606 MB per second")
    assert _detail(handle, Progress(5, 1200, unit="pictures", rate=3.0)).startswith("5 of 1,200 pictures · 3 pictures")
