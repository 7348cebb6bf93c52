"""The frozen snapshot: what it holds, that it is the same every time, and what happens when sources change."""

from __future__ import annotations

import hashlib
import io
import json
import unicodedata
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from aigc_desktop.core.config import check
from aigc_desktop.core.errors import OutOfSpace, UserError
from aigc_desktop.core.events import Progress, Result
from aigc_desktop.core.fields import ConfigError
from aigc_desktop.core.run import Run
from aigc_desktop.data import freeze as freezing
from aigc_desktop.data.freeze import FreezeConfig, freeze
from aigc_desktop.data.jobs import JOBS, import_dataset
from aigc_desktop.data.npy import ArrayWriter
from aigc_desktop.data.scan import ScanConfig, scan
from aigc_desktop.data.split import choose, digests_of, split
from tests.data.conftest import Import, encoded, leftovers, picture


def fill(folder: Path, count: int = 12) -> None:
    for number in range(count):
        target = folder / ("even" if number % 2 == 0 else "odd")
        target.mkdir(exist_ok=True)
        (target / f"{number:02d}.png").write_bytes(encoded(picture(number, side=64)))


def hashes(count: int) -> bytes:
    return b"".join(hashlib.sha256(str(number).encode()).digest()[:16] for number in range(count))


def test_snapshot_holds_the_pictures_and_their_labels(do_scan: Import, do_freeze, source: Path) -> None:
    fill(source)
    found = do_scan(source, labels="folders", licence="CC0")
    frozen = do_freeze(found.dataset, size=64, validation=0.25)
    dataset = frozen.dataset
    assert (dataset.info.train, dataset.info.validation, dataset.info.size, dataset.info.channels) == (9, 3, 64, 3)
    assert dataset.info.class_counts == [6, 6]
    assert dataset.info.licence == "CC0"
    rows = np.load(dataset.snapshot / "rows.npy")
    for position, row in enumerate(rows):
        record = found.records[row]
        with Image.open(record.source) as image:
            assert (dataset.image_map[position] == np.asarray(image)).all()
    both = np.concatenate([dataset.labels("train"), dataset.labels("validation")])
    assert sorted(both.tolist()) == [0] * 6 + [1] * 6


