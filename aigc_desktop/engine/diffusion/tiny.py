"""Tiny diffusion models with random weights, of the real classes: for the tests and for the self-check of a build."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from aigc_desktop.core.files import sha256_file, write_json
from aigc_desktop.core.model import ModelInfo
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.pipeline_files import find_pipeline
from aigc_desktop.data.pipeline_lines import LINES, Line
from aigc_desktop.engine.diffusion.libraries import class_of, library

WIDTH, POOLED = 16, 16
SIDE = 32  # pixels of a picture; the VAE halves it
_BASIC: dict[str, Any] = {"sample_size": SIDE // 2, "in_channels": 4}


def add_tiny_diffusion(workspace: Workspace, line: str = "sd", title: str = "tiny", **scheduler: Any) -> str:
    """Write a tiny pipeline as an imported model of the workspace and return its id."""
    folder = workspace.new_model_folder(title)
    write_tiny_pipeline(folder, line, **scheduler)
    found = find_pipeline(folder)
    files = {path.relative_to(folder).as_posix(): sha256_file(path) for path in found.files}
    count = sum(torch.Size(size).numel() for size in found.tensors.values())
    write_json(folder / "model.json", asdict(ModelInfo(
        title, "diffusion", found.architecture, "", "", parameters=count, bytes=found.bytes, files=files,
        parts=found.parts,
    )))  # fmt: skip
    return folder.name


def write_tiny_pipeline(folder: Path, name: str = "sd", **scheduler: Any) -> None:
    """Write a pipeline of a line of data/pipeline_lines.py; `scheduler` changes the scheduler's settings."""
    line = next(line for line in LINES if line.name == name)
    folder.mkdir(parents=True, exist_ok=True)
    index: dict[str, Any] = {"_class_name": line.classes[0]}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for part, kinds in line.parts.items():
            if part in line.optional and line.name == "sd":
                index[part] = [None, None]
                continue
            index[part] = ["diffusers" if _is_diffusers(kinds[0]) else "transformers", kinds[0]]
            _write_part(folder / part, line, kinds[0], scheduler)
    if line.name == "sdxl":
        index["force_zeros_for_empty_prompt"] = True
    if line.denoiser == "transformer" and line.name != "pixart":
        index["scheduler"][1] = "FlowMatchEulerDiscreteScheduler"
    elif scheduler.get("_class_name"):
        index["scheduler"][1] = scheduler["_class_name"]
    else:
        index["scheduler"][1] = "EulerDiscreteScheduler"
    write_json(folder / "model_index.json", index)


def _is_diffusers(kind: str) -> bool:
    return not kind.startswith(("CLIP", "T5"))


def _write_part(folder: Path, line: Line, kind: str, scheduler: dict[str, Any]) -> None:
    folder.mkdir()
    if kind.endswith("Scheduler"):
        values = {"_class_name": "EulerDiscreteScheduler", "beta_start": 0.00085, "beta_end": 0.012,
                  "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}  # fmt: skip
        if line.denoiser == "transformer" and line.name != "pixart":
            values = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0, "num_train_timesteps": 1000}
        write_json(folder / "scheduler_config.json", {**values, **scheduler})
    elif kind == "CLIPTokenizer":
        _write_clip_words(folder)
    elif kind == "T5Tokenizer":
        _write_t5_words(folder)
    else:
        _model(line, kind).save_pretrained(str(folder), safe_serialization=True)


def _model(line: Line, kind: str) -> Any:
    made = class_of(kind)
    match kind:
        case "UNet2DConditionModel":
            extra: dict[str, Any] = {}
            if line.name == "sdxl":
                extra = {"addition_embed_type": "text_time", "addition_time_embed_dim": 8,
                         "projection_class_embeddings_input_dim": 6 * 8 + POOLED}  # fmt: skip
            model = made(
                **_BASIC, out_channels=4, block_out_channels=(8, WIDTH), layers_per_block=1, norm_num_groups=4,
                down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
                up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), attention_head_dim=4,
                cross_attention_dim=2 * WIDTH if line.name == "sdxl" else WIDTH, **extra,
            )
        case "AutoencoderKL":
            channels, noise = 16 if line.name == "sd3" else 4, line.denoiser == "unet"
            model = made(
                block_out_channels=(8, 8), latent_channels=channels, norm_num_groups=4, layers_per_block=1,
                down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
                sample_size=SIDE, scaling_factor=0.5, use_quant_conv=noise, use_post_quant_conv=noise,
                shift_factor=None if noise else 0.0,
            )
        case "SD3Transformer2DModel":
            model = made(
                sample_size=SIDE // 2, patch_size=2, in_channels=16, num_layers=2, attention_head_dim=8,
                num_attention_heads=2, joint_attention_dim=2 * WIDTH, caption_projection_dim=16,
                pooled_projection_dim=2 * POOLED, out_channels=16, pos_embed_max_size=32,
            )
        case "FluxTransformer2DModel":
            model = made(
                patch_size=1, in_channels=48 if line.name == "flux_fill" else 16, out_channels=16, num_layers=1,
                num_single_layers=1, attention_head_dim=8,
                num_attention_heads=2, joint_attention_dim=2 * WIDTH, pooled_projection_dim=POOLED,
                axes_dims_rope=(2, 2, 4), guidance_embeds=True,
            )
        case "PixArtTransformer2DModel":
            model = made(
                sample_size=SIDE // 2, patch_size=2, in_channels=4, out_channels=8, num_layers=1, attention_head_dim=8,
                num_attention_heads=2, cross_attention_dim=16, caption_channels=2 * WIDTH,
            )
        case "T5EncoderModel":
            model = made(library("transformers").T5Config(
                vocab_size=300, d_model=2 * WIDTH, d_kv=8, d_ff=16, num_layers=1, num_heads=2,
            ))  # fmt: skip
        case _:
            model = made(library("transformers").CLIPTextConfig(
                hidden_size=WIDTH, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2, vocab_size=600,
                projection_dim=POOLED, bos_token_id=512, eos_token_id=513, pad_token_id=513,
            ))  # fmt: skip
    return model


def _write_clip_words(folder: Path) -> None:
    """Write a tokenizer of single bytes as CLIP publishes it: each byte alone, and at the end of a word."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    write_json(folder / "vocab.json", {word: number for number, word in enumerate(words)})
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>",
    })  # fmt: skip


def _write_t5_words(folder: Path) -> None:
    """Write a tokenizer of single letters as T5 publishes it."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    pieces += [(chr(code), -3.0) for code in range(33, 127)]
    words = Tokenizer(models.Unigram(pieces, unk_id=2))
    words.pre_tokenizer = pre_tokenizers.Metaspace()
    described = json.loads(words.to_str())
    described["added_tokens"] = [
        {"id": number, "content": text, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
         "special": True}
        for number, text in enumerate(("<pad>", "</s>", "<unk>"))
    ]  # fmt: skip
    write_json(folder / "tokenizer.json", described)
    write_json(folder / "tokenizer_config.json", {
        "tokenizer_class": "T5TokenizerFast", "model_max_length": 512, "eos_token": "</s>", "unk_token": "<unk>",
        "pad_token": "<pad>", "extra_ids": 0,
    })  # fmt: skip
