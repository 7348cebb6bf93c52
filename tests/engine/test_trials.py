"""Trials by the clock: the first answer on a machine holds for all processes, whatever happens to its file."""

import os
import subprocess
import sys

import pytest
import torch

from aigc_desktop.core.paths import cache_dir
from aigc_desktop.engine.trials import remembered

ASK = """
import sys
from aigc_desktop.engine.trials import remembered
print(remembered("race", lambda: sys.argv[1] == "yes"))
"""


def files():
    return list((cache_dir() / "trials").iterdir())


def test_the_first_answer_holds():
    assert remembered("speed", lambda: True) and remembered("speed", lambda: False)
    assert not remembered("other", lambda: False) and not remembered("other", lambda: True)
    assert len(files()) == 2


def test_processes_that_try_at_once_agree():
    tries = [
        subprocess.Popen([sys.executable, "-c", ASK, answer], stdout=subprocess.PIPE, text=True)
        for answer in ("yes", "no", "yes", "no")
    ]
    assert len({each.communicate(timeout=120)[0] for each in tries}) == 1
    assert len(files()) == 1


def test_another_torch_is_tried_anew(monkeypatch):
    assert remembered("speed", lambda: True)
    monkeypatch.setattr(torch, "__version__", "9.9")
    assert not remembered("speed", lambda: False)


@pytest.mark.parametrize("content", [b"", b"maybe", bytes(range(128, 255))])
def test_a_damaged_answer_is_found_anew(content):
    remembered("speed", lambda: True)
    (file,) = files()
    file.write_bytes(content)
    assert not remembered("speed", lambda: False)
    assert not remembered("speed", lambda: True)


def test_where_nothing_can_be_kept_each_process_has_its_own(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("AIGC_DESKTOP_CACHE", str(tmp_path / "file"))
    assert remembered("speed", lambda: True) and not remembered("speed", lambda: False)


def test_a_disk_without_links_gets_no_litter(monkeypatch):
    def refuse(*_paths):
        raise PermissionError

    monkeypatch.setattr(os, "link", refuse)
    assert remembered("speed", lambda: True) and not remembered("speed", lambda: False)
    assert files() == []
