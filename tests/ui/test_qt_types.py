"""Qt's classes are made on the main thread before pyqtgraph names them on another."""

from __future__ import annotations

import subprocess
import sys

ORDER = """
import threading
from PySide6 import QtWidgets
from aigc_desktop.ui import qt_types
from aigc_desktop.ui.widgets.plots import metric_plot

found = []
class Late(threading.Thread):
    def start(self):
        found.append(len(qt_types._left))
        super().start()
metric_plot.threading.Thread = Late
assert qt_types._left
steps = qt_types.make_types()
next(steps)
while not metric_plot.preload():
    pass
assert found == [0], found
assert list(steps) == []
"""


def test_plots_are_loaded_on_a_thread_only_when_the_classes_are_there():
    subprocess.run([sys.executable, "-c", ORDER], check=True, timeout=60)
