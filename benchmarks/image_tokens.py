"""Quality of image tokens and of the Transformer that writes them, on the base emoji; the pace of both ways.

python -m benchmarks.image_tokens [--size 32|64] [--token-steps N] [--steps N] [--device cpu|cuda] [--threads N]
                                  [--workspace FOLDER] [--race]

Tokens are learned once; then two Transformers of one size learn to write them, one many places at once, one token by
token. Time is counted in processor seconds. `--race` only measures the time per picture of both, with fresh weights.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from aigc_desktop.core.dataset import Dataset
from aigc_desktop.core.events import Metric
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.recorder import record
from aigc_desktop.engine.device import set_up
from aigc_desktop.engine.families import image_tokens, image_transformer
from aigc_desktop.engine.metrics.features import image_features
from aigc_desktop.engine.metrics.image import kid
from aigc_desktop.engine.nn.token_drawing import Drawing, draw_tokens
from aigc_desktop.engine.nn.token_transformer import TokenTransformer, TransformerShape
from aigc_desktop.engine.pictures.common import Pictures, one_by_one, seeded
from aigc_desktop.engine.pictures.tokens_learning import load_tokenizer
from aigc_desktop.engine.pictures.tokens_setup import PRESETS as TOKEN_PRESETS
from aigc_desktop.engine.pictures.tokens_setup import ImageTokensConfig
from aigc_desktop.engine.pictures.transformer_setup import PRESETS, ImageTransformerConfig
from aigc_desktop.engine.training.checkpoint import read_model
from aigc_desktop.engine.training.data import to_model
from benchmarks.emoji_data import SAMPLES, cpu_seconds, emoji_dataset, measure, preset_values, sheet
from benchmarks.report import RESULTS, Figure, figure, write

BUDGET_S = 600.0  # processor seconds of tokens and one Transformer together
SEED, TURNS = 50_000, 3
SIZES = {"8x8": (8, 128, 6, 4), "16x16": (16, 512, 12, 8)}  # tokens on a side, width, layers, heads


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, choices=(32, 64), default=32)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--token-steps", type=int, default=2500)
    parser.add_argument("--steps", type=int, default=1300)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workspace", type=Path, default=None)
    parser.add_argument("--race", action="store_true")
    options = parser.parse_args()
    if options.race:
        set_up(torch.device(options.device), 0, options.threads)
        rows = [row for name in SIZES for row in race(name, options.device)]
        write("image_transformer_race" + "_cuda" * (options.device == "cuda"), rows)
        return
    workspace = Workspace.open(options.workspace or Path(tempfile.mkdtemp()))
    dataset = emoji_dataset(workspace, options.size)
    common = {"dataset": dataset.id, "threads": options.threads, "device": options.device, "log_every": 50}
    for_tokens, for_writing = (
        preset_values(presets, options.size, options.device) for presets in (TOKEN_PRESETS, PRESETS)
    )
    token_config = ImageTokensConfig(**{**for_tokens, **common, "steps": options.token_steps})
    tokens, token_seconds = trained(workspace, image_tokens, token_config)
    of_tokens = f"image_tokens.emoji{options.size}"
    rows = judge_tokens(tokens, dataset, of_tokens)
    rows.append(figure(f"{of_tokens}.cpu_s", token_seconds, "s"))
    ratios = {}
    for way, masked in (("masked", True), ("raster", False)):
        config = ImageTransformerConfig(
            **{**for_writing, **common, "steps": options.steps, "tokens": tokens.id, "masked": masked}
        )
        run, seconds = trained(workspace, image_transformer, config)
        samples = image_transformer.sampler(best(run), options.device)(SAMPLES, SEED)
        sheet(samples[:192], RESULTS / f"image_transformer_{way}_emoji{options.size}.png")
        quality, name = measure(dataset, samples), f"image_transformer.emoji{options.size}.{way}"
        ratios[way] = quality.kid
        used, small = token_seconds + seconds, options.size == 32
        rows += [
            figure(f"{name}.kid_vs_pca", quality.ratio),
            figure(f"{name}.kid", quality.kid, *(() if small else ("", "<= 0.08", quality.kid <= 0.08))),
            figure(f"{name}.recall", quality.recall), figure(f"{name}.precision", quality.precision),
            figure(f"{name}.coverage", quality.coverage),
            figure(f"{name}.memorisation", quality.memorisation, "", ">= 0.8", quality.memorisation >= 0.8),
            figure(f"{name}.cpu_s (with the tokens)", used, "s",
                   *((f"<= {BUDGET_S:.0f}", used <= BUDGET_S) if small else ())),
        ]  # fmt: skip
    worse = ratios["masked"] / ratios["raster"]
    rows.append(figure("image_transformer.masked_vs_raster.kid", worse, "x", "<= 1.2", worse <= 1.2))
    write("image_tokens" if options.size == 32 else f"image_tokens_emoji{options.size}", rows)


def trained(
    workspace: Workspace, family: object, config: ImageTokensConfig | ImageTransformerConfig
) -> tuple[Run, float]:
    """Return a trained run and the processor seconds it took."""
    run = workspace.new_run(f"{family.FAMILY.name}.train", config.model_dump(mode="json"))  # type: ignore[attr-defined]
    began = cpu_seconds()
    for event in record(run, family.train(config, run)):  # type: ignore[attr-defined]
        if isinstance(event, Metric) and (event.step % 200 == 0 or set(event.values) & {"val_loss", "code_usage"}):
            shown = " ".join(f"{name} {value:.4g}" for name, value in event.values.items())
            print(f"{cpu_seconds() - began:7.0f} s  step {event.step:6}  {shown}", flush=True)
    return run, cpu_seconds() - began


def best(run: Run) -> Path:
    """Return the checkpoint that is judged."""
    return run.checkpoint("best" if run.info.best else "last")


def judge_tokens(run: Run, dataset: Dataset, name: str) -> list[Figure]:
    """Return how near copies of held-out pictures are to them and how the codes are used."""
    tokenizer = load_tokenizer(*read_model(best(run)), torch.device("cpu"))
    held_out = dataset.images("validation")
    numbers: list[np.ndarray] = []

    def copy(index: int) -> torch.Tensor:
        tokens = tokenizer.tokens(to_model(torch.from_numpy(held_out[index : index + 1])))
        numbers.append(tokens.numpy())
        return tokenizer.pictures(tokens)

    copies: Pictures = one_by_one(copy, range(len(held_out)))
    pairs = np.stack([held_out[:96], copies[:96]], 1).reshape(-1, *copies.shape[1:])
    sheet(pairs, RESULTS / f"{name.replace('.', '_')}.png")
    shares = np.bincount(np.concatenate(numbers).ravel(), minlength=tokenizer.fsq.count) / np.concatenate(numbers).size
    perplexity = float(np.exp(-(shares[shares > 0] * np.log(shares[shares > 0])).sum()))
    square = float(((copies.astype(np.float64) - held_out) ** 2).mean())
    usage = float((shares > 0).mean())
    copied = kid(image_features(held_out), image_features(copies)).value
    return [
        figure(f"{name}.recon_kid", copied, "", "<= 0.04 (at 64 px)", copied <= 0.04),
        figure(f"{name}.psnr", 10 * np.log10(255**2 / square), "dB"),
        figure(f"{name}.usage (of {tokenizer.fsq.count} codes)", usage, "", ">= 0.9", usage >= 0.9),
        figure(f"{name}.perplexity", perplexity),
    ]


def race(size: str, device: str) -> list[Figure]:
    """Return the seconds for a picture's tokens in both ways, taking turns; the best of each one's turns counts."""
    side, width, layers, heads = SIZES[size]
    masked, raster = (
        TokenTransformer(TransformerShape(240, side, layers, width, heads, 0, way)).to(device).eval()
        for way in (True, False)
    )
    ways: dict[str, Callable[[], torch.Tensor]] = {
        "12_steps": lambda: draw_tokens(masked, [0], Drawing(12), [seeded(0)]),
        "8_steps": lambda: draw_tokens(masked, [0], Drawing(8), [seeded(0)]),
        "raster": lambda: draw_tokens(raster, [0], Drawing(), [seeded(0)]),
    }
    took = dict.fromkeys(ways, float("inf"))
    with torch.inference_mode():
        for _turn in range(TURNS):
            for way, draw in ways.items():
                start = time.perf_counter()
                draw().cpu()
                took[way] = min(took[way], time.perf_counter() - start)
    name = f"image_transformer.masked_vs_raster{'.cuda' * (device == 'cuda')}.{size}"
    about = f"width {width}, {layers} layers, one picture at a time"
    ratios = {way: took["raster"] / took[way] for way in ("12_steps", "8_steps")}
    return [
        *(figure(f"{name}.{way} ({about})", ratio, "x", ">= 8", ratio >= 8) for way, ratio in ratios.items()),
        *(figure(f"{name}.{way}_s", seconds, "s") for way, seconds in took.items()),
    ]


if __name__ == "__main__":
    main()
