"""Race and measure the language model: python -m benchmarks.gpt [--only NAME ...] [--threads N]

val_loss      characters of Tiny Shakespeare, against nanoGPT's small configuration for the same wall-clock
vs_trainer    tokens per second of a training, against the Trainer of transformers with a Llama of the same shape
matmul_share  a training step at 10 M weights, against the matrix product's peak in the same run
memory        resident memory over 5,000 steps

Peers and we take turns in slices of some steps, so that a noisy machine disturbs all alike. With one thread the clock
counts the seconds of the core that this process got (on an idle machine the same as wall-clock), because other
processes on the machine would be measured otherwise.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import math
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import psutil
import torch
import torch.nn.functional as F
from torch import nn

from aigc_desktop.core.dataset import Dataset, DatasetInfo, write_info
from aigc_desktop.core.events import Metric, Progress
from aigc_desktop.core.files import sha256_file, write_json
from aigc_desktop.core.machine import engine_threads
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.device import products, set_up, use_products
from aigc_desktop.engine.families.gpt import GPTConfig, make_optimizers, train
from aigc_desktop.engine.nn.language_model import LanguageModel, Shape
from benchmarks.report import Figure, data_folder, figure, update

SMALL = {"layers": 4, "width": 128, "heads": 4, "context": 64, "batch_size": 12}
TEN_MILLION = {"layers": 6, "width": 384, "heads": 6, "context": 256, "batch_size": 8}
YARDSTICK_STEPS = 2000
clock = time.perf_counter
QUIET = {"validate_every": 0, "sample_every": 0, "checkpoint_every": 0, "autosave_s": 86_400, "precision": "float32"}


def frozen(workspace: Workspace, text: str) -> Dataset:
    """Freeze one text as a data set of one item; the training holds its last tenth out."""
    data = text.encode()
    folder = workspace.folder / "datasets" / "shakespeare"
    snapshot = folder / "snapshot"
    snapshot.mkdir(parents=True)
    (snapshot / "texts.bin").write_bytes(data)
    arrays = {"offsets": np.array([0, len(data)]), "split": np.zeros(1, np.uint8), "rows": np.zeros(1, np.int64),
              "labels": np.full(1, -1, np.int32)}  # fmt: skip
    for name, array in arrays.items():
        np.save(snapshot / f"{name}.npy", array)
    files = {path.name: {"size": path.stat().st_size, "sha256": sha256_file(path)} for path in snapshot.iterdir()}
    write_json(snapshot / "manifest.json", {"format": 1, "files": files, "sha256": hashlib.sha256(data).hexdigest()})
    write_info(folder, DatasetInfo("shakespeare", "Shakespeare", "text", "", "", 1, 1, frozen=True, train=1,
                                   characters=len(text), bytes=len(data)))  # fmt: skip
    return Dataset(folder)


def ours(workspace: Workspace, steps: int, threads: int, **values: object) -> Iterator[dict[str, float] | None]:
    """Train through the product's own job; yield None after each step and the metrics at the end."""
    config = GPTConfig(dataset="shakespeare", tokenizer="char", steps=steps, threads=threads, **{**QUIET, **values})
    run = workspace.new_run("gpt.train", config.model_dump(mode="json"))
    metrics: dict[str, float] = {}
    with closing(train(config, run)) as events:
        for event in events:
            if isinstance(event, Metric):
                metrics |= event.values
            if isinstance(event, Progress) and event.step and not event.phase:
                yield None
    yield {**metrics, "checkpoint": 0.0} if metrics else {}


# nanoGPT's small configuration, the yardstick


class NanoBlock(nn.Module):
    """Pre-norm block of GPT-2 without biases."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(width, bias=False), nn.LayerNorm(width, bias=False)
        self.attend, self.project = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.up, self.down = nn.Linear(width, 4 * width, bias=False), nn.Linear(4 * width, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        B, T, C = x.shape
        q, k, v = self.attend(self.norm_1(x)).split(C, dim=2)
        q, k, v = (t.view(B, T, self.heads, C // self.heads).transpose(1, 2) for t in (q, k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.project(y.transpose(1, 2).contiguous().view(B, T, C))
        return x + self.down(F.gelu(self.up(self.norm_2(x))))


class Nano(nn.Module):
    """GPT-2 at nanoGPT's "macbook" size: learned positions, tied head, N(0, 0.02), scaled residual projections."""

    def __init__(self, vocab: int, layers: int, width: int, heads: int, context: int) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocab, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(NanoBlock(width, heads) for _layer in range(layers))
        self.norm = nn.LayerNorm(width, bias=False)
        for name, p in self.named_parameters():
            if p.ndim == 2:
                scale = math.sqrt(2 * layers) if name.endswith(("project.weight", "down.weight")) else 1.0
                nn.init.normal_(p, std=0.02 / scale)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        h = self.tokens(x) + self.positions(torch.arange(x.shape[1]))
        for block in self.blocks:
            h = block(h)
        logits = F.linear(self.norm(h), self.tokens.weight)
        return F.cross_entropy(logits.view(-1, logits.shape[-1]), y.reshape(-1))


