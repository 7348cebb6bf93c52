"""Read an imported language model: its network from safetensors files, its tokenizer, the tokens that end a text."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer
from torch import Tensor, nn

from aigc_desktop.core.errors import BadInput, UserError, readable_size
from aigc_desktop.core.events import Event, Progress
from aigc_desktop.core.i18n import _, ngettext
from aigc_desktop.core.model import Model, ModelInfo, memory_of
from aigc_desktop.data.found_model import types_of
from aigc_desktop.data.model_files import FoundModel, Tensors, find_model
from aigc_desktop.data.safetensors_header import WHOLE, damaged_weights
from aigc_desktop.engine.pretrained.chat import Message, render
from aigc_desktop.engine.pretrained.llama import Llama, LlamaShape, shape_of
from aigc_desktop.engine.pretrained.numbers import BITS, Numbers, make_ready
from aigc_desktop.engine.pretrained.rounding import SAMPLE, round_and_tell

_LAYER = re.compile(r"model\.layers\.([0-9]{1,6})\.")
_UNKNOWN_CHARACTER = "\N{REPLACEMENT CHARACTER}"


class Words:
    """The tokenizer of a published model."""

    def __init__(self, inner: Tokenizer) -> None:
        self.inner = inner
        inner.no_padding()
        inner.no_truncation()
        self.size = inner.get_vocab_size()

    def encode(self, text: str, special: bool = False) -> list[int]:
        """Return the tokens of a text; `special` adds what the model wants at the beginning of one."""
        return list(self.inner.encode(text, add_special_tokens=special).ids)

    def decode(self, ids: Sequence[int], unfinished: bool = False) -> str:
        """Return the text; with `unfinished` the last character may lack bytes and is left out then."""
        text: str = self.inner.decode([int(i) for i in ids])
        return text.rstrip(_UNKNOWN_CHARACTER) if unfinished else text


@dataclass(frozen=True)
class LanguageModel:
    """A loaded model; `end` holds the tokens that end a text, `special` the texts of its special tokens by name.

    One that was fine-tuned reads `begin` before a plain text as it did when it learned, and `between` parts a request
    from its answer, as plain lines.
    """

    network: Llama
    words: Words
    end: frozenset[int]
    special: dict[str, str]
    template: str
    title: str
    begin: tuple[int, ...] = ()
    between: str = ""

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        """Return all that has weights."""
        return (self.network,)

    def read(self, request: str, chat: bool = True, role: str = "") -> tuple[int, ...]:
        """Return the tokens to read before writing: a conversation laid out by the model's template, or plain text."""
        if chat and self.template:
            messages: list[Message] = [{"role": "system", "content": role}] if role.strip() else []
            messages.append({"role": "user", "content": request})
            return tuple(self.words.encode(render(self.template, messages, self.special))) or self.first
        if self.begin:
            return (*self.begin, *self.words.encode(request + self.between if request else ""))
        return tuple(self.words.encode(request, special=True)) or (min(self.end, default=0),)

    @property
    def last(self) -> int:
        """Return the token that ends a text which is learned."""
        named = self.words.inner.token_to_id(self.special.get("eos_token", ""))
        return min(self.end, default=0) if named is None else int(named)

    @property
    def first(self) -> tuple[int, ...]:
        """Return the tokens that begin a text which is learned: what the publisher begins one with, or the last."""
        return tuple(self.words.encode("", special=True)) or (self.last,)


Change = Callable[[Llama], None]
"""Changes a network that was just read, as an adapter does."""
Place = Callable[[Llama, str, Tensor], None]
"""Gives a network the tensor of this name as soon as it is read."""


def put(network: Llama, name: str, tensor: Tensor) -> None:
    """Give a network a tensor of its own that is like this one, which lies in a file."""
    lend(network, name, tensor.clone())


def lend(network: Llama, name: str, tensor: Tensor) -> None:
    """Give a network a tensor as it is."""
    owner, _dot, last = name.rpartition(".")
    setattr(network.get_submodule(owner), last, nn.Parameter(tensor, requires_grad=False))


def lending(numbers: Numbers, device: torch.device) -> Place:
    """Return what lets a matrix lie in its file when it becomes another one in `numbers` at once.

    Its pages are then no memory of the program's: a model is never there twice, whatever the numbers of its files.
    """
    kind = torch.float32 if numbers == "float32" else torch.bfloat16

    def place(network: Llama, name: str, tensor: Tensor) -> None:
        changes = numbers == "int8" or tensor.dtype != kind or device.type != "cpu"
        (lend if changes and tensor.ndim == 2 and "embed_tokens" not in name else put)(network, name, tensor)

    return place


