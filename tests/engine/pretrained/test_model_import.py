"""Importing published models: folders, GGUF files and adapters; what is wrong leaves nothing behind."""

import json
import shutil
import struct

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import quantize

from aigc_desktop.core.events import Failed, Finished, Note, Result, Text
from aigc_desktop.core.files import write_json
from aigc_desktop.core.request import JobRequest
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.host import execute
from aigc_desktop.engine.pretrained import load
from aigc_desktop.engine.pretrained.load import load_language_model
from aigc_desktop.engine.pretrained.tiny import TEMPLATE, tiny_tokenizer, write_tiny_model
from aigc_desktop.engine.weights import read_tensors, write_tensors
from tests.engine.toy import cut_in_two

CPU = torch.device("cpu")


@pytest.fixture
def workspace(tmp_path):
    return Workspace.open(tmp_path / "工作区")


@pytest.fixture
def folder(tmp_path):
    write_tiny_model(tmp_path / "published")
    return tmp_path / "published"


def bring(workspace, source, **values):
    """Import and return (id or None, events)."""
    request = JobRequest("models.import", {"source": str(source), **values}, str(workspace.folder))
    events = list(execute(request))
    made = [event.data["id"] for event in events if isinstance(event, Result)]
    return (made[0] if made else None), events


def write(workspace, made, **values):
    """Write texts with an imported model and return (texts or None, events)."""
    values = {"model": made, "device": "cpu", "numbers": "float32", "length": 12, "count": 2, **values}
    run = workspace.new_run("language_model.generate", values, parent="results")
    events = list(execute(JobRequest("language_model.generate", values, str(workspace.folder), str(run.folder))))
    texts = [event.items for event in events if isinstance(event, Text) and not event.partial]
    return (texts[-1] if texts else None), events


def loaded(model, numbers=None):
    steps = load_language_model(model, CPU, numbers)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def test_a_folder_is_copied_with_what_is_known_of_it(workspace, folder):
    (folder / "README.md").write_text("---\nlicense: mit\n---", encoding="utf-8")
    made, _events = bring(workspace, folder, title="Tiny 小")
    info = workspace.model(made).info
    assert (info.title, info.kind, info.architecture, info.licence, info.chat) == (
        "Tiny 小", "language", "llama", "mit", True
    )
    assert info.parameters == sum(t.numel() for t in read_tensors(folder / "model.safetensors").values())
    assert set(info.files) >= {"model.safetensors", "tokenizer.json"}
    shutil.rmtree(folder)  # the workspace needs the original no more
    texts, events = write(workspace, made, prompt="hello")
    assert isinstance(events[-1], Finished) and len(texts) == 2


def test_a_model_in_several_files_is_copied_with_their_index(workspace, folder):
    """As publishers cut large models into pieces, and as a GGUF file lies in the workspace."""
    cut_in_two(folder)
    made, events = bring(workspace, folder)
    assert made is not None, events[-1]
    texts, events = write(workspace, made, prompt="hello")
    assert isinstance(events[-1], Finished) and len(texts) == 2
    again, _events = bring(workspace, workspace.model(made).folder, title="again")
    assert workspace.model(again).info.parameters == workspace.model(made).info.parameters


def lora_files(folder, width=32, module="model.layers.0.self_attn.q_proj"):
    folder.mkdir()
    settings = {"peft_type": "LORA", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]}
    write_json(folder / "adapter_config.json", settings)
    name = f"base_model.model.{module}"
    pair = {f"{name}.lora_A.weight": torch.zeros(2, width), f"{name}.lora_B.weight": torch.zeros(width, 2)}
    write_tensors(folder / "adapter_model.safetensors", pair)
    return folder


def test_an_adapter_finds_the_model_it_fits(workspace, folder, tmp_path):
    base, _events = bring(workspace, folder)
    adapter, _events = bring(workspace, lora_files(tmp_path / "lora"))
    assert workspace.model(adapter).info.base == base


@pytest.mark.parametrize(("width", "module"), [(48, "model.layers.0.self_attn.q_proj"), (32, "model.layers.9.x")])
def test_an_adapter_for_another_model_is_told_how_many_parts_fit(workspace, folder, tmp_path, width, module):
    bring(workspace, folder)
    made, events = bring(workspace, lora_files(tmp_path / "lora", width, module))
    assert made is None and "0 of its 1 parts fit" in events[-1].message
    assert len(workspace.models()) == 1


@pytest.mark.parametrize("change", [{"layer_replication": [[0, 2]]}, {"lora_bias": True}, {"r": 5}, {"r": "x"}])
def test_an_adapter_that_cannot_be_used_is_refused_at_its_import(workspace, folder, tmp_path, change):
    bring(workspace, folder)
    path = lora_files(tmp_path / "lora") / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    made, events = bring(workspace, path.parent)
    assert made is None and events[-1].message.startswith("lora: ") and events[-1].hint
    assert len(workspace.models()) == 1


def test_an_adapter_without_its_model_says_so(workspace, tmp_path):
    made, events = bring(workspace, lora_files(tmp_path / "lora"))
    assert made is None and events[-1].message.startswith("lora: ") and "none is imported" in events[-1].message


