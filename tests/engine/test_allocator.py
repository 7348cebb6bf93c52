"""The settings belong to a whole process, so each test has one of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="glibc is what is set")

PROGRAM = """
import resource, torch
from aigc_desktop.engine.allocator import keep_freed_memory, return_freed_memory

def faults(rounds=20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _round in range(rounds):
        torch.ones(4 << 20)  # 16 MiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident_mb():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 1e6

torch.set_num_threads(1)
fresh = faults()
keep_freed_memory()
faults(2)
kept = faults()
held = resident_mb()
return_freed_memory()
print(fresh, kept, held - resident_mb())
"""


def test_freed_memory_is_used_again_and_given_back_at_the_end():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    fresh, kept, returned = map(float, done.stdout.split())
    assert kept < fresh / 5
    assert returned > 14
