"""A form from fields: every kind of value goes in and comes out, problems are shown where they are."""

from typing import Literal

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QCheckBox, QComboBox, QLineEdit, QSpinBox

from aigc_desktop.core.config import TaskConfig, check, describe, param
from aigc_desktop.core.family import Problem
from aigc_desktop.core.fields import WORKED_ON, FieldKind
from aigc_desktop.core.settings import Preferences, check_preferences, preference_fields
from aigc_desktop.engine.pretrained.tiny_encoder import add_tiny_encoder
from aigc_desktop.ui.page import Services
from aigc_desktop.ui.widgets.forms.form import ConfigForm
from aigc_desktop.ui.widgets.forms.inputs import NumberInput, readable_number


class Config(TaskConfig):
    dataset: str = param(..., "Data set", "What it learns from.", kind=FieldKind.DATASET)
    steps: int = param(2000, "Steps", "More is better.", unit="steps", ge=1, le=100_000)
    lr: float = param(3e-4, "Learning rate", "Too high burns.", ge=1e-6, le=1, advanced=True)
    seed: int | None = param(None, "Seed", "Repeats a result.", advanced=True)
    flip: bool = param(True, "Mirror", "Twice the data.")
    mode: Literal["a", "b"] = param("a", "Mode", "Which.", labels={"a": "First", "b": "Second"})
    words: str = param("", "Words", "What it begins with.", multiline=True)


@pytest.fixture
def form(services: Services, qtbot) -> ConfigForm:
    made = ConfigForm(describe(Config), services)
    qtbot.addWidget(made)
    return made


def test_defaults_come_out_as_they_were_declared(form: ConfigForm, services: Services):
    assert "dataset" not in form.values()
    form.set_values({"dataset": services.workspace.datasets()[0].id})
    assert check(Config, form.values()) == Config(dataset=services.workspace.datasets()[0].id)
    assert form.changed_values().keys() == {"dataset"}


def test_values_go_in_and_come_out(form: ConfigForm):
    values = {"steps": 77, "lr": 2.5e-5, "seed": 12, "flip": False, "mode": "b", "words": "zwei\nZeilen"}
    form.set_values(values)
    assert {name: form.values()[name] for name in values} == values
    assert form.changed_values() == values


def test_no_field_uses_a_double_spin_box(form: ConfigForm):
    assert not [w for w in form.findChildren(object) if type(w).__name__ == "QDoubleSpinBox"]
    assert isinstance(form.rows["lr"].input, NumberInput)
    assert isinstance(form.rows["steps"].input.control, QSpinBox)
    assert isinstance(form.rows["flip"].input.control, QCheckBox)


@pytest.mark.parametrize(("value", "text"), [
    (3e-4, "3e-4"), (0.5, "0.5"), (1.0, "1"), (0, "0"), (1e-7, "1e-7"), (1.25e-5, "1.25e-5"), (2e6, "2e6"),
    (-0.02, "-0.02"),
])  # fmt: skip
def test_numbers_are_short_and_exact(value: float, text: str):
    assert readable_number(value) == text
    assert float(text) == value


@pytest.mark.parametrize("value", [0.1 + 0.2, 1 / 3 * 1e-5, 123456.789e-12])
def test_no_number_is_rounded_off(value: float):
    assert float(readable_number(value)) == value


def test_changed_comes_once_after_several_edits(form: ConfigForm, qtbot):
    count = []
    form.changed.connect(lambda: count.append(1))
    line = form.rows["lr"].input.control
    assert isinstance(line, QLineEdit)
    with qtbot.waitSignal(form.changed, timeout=2000):
        line.clear()
        qtbot.keyClicks(line, "1e-3")
    assert (len(count), form.values()["lr"]) == (1, 1e-3)


def test_set_values_does_not_tell_a_change(form: ConfigForm, qtbot):
    with qtbot.assertNotEmitted(form.changed, wait=400):
        form.set_values({"steps": 5, "words": "x", "mode": "b", "flip": False})


def test_a_word_instead_of_a_number_is_a_problem_and_no_value(form: ConfigForm, qtbot):
    line = form.rows["lr"].input.control
    assert isinstance(line, QLineEdit)
    line.clear()
    qtbot.keyClicks(line, "fast")
    assert "lr" not in form.values()
    assert [problem.field for problem in form.problems()] == ["dataset", "lr"]
    assert form.rows["lr"].problem.text() == "must be a number"
    assert line.property("wrong") is True


def test_limits_are_checked_where_the_input_does_not(form: ConfigForm, qtbot):
    form.set_values({"lr": 7.0})
    assert "at most 1" in form.problems()[-1].message


def test_problems_from_outside_are_shown_at_their_fields_also_hidden_ones(form: ConfigForm):
    form.show_problems([Problem("Too many.", "steps"), Problem("Too hot.", "lr"), Problem("No disk.")])
    assert form.rows["steps"].problem.text() == "Too many."
    assert form.general.text() == "No disk."
    assert not form.rows["lr"].isHidden()
    form.show_problems([])
    assert form.rows["steps"].problem.isHidden() and form.general.isHidden() and form.rows["lr"].isHidden()


def test_simple_hides_expert_fields_and_says_how_many_were_changed(form: ConfigForm):
    assert form.rows["lr"].isHidden() and not form.rows["steps"].isHidden()
    form.set_values({"lr": 1e-2, "steps": 3})
    assert "2" in form.count.text()
    form.set_advanced(True)
    assert not form.rows["lr"].isHidden()


