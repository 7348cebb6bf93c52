"""Whatever is changed in the small files of a model, it is read or refused in one sentence, and soon."""

from __future__ import annotations

import copy
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.model import Model
from aigc_desktop.data.model_files import find_model
from aigc_desktop.engine.pretrained.chat import MOST_SECONDS, render
from aigc_desktop.engine.pretrained.encoder import check_encoder
from aigc_desktop.engine.pretrained.load import (
    check_language_model,
    end_tokens,
    read_words,
    special_tokens,
    template_of,
)
from aigc_desktop.engine.pretrained.peft_adapter import read_adapter
from aigc_desktop.engine.pretrained.tiny import write_tiny_model
from aigc_desktop.engine.pretrained.tiny_encoder import write_tiny_encoder
from tests.engine.pretrained.test_model_import import cut_in_two, lora_files

FEW = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
ODD: list[Any] = [
    None, True, False, 0, -1, 1, 3, 10**6, 10**18, 10**400, -(10**30), 0.0, 1.5, 1e308, float("nan"), float("inf"), "",
    "a", "x" * 5000, "../../etc/passwd", "\x00", "{{", "(a+)+$", "llama3", "<|im_end|>", [], [1], [[]], ["a"] * 50, {},
    {"a": 1}, {"type": "x"}, {"rope_type": "linear"}, [None] * 50,
]  # fmt: skip
PIECES = (
    "{{ messages[0]['content'] }}", "{% for m in messages %}", "{% endfor %}", "{{ m.role }}", "{% if m %}",
    "{% endif %}", "{% set x = 'a' * 10 %}", "{{ x ~ x }}", "{{ range(9999)|list }}", "{{ messages|tojson }}",
    "{% set ns = namespace(v=1) %}", "{% set ns.v = ns.v * 999 %}", "{{ ns.v ** 9 }}", "{% set x = x + x %}",
    "{{ x.replace('a', x) }}", "{% macro f(a) %}{{ f(a ~ a) }}{% endmacro %}", "{{ f('a') }}", "{{ 1 / 0 }}",
    "{% for i in range(9999) %}", "{% set x = [x, x] %}", "{{ x|join(x) }}", "{{ x|map('replace', 'a', 'aa')|join }}",
    "{{ (messages|string) * 3 }}", "{{ x.split('') }}", "{{ x[::-1] }}", "{{ x|int }}", "{{ -x }}", "{{ x in x }}",
    "{{ x|tojson(indent=99999999) }}", "{{ messages[0].content.__class__ }}", "{% break %}", "{{ x|dictsort }}",
    "{{ strftime_now('%Y' * 300) }}", "\x00", "{#", "{{", "%}", "你好 👋",
)  # fmt: skip