def _spoil_shape(folder):
    tensors = read_tensors(folder / "model.safetensors")
    tensors["model.norm.weight"] = torch.zeros(31)
    write_tensors(folder / "model.safetensors", tensors)


def _spoil_missing(folder):
    tensors = read_tensors(folder / "model.safetensors")
    write_tensors(folder / "model.safetensors", {name: t for name, t in tensors.items() if ".layers.1." not in name})


def _spoil_layers(folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 1}))


def _spoil_words(folder):
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens([f"word{number}" for number in range(9)])
    tokenizer.save(str(folder / "tokenizer.json"))


def _spoil_cut(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _spoil_kind(folder):
    tensors = read_tensors(folder / "model.safetensors")
    tensors["model.norm.weight"] = torch.ones(32, dtype=torch.int8)
    write_tensors(folder / "model.safetensors", tensors)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_spoil_layers, "it holds 2 layers"), (_spoil_kind, "numbers of a kind that is not known"),
        (_spoil_shape, "model.norm.weight"), (_spoil_missing, "9 of 20"), (_spoil_words, "belong together"),
        (_spoil_cut, "damaged"), (lambda f: (f / "tokenizer.json").write_text("{}"), "tokenizer.json"),
    ],
)  # fmt: skip
def test_a_model_whose_parts_do_not_belong_together_leaves_nothing(workspace, folder, spoil, reason):
    spoil(folder)
    made, events = bring(workspace, folder)
    assert made is None and isinstance(events[-1], Failed)
    assert reason in events[-1].message and events[-1].hint
    assert not list((workspace.folder / "models").iterdir())


def test_a_template_that_never_ends_is_told_and_the_model_still_goes_on_with_texts(workspace, folder):
    endless = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}"
    (folder / "chat_template.jinja").write_text(endless * 40)
    made, events = bring(workspace, folder)
    assert any(isinstance(event, Note) and "template" in event.message for event in events)
    assert not workspace.model(made).info.chat
    assert write(workspace, made, prompt="x", chat=False)[0]


def test_weights_that_are_no_numbers_are_told_instead_of_written_with(workspace, folder):
    tensors = read_tensors(folder / "model.safetensors")
    tensors["model.layers.1.mlp.up_proj.weight"][0, 0] = float("nan")
    write_tensors(folder / "model.safetensors", tensors)
    made, _events = bring(workspace, folder)
    texts, events = write(workspace, made, prompt="x")
    assert not texts and events[-1].kind == "NotFinite" and "float32" in events[-1].hint


def test_end_tokens_outside_the_vocabulary_are_passed_over(workspace, folder):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"eos_token_id": [-1, 10**9]}))
    (folder / "tokenizer_config.json").write_text("{}")
    made, _events = bring(workspace, folder)
    assert write(workspace, made, prompt="", chat=False, count=1, length=4)[0]


