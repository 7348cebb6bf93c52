"""Race our decoding of a published model against transformers.generate: python -m benchmarks.decode [--threads N]

vs_generate          SmolLM2-135M on a processor, one text of 64 tokens: tokens per second against generate in float32
mixed64.vs_generate  64 prompts of mixed lengths, each with a length of its own: against generate on the padded batch,
                     which runs until the longest text is done
perplexity           what the 8-bit weights change on real captions
engines              ctranslate2 with its 8-bit weights and activations, for comparison

Peer and we take turns, so that a noisy machine disturbs both alike; the best of each one's turns counts.
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from aigc_desktop.core.request import JobRequest
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.host import execute
from aigc_desktop.engine.nn.next_token import Sampling
from aigc_desktop.engine.pretrained.decoding import Ask, Rules, decode
from aigc_desktop.engine.pretrained.load import LanguageModel, load_language_model
from aigc_desktop.engine.pretrained.numbers import Numbers
from benchmarks.fetch_data import fetch_smollm2
from benchmarks.report import DATA, Figure, data_folder, figure, write

TOKENS, TURNS = 64, 5
CPU = torch.device("cpu")
GREEDY = Rules(Sampling(temperature=0), frozenset())


def main(threads: int) -> None:
    """Measure everything and write the figures."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    torch.set_num_threads(threads)
    model = imported()
    ours = {numbers: loaded(model, numbers) for numbers in ("float32", "int8")}
    words = ours["int8"].words
    peer = published(model.folder)
    figures = one_text(ours, peer, words.encode("The capital of France is"))
    captions = (data_folder() / "captions" / "test.txt").read_text(encoding="utf-8").splitlines()
    figures += perplexity(ours, words.encode("\n".join(captions[:60]))[:512])
    figures += mixed(ours["float32"], peer, prompts(captions, words))
    figures += other_engine(model.folder, words.encode("The capital of France is"), threads)
    write("decode", figures)


def imported():
    """Return SmolLM2-135M-Instruct, brought into a workspace of the benchmarks as a user would."""
    workspace = Workspace.open(DATA / "decode-workspace")
    if not workspace.models():
        for event in execute(JobRequest("models.import", {"source": str(fetch_smollm2())}, str(workspace.folder))):
            print(event)
    return workspace.models()[0]


def loaded(model, numbers: Numbers) -> LanguageModel:
    """Return the model ready to write."""
    steps = load_language_model(model, CPU, numbers)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def published(folder: Path):
    """Return the same weights as transformers' own network in float32."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()


def one_text(ours: dict[str, LanguageModel], peer, prompt: list[int]) -> list[Figure]:
    """Race one text at a time."""
    inputs = torch.tensor([prompt])

    def generate() -> None:
        peer.generate(inputs, max_new_tokens=TOKENS, min_new_tokens=TOKENS, do_sample=False, pad_token_id=2)

    runners: dict[str, Callable[[], None]] = {"generate": generate}
    for numbers, model in ours.items():
        runners[numbers] = lambda model=model: [*decode(model.network, [Ask(tuple(prompt), 0, TOKENS)], GREEDY)]
    seconds = race(runners)
    rates = {name: TOKENS / value for name, value in seconds.items()}
    ratio = rates["int8"] / rates["generate"]
    return [
        figure("decode.smollm2.vs_generate", ratio, "x", ">= 2", ratio >= 2),
        figure("decode.smollm2.float32.vs_generate", rates["float32"] / rates["generate"], "x"),
        *(figure(f"decode.smollm2.tokens_per_s.{name}", rate, "tokens/s") for name, rate in rates.items()),
    ]


def mixed(ours: LanguageModel, peer, asks: list[Ask]) -> list[Figure]:
    """Race 64 prompts; only tokens that were asked for count."""
    longest = max(len(ask.prompt) for ask in asks)
    most = max(ask.most for ask in asks)
    rows = torch.tensor([[2] * (longest - len(ask.prompt)) + list(ask.prompt) for ask in asks])
    mask = torch.tensor([[0] * (longest - len(ask.prompt)) + [1] * len(ask.prompt) for ask in asks])
    wanted = sum(ask.most for ask in asks)

    def generate() -> None:
        peer.generate(
            rows, attention_mask=mask, max_new_tokens=most, min_new_tokens=most, do_sample=False, pad_token_id=2
        )

    seconds = race({"generate": generate, "ours": lambda: [*decode(ours.network, asks, GREEDY)]}, turns=2)
    ratio = seconds["generate"] / seconds["ours"]
    return [
        figure("decode.mixed64.vs_generate", ratio, "x", ">= 1.5", ratio >= 1.5),
        figure("decode.mixed64.tokens_per_s", wanted / seconds["ours"], "tokens/s"),
        figure("decode.mixed64.tokens_per_s.generate", wanted / seconds["generate"], "tokens/s"),
        figure("decode.mixed64.wanted_share (of rows times the longest)", wanted / (most * len(asks)), ""),
    ]


def prompts(captions: list[str], words) -> list[Ask]:
    """Return 64 prompts of 4 to about 90 tokens with 8 to 64 tokens to write, both drawn evenly."""
    generator = np.random.Generator(np.random.PCG64(0))
    text = words.encode(" ".join(captions[:2000]))
    asks = []
    for seed in range(64):
        length, most = int(generator.integers(4, 90)), int(generator.integers(8, 65))
        start = int(generator.integers(0, len(text) - 100))
        asks.append(Ask(tuple(text[start : start + length]), seed, most))
    return asks


def perplexity(ours: dict[str, LanguageModel], tokens: list[int]) -> list[Figure]:
    """Return the perplexity on captions in both kinds of numbers."""
    found = {}
    for numbers, model in ours.items():
        with torch.no_grad():
            logits = model.network.lm_head(model.network(torch.tensor([tokens])))[0, :-1].float()
        found[numbers] = math.exp(F.cross_entropy(logits, torch.tensor(tokens[1:])).item())
    change = found["int8"] / found["float32"] - 1
    return [
        figure("decode.smollm2.int8.perplexity_change", change, "", "<= 0.02", change <= 0.02),
        *(figure(f"decode.smollm2.perplexity.{name}", value, "") for name, value in found.items()),
    ]


def other_engine(folder: Path, prompt: list[int], threads: int) -> list[Figure]:
    """Return the speed of ctranslate2, which also rounds the activations."""
    import ctranslate2
    from tokenizers import Tokenizer

    converted = DATA / "decode-ctranslate2"
    if not converted.is_dir():
        ctranslate2.converters.TransformersConverter(str(folder)).convert(str(converted), quantization="int8")
    engine = ctranslate2.Generator(str(converted), compute_type="int8", intra_threads=threads)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    start = [tokenizer.id_to_token(number) for number in prompt]

    def run() -> None:
        for _token in engine.generate_tokens(start, max_length=TOKENS, end_token=[], sampling_topk=1):
            pass

    rate = TOKENS / race({"ctranslate2": run})["ctranslate2"]
    return [figure("decode.smollm2.tokens_per_s.ctranslate2_int8", rate, "tokens/s")]


def race(runners: dict[str, Callable[[], object]], turns: int = TURNS) -> dict[str, float]:
    """Return the least seconds of each, taking turns; the first turn warms up."""
    seconds: dict[str, list[float]] = {name: [] for name in runners}
    for turn in range(turns + 1):
        for name, run in runners.items():
            start = time.perf_counter()
            run()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return {name: min(values) for name, values in seconds.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    main(parser.parse_args().threads)