def nano(text: str, steps: int) -> Iterator[float | None]:
    """Train the yardstick as its README says; yield None after each step, then the validation loss."""
    torch.manual_seed(1337)
    letters = sorted(set(text))
    data = torch.tensor([letters.index(c) for c in text])
    cut, T, B = int(0.9 * len(data)), SMALL["context"], SMALL["batch_size"]
    training, held_out = data[:cut], data[cut:]
    model = Nano(len(letters), SMALL["layers"], SMALL["width"], SMALL["heads"], T)
    groups = [{"params": [p for p in model.parameters() if p.ndim >= 2], "weight_decay": 0.1},
              {"params": [p for p in model.parameters() if p.ndim < 2], "weight_decay": 0.0}]  # fmt: skip
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), fused=True)
    for step in range(steps):
        factor = (step + 1) / 101 if step < 100 else 0.55 + 0.45 * math.cos(math.pi * (step - 100) / (steps - 100))
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * factor
        at = torch.randint(len(training) - T, (B,))
        x, y = (torch.stack([training[i + shift : i + shift + T] for i in at]) for shift in (0, 1))
        model(x, y).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        yield None
    count = (len(held_out) - 1) // T
    x, y = held_out[: count * T].view(count, T), held_out[1 : count * T + 1].view(count, T)
    yield held_out_loss(model, x, y)


