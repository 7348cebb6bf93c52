"""Put back what trainings set for the whole process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def own_number_formats() -> Iterator[None]:
    """Hypothesis refuses to draw floats while subnormal numbers are flushed to zero, as trainings ask for."""
    torch.set_flush_denormal(False)
    threads = torch.get_num_threads()
    yield
    torch.set_flush_denormal(False)
    torch.set_num_threads(threads)
