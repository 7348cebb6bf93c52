"""LoRA on a published model against PEFT and the transformers Trainer: python -m benchmarks.lora [--parts …]

perplexity_change    SmolLM2-135M fine-tuned on 900 real captions with our defaults (learning rates tried, early
                     stopping): perplexity of 2,000 captions of the test split after, by before, in float32
vs_trainer           tokens per second of our training against PEFT and the Trainer: same weights, rank, targets,
                     dropout, optimizer, numbers, windows of the same tokens; the two take turns in one process, the
                     median of each one's turns counts

Before and after are also written to results/lora_texts.txt, to be looked at.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Iterator

import numpy as np
import torch

from aigc_desktop.core.config import check
from aigc_desktop.core.events import Failed, Metric, Note, Result
from aigc_desktop.core.machine import THREADS_VARIABLE
from aigc_desktop.core.request import JobRequest
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.host import execute
from aigc_desktop.engine.labels.adapting import value_of
from aigc_desktop.engine.pretrained.load import load_language_model
from aigc_desktop.engine.training.checkpoint import read_card
from aigc_desktop.engine.training.guard import Guard
from aigc_desktop.engine.training.step import Step
from aigc_desktop.engine.tuning.compare import Side, measure
from aigc_desktop.engine.tuning.lessons import make_lessons
from aigc_desktop.engine.tuning.loading import base_of_run, form_of, load_tuned
from aigc_desktop.engine.tuning.setup import TARGETS, TuneConfig
from aigc_desktop.engine.tuning.train import load_base
from aigc_desktop.engine.tuning.trainee import TuneTrainee
from aigc_desktop.engine.tuning.windows import Windows
from benchmarks.fetch_data import fetch_smollm2
from benchmarks.report import DATA, RESULTS, Figure, data_folder, figure, update

BATCH, CONTEXT, TURNS, STEPS = 4, 128, 4, 2  # of the race: windows, tokens, turns, steps of a turn
CAPTIONS = 900  # a tenth of them is held out, for the learning rate and the early stopping
MEASURED = 2000  # captions of the test split, none of which is among the others
PARTS = ("bfloat16", "float32", "quality")
CPU = torch.device("cpu")


def main(threads: int, parts: list[str]) -> None:
    """Measure the parts and write their figures; those of other parts stay."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ[THREADS_VARIABLE] = str(threads)
    torch.set_num_threads(threads)
    workspace = Workspace.open(DATA / "lora-workspace")
    model, dataset = imported(workspace), captions(workspace)
    for part in parts:
        figures = tuned(workspace, model, dataset) if part == "quality" else race(workspace, model, dataset, part)
        update("lora", figures)


def run_job(workspace: Workspace, task: str, values: dict, run: Run | None = None) -> tuple[dict, list]:
    """Run a job and return the data of its result and its events; RuntimeError when it fails."""
    found, events = {}, []
    for event in execute(JobRequest(task, values, str(workspace.folder), str(run.folder) if run else "")):
        events.append(event)
        if isinstance(event, Failed):
            raise RuntimeError(event.message + event.details)
        if isinstance(event, Result):
            found = event.data
        if isinstance(event, Note | Metric):
            print(event, flush=True)
    return found, events


def imported(workspace: Workspace) -> str:
    """Return the id of SmolLM2-135M-Instruct, brought in as a user would."""
    if not workspace.models():
        run_job(workspace, "models.import", {"source": str(fetch_smollm2()), "title": "SmolLM2"})
    return workspace.models()[0].id


def captions(workspace: Workspace) -> str:
    """Return the id of a data set of captions of pictures, a tenth of them held out."""
    return data_set(workspace, "captions", caption_lines("train")[:CAPTIONS])


def unseen_captions(workspace: Workspace) -> str:
    """Return the id of a data set of captions of the test split, all different from those that are learned."""
    learned = set(caption_lines("train")[:CAPTIONS])
    lines = [line for line in dict.fromkeys(caption_lines("test")) if line not in learned]
    return data_set(workspace, "unseen captions", lines[:MEASURED])


def caption_lines(split: str) -> list[str]:
    """Return all captions of a split of the benchmark's data."""
    return (data_folder() / "captions" / f"{split}.txt").read_text(encoding="utf-8").splitlines()


