"""Find the encoding of a text file: byte order mark, UTF-8, UTF-16 without mark, GB18030, then by statistics.

Where little is beyond ASCII, the reading whose letters are the most common decides (data/letters.py).

A file whose lines are in several encodings is refused: any one of them would read some of its lines as other letters.
"""

from __future__ import annotations

import codecs
import io
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from charset_normalizer import from_bytes

from aigc_desktop.core.errors import system_reason
from aigc_desktop.data.letters import readings
from aigc_desktop.data.problems import ItemProblem

SAMPLE = 256_000
MARK_ERRORS = "aigc_desktop.mark"
"""Error handler that keeps a bad byte b as the lone surrogate U+DC00 + b, so that its line can be reported."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_OTHERS = ["big5", "cp932", "euc_jp", "cp949", "cp1252", "cp1251", "cp1250", "koi8_r", "cp1253", "cp1254", "cp1256"]
_WESTERN = set("àâäáãåæçéèêëíìîïñóòôöõøœúùûüýÿßÀÂÄÁÃÅÆÇÉÈÊËÍÌÎÏÑÓÒÔÖÕØŒÚÙÛÜ’‘“”„–—…«»°€£§©®·\xa0¡¿ªº½¼×")
_OF_ITS_SCRIPT = {
    "cp949": ("euc_kr", "\uac00", "\ud7a3", 0.6), "cp932": ("cp932", "\u3040", "\u30ff", 0.15),
    "euc_jp": ("euc_jp", "\u3040", "\u30ff", 0.15), "big5": ("big5", "\u4e00", "\u9fff", 0.6),
}  # fmt: skip
"""Encoding -> its usual letters, first and last letter of its script, the least share of these in what is not ASCII."""
_LITTLE = 32  # letters beyond ASCII; so few of one byte cannot be told from Chinese
_FEW_BYTES = 200  # beyond ASCII; more of them are enough for statistics
_SURE = 10.0  # nats between the likeliest reading and the next
_CHINESE_PAIR, _OTHER_PAIR = 0.2, 0.005
"""At most how often two bytes beyond ASCII are valid UTF-8 by chance, in GB18030 and in other encodings."""
_BY_CHANCE = 0.01
_LONG_LINE = 1 << 20
_HIGH = bytes(range(0x80, 0x100))
_CONTROLS = bytes(set(range(32)) - {7, 8, 9, 10, 11, 12, 13, 26, 27})


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(MARK_ERRORS, _mark)


@dataclass(frozen=True)
class Detected:
    """The codec of a text file, and whether it is more than a guess."""

    codec: str
    sure: bool = True


def detect_encoding(path: Path | str) -> Detected:
    """Return the encoding of a text file.

    ItemProblem "empty", "not_text" for a binary file, "encoding" when no encoding fits, "mixed" when its lines are in
    several, "unreadable".
    """
    try:
        with open(path, "rb") as f:
            sample = f.read(SAMPLE)
            if not sample:
                raise ItemProblem("empty")
            for mark, codec in _MARKS:
                if sample.startswith(mark):
                    return Detected(codec)
            zeros = sample.count(0)
            if zeros and not _is_text_with_zeros(sample, zeros):
                return Detected(_utf16_without_mark(sample))
            if len(sample.translate(None, _CONTROLS)) + zeros < 0.99 * len(sample):
                raise ItemProblem("not_text")
            f.seek(0)
            if _decodes(f, "utf-8"):
                return Detected("utf-8")
            f.seek(0)
            return _not_utf8(sample, f)
    except OSError as error:
        raise ItemProblem("unreadable", reason=system_reason(error)) from error


@contextmanager
def open_text(path: Path | str, encoding: str) -> Iterator[io.TextIOWrapper]:
    """Open a text with any line ends; bytes that are wrong in its encoding come as lone surrogates.

    ItemProblem "encoding" for UTF-16 without its mark, which may only be a choice that does not fit.
    """
    with open(path, encoding=encoding, errors=MARK_ERRORS, newline=None) as f:
        try:
            yield f
        except UnicodeError as error:
            raise ItemProblem("encoding") from error


def bad_bytes(text: str) -> str:
    """Return the marked bad bytes of a decoded text as people write them ("0xFF 0xFE"), or ""."""
    if text.isascii():
        return ""
    try:
        text.encode()
    except UnicodeEncodeError:
        marked = [ord(c) - 0xDC00 for c in text if 0xDC00 <= ord(c) <= 0xDCFF]
        return " ".join(f"0x{byte:02X}" for byte in marked[:8]) or "0x?"
    return ""


def _decodes(f: io.BufferedReader, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while chunk := f.read(1 << 20):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _is_text_with_zeros(sample: bytes, zeros: int) -> bool:
    """Return whether a text has a few zero bytes that do not belong to it; those of UTF-16 are many, or it is else."""
    whole = sample.rstrip(_HIGH)  # the last letter may be cut
    known = _is_in(whole, "utf-8") or (_is_in(whole, "gb18030") and _looks_chinese(sample))
    return zeros * 10 <= len(sample) and known


def _utf16_without_mark(sample: bytes) -> str:
    """Return the byte order in which a text with zero bytes reads as letters, or refuse it as binary."""
    sample = sample[: len(sample) // 2 * 2]
    best, best_share = "", 0.0
    for codec in ("utf-16-le", "utf-16-be"):
        try:
            text = sample.decode(codec)
        except UnicodeDecodeError as error:
            if error.start < len(sample) - 2:
                continue
            text = sample[: error.start].decode(codec)
        share = sum(_is_common(c) for c in text[:20_000]) / max(len(text[:20_000]), 1)
        if share > best_share:
            best, best_share = codec, share
    if best_share < 0.95:
        raise ItemProblem("not_text")
    return best


def _is_common(c: str) -> bool:
    code = ord(c)
    return (
        0x20 <= code < 0x7F or code in (9, 10, 13) or 0xA0 <= code < 0x530 or 0x2010 <= code <= 0x2040
        or 0x3000 <= code < 0x3100 or 0x4E00 <= code < 0xA000 or 0xAC00 <= code < 0xD7A4 or 0xFF00 <= code < 0xFFEF
        or code >= 0x10000
    )  # fmt: skip


def _not_utf8(sample: bytes, f: io.BufferedReader) -> Detected:
    if _is_damaged_utf8(sample):
        return Detected("utf-8")
    _refuse_mixed(f)
    if len(sample) < SAMPLE and len(sample) - len(sample.translate(None, _HIGH)) < _FEW_BYTES:
        likeliest = readings(sample)
        if likeliest:
            nats, codec = likeliest[0]
            others = [other for other, name in likeliest[1:] if sample.decode(name) != sample.decode(codec)]
            return Detected(codec, sure=not others or others[0] - nats >= _SURE)
    return Detected(_by_statistics(sample, f))


def _by_statistics(sample: bytes, f: io.BufferedReader) -> str:
    f.seek(0)
    gb18030 = _decodes(f, "gb18030")
    if gb18030 and _looks_chinese(sample):
        return "gb18030"
    if _looks_western(sample):
        return "cp1252"
    guesses = [guess.encoding for guess in from_bytes(sample[:65_536], cp_isolation=_OTHERS, enable_fallback=False)]
    likely = [guess for guess in guesses if _is_likely(sample, guess)]
    if likely or (guesses and not gb18030):
        guess = (likely or guesses)[0]
        return "big5hkscs" if guess == "big5" else guess
    if gb18030:
        return "gb18030"
    raise ItemProblem("encoding")


def _refuse_mixed(f: io.BufferedReader) -> None:
    """Raise ItemProblem "mixed" when more lines are valid UTF-8 than chance makes of lines in another encoding."""
    f.seek(0)
    first: dict[bool, int] = {}  # number of the first line that is valid UTF-8, and of the first that is not
    pairs: Counter[float] = Counter()
    valid, chinese = 0, True
    for number, line in _lines_beyond_ascii(f):
        fits = _is_in(line, "utf-8")
        chinese = chinese and (fits or _is_in(line, "gb18030"))
        valid += fits
        pairs[(len(line) - len(line.translate(None, _HIGH))) / 2] += 1
        first.setdefault(fits, number)
    pair = _CHINESE_PAIR if chinese else _OTHER_PAIR
    expected = sum(count * pair**size for size, count in pairs.items() if size >= 1)
    if len(first) == 2 and _at_least(valid, expected) < _BY_CHANCE:
        raise ItemProblem("mixed", utf8=first[True], other=first[False])


def _lines_beyond_ascii(f: io.BufferedReader) -> Iterator[tuple[int, bytes]]:
    """Yield (number, line); what does not end within a MiB is left out, for memory's sake."""
    number, begins = 0, True
    while line := f.readline(_LONG_LINE):
        whole = len(line) < _LONG_LINE or line.endswith(b"\n")
        number += begins
        if begins and whole and not line.isascii():
            yield number, line
        begins = whole