def places(tree: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the ways to all values of a tree; of long lists only to the first ones."""
    found = [at] if at else []
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree[:30]) if isinstance(tree, list) else ()
    return found + [place for key, value in list(pairs) for place in places(value, (*at, key))]


@st.composite
def mutants(draw: st.DrawFn, text: str) -> bytes:
    """Return a JSON file with values changed or taken away, or with other bytes."""
    if draw(st.integers(0, 4)) == 0:
        data = bytearray(text.encode())
        for at, byte in draw(st.lists(st.tuples(st.integers(0, len(data) - 1), st.sampled_from(b'"{}[]:,0-e\\\x00\xff'))
                                      , min_size=1, max_size=5)):  # fmt: skip
            data[at] = byte
        return bytes(data)
    tree = json.loads(text)
    for _change in range(draw(st.integers(1, 4))):
        known = places(tree)
        if not known:
            break
        *way, last = draw(st.sampled_from(known))
        inner = tree
        for key in way:
            inner = inner[key]
        if draw(st.integers(0, 4)) == 0:
            del inner[last]
        else:
            inner[last] = copy.deepcopy(draw(st.sampled_from(ODD)))
    return json.dumps(tree).encode()


def refused_or_read(read: Callable[[], object]) -> None:
    """Call something that may refuse in one sentence with a way out, and nothing else."""
    start = time.process_time()
    try:
        read()
    except UserError as error:
        assert error.message.strip() and "\n" not in error.message and error.hint
    assert time.process_time() - start < 2 * MOST_SECONDS


def look_at(folder: Path) -> None:
    """Read all that is read of a model before its weights."""
    found = find_model(folder)
    if found.kind == "encoder":
        check_encoder(found)
        return
    shape = check_language_model(found)
    words = read_words(folder, shape.vocab)
    special = special_tokens(Model(folder))
    end_tokens(Model(folder), words, special)
    if template_of(Model(folder)):
        render(template_of(Model(folder)), [{"role": "user", "content": "?"}], special)
    words.decode(words.encode("hello 你好"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz") / "model"
    write_tiny_model(folder)
    cut_in_two(folder)
    (folder / "generation_config.json").write_text('{"eos_token_id": [1, 2], "pad_token_id": 3}')
    (folder / "special_tokens_map.json").write_text('{"eos_token": {"content": "<|im_end|>"}, "bos_token": "a"}')
    return folder


FILES = (
    "config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json", "special_tokens_map.json",
    "model.safetensors.index.json",
)  # fmt: skip


def fuzz_file(folder: Path, name: str, how: settings) -> None:
    text = (folder / name).read_text(encoding="utf-8")
    changed = shutil.copytree(folder, folder.with_name(f"{name} changed"), dirs_exist_ok=True)

    @how
    @given(data=mutants(text))
    def run(data: bytes) -> None:
        (changed / name).write_bytes(data)
        refused_or_read(lambda: look_at(changed))

    run()


@pytest.mark.parametrize("name", FILES)
def test_a_changed_file_of_a_model_is_read_or_refused(folder, name):
    fuzz_file(folder, name, FEW)


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_2000_changed_files_of_a_model_are_read_or_refused(folder, name):
    fuzz_file(folder, name, MANY)


@pytest.mark.parametrize("kind", ["bert", "modernbert", "llama"])
def test_a_million_layers_are_refused_before_they_are_built(tmp_path, kind):
    write = write_tiny_model if kind == "llama" else lambda folder: write_tiny_encoder(folder, ["a"], model_type=kind)
    write(tmp_path / kind)
    config = json.loads((tmp_path / kind / "config.json").read_text(encoding="utf-8"))
    (tmp_path / kind / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 10**6}), encoding="utf-8")
    start = time.process_time()
    with pytest.raises(UserError, match="damaged"):
        look_at(tmp_path / kind)
    assert time.process_time() - start < 2


@pytest.mark.parametrize("kind", ["bert", "modernbert"])
def test_a_changed_configuration_of_an_encoder_is_read_or_refused(tmp_path, kind):
    write_tiny_encoder(tmp_path / kind, ["a few words"], model_type=kind)
    fuzz_file(tmp_path / kind, "config.json", FEW)


def fuzz_adapter(folder: Path, how: settings) -> None:
    path = lora_files(folder / "lora") / "adapter_config.json"
    told = {
        **json.loads(path.read_text()), "use_rslora": True, "use_dora": False, "bias": "none", "lora_dropout": 0.1,
        "rank_pattern": {"q_proj": 2}, "alpha_pattern": {}, "modules_to_save": None, "init_lora_weights": True,
    }  # fmt: skip

    @how
    @given(data=mutants(json.dumps(told)))
    def run(data: bytes) -> None:
        path.write_bytes(data)
        refused_or_read(lambda: (find_model(path.parent), read_adapter(path.parent)))

    run()


def test_changed_settings_of_an_adapter_are_read_or_refused(tmp_path):
    fuzz_adapter(tmp_path, FEW)


@pytest.mark.slow
def test_2000_changed_settings_of_an_adapter_are_read_or_refused(tmp_path):
    fuzz_adapter(tmp_path, MANY)


def fuzz_template(how: settings) -> None:
    @how
    @given(pieces=st.lists(st.sampled_from(PIECES), min_size=1, max_size=12), closed=st.booleans())
    def run(pieces: list[str], closed: bool) -> None:
        template = "".join(pieces)
        if closed:
            template += "{% endif %}" * template.count("{% if") + "{% endfor %}" * template.count("{% for")
        refused_or_read(lambda: render(template, [{"role": "user", "content": "你好 👋"}], {}))

    run()


def test_templates_of_any_pieces_are_rendered_or_refused():
    fuzz_template(FEW)


@pytest.mark.slow
def test_2000_templates_of_any_pieces_are_rendered_or_refused():
    fuzz_template(MANY)
