"""The command line: what it says of itself, and what it refuses before anything begins."""

from __future__ import annotations

import argparse
import inspect
import re
import subprocess
import sys

import pytest

from aigc_desktop.__main__ import COMMANDS, command_first
from aigc_desktop.__main__ import main as start
from aigc_desktop.cli import main
from aigc_desktop.core.events import Progress
from aigc_desktop.core.starters import bring_in
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.flags import WORDS
from aigc_desktop.terminal import progress_line


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["data", "import", "/no/such/folder"], 1, "/no/such/folder"),
        (["train", "gpt", "--dataset", "nothing"], 2, "nothing"),
        (["generate", "no_such_run", "--prompt", "a long text " * 30], 2, "no trained model “no_such_run”"),
        (["generate", "a long text " * 30], 2, "is not a name"),
        (["data", "inspect", "/tmp"], 2, "is not a name in this workspace.\nImport it"),
        (["train"], 2, "Name the kind of model"),
        (["train", "gptt", "--dataset", "poems"], 2, "no kind of model “gptt”.\nChoose one of: diffusion, gpt,"),
        (["train", "gpt", "--no-such-flag"], 2, "--no-such-flag\n“aigc-desktop train --help”"),
        (["models", "import", "x" * 300], 1, "cannot be used: the name is too long"),
        (["palette", "x" * 300], 1, "cannot be used: the name is too long"),
        (["evaluate", "no_such_run", "--html", "x" * 300], 1, "cannot be used: the name is too long"),
        (["models", "import", "/no/such/model"], 1, "“/no/such/model” is not there"),
        (["generate", "no_such_run"], 2, "no_such_run"),
        (["generate", "no_such_run", "--prompt", "x"], 2, "no trained model “no_such_run”"),
        (["evaluate", "../../etc"], 2, "../../etc"),
        (["runs", "no_such_run"], 2, "no_such_run"),
    ],
)
def test_what_is_wrong_is_said_with_its_exit_code(folder, capsys, arguments, code, word):
    assert main(arguments) == code
    told = capsys.readouterr()
    assert word in told.err
    assert "Traceback" not in told.err + told.out and told.err.count("\n") == 2


def test_wrong_settings_are_refused_before_anything_starts(folder, texts, capsys):
    assert main(["data", "import", str(texts), "--title", "poems"]) == 0
    assert main(["train", "gpt", "--dataset", "poems", "--preset", "XXS"]) == 2
    assert "no preset “XXS”" in capsys.readouterr().err
    assert main(["train", "gpt", "--dataset", "poems", "--steps", "-5"]) == 2
    assert Workspace(folder).runs() == []
    assert "steps" in capsys.readouterr().err.lower()


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["train", "--dataset", "poems"], "image_gan"),
        (["train", "gpt", "--dataset", "poems", "--preset", "no_such_preset"], "no_such_preset"),
        (["train", "gpt", "--dataset", "poems", "--teacher", "no_such_run"], "--teacher: "),
        (["generate", "no_such_run", "--count", "3"], "no_such_run"),
    ],
)
def test_what_names_nothing_is_told_before_a_run_is_made(folder, texts, capsys, arguments, word):
    assert main(["data", "import", str(texts), "--title", "poems"]) == 0
    assert main(arguments) == 2
    assert word in capsys.readouterr().err
    assert Workspace(folder).runs() == []


def test_a_model_says_what_it_can_do_before_anything_is_made(folder, tmp_path, capsys):
    run = bring_in(Workspace.open(folder), "emoji64")
    out = str(tmp_path / "out")
    for arguments, word in [
        (["--task", "no_such_task"], "interpolate"), (["--task", "vary"], "--picture: "),
        (["--count", "0"], "--count: "), (["--format", "docx", "--out", out], "svg"),
    ]:  # fmt: skip
        assert main(["generate", run.id, *arguments]) == 2
        told = capsys.readouterr()
        assert word in told.err and not told.out
    assert not list((folder / "results").iterdir())
    with pytest.raises(SystemExit):
        main(["generate", run.id, "--help"])
    assert re.search(r"--task fill: Paint a part anew \(.*--mask", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["map", "no_such_run"], "no_such_run"),
        (["path", "starter_emoji64", "--places", "[1, 2]", "--fps", "100"], "50"),
        (["decode", "starter_emoji64"], "--places: "), (["map", "starter_emoji64", "--format", "docx"], "png"),
    ],
)  # fmt: skip
def test_exploring_refuses_before_it_makes_a_result(folder, capsys, arguments, word):
    bring_in(Workspace.open(folder), "emoji64")
    assert main(["explore", *arguments]) == 2
    told = capsys.readouterr()
    assert word in told.err and not told.out
    assert not list((folder / "results").iterdir())


