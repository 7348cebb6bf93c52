"""Curves show every finite value, no other, and a million of them stay smooth."""

from __future__ import annotations

import csv
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PySide6.QtCore import QPointF

from aigc_desktop.core.i18n import set_language
from aigc_desktop.core.metric_words import words_for
from aigc_desktop.ui.widgets.plots.metric_plot import MetricPlot
from aigc_desktop.ui.widgets.plots.series import FANOUT, Pyramid, Series, running_average


@pytest.fixture
def plot(qtbot, theme):
    plot = MetricPlot(theme)
    qtbot.addWidget(plot)
    plot.resize(900, 400)
    plot.show()
    return plot


def _drawn(qtbot, plot):
    qtbot.waitUntil(lambda: plot.canvas is not None, timeout=10_000)
    plot.redraw()
    return plot.canvas


def _steps(count, first=1):
    return np.arange(first, first + count, dtype=np.float64)


# series


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_pyramid_agrees_with_the_plain_computation_however_values_arrive(sizes, seed):
    values = np.random.default_rng(seed).normal(size=sum(sizes)).astype(np.float32)
    pyramid, known = Pyramid(), 0
    for size in sizes:
        pyramid.update(values[: known + size], known)
        known += size
    for level, (low, high) in enumerate(pyramid.levels, start=1):
        width = FANOUT**level
        blocks = [values[i : i + width] for i in range(0, len(values), width)]
        assert low.values.tolist() == [block.min() for block in blocks]
        assert high.values.tolist() == [block.max() for block in blocks]


def test_reduced_values_keep_every_extreme_of_the_range():
    values = np.random.default_rng(1).normal(size=5000).astype(np.float32)
    values[3333], values[1234] = 99, -99
    pyramid = Pyramid()
    pyramid.update(values, 0)
    index, low, high = pyramid.reduce(values, 1000, 4000, 100)
    assert len(index) <= 100 + 2
    assert index[0] <= 1000
    assert high.max() == 99
    assert low.min() == -99


@pytest.mark.parametrize("weight", [0.0, 0.5, 0.9, 0.999])
def test_running_average_is_the_recursion(weight):
    values = np.random.default_rng(2).normal(size=700)
    expected, average = [], 0.25
    for value in values:
        average = weight * average + (1 - weight) * value
        expected.append(average)
    np.testing.assert_allclose(running_average(values, weight, 0.25), expected, rtol=1e-6, atol=1e-7)


def test_smoothing_is_debiased_and_the_same_for_one_batch_or_many():
    values = 5 + np.random.default_rng(3).normal(size=300)
    once, many = Series(0.9), Series(0.9)
    once.extend(_steps(300), values, _steps(300))
    for i in range(0, 300, 7):
        many.extend(_steps(300)[i : i + 7], values[i : i + 7], _steps(300)[i : i + 7])
    np.testing.assert_allclose(once.smooth.values, many.smooth.values, rtol=1e-5)
    assert once.smooth.values[0] == pytest.approx(values[0])  # without the correction it would be a tenth


def test_values_that_are_not_finite_are_left_out():
    series = Series()
    series.extend(_steps(4), np.array([1.0, np.nan, np.inf, 2.0]), _steps(4))
    assert series.steps.values.tolist() == [1, 4]
    assert series.raw.values.tolist() == [1, 2]


def test_going_back_to_a_saved_step_drops_what_came_after_it():
    series = Series(0.5)
    series.extend(_steps(10), np.arange(10.0), _steps(10))
    series.refresh()
    series.extend(np.array([6.0]), np.array([50.0]), np.array([6.0]))
    series.refresh()
    assert series.steps.values.tolist() == [1, 2, 3, 4, 5, 6]
    assert series.raw.values.tolist() == [0, 1, 2, 3, 4, 50]
    fresh = Series(0.5)
    fresh.extend(series.steps.values, series.raw.values.astype(float), series.times.values)
    np.testing.assert_allclose(series.smooth.values, fresh.smooth.values)
    assert series.raw_pyramid.levels[0][1].values.tolist() == [3, 50]


def test_a_history_that_went_back_reads_like_the_live_one():
    series = Series()
    series.extend(np.array([1.0, 2, 3, 2, 3]), np.array([1.0, 2, 3, 20, 30]), np.arange(5.0))
    assert series.raw.values.tolist() == [1, 20, 30]


# words