def test_reset_puts_one_field_back(form: ConfigForm, qtbot):
    form.set_values({"steps": 3, "flip": False})
    assert not form.rows["steps"].reset_button.isHidden()
    form.rows["steps"].reset_button.click()
    assert (form.values()["steps"], form.values()["flip"]) == (2000, False)
    assert form.rows["steps"].reset_button.isHidden()


def test_a_baseline_changes_what_the_user_did_not_touch(form: ConfigForm):
    form.set_values({"steps": 3})
    form.set_baseline({"steps": 500, "lr": 1e-3})
    assert (form.values()["steps"], form.values()["lr"]) == (3, 1e-3)
    assert form.changed_values() == {"steps": 3}
    assert "500" in form.rows["steps"].input.toolTip()


def test_optional_numbers_can_be_empty(form: ConfigForm):
    form.set_values({"seed": 4})
    form.set_values({"seed": None})
    assert form.values()["seed"] is None


def test_every_control_has_name_help_and_label(form: ConfigForm):
    for name, row in form.rows.items():
        control = row.input.control
        assert control.accessibleName() and control.toolTip() and control.whatsThis(), name
        assert row.spec.help in control.toolTip()
    assert "1 to 100000" in form.rows["steps"].input.control.toolTip()
    assert form.rows["steps"].title.buddy() is form.rows["steps"].input.control


def test_the_wheel_scrolls_the_page_and_changes_nothing_without_focus(form: ConfigForm):
    combo, before = form.rows["mode"].input.control, form.values()
    assert isinstance(combo, QComboBox)
    wheel = QWheelEvent(QPointF(5, 5), QPointF(5, 5), QPoint(), QPoint(0, -120), Qt.MouseButton.NoButton,
                        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False)  # fmt: skip
    QApplication.sendEvent(combo, wheel)
    assert form.values() == before and not wheel.isAccepted()


def test_versions_follow_the_chosen_run(services: Services, qtbot):
    fields = services.jobs.catalogue["image_gan.generate"].fields
    form = ConfigForm(fields, services, family="image_gan")
    qtbot.addWidget(form)
    runs = form.rows["run"].input.control
    assert isinstance(runs, QComboBox)
    titles = {runs.itemText(i) for i in range(runs.count())}
    assert titles == {"cups", "<b>bold</b> 杯子"}
    form.set_values({"run": runs.itemData(0)})
    versions = form.rows["checkpoint"].input.control
    assert isinstance(versions, QComboBox)
    assert [versions.itemData(i) for i in range(versions.count())] == ["best", "last", "000200", "000100"]
    assert form.values()["checkpoint"] == "best"


class OnModels(TaskConfig):
    encoder: str = param(..., "Encoder", "What it begins with.", kind=FieldKind.ENCODER)
    teacher: str = param("", "Teacher", "A model to learn from.", kind=FieldKind.RUN)


def test_a_needed_model_is_chosen_and_an_optional_one_can_be_none(services: Services, qtbot):
    made = ConfigForm(describe(OnModels), services)
    qtbot.addWidget(made)
    assert "encoder" not in made.values()
    assert "Models page" in made.problems()[0].message, "there is nothing to choose here"
    name = add_tiny_encoder(services.workspace, ["a b"])
    made.refresh()
    assert made.values() == {"encoder": name, "teacher": ""}
    box = made.rows["teacher"].input.box
    assert box.count() > 1 and box.currentText() == "none chosen"
    add_tiny_encoder(services.workspace, ["a b"], "other")
    made.refresh()
    assert made.values()["encoder"] == name  # what was chosen stays


class OnTokens(TaskConfig):
    tokens: str = param("", "Tokens", "What it builds on.", kind=FieldKind.RUN, family="image_tokens")


def test_a_field_of_runs_offers_those_of_its_family_only(services: Services, qtbot):
    learned = services.workspace.new_run("image_tokens.train", {})
    (learned.checkpoints_dir / "000001").mkdir(parents=True)
    (learned.checkpoints_dir / "000001" / "MANIFEST.json").write_text("{}", encoding="utf-8")
    made = ConfigForm(describe(OnTokens), services, family="image_transformer")
    qtbot.addWidget(made)
    box = made.rows["tokens"].input.box
    assert [box.itemData(i) for i in range(box.count())] == ["", learned.id]


def test_preferences_make_a_form_whose_values_are_preferences(services: Services, qtbot):
    form = ConfigForm(preference_fields(), services)
    qtbot.addWidget(form)
    assert check_preferences(form.values()) == Preferences()


def test_every_configuration_of_the_tree_makes_a_form(services: Services, qtbot):
    from aigc_desktop.engine.catalog import describe_catalogue

    tasks = describe_catalogue()
    assert tasks
    for task in tasks:
        form = ConfigForm(task.fields, services)
        qtbot.addWidget(form)
        assert form.rows.keys() == {spec.name for spec in task.fields}
        for spec in task.fields:
            if spec.default is not None and spec.kind not in WORKED_ON:
                assert form.values()[spec.name] == spec.default, (task.key, spec.name)
            assert form.rows[spec.name].input.control.toolTip(), (task.key, spec.name)
