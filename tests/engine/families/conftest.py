"""Keep validation of tiny trainings tiny."""

from __future__ import annotations

import pytest

from aigc_desktop.engine.pictures import common as pictures


@pytest.fixture(autouse=True, scope="package")
def few_measured_pictures():
    before, pictures.MOST_MEASURED = pictures.MOST_MEASURED, 16
    yield
    pictures.MOST_MEASURED = before
