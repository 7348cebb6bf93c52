"""Importing a pipeline or a LoRA: what is copied and told, and what is refused before a library sees it."""

import json
import shutil

import numpy as np
import pytest
import torch

from aigc_desktop.core.events import Failed, Note, Result
from aigc_desktop.core.request import JobRequest
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.pipeline_lines import SAFETY
from aigc_desktop.engine.diffusion.libraries import class_of, library
from aigc_desktop.engine.host import execute
from aigc_desktop.engine.weights import read_tensors, write_tensors
from tests.engine.diffusion.conftest import NAMES, made, use


def bring(workspace, source, **values):
    """Import and return (id or None, events)."""
    events = list(execute(JobRequest("models.import", {"source": str(source), **values}, str(workspace.folder))))
    done = [event.data["id"] for event in events if isinstance(event, Result)]
    return (done[0] if done else None), events


@pytest.fixture
def folder(studio, tmp_path):
    """A published pipeline, to be spoilt."""
    return copy_of(studio, "sd", tmp_path)


def copy_of(studio, name, tmp_path):
    target = tmp_path / f"published {name}"
    shutil.copytree(studio.model(name).folder, target, ignore=shutil.ignore_patterns("model.json"))
    return target


def change(*path, **values):
    """Return what changes a JSON file of a folder."""

    def spoil(folder):
        edit(folder.joinpath(*path), **values)

    return spoil


def edit(path, **values):
    table = {**json.loads(path.read_text(encoding="utf-8")), **values}
    path.write_text(json.dumps(table), encoding="utf-8")


@pytest.mark.parametrize("line", NAMES)
def test_a_pipeline_is_copied_with_its_parts_and_needs_the_original_no_more(studio, workspace, tmp_path, line):
    folder = copy_of(studio, line, tmp_path)
    (folder / "LICENSE.md").write_text("CreativeML Open RAIL-M\n")
    (folder / "pipeline.py").write_text("raise SystemExit")
    (folder / "vae" / "diffusion_pytorch_model.bin").write_bytes(b"\x80\x04")
    made_id, _events = bring(workspace, folder, title="名字")
    info = workspace.model(made_id).info
    assert (info.kind, info.title, info.licence) == ("diffusion", "名字", "CreativeML Open RAIL-M")
    assert info.parts["vae"] == "AutoencoderKL" and info.parameters > 50_000
    files = [path.name for path in workspace.model(made_id).folder.rglob("*")]
    assert not any(name.endswith((".py", ".bin")) for name in files)
    assert "vae/diffusion_pytorch_model.safetensors" in info.files
    shutil.rmtree(folder)
    assert made(use(workspace, "generate", model=made_id))


def test_weights_in_half_precision_with_an_index_are_read(folder, workspace):
    unet = folder / "unet"
    tensors = read_tensors(unet / "diffusion_pytorch_model.safetensors")
    (unet / "diffusion_pytorch_model.safetensors").unlink()
    halves = {name: tensor.half() for name, tensor in tensors.items()}
    names = sorted(halves)
    places = {}
    for number, part in enumerate((names[::2], names[1::2]), 1):
        file = f"diffusion_pytorch_model.fp16-0000{number}-of-00002.safetensors"
        write_tensors(unet / file, {name: halves[name] for name in part})
        places |= dict.fromkeys(part, file)
    index = {"metadata": {}, "weight_map": places}
    (unet / "diffusion_pytorch_model.safetensors.index.fp16.json").write_text(json.dumps(index))
    made_id, events = bring(workspace, folder)
    assert made_id is not None, events[-1]
    assert made(use(workspace, "generate", model=made_id))


def _without_unet(folder):
    shutil.rmtree(folder / "unet")