def _at_least(count: int, mean: float) -> float:
    """Return the chance of `count` or more where `mean` are expected (Poisson)."""
    if mean > 100:  # the terms below underflow for many; a normal distribution is near enough
        return 0.5 * math.erfc((count - 0.5 - mean) / math.sqrt(2 * mean))
    term, below = math.exp(-mean), 0.0
    for k in range(count):
        below += term
        term *= mean / (k + 1)
    return max(0.0, 1 - below)


def _is_in(line: bytes, encoding: str) -> bool:
    try:
        line.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _is_likely(sample: bytes, encoding: str) -> bool:
    """Return whether a text that may be Chinese is rather in another encoding."""
    codec, begin, end, least = _OF_ITS_SCRIPT.get(encoding, (encoding, "\x80", "\U0010ffff", 1.0))
    high = [c for c in sample.decode(codec, "replace") if ord(c) >= 0x80]
    if encoding not in _OF_ITS_SCRIPT and len(high) < _LITTLE:
        return False
    return sum(begin <= c <= end for c in high) >= least * len(high)


def _looks_western(sample: bytes) -> bool:
    """Return whether the few high bytes are the accents and marks of Western European languages.

    Statistics confuse these languages with Central European ones; Czech shows as ø beside è or ì here.
    """
    text = sample.decode("cp1252", "replace")
    high = [c for c in text if ord(c) >= 0x80]
    letters = sum(c in _WESTERN for c in high)
    czech = "ø" in high and ("è" in high or "ì" in high)
    return 0 < len(high) < 0.3 * len(text) and letters >= 0.9 * len(high) and not czech