def data_set(workspace: Workspace, title: str, lines: list[str]) -> str:
    """Return the id of a data set of these lines, imported once."""
    known = [dataset.id for dataset in workspace.datasets() if dataset.info.title == title]
    if known:
        return known[0]
    source = workspace.folder / f"{title}.txt"
    source.write_text("\n".join(lines), encoding="utf-8")
    found, _events = run_job(workspace, "data.scan", {"source": str(source), "title": title})
    run_job(workspace, "data.freeze", {"dataset": found["id"]})
    return str(found["id"])


# quality


def tuned(workspace: Workspace, model: str, dataset: str) -> list[Figure]:
    """Fine-tune with the plan's settings and compare before and after."""
    plan = None
    for event in execute(JobRequest("language_model.train", {"dataset": dataset, "base": model},
                                    str(workspace.folder), mode="plan")):  # fmt: skip
        plan = event.data["plan"] if isinstance(event, Result) else plan
    assert plan is not None and not plan.problems, plan
    run = workspace.new_run("language_model.train", plan.values)
    start = time.perf_counter()
    run_job(workspace, "language_model.train", plan.values, run)
    seconds = time.perf_counter() - start
    values = {"run": run.id, "count": 8, "length": 40}
    result = workspace.new_run("language_model.compare", values, parent="results")
    found, _events = run_job(workspace, "language_model.compare", values, result)
    texts = zip(found["prompts"], found["before"]["texts"], found["after"]["texts"], strict=True)
    rows = [f"{prompt}\n  before: {before!r}\n  after: {after!r}\n" for prompt, before, after in texts]
    (RESULTS / "lora_texts.txt").write_text("\n".join(rows), encoding="utf-8")
    before, after = unseen_sides(workspace, run)
    change = after.perplexity / before.perplexity - 1
    return [
        figure("lora.smollm2.perplexity_change", change, "", "<= -0.20", change <= -0.20),
        figure("lora.smollm2.perplexity.before", before.perplexity),
        figure("lora.smollm2.perplexity.after", after.perplexity),
        figure("lora.smollm2.held_out_tokens", after.tokens, "tokens", ">= 20000", after.tokens >= 20_000),
        figure("lora.smollm2.steps (planned)", plan.steps, "steps"),
        figure("lora.smollm2.steps (taken)", run.info.step, "steps"),
        figure("lora.smollm2.seconds (search and training)", seconds, "s"),
        figure("lora.smollm2.seconds (planned)", plan.seconds, "s"),
        figure("lora.smollm2.memory (planned)", plan.memory_mb, "MB"),
    ]


def unseen_sides(workspace: Workspace, run: Run) -> tuple[Side, Side]:
    """Return what the base and the fine-tuned model make of the captions of the test split."""
    card = read_card(run.checkpoint("best"))
    base = value_of(load_language_model(base_of_run(run.checkpoint("best"), card, workspace), CPU, "float32"))
    dataset = workspace.dataset(unseen_captions(workspace))
    place = workspace.new_run("language_model.compare", {"run": run.id}, parent="results")
    lessons = value_of(make_lessons(place, dataset, base, form_of(card), CONTEXT))
    sides = []
    for model in (form_of(card).teach(base), value_of(load_tuned(run, "best", CPU, "float32"))):
        parts = [value_of(measure(model, Windows(part, CONTEXT, BATCH, 0), "")) for part in lessons]
        sides.append(Side((), sum(part.nats for part in parts), sum(part.tokens for part in parts)))
    return sides[0], sides[1]


# speed