@pytest.fixture
def gguf_file(folder, tmp_path):
    """The tiny model as a GGUF file; queries and keys as that format has them, one matrix with 8 bits."""
    tensors = {name: tensor.numpy() for name, tensor in read_tensors(folder / "model.safetensors").items()}
    path = tmp_path / "tiny.gguf"
    writer = GGUFWriter(path, "llama")
    for add, value in (
        (writer.add_block_count, 2), (writer.add_context_length, 256), (writer.add_embedding_length, 32),
        (writer.add_feed_forward_length, 64), (writer.add_head_count, 4), (writer.add_head_count_kv, 2),
        (writer.add_layer_norm_rms_eps, 1e-6), (writer.add_rope_freq_base, 10000.0),
        (writer.add_tokenizer_model, "gpt2"), (writer.add_tokenizer_pre, "gpt-2"), (writer.add_eos_token_id, 257),
        (writer.add_chat_template, TEMPLATE),
    ):  # fmt: skip
        add(value)
    vocab = sorted(tiny_tokenizer().get_vocab().items(), key=lambda pair: pair[1])
    writer.add_token_list([token for token, _number in vocab])
    writer.add_token_types([3 if token.startswith("<|") else 1 for token, _number in vocab])
    writer.add_token_merges(["a b"])
    names = {"embed_tokens": "token_embd", "norm": "output_norm"}
    parts = {
        "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "post_attention_layernorm": "ffn_norm",
        "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    }  # fmt: skip
    for name, tensor in tensors.items():
        if name.startswith("model.layers."):
            _model, _layers, number, *rest = name.removesuffix(".weight").split(".")
            part, heads = parts[".".join(rest)], {"attn_q": 4, "attn_k": 2}.get(parts[".".join(rest)])
            if heads:
                tensor = tensor.reshape(heads, 2, -1, tensor.shape[1]).swapaxes(1, 2).reshape(tensor.shape)
            name = f"blk.{number}.{part}.weight"
        else:
            name = f"{names[name.split('.')[1]]}.weight"
        if name == "blk.0.ffn_up.weight":
            kind = GGMLQuantizationType.Q8_0
            writer.add_tensor(name, quantize(tensor, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, np.ascontiguousarray(tensor))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@torch.no_grad()
def test_a_gguf_file_becomes_the_same_model(workspace, folder, gguf_file):
    plain, compressed = bring(workspace, folder)[0], bring(workspace, gguf_file)[0]
    info = workspace.model(compressed).info
    assert info.title == "tiny" and info.came_as == "gguf" and info.chat
    ours, other = (loaded(workspace.model(name), "float32") for name in (plain, compressed))
    tokens = torch.tensor([ours.words.encode("The tea, 茶 7!")])
    assert other.words.encode("The tea, 茶 7!") == tokens[0].tolist()
    assert other.end == ours.end
    wanted = ours.network.lm_head(ours.network(tokens))
    torch.testing.assert_close(other.network.lm_head(other.network(tokens)), wanted, atol=0.02, rtol=0.02)


@pytest.mark.parametrize(
    ("key", "kind", "value", "reason"),
    [
        ("block_count", "<I", 1, "it holds 2 layers, its configuration speaks of 1"),
        ("block_count", "<I", 3, "9 of 29 parts"), ("attention.head_count_kv", "<I", 1, "16 × 32"),
        ("attention.head_count_kv", "<I", 3, "num_attention_heads"), ("feed_forward_length", "<I", 63, "63 × 32"),
        ("attention.layer_norm_rms_epsilon", "<f", float("nan"), "does not say"),
        ("rope.freq_base", "<f", float("inf"), "does not say"), ("rope.freq_base", "<f", -1.0, "does not say"),
    ],
)  # fmt: skip
def test_a_gguf_header_that_speaks_of_another_model_is_refused(workspace, gguf_file, key, kind, value, reason):
    data, name = bytearray(gguf_file.read_bytes()), f"llama.{key}".encode()
    struct.pack_into(kind, data, data.index(name) + len(name) + 4, value)
    gguf_file.write_bytes(data)
    made, events = bring(workspace, gguf_file)
    assert made is None and isinstance(events[-1], Failed) and events[-1].hint
    assert reason in events[-1].message and ".partial" not in events[-1].message
    assert not list((workspace.folder / "models").iterdir())


def test_a_gguf_file_of_another_kind_leaves_nothing(workspace, gguf_file):
    gguf_file.write_bytes(gguf_file.read_bytes().replace(b"llama", b"mamba"))
    made, events = bring(workspace, gguf_file)
    assert made is None and "mamba" in events[-1].message
    assert not list((workspace.folder / "models").iterdir())


# writing


@pytest.fixture
def model(workspace, folder):
    return bring(workspace, folder)[0]


def test_the_same_settings_write_the_same_texts_and_variants_differ(workspace, model):
    first, _events = write(workspace, model, prompt="hi", seed=5, count=3)
    again, _events = write(workspace, model, prompt="hi", seed=5, count=3)
    assert first == again and len(set(first)) == 3


def test_a_text_goes_on_from_its_beginning_and_ends_before_a_stop_word(workspace, model):
    settings = {"prompt": "Tea ", "chat": False, "temperature": 1.0, "count": 1, "length": 60}
    whole, _events = write(workspace, model, **settings)
    made = whole[0].removeprefix("Tea ")
    assert whole[0].startswith("Tea ") and len(made) > 8
    letter = next(c for c in made[3:] if c not in made[:3] and c.isascii() and c.isalnum())
    cut, _events = write(workspace, model, **settings, stop=letter)
    assert cut[0] == "Tea " + made[: made.index(letter)]


def test_a_model_without_a_template_goes_on_with_the_text_and_says_so(workspace, folder):
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|im_end|>"}))
    made, _events = bring(workspace, folder)
    texts, events = write(workspace, made, prompt="Once")
    assert texts[0].startswith("Once")
    assert any(isinstance(event, Note) and "conversations" in event.message for event in events)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"prompt": "x" * 400}, "at most"), ({"prompt": ""}, "no request"), ({"prompt": "x", "model": "no"}, "“no”"),
        ({"prompt": "x", "model": "../runs"}, "not a name"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_one_sentence(workspace, model, values, reason):
    _texts, events = write(workspace, model, **values)
    assert isinstance(events[-1], Failed) and reason in events[-1].message


def test_a_model_that_does_not_fit_says_how_much_is_missing(workspace, folder, monkeypatch):
    halves = {name: tensor.half() for name, tensor in read_tensors(folder / "model.safetensors").items()}
    write_tensors(folder / "model.safetensors", halves)
    model, _events = bring(workspace, folder)

    class Memory:
        available = 90_000

    monkeypatch.setattr(load.psutil, "virtual_memory", Memory)
    _texts, events = write(workspace, model, prompt="x")
    assert events[-1].kind == "OutOfMemory" and "more than is free" in events[-1].message
    assert "8-bit" in events[-1].hint


def test_other_scripts_and_emoji_pass_unharmed(workspace, model):
    prompt = "شاي 🍵 茶 ‮"
    texts, events = write(workspace, model, prompt=prompt, chat=False, count=1)
    assert texts[0].startswith(prompt) and isinstance(events[-1], Finished)
