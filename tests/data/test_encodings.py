"""The encoding of little text: real names of countries and languages, as files of their usual encodings."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from babel import Locale

from aigc_desktop.data.encodings import detect_encoding
from aigc_desktop.data.letters import _LANGUAGES
from aigc_desktop.data.scan import ScanConfig
from tests.data.test_texts import Import

LEAST = {  # (language, codec) -> share of right readings with so many letters beyond ASCII: from 2, from 5, from 10
    ("zh_Hans", "gb18030"): (0.99, 0.99, 0.99), ("zh_Hant", "big5"): (0.85, 0.97, 0.98),
    ("zh_Hant", "gb18030"): (0.97, 0.98, 0.98), ("ko", "cp949"): (0.77, 0.94, 0.98),
    ("ja", "cp932"): (0.96, 0.98, 0.99), ("ja", "euc_jp"): (0.96, 0.98, 0.97), ("ru", "cp1251"): (0.96, 0.98, 0.97),
    ("ru", "koi8_r"): (0.80, 0.88, 0.98), ("uk", "cp1251"): (0.94, 0.97, 0.96), ("el", "cp1253"): (0.78, 0.89, 0.96),
    ("de", "cp1252"): (0.99, 0.99, 0.99), ("fr", "cp1252"): (0.99, 0.99, 0.99), ("es", "cp1252"): (0.98, 0.99, 0.99),
    ("cs", "cp1250"): (0.86, 0.92, 0.96), ("pl", "cp1250"): (0.55, 0.65, 0.88),
}  # fmt: skip


def beyond_ascii(text: str) -> int:
    return sum(not c.isascii() for c in text)


def names_of(language: str, codec: str, least: int) -> list[tuple[str, bytes]]:
    """Return real names with at least so many letters beyond ASCII; short ones are joined, a line each."""
    locale = Locale.parse(language)
    names = sorted({*locale.languages.values(), *locale.territories.values(), *map(str, locale.currencies.values())})
    found, lines = [], ""
    for name in names:
        lines += name
        if beyond_ascii(lines) < least:
            lines += "\n" if lines else ""
            continue
        try:
            found.append((lines, lines.encode(codec)))
        except UnicodeEncodeError:
            pass
        lines = ""
    return found[:: max(1, len(found) // 150)]


def read(path: Path, data: bytes) -> tuple[str, bool]:
    path.write_bytes(data)
    found = detect_encoding(path)
    return data.decode(found.codec, "replace"), found.sure


@pytest.mark.parametrize(("language", "codec"), LEAST)
def test_little_text_of_many_languages_is_read_as_what_it_is(tmp_path: Path, language: str, codec: str) -> None:
    for least, share in zip((2, 5, 10), LEAST[language, codec], strict=True):
        texts = names_of(language, codec, least)
        right = [read(tmp_path / "t.txt", data)[0] == text for text, data in texts]
        assert len(texts) >= 15 and sum(right) / len(right) >= share, (least, sum(right) / len(right))


def test_hardly_any_wrong_reading_is_called_sure(tmp_path: Path) -> None:
    wrong, silent, count = 0, 0, 0
    for language, codec in LEAST:
        for text, data in names_of(language, codec, 2):
            got, sure = read(tmp_path / "t.txt", data)
            wrong += got != text
            silent += got != text and sure
            count += 1
    assert wrong > 100 and silent / count < 0.01


@pytest.mark.parametrize(("text", "codec"), [
    ("안녕하세요", "cp949"), ("한국어 문장", "cp949"), ("오늘 날씨가 좋다", "cp949"), ("번호,이름\n1,김철수", "cp949"),
    ("你好世界", "gb18030"), ("模型训练完成", "gb18030"), ("姓名,分数\n张三,90", "gb18030"), ("床前明月光", "gbk"),
    ("繁體中文", "big5"), ("こんにちは", "cp932"), ("カタカナ", "euc_jp"), ("Привет, мир", "cp1251"),
    ("Привет, мир", "koi8_r"), ("Καλημέρα κόσμε", "cp1253"), ("café", "cp1252"), ("Müller, Größe", "cp1252"),
    ("El niño comió", "cp1252"), ("Příliš žluťoučký", "cp1250"), ("Zażółć gęślą jaźń", "cp1250"),
    ("İstanbul'da güneş doğdu", "cp1254"), ("مرحبا بالعالم", "cp1256"),
])  # fmt: skip
def test_a_short_text_is_read_as_what_it_is(tmp_path: Path, text: str, codec: str) -> None:
    assert read(tmp_path / "t.txt", text.encode(codec))[0] == text


def test_each_encoding_that_is_guessed_can_be_named() -> None:
    assert _LANGUAGES.keys() <= set(get_args(ScanConfig.model_fields["encoding"].annotation))


def test_a_guess_is_told_and_another_encoding_can_be_named(do_scan: Import, source: Path) -> None:
    (source / "a.txt").write_bytes("東京".encode("euc_jp"))
    (source / "good.txt").write_text("good\n", encoding="utf-8")
    found = do_scan(source)
    (told,) = [note for note in found.notes if "is a guess" in note]
    assert "“a.txt”" in told and "choose the text encoding" in told
    chosen = do_scan(source, encoding="euc_jp")
    assert "東京" in chosen.texts() and not [note for note in chosen.notes if "guess" in note]
    (source / "b.txt").write_bytes("大阪".encode("euc_jp"))
    assert any("2 files have too few letters" in note for note in do_scan(source).notes)
    (source / "a.txt").write_bytes("今天天气很好，我们去公园".encode("gb18030"))
    (source / "b.txt").unlink()
    assert not [note for note in do_scan(source).notes if "guess" in note]