def race(workspace: Workspace, model: str, dataset: str, precision: str) -> list[Figure]:
    """Train on the same windows in turns, with ours and with the Trainer."""
    config = check(TuneConfig, {
        "dataset": dataset, "base": model, "batch_size": BATCH, "context": CONTEXT, "precision": precision,
        "device": "cpu", "lr": 2e-4, "validate_every": 0, "steps": 10_000,
    })  # fmt: skip
    run = workspace.new_run("language_model.train", config.model_dump(mode="json"))
    base = value_of(load_base(config, run, CPU))
    lessons = value_of(make_lessons(run, workspace.dataset(dataset), base.loaded, base.form, CONTEXT))
    trainee = TuneTrainee(config, base, lessons, [], CPU)
    batches = [full_window(trainee, i) for i in range(TURNS + 1)]
    ours, theirs = our_turns(trainee, batches, config, precision), trainer_turns(workspace, model, batches, precision)
    seconds: dict[str, list[float]] = {"ours": [], "trainer": []}
    for turn in range(TURNS + 1):
        for name, turns in (("trainer", theirs), ("ours", ours)):
            spent = next(turns)
            if turn:
                seconds[name].append(spent)
    tokens = BATCH * CONTEXT * STEPS
    rates = {name: tokens / statistics.median(values) for name, values in seconds.items()}
    ratio = rates["ours"] / rates["trainer"]
    mark = "" if precision == "bfloat16" else f".{precision}"
    return [
        figure(f"lora.vs_trainer{mark}", ratio, "x", ">= 1.0", ratio >= 1.0),
        *(figure(f"lora.tokens_per_s.{name}.{precision}", rate, "tokens/s") for name, rate in rates.items()),
    ]


def full_window(trainee: TuneTrainee, number: int) -> np.ndarray:
    """Return BATCH windows of CONTEXT + 1 tokens that are full: captions one after another, as both learn them."""
    size = BATCH * (CONTEXT + 1)
    tokens = trainee.lessons.lessons.tokens
    start = number * size % (len(tokens) - size)
    return np.asarray(tokens[start : start + size], np.int64).reshape(BATCH, CONTEXT + 1)


def our_turns(trainee: TuneTrainee, batches: list[np.ndarray], config: TuneConfig, precision: str) -> Iterator[float]:
    """Yield the seconds of STEPS steps on each of the batches; all tokens count, and no text is kept apart."""
    from aigc_desktop.engine.text.packing import Batch

    windows = {number: torch.from_numpy(batch) for number, batch in enumerate(batches)}

    class Given:
        def batch(self, indices: np.ndarray, _device: torch.device) -> Batch:
            rows = windows[int(indices[0])]
            return Batch(rows[:, :-1], rows[:, 1:])

    trainee.lessons = Given()
    guard = Guard(CPU)
    for number in range(len(batches)):
        start = time.perf_counter()
        for step in range(STEPS):
            indices = np.full(1, number, np.int64)
            values = trainee.train_step(Step(step, 10_000, indices, 1, precision, config.grad_clip, guard))
            guard.end_step()
        assert float(values["loss"]) < 10
        yield time.perf_counter() - start


def trainer_turns(workspace: Workspace, model: str, batches: list[np.ndarray], precision: str) -> Iterator[float]:
    """Yield the seconds of STEPS steps of the Trainer on each of the batches, measured between its own callbacks."""
    import peft
    import transformers

    network = transformers.AutoModelForCausalLM.from_pretrained(
        workspace.model(model).folder, local_files_only=True,
        dtype=torch.bfloat16 if precision == "bfloat16" else torch.float32,
    )  # fmt: skip
    shape = peft.LoraConfig(r=16, lora_alpha=32, lora_dropout=0.05, target_modules=list(TARGETS), task_type="CAUSAL_LM")
    network = peft.get_peft_model(network, shape)

    for batch in batches:
        rows = [{"input_ids": row[:-1], "labels": row[:-1]} for row in batch] * STEPS

        class Clock(transformers.TrainerCallback):
            began = ended = 0.0

            def on_train_begin(self, *_args, **_kwargs) -> None:
                self.began = time.perf_counter()

            def on_train_end(self, *_args, **_kwargs) -> None:
                self.ended = time.perf_counter()

        clock = Clock()
        arguments = transformers.TrainingArguments(
            output_dir=str(DATA / "lora-trainer"), per_device_train_batch_size=BATCH, max_steps=STEPS, use_cpu=True,
            bf16=precision == "bfloat16", learning_rate=2e-4, weight_decay=0.01, max_grad_norm=1.0, report_to=[],
            save_strategy="no", logging_strategy="no", disable_tqdm=True, dataloader_num_workers=0,
            optim="adamw_torch_fused", lr_scheduler_type="constant",
        )  # fmt: skip
        trainer = transformers.Trainer(network, arguments, train_dataset=rows, callbacks=[clock],
                                       data_collator=transformers.default_data_collator)  # fmt: skip
        trainer.train()
        yield clock.ended - clock.began


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    options = parser.parse_args()
    main(options.threads, options.parts)