def load_language_model(
    model: Model, device: torch.device, numbers: Numbers | None = None, change: Change | None = None,
    kept_in: Numbers = "float32", place: Place | None = None,
) -> Generator[Event, None, LanguageModel]:  # fmt: skip
    """Return an imported model, in the numbers of its files, which will be `kept_in`, or ready to write in `numbers`.

    With `place` its tensors go where that puts them, and the memory is looked after by who gives it.
    Yields Progress between its parts. UserError when it is no language model, damaged, or too large for the memory.
    """
    info = model.info
    if info.kind != "language":
        raise UserError(
            _("“{title}” is not a model that writes.").format(title=info.title), _("Choose a language model.")
        )
    if place is None:
        need_memory(info, numbers or kept_in, device, whole=numbers is None or change is not None)
    return (yield from open_language_model(model, info.title, device, numbers, change, place))


def open_language_model(
    model: Model, title: str, device: torch.device, numbers: Numbers | None, change: Change | None = None,
    place: Place | None = None,
) -> Generator[Event, None, LanguageModel]:  # fmt: skip
    """Return the model in a folder that need not be an imported one; a Note tells what 8-bit weights change in it."""
    found = find_model(model.folder)
    assert isinstance(found, FoundModel)  # a model folder always has its configuration
    shape = check_language_model(found)
    words = read_words(model.folder, shape.vocab)
    network = yield from read_network(found, shape, place or (put if numbers is None else lending(numbers, device)))
    if change is not None:
        change(network)
    if numbers == "int8":
        network = yield from round_and_tell(network, torch.tensor([words.encode(SAMPLE, special=True)]), title)
    elif numbers is not None:
        network = make_ready(network, numbers, device)
    special = special_tokens(model)
    end = frozenset(token for token in end_tokens(model, words, special) if 0 <= token < shape.vocab)
    return LanguageModel(network, words, end, special, template_of(model), title)


def check_language_model(found: FoundModel) -> LlamaShape:
    """Return the shape of a model on disk; BadInput when its weights are not those its configuration describes."""
    shape, wanted = check_tensors(found.config, found.tensors, found.folder.name)
    whole = next((name for name, kind in types_of(found.weights).items() if name in wanted and kind in WHOLE), None)
    if whole is not None:
        raise BadInput(
            found.folder.name, _("“{name}” has numbers of a kind that is not known").format(name=whole),
            _("Choose a plain version of it, without quantization, in safetensors files."),
        )  # fmt: skip
    return shape


def check_tensors(config: dict[str, Any], tensors: Tensors, where: str) -> tuple[LlamaShape, Tensors]:
    """Return the shape of a configuration and the tensors it needs; BadInput on `where` when `tensors` are others."""
    shape = shape_of(config)
    with torch.device("meta"):
        wanted = {name: tuple(tensor.shape) for name, tensor in Llama(shape).state_dict().items()}
    if shape.tied:
        wanted.pop("lm_head.weight")
    missing = [name for name in wanted if name not in tensors]
    if missing:
        raise BadInput(
            where,
            ngettext(
                "{count} of {all} parts of the model is missing: “{name}”",
                "{count} of {all} parts of the model are missing, “{name}” among them", len(missing),
            ).format(
                count=len(missing), all=len(wanted), name=missing[0]
            ),
            _("Copy all of it again from where it came."),
        )
    wrong = next((name for name, size in wanted.items() if tensors[name] != size), None)
    if wrong is not None:
        raise BadInput(
            where,
            _("“{name}” has the size {size}, its configuration says {told}").format(
                name=wrong, size=_by(tensors[wrong]), told=_by(wanted[wrong])
            ),
            _("Copy all of it again from where it came."),
        )
    layers = 1 + max((int(found[1]) for name in tensors if (found := _LAYER.match(name))), default=-1)
    if layers > shape.layers:
        raise BadInput(
            where,
            _("it holds {layers} layers, its configuration speaks of {told}").format(layers=layers, told=shape.layers),
            _("Copy all of it again from where it came."),
        )
    return shape, wanted