@torch.no_grad()
def held_out_loss(model: Nano, x: torch.Tensor, y: torch.Tensor) -> float:
    return statistics.fmean(model(x[i : i + 64], y[i : i + 64]).item() for i in range(0, len(x) // 64 * 64, 64))


def advance(stream: Iterator[object], steps: int) -> tuple[float, object, int]:
    """Return (seconds, last value that is not None, steps done) of the next `steps` of a stream."""
    start, value, done = clock(), None, 0
    while done < steps:
        got = next(stream, ...)
        if got is ...:
            break
        value, done = (value if got is None else got), done + (got is None)
        if got is not None:
            break
    return clock() - start, value, done


def validation_loss(workspace: Workspace, text: str, threads: int) -> list[Figure]:
    """Train the yardstick for 2,000 steps and ours for as long, in turns."""
    shape = {**SMALL, "schedule": "wsd", "ema": 0.02}
    with closing(nano(text, 10_000)) as a, closing(ours(workspace, 10_000, threads, **shape)) as b:
        torch.set_num_threads(threads)
        advance(a, 5), advance(b, 5)
        pairs = [(advance(a, 20)[0], advance(b, 20)[0]) for _turn in range(6)]
    ratio = statistics.median(mine / theirs for theirs, mine in pairs)
    steps = int(0.97 * YARDSTICK_STEPS / ratio)
    print(f"a step of ours takes {ratio:.2f} of the yardstick's: {steps} steps", flush=True)
    theirs, mine = nano(text, YARDSTICK_STEPS), ours(workspace, steps, threads, **shape)
    seconds, values = [0.0, 0.0], [None, None]
    for turn in range(102):  # a step more than the steps each, for what comes after the last one
        for i, (stream, most) in enumerate(((theirs, YARDSTICK_STEPS), (mine, steps))):
            spent, value, _done = advance(stream, most // 100 + 1)
            seconds[i] += spent
            values[i] = value if value is not None else values[i]
        if turn % 10 == 0:
            print(f"{turn} %: {seconds[0]:.0f} s and {seconds[1]:.0f} s", flush=True)
    loss = full_loss(workspace, text)
    holds = loss <= 1.80 and seconds[1] <= seconds[0]
    return [
        figure("gpt.shakespeare.val_loss", loss, "nats/char", "<= 1.80", holds),
        figure("gpt.shakespeare.val_loss.nanogpt", float(values[0]), "nats/char"),
        figure("gpt.shakespeare.seconds", seconds[1], "s", f"<= {seconds[0]:.1f}", seconds[1] <= seconds[0]),
        figure("gpt.shakespeare.seconds.nanogpt", seconds[0], "s"),
        figure("gpt.shakespeare.steps", steps, "steps"),
    ]


def full_loss(workspace: Workspace, text: str) -> float:
    """Return the loss of the newest run over the whole held-out text in windows of its context, like the yardstick."""
    from aigc_desktop.engine.families.gpt import load

    run = workspace.runs()[0]
    model, tokenizer = load(run.checkpoint("last"), "cpu")
    held_out = torch.from_numpy(tokenizer.encode(text[int(0.9 * len(text)) :]).astype(np.int64))
    T = model.shape.context
    count = (len(held_out) - 1) // T // 64 * 64
    x, y = held_out[: count * T].view(count, T), held_out[1 : count * T + 1].view(count, T)
    return statistics.fmean(float(model.token_losses(x[i : i + 64], y[i : i + 64]).mean()) for i in range(0, count, 64))


# the Trainer of transformers


def hugging_face(text: str, steps: int, shape: dict[str, int], folder: Path) -> list[float]:
    """Return the times at which the steps of a Trainer with a Llama of this shape ended."""
    from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

    letters = sorted(set(text))
    ids = torch.tensor([letters.index(c) for c in text[:200_000]])
    T, width = shape["context"], shape["width"]
    rows = [{"input_ids": row, "labels": row} for row in ids[: len(ids) // T * T].view(-1, T)]
    config = LlamaConfig(
        vocab_size=len(letters) + 2, hidden_size=width, intermediate_size=8 * width // 3 // 8 * 8,
        num_hidden_layers=shape["layers"], num_attention_heads=shape["heads"], max_position_embeddings=T,
        tie_word_embeddings=True, use_cache=False,
    )  # fmt: skip
    times: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            times.append(clock())

    arguments = TrainingArguments(
        output_dir=str(folder), per_device_train_batch_size=shape["batch_size"], max_steps=steps, learning_rate=1e-3,
        optim="adamw_torch_fused", use_cpu=True, save_strategy="no", report_to=[], logging_steps=10, disable_tqdm=True,
        max_grad_norm=1.0, dataloader_num_workers=0, log_level="error",
    )  # fmt: skip
    Trainer(LlamaForCausalLM(config), arguments, train_dataset=rows, callbacks=[Clock()]).train()
    return times


def our_times(
    workspace: Workspace, steps: int, threads: int, shape: dict[str, int], precision: str = "float32"
) -> list[float]:
    """Return the times at which the steps of our training ended: the same network, optimizer and logging."""
    same = {**shape, "feed_forward": "swiglu", "optimizer": "adamw", "lr": 1e-3, "ema": 0.0, "precision": precision}
    return [clock() for got in ours(workspace, steps, threads, **same) if got is None]


def side_rate(side: str, text: str, steps: int, threads: int, shape: dict[str, int]) -> float:
    """Return tokens per second of "trainer", or of ours with the precision "float32" or "auto"."""
    use_clock(threads)
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        if side == "trainer":
            times = hugging_face(text, steps, shape, Path(folder))
        else:
            workspace = Workspace.open(Path(folder))
            frozen(workspace, text)
            times = our_times(workspace, steps, threads, shape, side)
    skip = steps // 4
    # the last step is left out: validation, preview and checkpoint come with it
    return shape["batch_size"] * shape["context"] * (len(times) - 2 - skip) / (times[-2] - times[skip])


def against_trainer(text: str, threads: int) -> list[Figure]:
    """Take turns with the Trainer and compare tokens per second: float32 both, and ours with its own choice.

    Each side has a process of its own, as settings of a process (allocator, denormal numbers) would help the other.
    """
    rows, sides = [], ("trainer", "float32", "auto")
    spawn = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        pools = {side: stack.enter_context(ProcessPoolExecutor(1, spawn)) for side in sides}
        for name, shape, steps, turns in (("", SMALL, 60, 7), (".10m", TEN_MILLION, 8, 5)):
            rates: dict[str, list[float]] = {side: [] for side in sides}
            for _turn in range(turns):
                for side in sides:
                    rate = pools[side].submit(side_rate, side, text, steps, threads, shape).result()
                    rates[side].append(rate)
            same, chosen = (
                statistics.median(mine / theirs for mine, theirs in zip(rates[side], rates["trainer"], strict=True))
                for side in ("float32", "auto")
            )
            rows += [
                figure(f"gpt.train.vs_trainer{name}", same, "x", ">= 1.2", same >= 1.2),
                figure(f"gpt.train.vs_trainer{name}.auto_precision", chosen, "x"),
                figure(f"gpt.train.tokens_per_s{name}", statistics.median(rates["float32"]), "tokens/s"),
                figure(f"gpt.train.tokens_per_s{name}.trainer", statistics.median(rates["trainer"]), "tokens/s"),
            ]
            print({side: [round(rate) for rate in values] for side, values in rates.items()}, flush=True)
    return rows


# the matrix product


def matmul_rate(size: int = 1024, repeats: int = 4) -> float:
    """Return the best floating-point operations per second of a square float32 product."""
    a, b = torch.randn(2, size, size)
    best = math.inf
    for _repeat in range(repeats):
        start = clock()
        a @ b
        best = min(best, clock() - start)
    return 2 * size**3 / best


def usual_matmul_rate() -> float:
    """Return the same of the product that torch takes by itself."""
    kept = products()
    use_products("none")
    try:
        return matmul_rate()
    finally:
        use_products(kept)


def matmul_share(threads: int) -> list[Figure]:
    """Compare a plain training step at the 10 M size with the peak of the matrix product around it.

    That is the faster product, which the step uses; the share of the one that torch takes by itself is told beside.
    """
    set_up(torch.device("cpu"), 0, threads)  # the peak, too, is that of the faster product
    shape = Shape(65, *(TEN_MILLION[name] for name in ("layers", "width", "heads", "context")))
    tokens = torch.randint(65, (TEN_MILLION["batch_size"], shape.context))
    work = shape.flops_per_token * tokens.numel()
    rows = []
    for kind, name in (("adamw", ""), ("muon", ".muon")):
        model = LanguageModel(shape)
        optimizers = make_optimizers(model, GPTConfig(dataset="x", optimizer=kind, lr=1e-3))
        rates = []
        for _turn in range(9):
            peak = matmul_rate()
            start = clock()
            model.loss(tokens, tokens).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimizer in optimizers.values():
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
            seconds = clock() - start
            rates.append((work / seconds, max(peak, matmul_rate()), usual_matmul_rate()))
        share = statistics.median(rate / peak for rate, peak, _usual in rates[1:])
        target = (">= 0.85", share >= 0.85) if not name else ("", None)
        rows.append(figure(f"gpt.train.matmul_share{name}", share, "of peak", *target))
        beside = statistics.median(rate / usual for rate, _peak, usual in rates[1:])
        rows.append(figure(f"gpt.train.matmul_share{name} of the product that torch takes by itself", beside, "x"))
    rows.append(figure("gpt.train.matmul_peak", max(peak for _rate, peak, _usual in rates) / 1e9, "GFLOP/s"))
    return rows


# memory


def memory_growth(workspace: Workspace, threads: int) -> list[Figure]:
    """Return how much resident memory grows from step 1,000 to 5,000 of a tiny training with all its duties."""
    tiny = {"layers": 1, "width": 32, "heads": 2, "context": 16, "batch_size": 4, "validate_every": 250,
            "sample_every": 500, "checkpoint_every": 500}  # fmt: skip
    process, at = psutil.Process(), {}
    for step, got in enumerate(ours(workspace, 5000, threads, **tiny), 1):
        if got is None and step % 500 == 0:
            gc.collect()
            at[step] = process.memory_info().rss / 1e6
    growth = at[5000] - at[1000]
    print({step: round(mb, 1) for step, mb in at.items()})
    return [figure("train.memory.growth_mb", growth, "MB", "<= 4", growth <= 4)]


def use_clock(threads: int) -> None:
    """Count the seconds of the core that this process got with one thread, else those of the wall."""
    global clock
    clock = time.process_time if threads == 1 else time.perf_counter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=["val_loss", "vs_trainer", "matmul_share", "memory"])
    parser.add_argument("--threads", type=int, default=engine_threads())
    options = parser.parse_args()
    use_clock(options.threads)
    os.environ["HF_HUB_OFFLINE"] = "1"
    text = (data_folder() / "shakespeare" / "input.txt").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace.open(Path(folder))
        frozen(workspace, text)
        parts = {
            "memory": lambda: memory_growth(workspace, options.threads),
            "matmul_share": lambda: matmul_share(options.threads),
            "vs_trainer": lambda: against_trainer(text, options.threads),
            "val_loss": lambda: validation_loss(workspace, text, options.threads),
        }
        rows = [row for name, part in parts.items() if name in options.only for row in part()]
    update("gpt", rows)


if __name__ == "__main__":
    main()