def halves(width: int, height: int) -> Image.Image:
    """Return a picture that is red on the left and blue on the right."""
    image = Image.new("RGB", (width, height), "red")
    image.paste("blue", (width // 2, 0, width, height))
    return image


def test_pictures_keep_their_shape_when_asked(do_scan: Import, do_freeze, source: Path) -> None:
    for number, (width, height) in enumerate([(160, 80), (200, 100), (90, 160)]):
        (source / f"{number}.png").write_bytes(encoded(halves(width, height)))
    dataset = do_freeze(do_scan(source).dataset, size=32, aspect="2:1").dataset
    assert dataset.info.aspect == "2:1" and dataset.info.pixels == (64, 32)
    assert dataset.image_map.shape == (3, 32, 64, 3)
    for pixels in np.asarray(dataset.image_map):  # nothing is squeezed: the middle is the middle
        assert (pixels[:, :24] == (255, 0, 0)).all() and (pixels[:, 40:] == (0, 0, 255)).all()


def test_the_shape_of_most_pictures_is_found(do_scan: Import, do_freeze, source: Path) -> None:
    for number, (width, height) in enumerate([(90, 120), (60, 80), (80, 80)]):
        (source / f"{number}.png").write_bytes(encoded(halves(width, height)))
    assert do_freeze(do_scan(source).dataset, size=64, aspect="auto").dataset.info.pixels == (48, 64)


def test_transparency_is_kept_when_asked_and_white_otherwise(do_scan: Import, do_freeze, source: Path) -> None:
    half = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    half.paste((0, 0, 255, 255), (0, 0, 32, 64))
    half.paste((0, 255, 0, 128), (32, 0, 64, 32))
    (source / "half.png").write_bytes(encoded(half))
    (source / "plain.png").write_bytes(encoded(picture(side=64)))
    white = do_freeze(do_scan(source).dataset, size=64).dataset
    assert white.info.channels == 3 and (np.asarray(white.image_map)[0, 40:, 40:] == 255).all()
    kept = do_freeze(do_scan(source).dataset, size=64, transparency="keep").dataset
    assert kept.info.channels == 4 and kept.image_map.shape == (2, 64, 64, 4)
    clear, plain = np.asarray(kept.image_map)
    assert (clear[..., 3] == np.asarray(half)[..., 3]).all() and (plain[..., 3] == 255).all()
    assert (clear[:30, 40:, :3] == (0, 255, 0)).all()  # no colour of clear parts bleeds in
    kept.check_snapshot()


def test_without_transparent_pictures_there_is_nothing_to_keep(
    do_scan: Import, do_freeze, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(source, 4)
    mapped = []

    def move(smaller: Path, path: Path) -> None:  # Windows would refuse where the old file is mapped
        mapped.extend(each.path for each in psutil.Process().memory_maps(grouped=True) if each.path == str(path))
        smaller.replace(path)

    monkeypatch.setattr(freezing, "move", move)
    frozen = do_freeze(do_scan(source).dataset, size=32, transparency="keep")
    assert not mapped
    plain = do_freeze(do_scan(source).dataset, size=32)
    assert any("no transparency to keep" in note for note in frozen.notes)
    assert frozen.dataset.info.channels == 3
    assert (np.asarray(frozen.dataset.image_map) == np.asarray(plain.dataset.image_map)).all()
    files = [{path.name for path in one.dataset.snapshot.iterdir()} for one in (frozen, plain)]
    assert files[0] == files[1]


def test_manifest_names_every_file_with_its_hash(do_scan: Import, do_freeze, source: Path) -> None:
    fill(source, 4)
    dataset = do_freeze(do_scan(source).dataset).dataset
    manifest = json.loads((dataset.snapshot / "manifest.json").read_text(encoding="utf-8"))
    assert set(manifest["files"]) == {path.name for path in dataset.snapshot.iterdir()} - {"manifest.json"}
    for name, facts in manifest["files"].items():
        data = (dataset.snapshot / name).read_bytes()
        assert (facts["size"], facts["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert dataset.manifest_hash() == manifest["sha256"]


def test_the_same_sources_give_the_same_snapshot(do_scan: Import, do_freeze, source: Path) -> None:
    fill(source)
    first = do_freeze(do_scan(source, labels="folders").dataset, size=32)
    second = do_freeze(do_scan(source, labels="folders").dataset, size=32)
    third = do_freeze(do_scan(source, labels="folders").dataset, size=32, seed=1)
    assert first.dataset.manifest_hash() == second.dataset.manifest_hash() != third.dataset.manifest_hash()


def test_split_depends_on_contents_not_on_names_or_order(
    do_scan: Import, do_freeze, source: Path, tmp_path: Path
) -> None:
    fill(source)
    other = tmp_path / "renamed"
    other.mkdir()
    for number, path in enumerate(sorted(source.rglob("*.png"), reverse=True)):
        (other / f"{number}.png").write_bytes(path.read_bytes())
    parts = []
    for folder in (source, other):
        found = do_scan(folder)
        do_freeze(found.dataset, size=32, validation=0.3)
        rows = np.load(found.dataset.snapshot / "rows.npy")
        chosen = np.load(found.dataset.snapshot / "split.npy")
        parts.append({found.records[row].sha256 for row in rows[chosen == 1]})
    assert parts[0] == parts[1]


def test_split_is_stratified_and_duplicates_stay_together() -> None:
    digests = digests_of(hashes(1000))
    labels = np.array([0] * 900 + [1] * 90 + [2] * 9 + [3], np.int32)
    parts = split(digests, labels, 0.1, 7)
    assert [int(parts[labels == label].sum()) for label in range(4)] == [90, 9, 1, 0]
    doubled = np.concatenate([digests, digests])
    both = split(doubled, np.concatenate([labels, labels]), 0.1, 7)
    assert (both[:1000] == both[1000:]).all()
    order = np.random.default_rng(0).permutation(1000)
    assert (split(digests[order], labels[order], 0.1, 7) == parts[order]).all()
    assert not (split(digests, labels, 0.1, 8) == parts).all()


def same_picture_in_files(source: Path, count: int = 12) -> None:
    """Write pictures that are partly transparent in five forms each, of which no two files are equal."""
    for number in range(count):
        shown = picture(number, side=20).convert("RGBA")
        cover = np.zeros((20, 20), np.uint8)
        cover[:, 5:] = 255
        shown.putalpha(Image.fromarray(cover if number % 2 else np.full((20, 20), 255, np.uint8)))
        hidden = np.asarray(shown).copy()
        hidden[hidden[..., 3] == 0] = (9, 8, 7, 0)  # colours that nobody sees
        lying = shown.transpose(Image.Transpose.ROTATE_90)
        exif = Image.Exif()
        exif[0x0112] = 6
        for name, data in {
            "png": encoded(shown), "webp": encoded(shown, "WEBP", lossless=True), "tiff": encoded(shown, "TIFF"),
            "hidden.png": encoded(Image.fromarray(hidden)), "turned.png": encoded(lying, exif=exif),
        }.items():  # fmt: skip
            (source / f"{number:02d}.{name}").write_bytes(data)


def test_the_same_picture_in_other_file_formats_is_a_duplicate(do_scan: Import, source: Path) -> None:
    same_picture_in_files(source)
    for number, mode in enumerate(("RGB", "L", "P")):
        image = picture(100 + number, mode=mode)
        (source / f"{mode}.bmp").write_bytes(encoded(image, "BMP"))
        (source / f"{mode}.png").write_bytes(encoded(image.convert("RGB")))
    photo = encoded(picture(200), "JPEG")
    (source / "photo.jpg").write_bytes(photo)
    (source / "photo.png").write_bytes(encoded(Image.open(io.BytesIO(photo))))
    (source / "other.jpg").write_bytes(encoded(picture(200), "JPEG", quality=60))  # compressed anew it is another
    found = do_scan(source)
    assert (found.result["usable"], found.result["problems"]) == (12 + 3 + 2, {"duplicate": 4 * 12 + 3 + 1})


def test_the_same_picture_in_other_file_formats_stays_on_one_side(do_scan: Import, do_freeze, source: Path) -> None:
    same_picture_in_files(source)
    found = do_scan(source, remove_duplicates=False)
    assert found.result["notes"] == {"duplicate": 48}
    frozen = do_freeze(found.dataset, size=32, validation=0.3).dataset
    sides = np.load(frozen.snapshot / "split.npy").reshape(12, 5)
    assert (sides == sides[:, :1]).all() and sides[:, 0].sum() == round(0.3 * 12)


def test_a_text_in_other_unicode_forms_and_spacing_stays_on_one_side(do_scan: Import, do_freeze, source: Path) -> None:
    plain = [f"Café Zoë número {number} über Ångström" for number in range(40)]
    forms = [unicodedata.normalize("NFD", text) for text in plain]
    wide = [f" {text.replace(' ', chr(0xA0))}  " for text in plain]
    (source / "a.txt").write_text("\n".join([*plain, *forms, *wide]), encoding="utf-8")
    found = do_scan(source, text_item="line")
    frozen = do_freeze(found.dataset, validation=0.3).dataset
    sides = [set(frozen.texts(split)) for split in ("train", "validation")]
    assert sorted(sides[0] | sides[1]) == sorted([*plain, *forms, *wide])  # kept as they were written
    for spellings in zip(plain, forms, wide, strict=True):
        assert len({text in sides[0] for text in spellings}) == 1
    assert len(sides[1]) == 3 * 12


@pytest.mark.parametrize(
    ("count", "share", "expected"), [(1, 0.5, 0), (2, 0.1, 1), (5, 0.0, 0), (0, 0.1, 0), (3, 0.5, 2)]
)
def test_small_sets_keep_one_for_each_side(count: int, share: float, expected: int) -> None:
    parts = split(digests_of(hashes(count)), np.full(count, -1, np.int32), share, 0)
    assert int(parts.sum()) == expected
    many_classes = split(digests_of(hashes(count)), np.arange(count, dtype=np.int32), share, 0)
    assert not many_classes.any()  # one item a class: each is needed for training


def test_choosing_a_part_is_seeded_and_independent_of_order() -> None:
    digests = digests_of(hashes(100))
    chosen = choose(digests, 10, 3)
    assert len(chosen) == 10 and (np.diff(chosen) > 0).all()
    order = np.random.default_rng(1).permutation(100)
    assert sorted(order[choose(digests[order], 10, 3)].tolist()) == chosen.tolist()
    assert len(choose(digests, 0, 3)) == len(choose(digests, 200, 3)) == 100


def test_maximum_of_items(do_scan: Import, do_freeze, source: Path) -> None:
    fill(source)
    (source / "bad.png").write_bytes(b"")
    frozen = do_freeze(do_scan(source).dataset, max_items=5, size=32)
    assert frozen.result["train"] + frozen.result["validation"] == 5


def test_changed_and_missing_sources_are_reported_and_left_out(do_scan: Import, do_freeze, source: Path) -> None:
    fill(source, 6)
    found = do_scan(source)
    (source / "even" / "00.png").write_bytes(encoded(picture(77)))
    (source / "odd" / "01.png").unlink()
    frozen = do_freeze(found.dataset, size=32, validation=0)
    assert (frozen.result["train"], frozen.result["left_out"]) == (4, 2)
    assert {entry["name"] for entry in frozen.result["first_problems"]} == {"even/00.png", "odd/01.png"}
    assert any(
        "“even/00.png” was changed or removed" in note and "Import the folder again" in note for note in frozen.notes
    )
    assert np.load(frozen.dataset.snapshot / "images.npy").shape == (4, 32, 32, 3)


def test_when_all_sources_are_gone_nothing_is_frozen(do_scan: Import, run: Run, source: Path, workspace) -> None:
    fill(source, 3)
    dataset = do_scan(source).dataset
    for path in source.rglob("*.png"):
        path.unlink()
    with pytest.raises(UserError, match="Nothing of this data set"):
        list(freeze(check(FreezeConfig, {"dataset": dataset.id}), run))
    assert not dataset.snapshot.exists() and not leftovers(workspace)
    assert not workspace.dataset(dataset.id).info.frozen


def test_texts_are_frozen_from_the_import_not_from_the_source(do_scan: Import, do_freeze, source: Path) -> None:
    (source / "a.csv").write_text(
        "text,label\n" + "".join(f"文本 {n},{n % 2}\n" for n in range(40)), encoding="gb18030"
    )
    found = do_scan(source, labels="column", label_column="label")
    (source / "a.csv").unlink()
    dataset = do_freeze(found.dataset, validation=0.25).dataset
    assert dataset.info.validation == 10
    assert sorted([*dataset.texts("train"), *dataset.texts("validation")]) == sorted(f"文本 {n}" for n in range(40))
    assert np.bincount(dataset.labels("validation")).tolist() == [5, 5]
    assert dataset.info.characters == sum(len(f"文本 {n}") for n in range(40))


def test_damaged_text_store_is_noticed(do_scan: Import, do_freeze, source: Path) -> None:
    (source / "a.txt").write_text("one\ntwo\nthree\n", encoding="utf-8")
    found = do_scan(source, text_item="line")
    data = bytearray(found.dataset.found_texts.read_bytes())
    data[0] ^= 1
    found.dataset.found_texts.write_bytes(data)
    assert do_freeze(found.dataset).result["left_out"] == 1


def test_a_snapshot_is_never_changed(do_scan: Import, do_freeze, source: Path) -> None:
    fill(source, 3)
    dataset = do_freeze(do_scan(source).dataset).dataset
    with pytest.raises(UserError, match="frozen already") as caught:
        do_freeze(dataset, size=128)
    assert "import the source again" in caught.value.hint


def test_a_snapshot_whose_freeze_was_killed_before_its_last_line_is_made_anew(
    do_scan: Import, do_freeze, source: Path
) -> None:
    fill(source, 3)
    dataset = do_scan(source).dataset
    dataset.snapshot.mkdir()
    (dataset.snapshot / "images.npy").write_bytes(b"half")
    assert do_freeze(dataset, size=32).dataset.image_map.shape == (3, 32, 32, 3)


def test_space_is_checked_before_anything_is_written(do_scan: Import, run: Run, source: Path, monkeypatch) -> None:
    fill(source, 3)
    dataset = do_scan(source).dataset
    monkeypatch.setattr("shutil.disk_usage", lambda _path: type("Usage", (), {"free": 1000})())
    with pytest.raises(OutOfSpace, match="Not enough space on the disk"):
        list(freeze(check(FreezeConfig, {"dataset": dataset.id}), run))
    with pytest.raises(OutOfSpace):
        list(scan(check(ScanConfig, {"source": str(source)}), run))
    assert not dataset.snapshot.exists()


def test_stopping_at_any_event_leaves_nothing(do_scan: Import, run: Run, source: Path, workspace) -> None:
    fill(source, 40)
    datasets = workspace.folder / "datasets"
    stop_at = 0
    while True:
        job = scan(check(ScanConfig, {"source": str(source)}), run)
        events = [event for _count, event in zip(range(stop_at + 1), job, strict=False)]
        job.close()
        if any(isinstance(event, Result) for event in events):
            break
        if not any(path.is_dir() and not path.name.endswith(".partial") for path in datasets.iterdir()):
            assert not list(datasets.iterdir())
        stop_at += 1
    dataset = workspace.datasets()[0]
    for stop_at in range(3):
        job = freeze(check(FreezeConfig, {"dataset": dataset.id}), run)
        for _count in range(stop_at + 1):
            next(job)
        job.close()
        assert not dataset.snapshot.exists() and not leftovers(workspace)
    list(freeze(check(FreezeConfig, {"dataset": dataset.id}), run))
    assert workspace.dataset(dataset.id).info.frozen


def test_import_is_scan_and_freeze_with_one_result(run: Run, source: Path, workspace) -> None:
    fill(source, 6)
    events = list(import_dataset(check(ScanConfig, {"source": str(source), "title": "猫"}), {"size": 32}, run))
    results = [event for event in events if isinstance(event, Result)]
    assert len(results) == 1 and isinstance(events[-1], Result)
    assert results[0].data["frozen"] and results[0].data["title"] == "猫"
    progress = [event for event in events if isinstance(event, Progress)]
    assert any(event.rate > 0 and event.unit for event in progress)
    assert workspace.dataset(results[0].data["id"]).info.train == 5


def test_the_workspace_inside_the_source_is_passed_over(do_scan: Import, run: Run, workspace, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(picture()))
    (workspace.folder / "results" / "made.png").write_bytes(encoded(picture(1)))
    events = list(scan(check(ScanConfig, {"source": str(tmp_path)}), run))
    assert next(e.data["found"] for e in events if isinstance(e, Result)) == 1


def test_the_catalogue_names_both_tasks() -> None:
    assert [task.name for task in JOBS.tasks] == ["scan", "freeze"]
    with pytest.raises(ConfigError):
        check(FreezeConfig, {"dataset": "x", "size": 48})
    with pytest.raises(ConfigError, match="Shape"):
        check(FreezeConfig, {"dataset": "x", "aspect": "5:1"})
    assert check(FreezeConfig, {"dataset": "x", "size": 64}) == check(FreezeConfig, {"dataset": "x", "size": "64"})


def test_array_writer_makes_what_numpy_reads(tmp_path: Path) -> None:
    with ArrayWriter(tmp_path / "a.npy", np.dtype(np.uint8), (2, 3)) as out:
        for number in range(5):
            out.append(np.full((2, 3), number, np.uint8))
        with pytest.raises(ValueError, match="row of"):
            out.append(np.zeros((3, 2), np.uint8))
    array = np.load(tmp_path / "a.npy", mmap_mode="r", allow_pickle=False)
    assert array.shape == (5, 2, 3) and array[:, 0, 0].tolist() == [0, 1, 2, 3, 4]