def need_memory(info: ModelInfo, numbers: Numbers, device: torch.device, whole: bool = False) -> None:
    """Raise UserError when the weights do not fit into the memory that is free, saying how much is missing.

    `whole` says that they are there in the numbers of their files first, as what an adapter changes is.
    """
    smaller = memory_of(info, 8, whole)
    hint = ""
    if numbers != "int8" and smaller < free_memory_of(device) and device.type == "cpu":
        hint = _("With 8-bit weights it needs {size}: choose them under “Numbers”.").format(size=readable_size(smaller))
    need_bytes(info.title, memory_of(info, BITS[numbers], whole), device, hint)


def need_bytes(title: str, needed: int, device: torch.device, hint: str = "") -> None:
    """Raise UserError when a model called `title` needs more bytes than are free; `hint` is a better way out."""
    free = free_memory_of(device)
    if needed > free:
        raise UserError(
            _("“{title}” needs about {needed} of memory, {missing} more than is free.").format(
                title=title, needed=readable_size(needed), missing=readable_size(needed - free)
            ),
            hint or _("Close other programs, or choose a smaller model."), kind="OutOfMemory",
        )  # fmt: skip


def free_memory_of(device: torch.device) -> int:
    """Return the bytes that are free on a device now."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available


def read_words(folder: Path, vocab: int) -> Words:
    """Return the tokenizer of a model folder; BadInput when it is damaged or has more words than the model."""
    try:
        words = Words(Tokenizer.from_file(str(folder / "tokenizer.json")))
    except Exception as error:
        raise BadInput(
            "tokenizer.json", _("the file is damaged"), _("Copy the model again from where it came.")
        ) from error
    last = max(words.inner.get_vocab().values(), default=-1)
    if last >= vocab:
        raise BadInput(
            "tokenizer.json",
            _("it has {words} words, the model knows {known}: they do not belong together").format(
                words=last + 1, known=vocab
            ),
            _("Copy the whole folder again from where it came."),
        )
    return words


def read_network(found: FoundModel, shape: LlamaShape, place: Place = put) -> Generator[Event, None, Llama]:
    """Return the network with the weights of its files, each put where it belongs as it is read; yields Progress."""
    with torch.device("meta"):
        network = Llama(shape)
    wanted = set(network.state_dict())
    done = 0
    for path in found.weights:
        try:
            with safe_open(path, "pt") as file:
                for name in file.keys():  # noqa: SIM118 - a file, not a dictionary
                    if name in wanted and not (shape.tied and name == "lm_head.weight"):
                        place(network, name, file.get_tensor(name))
                        done += 1
                        yield Progress(done, len(wanted), _("Loading the model"))
        except (SafetensorError, ValueError, RuntimeError) as error:
            raise damaged_weights(path, str(error)) from error
    if shape.tied:
        network.tie()
    return network


def special_tokens(model: Model) -> dict[str, str]:
    """Return the texts of the tokens that begin and end a text, as far as the publisher names them."""
    tables = (model.table("special_tokens_map.json"), model.table("tokenizer_config.json"))
    found: dict[str, str] = {}
    for table in tables:
        for name in ("bos_token", "eos_token", "pad_token", "unk_token"):
            value = table.get(name)
            value = value.get("content") if isinstance(value, dict) else value
            if isinstance(value, str):
                found[name] = value
    return found


def end_tokens(model: Model, words: Words, special: dict[str, str]) -> frozenset[int]:
    """Return all tokens that end a text: those of the configurations and the tokenizer's own."""
    ends: set[int] = set()
    for name in ("generation_config.json", "config.json"):
        told: Any = model.table(name).get("eos_token_id")
        ends |= {number for number in (told if isinstance(told, list) else [told]) if type(number) is int}
    named = [special.get("eos_token", ""), "<|im_end|>", "<|eot_id|>", "<|end|>"]
    ends |= {number for text in named if text and (number := words.inner.token_to_id(text)) is not None}
    return frozenset(ends)


def template_of(model: Model) -> str:
    """Return the model's chat template, "" when it has none."""
    file = model.folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8", errors="replace")
    told = model.table("tokenizer_config.json").get("chat_template")
    if isinstance(told, list):  # several by name
        told = next((t.get("template") for t in told if isinstance(t, dict) and t.get("name") == "default"), None)
    return told if isinstance(told, str) else ""


def _by(size: tuple[int, ...]) -> str:
    return " × ".join(map(str, size))
