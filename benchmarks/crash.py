"""Kill the window's side or the engine at random moments of a training, again and again, and go on each time.

A straight run is the yardstick: the losses of every step, as the bits of their floats, and the final weights must be
the same. `python -m benchmarks.crash` kills 30 times; the tests do it less often.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from aigc_desktop.core.files import sha256_file
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace

HOST = """
import sys
from pathlib import Path
from aigc_desktop.core import paths
from aigc_desktop.core.engine_process import EngineProcess
from aigc_desktop.core.run import Run
from aigc_desktop.core.request import JobRequest
run = Run(Path(sys.argv[1]), Path(sys.argv[2]))
engine = EngineProcess(paths.command(), Path(sys.argv[2]) / "engine.log")
print("engine", engine.pid, flush=True)
engine.begin()
for event in engine.events(JobRequest(run.info.task, run.config_values, sys.argv[2], str(run.folder))):
    print(type(event).__name__, getattr(event, "message", ""), getattr(event, "details", ""), flush=True)
engine.close()
engine.process.wait()
"""
VALUES = {
    "layers": 1, "width": 16, "heads": 1, "context": 16, "batch_size": 1, "log_every": 1, "checkpoint_every": 50,
    "sample_every": 0, "validate_every": 500, "patience": 0, "device": "cpu", "threads": 1, "precision": "float32",
}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What came of the killed training, compared with the straight one."""

    kills: int
    same_losses: bool
    same_weights: bool
    orphans: int
    longest_wait_s: float


def survive(folder: Path, kills: int, steps: int, seed: int = 0) -> Outcome:
    """Train straight and train with kills; return whether both came to the same."""
    workspace = Workspace.open(folder)
    dataset = _import_texts(workspace)
    straight = _new_run(workspace, dataset, steps)
    _finish(straight)
    killed = _new_run(workspace, dataset, steps)
    generator = random.Random(seed)
    done = orphans = 0
    longest = 0.0
    while done < kills and killed.info.status != "finished":
        with _host(killed) as host:
            engine = psutil.Process(int(host.stdout.readline().split()[1]))
            _wait_for(host, "Metric")
            time.sleep(generator.uniform(0, 0.5))
            os.kill(host.pid if done % 2 else engine.pid, signal.SIGKILL)
            start = time.monotonic()
            orphans += not _gone(engine, 5.0)
            longest = max(longest, time.monotonic() - start)
            host.stdout.read()
        done += 1
    _finish(killed)
    return Outcome(done, _losses(straight) == _losses(killed), _weights(straight) == _weights(killed), orphans, longest)


def _import_texts(workspace: Workspace) -> str:
    texts = workspace.folder / "texts.txt"
    texts.write_text("\n".join(f"line {n}: to be or not to be {n * n}" for n in range(200)), encoding="utf-8")
    command = [sys.executable, "-m", "aigc_desktop", "data", "import", str(texts), "--title", "texts"]
    subprocess.run([*command, "--workspace", str(workspace.folder)], check=True, capture_output=True)
    return "texts"


def _new_run(workspace: Workspace, dataset: str, steps: int) -> Run:
    return workspace.new_run("gpt.train", {**VALUES, "dataset": dataset, "steps": steps})


def _host(run: Run) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOST, str(run.folder), str(run.workspace)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _finish(run: Run) -> None:
    with _host(run) as host:
        told = host.stdout.read()
    assert "Finished" in told, told


def _wait_for(host: subprocess.Popen[str], word: str) -> None:
    for line in host.stdout:
        assert not line.startswith("Failed"), line + host.stdout.read()
        if line.startswith(word):
            return


def _gone(process: psutil.Process, patience_s: float) -> bool:
    """Return whether the engine ends within the time when its window is gone."""
    try:
        process.wait(patience_s)
    except psutil.TimeoutExpired:
        process.kill()
        return False
    except psutil.NoSuchProcess:
        pass
    return True


def _losses(run: Run) -> list[tuple[float, str]]:
    return [(row["step"], row["loss"].hex()) for row in run.metrics() if "loss" in row]


def _weights(run: Run) -> str:
    return sha256_file(run.checkpoint("last") / "model.safetensors")


def main() -> None:
    from benchmarks.report import figure, write

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--steps", type=int, default=6000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        outcome = survive(Path(name), options.kills, options.steps)
    print(json.dumps(outcome.__dict__))
    write("crash", [
        figure("crash.kills", outcome.kills, "kills", ">= 30", outcome.kills >= 30),
        figure("crash.same_losses", outcome.same_losses, "", "1", outcome.same_losses),
        figure("crash.same_weights", outcome.same_weights, "", "1", outcome.same_weights),
        figure("crash.orphans", outcome.orphans, "processes", "0", outcome.orphans == 0),
        figure("crash.engine_leaves_s", outcome.longest_wait_s, "s", "<= 5", outcome.longest_wait_s <= 5),
    ])  # fmt: skip


if __name__ == "__main__":
    main()
