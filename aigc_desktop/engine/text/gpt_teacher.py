"""Distillation: a language model learns from what another one expects of each next token (arXiv:1503.02531).

The teacher may be larger or an ensemble; arXiv:2509.14786 keeps most of an ensemble's gain that way. It must have been
trained with the same tokens and parts of a prompt, so its tokenizer is taken over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from aigc_desktop.core.config import check
from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.errors import UserError
from aigc_desktop.core.family import Plan, Planner, Problem
from aigc_desktop.core.i18n import _
from aigc_desktop.core.machine import Machine
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.nn.language_model import NO_TARGET
from aigc_desktop.engine.text.fields import names_of
from aigc_desktop.engine.text.gpt_setup import GPTConfig, Model
from aigc_desktop.engine.text.gpt_tasks import Loaded, read_folder
from aigc_desktop.engine.text.marks import MarkedTokenizer
from aigc_desktop.engine.text.packing import Batch
from aigc_desktop.engine.text.tokenizer import Tokenizer
from aigc_desktop.engine.training.checkpoint import Card, read_card


@dataclass(frozen=True)
class Teacher:
    """A trained model and how much it counts."""

    loaded: Loaded
    share: float
    card: Card

    @property
    def tokenizer(self) -> Tokenizer:
        """Return its tokenizer, without marks."""
        tokenizer = self.loaded.tokenizer
        return tokenizer.inner if isinstance(tokenizer, MarkedTokenizer) else tokenizer

    def check(self, told: Mapping[str, Any]) -> None:
        """Raise UserError unless the teacher knows the same labels and attributes; `told` is what the learner will."""
        _need_parts(told, self.card)

    def losses(self, model: Model, batch: Batch) -> dict[str, Tensor]:
        """Return in nats per token the cross-entropy of the targets and KL(teacher || model)."""
        with torch.no_grad():
            expected = self.loaded.model(batch.tokens, None, batch.documents).float().log_softmax(-1)
        logits = model(batch.tokens, None, batch.documents).float().log_softmax(-1)
        counted = batch.targets != NO_TARGET
        divergence = F.kl_div(logits, expected, reduction="none", log_target=True).sum(-1)
        nats = F.nll_loss(logits.transpose(1, 2), batch.targets, ignore_index=NO_TARGET)
        return {"loss": nats, "teacher_kl": (divergence * counted).sum() / counted.sum()}

    def mix(self, losses: Mapping[str, Tensor]) -> Tensor:
        """Return what is minimised."""
        return (1 - self.share) * losses["loss"] + self.share * losses["teacher_kl"]


def find_teacher(config: GPTConfig, run: Run, device: torch.device) -> Teacher | None:
    """Return the best version of the run that is to teach, or None; UserError when it cannot."""
    if not config.teacher:
        return None
    folder = _folder(config, Workspace(run.workspace), run.id)
    card = read_card(folder)
    _need_context(config, card)
    return Teacher(read_folder(folder, device), config.teaching, card)


def plan_with_teacher(plan: Planner) -> Planner:
    """Return a planner that also says what a teacher stands in the way of, and looks back no further than it does."""

    def planned(values: dict[str, Any], preset: str, dataset: Dataset | None, machine: Machine) -> Plan:
        made = plan(values, preset, dataset, machine)
        if dataset is None or not values.get("teacher") or made.problems:
            return made
        config = check(GPTConfig, made.values)
        try:
            card = read_card(_folder(config, Workspace(dataset.folder.parent.parent)))
        except UserError as error:
            return _refused(made, error, "ensemble" if config.ensemble > 1 else "teacher")
        if "context" not in values and config.context > card.config["context"]:
            return planned({**values, "context": card.config["context"]}, preset, dataset, machine)
        fields = names_of(dataset) if config.attributes else []
        told = {"fields": fields, "marks": bool(fields) or config.infill > 0, "infill": config.infill > 0}
        try:
            _need_context(config, card)
        except UserError as error:
            return _refused(made, error, "context")
        try:
            _need_parts(told, card)
        except UserError as error:
            return _refused(made, error, "teacher")
        return made

    return planned


def _refused(plan: Plan, error: UserError, field: str) -> Plan:
    return replace(plan, problems=[*plan.problems, Problem(f"{error.message} {error.hint}".strip(), field)])


def _folder(config: GPTConfig, workspace: Workspace, learner: str = "") -> Path:
    """Return the checkpoint that teaches; UserError when there is none, or none can."""
    if config.ensemble > 1:
        raise UserError(
            _("An ensemble cannot have a teacher."),
            _("Train the ensemble first, then one model with it as the teacher."),
        )
    teacher = workspace.run(config.teacher)
    if teacher.info.task.split(".")[0] != "gpt" or teacher.id == learner:
        raise UserError(
            _("“{title}” cannot teach this model.").format(title=teacher.info.title),
            _("Choose a trained text writer as the teacher."),
        )
    return teacher.checkpoint("best")


def _need_context(config: GPTConfig, card: Card) -> None:
    count = int(card.config["context"])
    if count < config.context:
        raise UserError(
            _("The teacher looks back {count} tokens only, fewer than this model.").format(count=count),
            _("Choose a context of {count} tokens or less.").format(count=count),
        )


def _need_parts(told: Mapping[str, Any], card: Card) -> None:
    if any(card.extra.get(name) != told[name] for name in ("fields", "marks", "infill")):
        raise UserError(
            _("The teacher has learned other attributes, or to fill gaps where this model does not."),
            _("Choose a teacher that was trained on this data with the same “Filling in”."),
        )
