"""The tokenizer in a GGUF file: byte pairs as GPT-2 has them, or pieces with scores as SentencePiece has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from aigc_desktop.core.errors import BadInput
from aigc_desktop.core.i18n import _
from aigc_desktop.data.gguf_header import Gguf

_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_SPLITS = {
    "llama-bpe": _CONTRACTIONS + r"\p{N}{1,3}" + _REST,
    "qwen2": _CONTRACTIONS + r"\p{N}" + _REST,
}
"""How some models cut text before their merges are applied, as their own tokenizers do."""
_UNKNOWN, _CONTROL, _USER_DEFINED = 2, 3, 4  # kinds of tokens in the file
_SPACE = "\u2581"
_LONGEST = 256  # letters of a piece whose merges are looked for


def tokenizer_of(gguf: Gguf, vocab: int) -> Tokenizer:
    """Return the tokenizer in the file for a network of `vocab` tokens; BadInput when it cannot be read."""
    tokens = gguf.values.get("tokenizer.ggml.tokens")
    make = _KINDS.get(str(gguf.values.get("tokenizer.ggml.model")))
    if make is None or not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise _unreadable(gguf)
    if len(tokens) > vocab or len(set(tokens)) < len(tokens):
        raise BadInput(gguf.path.name, _("its vocabulary does not belong to its weights"),
                       _("Copy the file again from where it came."))  # fmt: skip
    tokenizer = make(gguf, {token: number for number, token in enumerate(tokens)})
    kinds = _kinds(gguf)
    special = [
        AddedToken(token, special=kind == _CONTROL, normalized=False)
        for token, kind in zip(tokens, kinds, strict=False) if kind in (_CONTROL, _USER_DEFINED)
    ]  # fmt: skip
    tokenizer.add_special_tokens([token for token in special if token.special])
    tokenizer.add_tokens([token for token in special if not token.special])
    return tokenizer


def tokenizer_settings(gguf: Gguf) -> dict[str, Any]:
    """Return what `tokenizer_config.json` says: the tokens of begin and end, and the chat template."""
    tokens = gguf.values["tokenizer.ggml.tokens"]
    found: dict[str, Any] = {"add_bos_token": bool(gguf.values.get("tokenizer.ggml.add_bos_token", False))}
    for name in ("bos", "eos"):
        number = gguf.values.get(f"tokenizer.ggml.{name}_token_id")
        if type(number) is int and 0 <= number < len(tokens):
            found[f"{name}_token"] = tokens[number]
    template = gguf.values.get("tokenizer.chat_template")
    if isinstance(template, str):
        found["chat_template"] = template
    return found


def _byte_pairs(gguf: Gguf, numbers: Mapping[str, int]) -> Tokenizer:
    merges = gguf.values.get("tokenizer.ggml.merges")
    if not isinstance(merges, list):
        raise _unreadable(gguf)
    pairs = [tuple(str(merge).split(" ")) for merge in merges]
    known = [pair for pair in pairs if len(pair) == 2 and {*pair, "".join(pair)} <= numbers.keys()]
    tokenizer = Tokenizer(models.BPE(dict(numbers), known))
    tokenizer.pre_tokenizer = _cutting(str(gguf.values.get("tokenizer.ggml.pre", "")))
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _cutting(kind: str) -> Any:
    whole = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    if kind in _SPLITS:
        return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(_SPLITS[kind]), "isolated"), whole])
    words = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if kind == "smollm":
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), words])
    return words


def _scored_pieces(gguf: Gguf, numbers: Mapping[str, int]) -> Tokenizer:
    """Return byte pairs that join pieces in the order of their scores, which is what SentencePiece's BPE does."""
    scores = gguf.values.get("tokenizer.ggml.scores")
    kinds = _kinds(gguf)
    if not isinstance(scores, list) or len(scores) != len(numbers) or len(kinds) != len(numbers):
        raise _unreadable(gguf)
    unknown = next((token for token, kind in zip(numbers, kinds, strict=True) if kind == _UNKNOWN), None)
    model = models.BPE(
        dict(numbers), _merges(numbers, scores), unk_token=unknown, fuse_unk=True, byte_fallback=True
    )  # fmt: skip
    tokenizer = Tokenizer(model)
    spaces: list[Any] = [normalizers.Replace(" ", _SPACE)]
    back: list[Any] = [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    if gguf.values.get("tokenizer.ggml.add_space_prefix", True):
        spaces.insert(0, normalizers.Prepend(_SPACE))
        back.append(decoders.Strip(" ", 1, 0))
    tokenizer.normalizer, tokenizer.decoder = normalizers.Sequence(spaces), decoders.Sequence(back)
    begin = gguf.values.get("tokenizer.ggml.bos_token_id")
    if gguf.values.get("tokenizer.ggml.add_bos_token", True) and type(begin) is int and 0 <= begin < len(numbers):
        token = list(numbers)[begin]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{token} $A", pair=f"{token} $A $B", special_tokens=[(token, begin)]
        )
    return tokenizer


def _merges(numbers: Mapping[str, int], scores: list[float]) -> list[tuple[str, str]]:
    """Return all pairs of pieces that make a piece, those of the best piece first."""
    found = []
    for piece, number in numbers.items():
        for at in range(1, min(len(piece), _LONGEST)):
            left, right = piece[:at], piece[at:]
            if left in numbers and right in numbers:
                found.append((-scores[number], number, numbers[left], left, right))
    return [(left, right) for *_order, left, right in sorted(found)]


def _kinds(gguf: Gguf) -> list[Any]:
    kinds = gguf.values.get("tokenizer.ggml.token_type")
    return kinds if isinstance(kinds, list) else []


def _unreadable(gguf: Gguf) -> BadInput:
    return BadInput(
        gguf.path.name, _("its vocabulary is of a kind that cannot be read from a GGUF file"),
        _("Get the same model as a folder with safetensors files."),
    )  # fmt: skip


_KINDS: dict[str, Callable[[Gguf, Mapping[str, int]], Tokenizer]] = {"gpt2": _byte_pairs, "llama": _scored_pieces}
