"""The recorder: what passes is on the disk, in runs and in results, also when the disk or the job fails."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aigc_desktop.core.events import Checkpoint, Event, Failed, Finished, Metric, Note, Progress, Sample, Stopped, Text
from aigc_desktop.core.job import run_job
from aigc_desktop.core.run import MANIFEST, Run
from aigc_desktop.data.recorder import drop_rows, record
from aigc_desktop.data.samples import METADATA_KEY, read_pictures, read_samples


@pytest.fixture
def training(workspace) -> Run:
    return workspace.new_run("image_gan.train", {"seed": 3}, "Cats")


def images(count: int, side: int = 8, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, side, side, channels), np.uint8)


def checkpoint_at(run: Run, step: int) -> None:
    folder = run.checkpoints_dir / f"{step:06d}"
    folder.mkdir(parents=True)
    (folder / MANIFEST).write_text("{}", encoding="utf-8")


def test_everything_that_passes_is_kept(training: Run) -> None:
    stream: list[Event] = [
        Progress(1, 10, "Training"), Metric(1, {"loss": 2.5}), Metric(2, {"loss": 1.5, "bad": float("nan")}),
        Sample(2, images(5), (1, 2, 3, 4, 5), ("a", "b", "a", "b", "a"), captions=("红帽", "", "", "", "e")),
        Text(2, ("一", "two\nlines"), (7, 8)),
        Checkpoint(2, "000002", best=True), Note("hello"), Progress(10, 10), Finished(),
    ]  # fmt: skip
    assert list(record(training, stream)) == stream
    info = training.info
    assert (info.status, info.step, info.total, info.best) == ("finished", 10, 10, "000002")
    assert training.metrics() == [{"step": 1, "loss": 2.5}, {"step": 2, "loss": 1.5}]
    pictures, texts = sorted(read_samples(training), key=lambda sheet: len(sheet.items))
    assert (pictures.images() == images(5)).all()
    assert (pictures.seeds, pictures.labels, pictures.cell) == ((1, 2, 3, 4, 5), ("a", "b", "a", "b", "a"), (8, 8))
    assert pictures.captions == ("红帽", "", "", "", "e")
    assert (texts.items, texts.seeds) == (("一", "two\nlines"), (7, 8))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_sheets_come_back_exactly(training: Run, channels: int) -> None:
    made = images(7, 5, channels)
    list(
        record(training, [Sample(1, made), Sample(1, made[:2], role="reconstruction"), Sample(1, made[:1]), Finished()])
    )
    sheets = {sheet.file.stem: sheet for sheet in read_samples(training)}
    assert set(sheets) == {"000001_samples", "000001_reconstruction", "000001_samples_2"}
    assert (sheets["000001_samples"].images() == made).all()
    assert sheets["000001_reconstruction"].columns == 2


@pytest.mark.parametrize(("channels", "empty"), [(1, 255), (3, (255, 255, 255)), (4, (0, 0, 0, 0))])
def test_pairs_stay_side_by_side_and_what_is_over_is_blank(training: Run, channels: int, empty: object) -> None:
    list(record(training, [Sample(1, images(24, 5, channels), role="copies"), Finished()]))
    (sheet,) = read_samples(training)
    assert sheet.columns == 6 and sheet.count == 24
    list(record(training, [Sample(2, images(5, 5, channels)), Finished()]))
    sheet = read_samples(training)[-1]
    with Image.open(sheet.file) as picture:
        assert (sheet.columns, picture.getpixel((picture.width - 1, picture.height - 1))) == (3, empty)


def test_metrics_are_on_the_disk_at_once(training: Run) -> None:
    stream = record(training, iter([Metric(1, {"loss": 1.0}), Metric(2, {"loss": 0.5}), Finished()]))
    next(stream)
    assert training.metrics() == [{"step": 1, "loss": 1.0}]
    assert training.info.status == "running"
    stream.close()
    assert training.info.status == "stopped"


def test_requests_reach_the_job_and_closing_closes_it(training: Run) -> None:
    seen: list[str | None] = []
    closed = []

    def job() -> Generator[Event, str | None, None]:
        try:
            for step in range(100):
                seen.append((yield Progress(step, 100)))
        finally:
            closed.append(True)

    stream = record(training, job())
    next(stream)
    stream.send("save")
    stream.send(None)
    stream.close()
    assert seen == ["save", None] and closed == [True]


def test_a_resumed_run_has_no_row_twice(training: Run) -> None:
    first = [Metric(step, {"loss": float(step)}) for step in range(1, 9)]
    list(record(training, [*first, Stopped()]))
    checkpoint_at(training, 5)
    with training.metrics_file.open("a", encoding="utf-8") as f:
        f.write('{"step": 9, "lo')
    list(record(training, [Metric(6, {"loss": 6.5}), Metric(7, {"loss": 7.5}), Finished()]))
    assert [row["step"] for row in training.metrics()] == [1, 2, 3, 4, 5, 6, 7]
    assert training.metrics()[5]["loss"] == 6.5


def test_resuming_from_an_older_checkpoint_drops_more(training: Run) -> None:
    checkpoint_at(training, 5)
    list(record(training, [Metric(step, {"loss": 1.0}) for step in range(1, 6)] + [Finished()]))
    list(record(training, [Metric(3, {"loss": 2.0}), Metric(3, {"validation": 1.0}), Finished()]))
    assert training.metrics() == [
        {"step": 1, "loss": 1.0}, {"step": 2, "loss": 1.0}, {"step": 3, "loss": 2.0}, {"step": 3, "validation": 1.0},
    ]  # fmt: skip


def test_rows_of_the_same_step_with_other_names_stay(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 4, "loss": 1.0}\n{"step": 4, "validation": 2.0}\n', encoding="utf-8")
    drop_rows(path, 4, ["validation"])
    assert path.read_text(encoding="utf-8") == '{"step": 4, "loss": 1.0}\n'


def test_seconds_count_computing_and_add_up(training: Run) -> None:
    training.update(seconds=100.0)
    list(record(training, [Progress(1, 1), Finished()]))
    assert 100.0 <= training.info.seconds < 101.0


def test_failure_is_written_with_its_way_out(training: Run) -> None:
    def job(_config: object, _run: Run) -> Generator[Event, str | None, None]:
        yield Progress(3, 10)
        raise MemoryError

    events = list(record(training, run_job(job, None, training)))
    assert isinstance(events[-1], Failed)
    text = (training.folder / "failure.txt").read_text(encoding="utf-8")
    assert "Not enough memory" in text and "smaller batch" in text and "MemoryError" in text
    assert (training.info.status, training.info.step) == ("failed", 3)
    list(record(training, [Finished()]))
    assert not (training.folder / "failure.txt").exists()


@pytest.fixture
def making(workspace) -> Run:
    config = {"run": "2026_gan", "checkpoint": "000500", "truncation": 0.7}
    return workspace.new_run("image_gan.generate", config, parent="results")


def test_each_made_picture_is_a_file_that_knows_its_origin(making: Run) -> None:
    made = images(3, 16)
    list(record(making, [Sample(500, made, (11, 12, 13), ("猫", "猫", "dog")), Finished()]))
    pictures = read_pictures(making)
    assert [(p.index, p.seed, p.label) for p in pictures] == [(0, 11, "猫"), (1, 12, "猫"), (2, 13, "dog")]
    with Image.open(pictures[1].file) as image:
        assert (np.asarray(image) == made[1]).all()
        origin = json.loads(image.text[METADATA_KEY])
    assert origin["task"] == "image_gan.generate" and origin["seed"] == 12 and origin["label"] == "猫"
    assert (origin["model"], origin["checkpoint"]) == ("2026_gan", "000500")
    assert origin["settings"]["truncation"] == 0.7


def test_a_cancelled_batch_keeps_what_was_finished(making: Run) -> None:
    def job() -> Generator[Event, str | None, None]:
        for number in range(10):
            yield Sample(0, images(1), (number,))

    stream = record(making, job())
    for _count in range(4):
        next(stream)
    stream.close()
    assert [picture.seed for picture in read_pictures(making)] == [0, 1, 2, 3]
    assert making.info.status == "stopped"
    assert not list(making.folder.rglob("*.partial"))


def test_an_unfinished_text_is_kept_when_the_job_ends(training: Run) -> None:
    list(record(training, [Text(1, ("Once",), partial=True), Text(1, ("Once upon",), partial=True), Stopped()]))
    assert [sheet.items for sheet in read_samples(training)] == [("Once upon",)]
    list(record(training, [Text(2, ("half",), partial=True), Text(2, ("whole",)), Finished()]))
    assert [sheet.items for sheet in read_samples(training)] == [("Once upon",), ("whole",)]


def test_damaged_sample_files_do_not_hide_the_others(training: Run) -> None:
    list(record(training, [Sample(1, images(2)), Sample(2, images(2)), Finished()]))
    (training.samples_dir / "000001_samples.json").write_text("{broken", encoding="utf-8")
    (training.samples_dir / "000003_samples.json").write_text("[]", encoding="utf-8")
    assert [sheet.step for sheet in read_samples(training)] == [2]


def test_a_full_disk_while_recording_is_one_plain_failure(training: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = []

    def job(_config: object, _run: Run) -> Generator[Event, str | None, None]:
        try:
            for step in range(10):
                yield Sample(step, images(2))
        finally:
            saved.append(True)

    def full(_handle: int) -> None:
        raise OSError(28, os.strerror(28))

    stream = record(training, run_job(job, None, training))
    next(stream)
    monkeypatch.setattr(os, "fsync", full)
    rest = list(stream)
    assert [type(event) for event in rest] == [Failed]
    assert rest[0].message == f"The disk that holds {training.workspace} is full." and "Free some space" in rest[0].hint
    assert saved == [True]
    assert [sheet.step for sheet in read_samples(training)] == [0]
    assert not list(training.folder.rglob("*.partial"))


def test_a_job_that_cannot_save_either_still_ends_in_one_failure(
    training: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def job(_config: object, _run: Run) -> Generator[Event, str | None, None]:
        try:
            for step in range(10):
                yield Sample(step, images(2))
        finally:
            raise OSError(28, os.strerror(28))

    def full(_handle: int) -> None:
        raise OSError(28, os.strerror(28))

    stream = record(training, run_job(job, None, training))
    next(stream)
    monkeypatch.setattr(os, "fsync", full)
    told = f"The disk that holds {training.workspace} is full."
    assert [(event.kind, event.message) for event in stream] == [("OutOfSpace", told)]
