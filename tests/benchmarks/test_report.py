"""The results files say what was measured, how, where and on which commit."""

from __future__ import annotations

import json

from benchmarks import report


def test_results_carry_what_is_needed_to_repeat_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")

    rows = [report.figure("a.speed", 1 / 3, "items/s", ">= 0.3", True), report.figure("a.size", 7, "MB")]
    path = report.write("a", rows)

    assert path == tmp_path / "results" / "a.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    assert [list(row) for row in found] == [
        ["figure", "value", "unit", "target", "holds", "command", "machine", "commit"]
    ] * 2
    assert found[0]["value"] == 0.333333
    assert found[0]["holds"] is True
    assert found[1]["holds"] is None
    assert "torch" in found[0]["machine"]
    assert "a.speed" in capsys.readouterr().out


def test_an_update_keeps_what_was_not_measured_again(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    report.write("a", [report.figure("a.speed", 1), report.figure("a.size", 7)])

    path = report.update("a", [report.figure("a.speed", 2), report.figure("a.loss", 3)])

    found = json.loads(path.read_text(encoding="utf-8"))
    assert [(row["figure"], row["value"]) for row in found] == [("a.speed", 2), ("a.size", 7), ("a.loss", 3)]


def test_a_figure_that_falls_short_says_so(capsys):
    assert report.figure("a.loss", 2.0, "", "<= 1.8", 2.0 <= 1.8).holds is False
    assert "FALLS SHORT" in capsys.readouterr().out


def test_the_data_folder_can_be_named(monkeypatch, tmp_path):
    monkeypatch.setenv("AIGC_BENCH_DATA", str(tmp_path))

    assert report.data_folder() == tmp_path