@pytest.mark.parametrize("arguments", [["--help"], ["data", "import", "--help"], ["train", "gpt", "--help"]])
def test_help_comes_from_the_fields(arguments, capsys):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 0
    assert capsys.readouterr().out.startswith("usage: aigc-desktop")


def test_argparse_speaks_the_chosen_language(capsys):
    with pytest.raises(SystemExit):
        main(["--help", "--language", "zh_CN"])
    shown = capsys.readouterr().out
    assert shown.startswith("用法：") and "显示本帮助后退出" in shown
    assert not {word for word in ("usage", "options:", "positional", "show ") if word in shown}
    assert main(["nonsense", "--language", "zh_CN"]) == 2
    assert "无效的选择" in capsys.readouterr().err


def test_the_words_of_argparse_are_those_it_asks_for():
    source = inspect.getsource(argparse)
    assert not [word for word in WORDS if repr(word) not in source and f'"{word}"' not in source]


def test_help_and_version_need_no_engine():
    code = (
        "import sys; from aigc_desktop.cli import main\n"
        "try: main(['--version'])\n"
        "except SystemExit: pass\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_wrong_settings_of_an_import_are_told_before_it_and_leave_nothing(folder, texts, capsys):
    wrong = ["--seed", "99999999999", "--validation", "0.9", "--minimum-side", "0"]
    assert main(["data", "import", str(texts), *wrong]) == 2
    told = capsys.readouterr().err
    assert all(flag in told for flag in ("--seed: ", "--validation: ", "--minimum-side: "))
    assert Workspace(folder).datasets() == []


def test_limits_in_the_help_are_whole(capsys):
    with pytest.raises(SystemExit):
        main(["data", "import", "--help"])
    assert "[0 – 2147483647]" in " ".join(capsys.readouterr().out.split())


def test_a_training_without_data_names_the_flag_and_no_figures(folder, capsys):
    assert main(["train", "gpt"]) == 2
    told = capsys.readouterr()
    assert told.err.startswith("--dataset: ") and told.out == ""


def test_a_mistyped_command_is_told_and_opens_no_window(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "aigc_desktop", "modles", "import"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2 and "modles" in done.stderr


def test_the_help_of_the_text_writer_names_what_it_can_be_told(capsys):
    with pytest.raises(SystemExit):
        main(["train", "gpt", "--help"])
    shown = capsys.readouterr().out
    assert all(flag in shown for flag in ("--attributes", "--infill", "--packing", "--learn-lines"))


def test_flags_of_every_command_may_stand_before_it(tmp_path, capsys, monkeypatch):

    monkeypatch.setenv("AIGC_DESKTOP_WORKSPACE", str(tmp_path / "another"))
    for language in (["--language", "zh_CN"], ["--language=zh_CN"]):
        assert start([*language, "--workspace", str(tmp_path / "one"), "runs", "nothing"]) == 2
        assert "没有" in capsys.readouterr().err
    assert (tmp_path / "one").is_dir() and not (tmp_path / "another").exists()
    assert command_first(["--workspace", "one", "picture.png"]) == ["--workspace", "one", "picture.png"]
    assert command_first(["--workspace"]) == ["--workspace"]


def test_the_entry_knows_all_commands(capsys):
    assert main(["?"]) == 2
    offered = capsys.readouterr().err.rpartition("(")[2]
    assert set(re.findall(r"'(\w+)'", offered)) == COMMANDS


def test_a_fine_tuning_without_a_model_names_the_flag(folder, texts, capsys):
    assert main(["data", "import", str(texts), "--title", "poems"]) == 0
    assert main(["train", "language_model", "--dataset", "poems"]) == 2
    assert "--base: " in capsys.readouterr().err


def test_help_on_training_shows_settings_of_the_named_family_only(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    told = capsys.readouterr().out
    assert "image_gan: " in told and "`train FAMILY --help`" in told
    assert "--resume" in told and "--batch-size" not in told
    with pytest.raises(SystemExit):
        main(["train", "gpt", "--help"])
    told = capsys.readouterr().out
    assert "--batch-size" in told and "`train FAMILY --help`" not in told


def test_bytes_on_the_progress_bar_have_the_unit_that_fits():
    assert "606 MB/s" in progress_line(Progress(1, 2, rate=605_564_856, unit="B"))
    assert "3.5 steps/s" in progress_line(Progress(1, 2, rate=3.46, unit="steps"))