def _without_weights(folder):
    (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink()


def _pickled_only(folder):
    path = folder / "vae" / "diffusion_pytorch_model.safetensors"
    path.rename(path.with_suffix(".bin"))


def _not_named(folder):
    index = json.loads((folder / "model_index.json").read_text())
    del index["text_encoder"]
    (folder / "model_index.json").write_text(json.dumps(index))


def _cut(folder):
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


SPOILT = {
    "missing part": (_without_unet, "unet"),
    "missing weights": (_without_weights, "diffusion_pytorch_model.safetensors"),
    "pickled weights": (_pickled_only, "pickled"),
    "part not named": (_not_named, "text_encoder"),
    "cut weights": (_cut, "damaged"),
    "no tokenizer": (lambda folder: (folder / "tokenizer" / "merges.txt").unlink(), "tokenizer"),
    "unknown pipeline": (change("model_index.json", _class_name="EvilPipeline"), "EvilPipeline"),
    "no table": (lambda folder: (folder / "model_index.json").write_text("[1]"), "damaged"),
    "odd part": (change("model_index.json", unet=["diffusers"]), "damaged"),
    "unknown class": (change("model_index.json", unet=["os", "system"]), "os.system"),
    "known class of another library": (
        change("model_index.json", unet=["pipeline", "UNet2DConditionModel"]), "not known",
    ),
    "class of another part": (
        change("model_index.json", unet=["diffusers", "AutoencoderKL"]), "AutoencoderKL",
    ),
    "code of the pipeline": (change("model_index.json", custom_pipeline="x.py"), "program code"),
    "code of a part": (change("unet", "config.json", auto_map={"AutoModel": "x.Y"}), "program code"),
    "code of a tokenizer": (
        change("tokenizer", "tokenizer_config.json", auto_map={"AutoTokenizer": "x.Y"}), "code",
    ),
    "kernels": (
        change("text_encoder", "config.json", _attn_implementation_internal="a/b"), "not done",
    ),
    "other numbers": (change("unet", "config.json", quantization_config={"a": 1}), "not done"),
    "another class inside": (change("unet", "config.json", _class_name="Other"), "Other"),
}  # fmt: skip


@pytest.mark.parametrize("how", SPOILT)
def test_a_spoilt_pipeline_is_refused_and_leaves_nothing(folder, workspace, how):
    spoil, word = SPOILT[how]
    spoil(folder)
    made_id, events = bring(workspace, folder)
    assert made_id is None and isinstance(events[-1], Failed)
    assert events[-1].kind == "BadInput" and word in events[-1].message and events[-1].hint
    assert not workspace.models()


def test_weights_that_are_not_those_of_the_configuration_are_told_when_loading(folder, workspace):
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    tensors = read_tensors(path)
    write_tensors(path, {name: tensor for name, tensor in tensors.items() if "conv_in" not in name})
    made_id, _events = bring(workspace, folder)
    events = use(workspace, "generate", model=made_id)
    assert isinstance(events[-1], Failed) and "conv_in" in events[-1].message and events[-1].kind == "BadInput"


def test_words_that_do_not_belong_together_are_told_when_loading(folder, workspace):
    (folder / "tokenizer/vocab.json").write_text("{}")
    made_id, _events = bring(workspace, folder)
    events = use(workspace, "generate", model=made_id)
    assert isinstance(events[-1], Failed) and "tokenizer" in events[-1].message and events[-1].kind == "BadInput"


def test_a_class_that_was_changed_after_the_import_is_refused_too(studio, workspace, tmp_path):
    made_id, _events = bring(workspace, copy_of(studio, "sd", tmp_path))
    edit(workspace.model(made_id).folder / "model_index.json", unet=["os", "system"])
    events = use(workspace, "generate", model=made_id)
    assert isinstance(events[-1], Failed) and "os.system" in events[-1].message


def test_a_model_in_one_file_is_no_lora(studio, workspace, tmp_path):
    file = tmp_path / "model.safetensors"
    shutil.copy(studio.model("sd").folder / "unet" / "diffusion_pytorch_model.safetensors", file)
    made_id, events = bring(workspace, file)
    assert made_id is None and "no LoRA" in events[-1].message and "model_index.json" in events[-1].hint


@pytest.fixture
def workspace(tmp_path):
    return Workspace.open(tmp_path / "其他")


def test_a_safety_check_that_comes_along_is_kept_and_told(folder, workspace):
    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
              "image_size": 32, "patch_size": 16, "projection_dim": 8}  # fmt: skip
    settings = library("transformers").CLIPConfig(vision_config=vision, projection_dim=8)
    checker = class_of(SAFETY)(settings)
    with torch.no_grad():  # whatever it looks at, it finds odd
        checker.concept_embeds_weights.fill_(-2.0)
    checker.save_pretrained(str(folder / "safety_checker"))
    (folder / "feature_extractor").mkdir()
    prepare = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 32}, "crop_size": 32}
    (folder / "feature_extractor" / "preprocessor_config.json").write_text(json.dumps(prepare))
    edit(folder / "model_index.json", safety_checker=["stable_diffusion", SAFETY],
         feature_extractor=["transformers", "CLIPFeatureExtractor"])  # fmt: skip
    made_id, events = bring(workspace, folder)
    assert made_id is not None, events[-1]
    events = use(workspace, "generate", model=made_id)
    assert not made(events)[0].any()
    assert any(isinstance(event, Note) and "safety check" in event.message for event in events), events[-1]


def test_weights_named_as_they_were_at_first_are_read(studio, folder, workspace):
    path = folder / "vae" / "diffusion_pytorch_model.safetensors"
    old = {".to_q.": ".query.", ".to_k.": ".key.", ".to_v.": ".value.", ".to_out.0.": ".proj_attn."}
    tensors = {}
    for name, tensor in read_tensors(path).items():
        for now, before in old.items():
            name = name.replace(now, before)
        tensors[name] = tensor
    assert any(".proj_attn." in name for name in tensors)
    write_tensors(path, tensors)
    made_id, _events = bring(workspace, folder)
    work = made(use(workspace, "generate", model=made_id))[0]
    assert np.array_equal(work, made(use(studio, "generate"))[0])
