"""What a training is between two steps: everything that its loop, its saving and its snapshots work on."""

from __future__ import annotations

import math

from aigc_desktop.core.events import Progress
from aigc_desktop.core.run import Run
from aigc_desktop.engine.training.ema import Averages
from aigc_desktop.engine.training.guard import Guard
from aigc_desktop.engine.training.meters import MetricMeans, Pace, Stopwatch
from aigc_desktop.engine.training.recording import Recorder
from aigc_desktop.engine.training.trainee import TrainConfig, Trainee


class TrainingState:
    """A training between two steps; `snapshot.py` turns it into what a checkpoint holds, and back."""

    def __init__(self, config: TrainConfig, run: Run, trainee: Trainee) -> None:
        self.config, self.run, self.trainee = config, run, trainee
        self.device = trainee.device
        generating = {name: trainee.modules[name] for name in trainee.generates}
        self.averages = Averages(generating, config.ema * config.steps)
        self.guard = Guard(self.device)
        self.means, self.stopwatch, self.pace = MetricMeans(), Stopwatch(), Pace()
        self.precision = ""
        self.requests: set[str] = set()
        self.step = 0
        self.accumulation = 1
        self.validated_step = 0
        self.metrics: dict[str, float] = {}
        self.best_value, self.best_step, self.without_gain = math.inf, -1, 0
        self.saved_step, self.saved_at = -1, 0.0
        self.between_steps = True  # False while weights are half updated: then nothing is saved
        self.computed, self.unpaced = 0.0, 0  # seconds and steps that the pace does not know of yet
        for optimizer in trainee.optimizers.values():
            for group in optimizer.param_groups:
                group.setdefault("initial_lr", group["lr"])
        self.recorder = Recorder(self.device, trainee.optimizers.values()) if self.device.type == "cuda" else None

    def due(self, every: int) -> bool:
        """Return whether something is due after this step: every so many steps, and at the end."""
        if not every:
            return self.step >= self.config.steps
        return self.step > 0 and (self.step % every == 0 or self.step >= self.config.steps)

    def progress(self, phase: str = "") -> Progress:
        """Return where the training is, with its rate and the time left."""
        return Progress(
            self.step, self.config.steps, phase, self.pace.steps_per_second * self.trainee.units_per_step,
            self.trainee.unit, self.pace.eta(self.step, self.config.steps, self.stopwatch.seconds),
        )  # fmt: skip
