import subprocess
import sys
from pathlib import Path

import pytest

from aigc_desktop.core.claim import claim, claimed
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.events import Failed, Finished, Progress
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.recorder import record

HOLDER = """
import sys
from pathlib import Path
from aigc_desktop.core.claim import claim
with claim(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_run_is_claimed_by_one(tmp_path: Path) -> None:
    assert not claimed(tmp_path)
    with claim(tmp_path):
        assert claimed(tmp_path)
        with pytest.raises(UserError, match="Another window"), claim(tmp_path):
            pass
        assert claimed(tmp_path)
    assert not claimed(tmp_path)


def test_a_killed_process_claims_nothing(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        assert claimed(tmp_path)
        holder.kill()
        holder.wait()
        assert not claimed(tmp_path)


def test_a_run_left_by_a_crash_is_called_interrupted(workspace: Workspace) -> None:
    run = workspace.new_run("gpt.train", {})
    run.update(status="running")
    assert run.info.status == "interrupted"
    with claim(run.folder):
        assert run.info.status == "running"


def test_a_second_training_of_a_run_leaves_the_first_alone(workspace: Workspace) -> None:
    run = workspace.new_run("gpt.train", {})
    first = record(run, iter([Progress(1, 2), Finished()]))
    next(first)
    second = list(record(run, iter([Progress(2, 2), Finished()])))
    assert [type(event) for event in second] == [Failed] and "Another window" in second[0].message  # type: ignore[attr-defined]
    assert run.info.status == "running" and not (run.folder / "failure.txt").exists()
    assert [type(event) for event in first] == [Finished]
    assert run.info.status == "finished"