def _is_damaged_utf8(sample: bytes) -> bool:
    """Return whether nearly all high bytes form valid UTF-8: a few broken characters, not another encoding."""
    text = sample.decode("utf-8", MARK_ERRORS)
    bad = sum(0xDC00 <= ord(c) <= 0xDCFF for c in text)
    high = int(np.count_nonzero(np.frombuffer(sample, np.uint8) >= 0x80))
    return bad * 10 <= high


def _looks_chinese(sample: bytes) -> bool:
    """Tell GB18030 from other encodings whose bytes happen to be valid in it.

    Chinese text lives in the GB2312 square (both bytes from A1), spreads over leads B0 to F7, and has few kana.
    Korean uses leads B0 to C8 only, Japanese EUC has kana in A4 and A5, Big5 and Shift-JIS leave the square.
    """
    data = np.frombuffer(sample, np.uint8)
    leads, trails, position = [], [], 0
    limit = min(len(data) - 1, 60_000)
    while position < limit:
        if data[position] < 0x81:
            position += 1
            continue
        four = 0x30 <= data[position + 1] <= 0x39
        leads.append(0 if four else int(data[position]))
        trails.append(0 if four else int(data[position + 1]))
        position += 4 if four else 2
    lead, trail = np.array(leads), np.array(trails)
    if not len(lead):
        return False
    four_bytes = lead == 0
    square = (lead >= 0xA1) & (lead <= 0xF7) & (trail >= 0xA1)
    letters = (lead >= 0xB0) & (lead <= 0xF7) & (trail >= 0xA1)
    kana = ((lead == 0xA4) | (lead == 0xA5)).mean()
    upper = (letters & (lead > 0xC8)).sum() / max(letters.sum(), 1)
    korean = letters.sum() >= 20 and upper < 0.1
    return bool((square | four_bytes).mean() > 0.8 and kana < 0.15 and not korean)