def test_metrics_are_named_in_plain_words_and_grouped_by_scale():
    assert words_for("loss").title == "Loss"
    assert words_for("loss_g").title == "Generator"
    assert words_for("val_loss").validation
    assert words_for("val_loss").group == words_for("loss").group == words_for("g_loss").group == "loss"
    assert words_for("copy_kl").group == "kl"
    assert words_for("lr").group != "loss"
    assert words_for("accuracy").group == "share"
    assert words_for("validation_random_kid").group == words_for("validation_kid").group == "kid"
    assert words_for("augmentation").group == words_for("overfitting").group == "share"
    assert words_for("some_new_number").title == "Some new number"
    assert words_for("code_usage").title == "Codes in use" and words_for("code_usage").group == "share"
    assert words_for("val_loss_mle").title == "Loss, likelihood only, validation"
    assert words_for("val_loss_untold").title == "Without captions, validation"
    assert words_for("val_loss_untold").group == "loss"
    assert words_for("val_frechet").group == words_for("val_frechet_mle").group == "frechet"
    assert words_for("val_self_bleu").group == words_for("val_unique_mle").group == "share"


# widget


def test_chinese_words_of_a_metric_stand_without_a_space():
    set_language("zh_CN")
    assert words_for("grad_norm").title == "梯度范数"
    assert words_for("loss").title == "损失 loss"


def test_values_appear_in_the_curves_and_the_legend(qtbot, plot):
    for step in range(1, 101):
        plot.append(step, {"loss": 1 / step, "accuracy": step / 100}, step * 0.5)
    plot.metrics["accuracy"].chip.click()
    canvas = _drawn(qtbot, plot)
    assert list(canvas.panels) == ["loss", "share"]
    x, y = canvas.panels["loss"].lines["loss"].raw.getData()
    np.testing.assert_allclose(x, np.arange(1, 101))
    np.testing.assert_allclose(y, 1 / np.arange(1, 101), rtol=1e-6)
    assert "0.01" in plot.metrics["loss"].chip.text()


def test_the_legend_switches_curves(qtbot, plot):
    plot.append(1, {"loss": 1.0, "loss_g": 2.0, "lr": 0.1})
    canvas = _drawn(qtbot, plot)
    assert set(canvas.panels) == {"loss"}  # the learning rate waits for its click
    plot.metrics["lr"].chip.click()
    plot.metrics["loss_g"].chip.click()
    plot.redraw()
    assert set(canvas.panels) == {"loss", "learning_rate"}
    assert set(canvas.panels["loss"].lines) == {"loss"}


def test_logarithmic_scale_leaves_out_what_has_no_logarithm(qtbot, plot):
    plot.load({"loss": (_steps(4), np.array([1.0, 0.0, -1.0, 100.0]), _steps(4))})
    plot.controls.log.click()
    canvas = _drawn(qtbot, plot)
    x, y = canvas.panels["loss"].lines["loss"].raw.getData()
    assert x.tolist() == [1, 4]
    np.testing.assert_allclose(y, [0, 2], atol=1e-6)


def test_clipping_keeps_a_single_extreme_from_flattening_the_curve(qtbot, plot):
    values = np.linspace(2, 1, 500)
    values[250] = 1000
    plot.load({"loss": (_steps(500), values, _steps(500))})
    plot.set_smoothing(0.0)
    canvas = _drawn(qtbot, plot)
    assert canvas.panels["loss"].plot.vb.viewRange()[1][1] < 3
    plot.controls.clip.click()
    plot.redraw()
    assert canvas.panels["loss"].plot.vb.viewRange()[1][1] > 1000


def test_the_axis_counts_steps_or_time(qtbot, plot):
    plot.load({"loss": (_steps(10), np.ones(10), 60 * _steps(10))})
    canvas = _drawn(qtbot, plot)
    assert canvas.panels["loss"].plot.vb.viewRange()[0][1] == pytest.approx(10, abs=0.2)
    plot.controls.time.click()
    plot.redraw()
    assert canvas.panels["loss"].plot.vb.viewRange()[0][1] == pytest.approx(600, abs=12)
    assert canvas.panels["loss"].plot.getAxis("bottom").tickStrings([600.0, 3700.0], 1, 100) == ["10:00", "1:01:40"]


def test_zooming_stops_following_and_fit_goes_on(qtbot, plot):
    plot.load({"loss": (_steps(100), np.ones(100), _steps(100))})
    canvas = _drawn(qtbot, plot)
    vb = canvas.panels["loss"].plot.vb
    vb.setXRange(10, 20, padding=0)
    vb.sigRangeChangedManually.emit([True, True])
    plot.append(101, {"loss": 1.0})
    plot.redraw()
    assert vb.viewRange()[0] == [10, 20]
    plot.controls.fit.click()
    plot.redraw()
    assert vb.viewRange()[0][1] > 100


