"""The bundled samples are what their notes say, load without surprises, and carry their licences."""

from __future__ import annotations

import csv
import json
import re

import pytest
from PIL import Image

from aigc_desktop.core.paths import resources

SAMPLES = resources() / "samples"


def test_every_emoji_is_a_different_64_pixel_rgba_picture():
    files = sorted((SAMPLES / "emoji").glob("*/*.png"))
    pixels = set()
    for file in files:
        with Image.open(file) as picture:
            assert (picture.mode, picture.size) == ("RGBA", (64, 64)), file
            pixels.add(picture.tobytes())

    assert len(pixels) == len(files)
    assert sum(file.stat().st_size for file in files) < 4_000_000


def test_the_note_on_the_emoji_counts_what_is_there():
    note = (SAMPLES / "emoji" / "README.md").read_text(encoding="utf-8")
    folders = {path.name: len(list(path.glob("*.png"))) for path in (SAMPLES / "emoji").iterdir() if path.is_dir()}

    assert f"{sum(folders.values())} emoji" in note
    for name, count in folders.items():
        assert f"{name} {count}" in note


@pytest.mark.parametrize(("name", "verses", "length"), [("tang_quatrains", 4, 5), ("song_lyrics", 6, 7)])
def test_the_chinese_poems_have_their_form(name, verses, length):
    lines = (SAMPLES / "texts" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    poems = [json.loads(line) for line in lines]

    assert len({poem["text"] for poem in poems}) == len(poems) > 700
    for poem in poems:
        assert list(poem) == ["title", "author", "text"]
        assert [len(verse) for verse in re.findall(r"[\u4e00-\u9fff]+", poem["text"])] == [length] * verses


def test_the_english_speeches_are_short_and_different():
    with (SAMPLES / "texts" / "shakespeare_speeches.csv").open(encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f))

    assert len({row["text"] for row in rows}) == len(rows) > 3000
    assert all(row["speaker"] and 40 <= len(row["text"]) <= 180 for row in rows)


def test_the_note_on_the_texts_counts_what_is_there():
    note = (SAMPLES / "texts" / "README.md").read_text(encoding="utf-8")
    for file in (SAMPLES / "texts").glob("*.jsonl"):
        assert f"`{file.name}` | {len(file.read_text(encoding='utf-8').splitlines()):,} " in note
    assert "3,588 short speeches" in note


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("emoji/LICENSE-Apache-2.0.txt", "Apache License"),
        ("emoji/LICENSE-MIT-package.txt", "Cal Henderson"),
        ("texts/LICENSE-MIT-chinese-poetry.txt", "JackeyGao"),
    ],
)
def test_the_licences_are_there(file, words):
    assert words in (SAMPLES / file).read_text(encoding="utf-8")