def test_the_best_version_is_marked(qtbot, plot):
    plot.load({"loss": (_steps(100), np.ones(100), _steps(100))})
    plot.mark_best(60)
    canvas = _drawn(qtbot, plot)
    assert canvas.panels["loss"].best.isVisible()
    assert canvas.panels["loss"].best.value() == 60


def test_the_crosshair_reads_the_values(qtbot, plot):
    plot.load({"loss": (_steps(100), np.arange(100.0), _steps(100))})
    canvas = _drawn(qtbot, plot)
    canvas.grab()  # settles the layout
    canvas._point_at(canvas.panels["loss"].plot.vb.mapViewToScene(QPointF(50.2, 50)))
    assert plot.controls.position.text() == "Step 50"
    assert "49" in plot.metrics["loss"].chip.text()


def test_validation_has_the_colour_of_its_metric_and_is_not_smoothed(qtbot, plot):
    plot.load({
        "loss": (_steps(50), np.random.default_rng(0).random(50), _steps(50)),
        "val_loss": (_steps(5), np.array([5.0, 1, 5, 1, 5]), _steps(5)),
    })  # fmt: skip
    canvas = _drawn(qtbot, plot)
    lines = canvas.panels["loss"].lines
    assert lines["val_loss"].strong.getData()[1].tolist() == [5, 1, 5, 1, 5]
    assert lines["val_loss"].strong.opts["pen"].color().name() == lines["loss"].strong.opts["pen"].color().name()


def test_a_single_measurement_is_seen_as_a_dot(qtbot, plot):
    plot.load({"loss": (_steps(50), np.ones(50), _steps(50)), "val_loss": (_steps(1, 50), np.ones(1), _steps(1))})
    canvas = _drawn(qtbot, plot)
    lines = canvas.panels["loss"].lines
    assert [len(lines[name].dots.points()) for name in ("loss", "val_loss")] == [0, 1]


def test_export_as_table_and_picture(qtbot, plot, tmp_path):
    plot.load({"loss": (_steps(3), np.array([3.0, 2, 1]), _steps(3)), "val_loss": (np.array([2.0]), np.array([9.0]),
               np.array([2.0]))})  # fmt: skip
    _drawn(qtbot, plot)
    plot.export_csv(tmp_path / "曲线.csv")
    rows = list(csv.reader((tmp_path / "曲线.csv").read_text(encoding="utf-8").splitlines()))
    assert rows[0] == ["step", "seconds", "loss", "val_loss"]
    assert rows[2] == ["2", "2", "2", "9"]
    assert rows[3] == ["3", "3", "1", ""]
    plot.export_png(tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_a_hidden_plot_costs_no_drawing(qtbot, plot):
    plot.append(1, {"loss": 1.0})
    _drawn(qtbot, plot)
    plot.hide()
    plot.append(2, {"loss": 2.0})
    assert not plot._redraw.isActive()


def test_a_million_points_are_drawn_within_a_frame(qtbot, plot):
    count = 1_000_000
    rng = np.random.default_rng(0)
    plot.load({
        name: (_steps(count), rng.random(count), _steps(count) * 0.01) for name in ("loss", "loss_d", "loss_g")
    })  # fmt: skip
    canvas = _drawn(qtbot, plot)
    started = time.process_time()
    for i in range(10):
        plot.append(count + 1 + i, {"loss": 0.5, "loss_d": 0.5, "loss_g": 0.5}, 1e4)
        plot.redraw()
        canvas.viewport().repaint()
    frame_ms = (time.process_time() - started) / 10 * 1e3
    assert frame_ms < 100  # about 11 ms on a quiet machine; drawing all points takes over 600
    shown = canvas.panels["loss"].lines["loss"].raw.getData()[0]
    assert len(shown) < 4 * canvas.width()


def test_many_curves_leave_room_for_the_plot_and_all_come_into_the_picture(qtbot, plot, tmp_path):
    plot.append(1, {f"loss_{i}": 1.0 for i in range(40)})
    _drawn(qtbot, plot)
    line = next(iter(plot.metrics.values())).chip.height()
    qtbot.waitUntil(lambda: plot.legend.height() < 3 * line)
    assert plot.legend.verticalScrollBar().maximum() > 0 and plot.canvas.height() > 200
    plot.legend.show_lines(99)
    plot.box.activate()
    assert plot.legend.height() == plot.legend.flow.heightForWidth(plot.legend.viewport().width()) >= 3 * line
    plot.legend.show_lines(2)
    plot.export_png(tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 1000 and plot.legend.height() < 3 * line
