"""The command line, as scripts use it: the whole job on small data, JSON lines, exit codes, Ctrl+C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from aigc_desktop.__main__ import main as start
from aigc_desktop.cli import main
from aigc_desktop.core.errors import OutOfSpace
from aigc_desktop.core.events import Text
from aigc_desktop.core.report import report_of
from aigc_desktop.core.request import JobRequest
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.engine.pretrained.tiny import write_tiny_model
from aigc_desktop.export.export import read_settings
from aigc_desktop.terminal import Shell, event_line
from tests.engine.families.shapes import shapes

QUICK_GPT = ["--steps", "3", "--layers", "1", "--width", "32", "--heads", "2", "--context", "32", "--batch-size", "2"]


def json_lines(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_the_whole_job_on_texts(folder, texts, tmp_path, capsys):
    assert main(["data", "import", str(texts), "--title", "poems"]) == 0
    assert main(["train", "gpt", "--dataset", "poems", "--title", "little", *QUICK_GPT]) == 0
    run = Workspace(folder).runs()[0]
    assert run.info.status == "finished" and run.info.title == "little"
    capsys.readouterr()
    out = tmp_path / "out"
    arguments = [run.id, "--count", "2", "--seed", "5", "--length", "8"]
    assert main(["generate", *arguments, "--out", str(out), "--format", "jsonl"]) == 0
    files = [Path(line) for line in capsys.readouterr().out.splitlines() if line.startswith(str(out))]
    assert files and all(file.is_file() for file in files)
    assert main(["generate", *arguments, "--prompt", "a long text " * 30]) == 0  # longer than a file's name
    assert "a long text a long text" in capsys.readouterr().out
    made = list((folder / "results").iterdir())
    for wrong, word in (
        (["--task", "paint"], "“paint”"), (["--count", "0"], "at least 1"), (["--format", "txt"], "--out"),
        (["--out", str(out), "--format", "png"], "“png”"), (["--task", "infill"], "fill gaps"),
    ):  # fmt: skip
        assert main(["generate", run.id, *wrong]) != 0
        assert word in capsys.readouterr().err
    assert list((folder / "results").iterdir()) == made  # nothing stays of what made nothing
    with pytest.raises(SystemExit):
        main(["generate", run.id, "--help"])
    assert "infill: Fill a gap" in capsys.readouterr().out
    assert main(["runs", "--json"]) == 0
    assert json_lines(capsys)[0]["id"] == run.id
    assert main(["evaluate", run.id, "--count", "20", "--sweep", "0", "--json"]) == 0
    [result] = [line for line in json_lines(capsys) if line["event"] == "Result"]
    report = report_of(result["data"])
    assert 0 < report.figure("Different texts").value <= 1 and report.training["val_bpb"] > 0
    assert report.figure("Bits per byte").value > 0


def test_copies_and_the_texts_of_the_likelihood_model_are_shown_too():
    assert event_line(Text(0, ("tea\n→ tee",), role="reconstruction")) == "  | tea\n  | → tee"
    assert event_line(Text(0, ("tea",), role="baseline")) == "Likelihood model:\n  | tea"
    assert event_line(Text(0, ("tea",), role="real")) == event_line(Text(0, ("t",), partial=True)) == ""


def test_json_events_end_with_finished(folder, texts, capsys):
    assert main(["data", "import", str(texts), "--title", "poems", "--json"]) == 0
    lines = json_lines(capsys)
    assert lines[-1] == {"event": "Finished"}
    assert lines.count({"event": "Finished"}) == 1
    assert any(line.get("event") == "Result" for line in lines)


def test_interrupt_saves_and_a_resume_goes_on(folder, texts, capsys):
    assert main(["data", "import", str(texts), "--title", "poems"]) == 0
    steps = ["--steps", "100000", *QUICK_GPT[2:]]
    interrupted("train", "gpt", "--dataset", "poems", *steps)
    run = Workspace(folder).runs()[0]
    step = run.info.step
    assert run.info.status == "stopped" and step > 0 and run.checkpoints()[-1] == f"{step:06d}"
    capsys.readouterr()
    assert main(["train", "--resume", run.id, "--steps", "5"]) == 2  # would do nothing
    assert "--steps cannot be given" in capsys.readouterr().err
    first = interrupted("train", "--resume", run.id)
    assert first["step"] > step and Workspace(folder).runs()[0].info.step >= first["step"]


def test_an_interrupt_outside_of_the_work_shows_no_traceback(monkeypatch):
    def interrupt(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("aigc_desktop.cli.main", interrupt)
    assert start(["runs"]) == 130


def test_an_import_that_is_stopped_says_that_it_kept_nothing(folder, texts, capsys):
    shell = Shell(False)
    shell.interrupted = True
    workspace = Workspace.open(folder)
    assert shell.run(JobRequest("data.scan", {"source": str(texts)}, str(folder))) is None
    assert shell.code == 130 and "nothing was kept" in capsys.readouterr().out
    assert workspace.datasets() == []


def test_a_training_stopped_before_its_first_save_does_not_claim_one(folder, texts, capsys, monkeypatch):
    def full(_loop):
        os.kill(os.getpid(), signal.SIGINT)
        raise OutOfSpace(2_000_000, 1_000_000, "here")

    assert main(["data", "import", str(texts), "--title", "poems"]) == 0
    monkeypatch.setattr("aigc_desktop.engine.training.saving.save", full)
    assert main(["train", "gpt", "--dataset", "poems", *QUICK_GPT]) == 130
    told = capsys.readouterr().out
    assert "Training waits" in told and "nothing was kept" in told and "is saved" not in told
    assert Workspace(folder).runs()[0].checkpoints() == []


def test_an_import_that_cannot_be_frozen_leaves_nothing(folder, texts, capsys, monkeypatch):
    def full(*_arguments):
        raise OutOfSpace(2_000_000, 1_000_000, "here")

    monkeypatch.setattr("aigc_desktop.data.freeze.need_space", full)
    assert main(["data", "import", str(texts), "--title", "poems"]) == 1
    assert "Not enough space" in capsys.readouterr().err
    assert list((folder / "datasets").iterdir()) == []


def interrupted(*arguments: str) -> dict:
    """Run a training until its first figures, stop it as Ctrl+C does, and return them."""
    command = [sys.executable, "-m", "aigc_desktop", *arguments, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ}) as training:
        told = (json.loads(line) for line in training.stdout)
        first = next(event for event in told if event.get("event") == "Metric")
        training.send_signal(signal.SIGINT)
        rest = training.stdout.read().splitlines()
        assert training.wait(timeout=20) == 130
    assert json.loads(rest[-1])["event"] == "Stopped"
    return first


def test_an_import_names_what_cannot_be_used(folder, tmp_path, capsys):
    (tmp_path / "cups").mkdir()
    for number in range(6):
        Image.new("RGB", (40 + number, 40)).save(tmp_path / "cups" / f"{number}.png")
    (tmp_path / "cups" / "坏的 杯子.png").write_bytes((tmp_path / "cups" / "0.png").read_bytes()[:60])
    assert main(["data", "import", str(tmp_path / "cups"), "--size", "32", "--language", "zh_CN"]) == 0
    assert "“坏的 杯子.png”文件不完整" in capsys.readouterr().out


def test_the_list_of_runs_is_in_the_language_of_the_user(folder, capsys):
    Workspace.open(folder).new_run("gpt.train", {}, "诗")
    assert main(["runs", "--language", "zh_CN"]) == 0
    assert capsys.readouterr().out.split("\t")[2] == "未开始"
    assert main(["runs", "--json", "--language", "zh_CN"]) == 0
    assert json_lines(capsys)[0]["status"] == "new"


def test_alike_classes_are_told_when_a_data_set_is_inspected(folder, tmp_path, capsys):
    table = "text,label\n" + "".join(f"text {number},{('Sport', 'sport')[number % 2]}\n" for number in range(30))
    (tmp_path / "news.csv").write_text(table, encoding="utf-8")
    assert main(["data", "import", str(tmp_path / "news.csv"), "--labels", "column", "--label-column", "label"]) == 0
    capsys.readouterr()
    assert main(["data", "inspect", Workspace(folder).datasets()[0].id]) == 0
    assert "“Sport” / “sport”" in capsys.readouterr().out


def test_pictures_are_labelled_by_folder(folder, tmp_path, capsys):
    for name, colour in (("red", (255, 0, 0)), ("blue", (0, 0, 255))):
        (tmp_path / "cups" / name).mkdir(parents=True)
        for number in range(12):
            Image.new("RGB", (40 + number, 40), colour).save(tmp_path / "cups" / name / f"{number}.png")
    assert main(["data", "import", str(tmp_path / "cups"), "--labels", "folders", "--size", "32"]) == 0
    capsys.readouterr()
    assert main(["data", "inspect", "cups", "--json"]) == 0
    info = json_lines(capsys)[0]
    assert (info["classes"], info["class_counts"], info["size"]) == (["blue", "red"], [12, 12], 32)
    Image.new("RGB", (50, 40), (0, 200, 0)).save(tmp_path / "绿 green.png")
    small = ["--steps", "3", "--width", "8", "--batch-size", "4", "--device", "cpu", "--resolution", "32"]
    assert main(["train", "image_flow", "--dataset", "cups", *small]) == 0
    run = Workspace(folder).runs()[0]
    vary = ["--task", "vary", "--picture", str(tmp_path / "绿 green.png"), "--count", "2", "--walk-steps", "2"]
    assert main(["generate", run.id, *vary, "--label", "red", "--out", str(tmp_path / "out")]) == 0
    assert len(list((tmp_path / "out").glob("*.png"))) == 2
    assert main(["generate", run.id, *vary, "--label", "green"]) == 1
    capsys.readouterr()
    assert main(["generate", run.id, "--good", "--count", "1", "--walk-steps", "1", "--out", str(tmp_path / "no")]) == 0
    told = capsys.readouterr().out
    assert "0 good pictures of 8" in told and "unlike all training pictures 8" in told  # three steps teach nothing
    assert not list((tmp_path / "no").glob("*.png"))


def test_a_model_is_explored(tmp_path, folder, capsys):
    (tmp_path / "cups").mkdir()
    for i in range(32):
        picture = Image.new("RGB", (32, 32), "white")
        picture.paste((8 * i, 90, 250 - 7 * i), (i % 16, i // 2, 16 + i % 16, 16 + i // 2))
        picture.save(tmp_path / "cups" / f"{i}.png")
    assert main(["data", "import", str(tmp_path / "cups"), "--size", "32"]) == 0
    small = ["--steps", "3", "--width", "8", "--batch-size", "4", "--device", "cpu", "--resolution", "32"]
    assert main(["train", "image_vae", "--dataset", "cups", *small]) == 0
    run = Workspace(folder).runs()[0].id
    out = str(tmp_path / "out")
    assert main(["explore", "map", run, "--columns", "2", "--out", out]) == 0
    assert len(list((tmp_path / "out").glob("*.png"))) == 4
    assert main(["explore", "path", run, "--places", "[1, 2]", "--frames", "2", "--out", out, "--fps", "10"]) == 0
    [film] = (tmp_path / "out").glob("*.gif")
    with Image.open(film) as opened:
        assert opened.n_frames == 4
    assert main(["explore", "directions", run, "--count", "2", "--samples", "16"]) == 0
    capsys.readouterr()
    assert main(["explore", "slider", run, "--name", "red", "--more", "[1]", "--less", "[2]", "--json"]) == 0
    assert json_lines(capsys)[-1]["ids"]
    Image.new("RGB", (50, 40), "green").save(tmp_path / "绿.png")
    assert main(["explore", "project", run, "--picture", str(tmp_path / "绿.png"), "--steps", "2", "--json"]) == 0
    assert json_lines(capsys)[-1]["psnr"] > 0
    assert main(["explore", "decode", run, "--places", "no places"]) == 1
    assert main(["explore", "path", "no_such_run", "--places", "[1, 2]"]) == 2


def test_pictures_are_tokens_that_a_transformer_writes(tmp_path, folder, capsys):
    (tmp_path / "cups").mkdir()
    for i in range(24):
        Image.new("RGB", (32, 32), (10 * i, 90, 250 - 10 * i)).save(tmp_path / "cups" / f"{i}.png")
    assert main(["data", "import", str(tmp_path / "cups"), "--size", "32"]) == 0
    small = ["--steps", "2", "--batch-size", "4", "--device", "cpu"]
    assert main(["train", "image_tokens", "--dataset", "cups", *small, "--width", "8"]) == 0
    tokens = Workspace(folder).runs()[0].id
    small += ["--channels", "8", "--width", "16", "--layers", "1", "--heads", "2", "--tokens", tokens]
    assert main(["train", "image_transformer", "--dataset", "cups", *small]) == 0
    writer = Workspace(folder).runs()[0]
    Image.new("RGB", (50, 40), "green").save(tmp_path / "绿.png")
    fill = ["--task", "fill", "--picture", str(tmp_path / "绿.png"), "--mask", str(tmp_path / "绿.png")]
    assert main(["generate", writer.id, *fill, "--count", "1", "--out", str(tmp_path / "out")]) == 1  # nothing is white
    Image.new("L", (50, 40), 255).save(tmp_path / "mask.png")
    fill[-1] = str(tmp_path / "mask.png")
    assert main(["generate", writer.id, *fill, "--count", "1", "--out", str(tmp_path / "filled")]) == 0
    assert len(list((tmp_path / "filled").glob("*.png"))) == 1
    extend = ["--task", "extend", "--picture", str(tmp_path / "绿.png"), "--count", "1", "--top", "0", "--bottom", "0"]
    none = [*extend, "--left", "0", "--right", "0", "--out", str(tmp_path / "none")]
    assert main(["generate", writer.id, *none]) == 2
    assert main(["generate", writer.id, *extend, "--left", "100", "--out", str(tmp_path / "extended")]) == 0
    (picture,) = (tmp_path / "extended").glob("*.png")
    with Image.open(picture) as opened:
        assert opened.width * 8 == opened.height * (8 + 10 + 4)  # in tokens; the picture has 10 × 8


def test_pictures_are_asked_for_in_words(tmp_path, folder, capsys):
    (tmp_path / "cups").mkdir()
    for i in range(24):
        Image.new("RGB", (32, 32), (10 * i, 90, 250 - 10 * i)).save(tmp_path / "cups" / f"{i}.png")
        (tmp_path / "cups" / f"{i}.txt").write_text("a red cup" if i > 11 else "蓝色的杯子", encoding="utf-8")
    assert main(["data", "import", str(tmp_path / "cups"), "--size", "32"]) == 0
    small = ["--steps", "2", "--batch-size", "4", "--device", "cpu"]
    small += ["--channels", "8", "--width", "16", "--layers", "1", "--heads", "2"]
    runs = {}
    for told in ("--use-captions", "--no-use-captions"):
        assert main(["train", "image_transformer", "--dataset", "cups", *small, told]) == 0
        runs[told] = Workspace(folder).runs()[0].id
    out = ["--count", "1", "--out", str(tmp_path / "out")]
    capsys.readouterr()
    assert main(["generate", runs["--use-captions"], "--caption", "a green 杯子", *out]) == 0
    assert "Not learned from the captions, so without effect: green." in "".join(capsys.readouterr())
    (picture,) = (tmp_path / "out").glob("*.png")
    assert read_settings(picture)["settings"]["caption"] == "a green 杯子"
    assert main(["generate", runs["--use-captions"], "--caption", "green", *out]) == 1
    assert "No word of “green” was learned from the captions." in capsys.readouterr().err
    assert main(["generate", runs["--no-use-captions"], "--caption", "a red cup", *out]) == 1
    assert "This model has not learned captions." in capsys.readouterr().err


def test_a_published_model_is_imported_listed_and_writes(tmp_path, folder, capsys):
    write_tiny_model(tmp_path / "小 tiny")
    killed = Workspace.open(folder).folder / "models" / "large.partial"
    killed.mkdir()
    os.utime(killed, (0, 0))
    assert main(["models", "import", str(tmp_path / "小 tiny")]) == 0
    assert not killed.exists()
    capsys.readouterr()
    assert main(["models", "list", "--json"]) == 0
    (row,) = json_lines(capsys)
    assert row["id"] == "小 tiny" and row["kind"] == "language"
    arguments = ["小 tiny", "--prompt", "x", "--no-chat", "--count", "2", "--most", "5", "--out", str(tmp_path / "out")]
    assert main(["generate", *arguments, "--format", "jsonl"]) == 0
    (file,) = (tmp_path / "out").iterdir()
    texts = [json.loads(line)["text"] for line in file.read_text(encoding="utf-8").splitlines()]
    assert len(texts) == 2 and all(text.startswith("x") and len(text) <= 6 for text in texts)
    assert main(["models", "import", str(tmp_path / "nothing")]) == 1


def test_a_text_writer_is_told_attributes_on_the_command_line(folder, tmp_path, capsys):
    table = tmp_path / "诗.csv"
    rows = [f"{'日月'[i % 2] * 6}{i}。,{('唐', '宋')[i % 2]},poet {i % 3}" for i in range(60)]
    table.write_text("\n".join(["text,朝代,poet", *rows]), encoding="utf-8")
    asked = ["--labels", "column", "--label-column", "朝代", "--attribute-columns", "poet"]
    assert main(["data", "import", str(table), "--title", "poems", *asked]) == 0
    assert main(["train", "gpt", "--dataset", "poems", "--infill", "0.5", *QUICK_GPT]) == 0
    run = Workspace(folder).runs()[0]
    told = ["--count", "1", "--length", "8", "--label", "唐", "--attributes", "poet: poet 1"]
    assert main(["generate", run.id, *told]) == 0
    assert main(["generate", run.id, "--task", "infill", *told, "--before", "日", "--after", "。", "--json"]) == 0
    capsys.readouterr()
    assert main(["generate", run.id, "--attributes", "mood: gay"]) != 0
    assert "only: label, poet" in capsys.readouterr().err


def test_names_are_imported_learned_found_and_measured(folder, tmp_path, capsys):
    from aigc_desktop.engine.pretrained.tiny_encoder import write_tiny_encoder

    sentence = "{who}\tB-person\nlikes\tO\nNew\tB-place\nYork\tI-place\n.\tO\n\n"
    people = [first + last for first in "ABCDE" for last in "nmkl"]
    (tmp_path / "names.conll").write_text("".join(sentence.format(who=who) for who in people), encoding="utf-8")
    assert main(["data", "import", str(tmp_path / "names.conll")]) == 0
    encoder = write_tiny_encoder(tmp_path / "encoder", ["likes New York .", *people])
    small = ["--steps", "8", "--batch-size", "8", "--validate-every", "4", "--lr", "0.01", "--device", "cpu"]
    assert main(["train", "token_tagger", "--dataset", "names", "--encoder", str(encoder), *small]) == 0
    run = Workspace(folder).runs()[0]
    capsys.readouterr()
    assert main(["generate", run.id, "--task", "label", "--text", "An likes New York .", "--json"]) == 0
    result = Path(json_lines(capsys)[-1]["folder"])
    assert json.loads((result / "labels.jsonl").read_text("utf-8"))["text"] == "An likes New York ."
    assert main(["evaluate", run.id, "--dataset", "names"]) == 0
    told = capsys.readouterr().out
    assert "Entity F1, micro (strict, IOB2)" in told and "Tokens, with O" in told and "B-place" in told


def test_classes_are_imported_learned_told_and_measured(folder, tmp_path, capsys):
    from aigc_desktop.engine.pretrained.tiny_encoder import write_tiny_encoder

    rows = [{"text": f"{('good', 'bad')[n % 2]} tea {n}", "taste": ("sweet", "bitter")[n % 2]} for n in range(24)]
    (tmp_path / "tea.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    asked = ["--labels", "column", "--label-column", "taste"]
    assert main(["data", "import", str(tmp_path / "tea.jsonl"), *asked]) == 0
    encoder = write_tiny_encoder(tmp_path / "encoder", ["good bad tea"])
    small = ["--steps", "6", "--batch-size", "8", "--device", "cpu", "--method", "lora", "--rank", "2"]
    assert main(["train", "text_classifier", "--dataset", "tea", "--encoder", str(encoder), *small]) == 0
    run = Workspace(folder).runs()[0]
    capsys.readouterr()
    assert main(["generate", run.id, "--task", "label", "--text", "good tea 1", "--json"]) == 0
    result = Path(json_lines(capsys)[-1]["folder"])
    assert json.loads((result / "labels.jsonl").read_text("utf-8"))["label"] in ("sweet", "bitter")
    assert main(["evaluate", run.id, "--dataset", "tea"]) == 0
    told = capsys.readouterr().out
    assert all(word in told for word in ("sweet", "bitter", "precision", "macro average", "Confusion"))


@pytest.mark.parametrize("family", ["text_gan", "text_vae"])
def test_short_texts_are_learned_made_and_measured(folder, tmp_path, capsys, family):
    words = [f"a {colour} {thing}" for colour in ("red", "blue", "old", "tiny") for thing in "abcdefghijklmnop"]
    (tmp_path / "words.txt").write_text("\n".join(words), encoding="utf-8")
    assert main(["data", "import", str(tmp_path / "words.txt"), "--text-item", "line"]) == 0
    small = ["--steps", "6", "--layers", "1", "--width", "16", "--heads", "2", "--length", "32", "--batch-size", "8"]
    assert main(["train", family, "--dataset", "words", *small, "--validate-every", "3", "--device", "cpu"]) == 0
    run = Workspace(folder).runs()[0]
    out = tmp_path / "out"
    assert main(["generate", run.id, "--count", "4", "--out", str(out), "--format", "jsonl"]) == 0
    (file,) = out.iterdir()
    assert len(file.read_text("utf-8").splitlines()) == 4
    if family == "text_vae":
        assert main(["generate", run.id, "--task", "vary", "--text", "a red a", "--count", "2"]) == 0
    else:
        assert main(["generate", run.id, "--which", "likelihood", "--count", "2"]) == 0
    assert main(["evaluate", run.id, "--count", "20", "--sweep", "0", "--device", "cpu"]) == 0
    assert "Different texts" in capsys.readouterr().out


def test_a_data_set_is_labelled_saved_and_learned_from(folder, tmp_path, capsys):
    from aigc_desktop.engine.pretrained.tiny_encoder import write_tiny_encoder

    sentence = "{who}\tB-person\nlikes\tO\nRome\tB-place\n\n"
    people = [first + last for first in "ABCDE" for last in "nmkl"]
    (tmp_path / "names.conll").write_text("".join(sentence.format(who=who) for who in people), encoding="utf-8")
    lines = [f"{who} likes Rome {n}" for n, who in enumerate(people)]
    (tmp_path / "新 new.txt").write_text("\n".join(lines), encoding="utf-8")
    assert main(["data", "import", str(tmp_path / "names.conll")]) == 0
    assert main(["data", "import", str(tmp_path / "新 new.txt"), "--text-item", "line", "--title", "new"]) == 0
    encoder = write_tiny_encoder(tmp_path / "encoder", ["likes Rome", *people])
    small = ["--steps", "8", "--batch-size", "8", "--validate-every", "4", "--lr", "0.01", "--device", "cpu"]
    assert main(["train", "token_tagger", "--dataset", "names", "--encoder", str(encoder), *small]) == 0
    run = Workspace(folder).runs()[0]
    assert main(["data", "export-labels", "new", str(tmp_path / "none.jsonl")]) == 2
    assert main(["data", "label", "new", "--run", run.id, "--accept-above", "2"]) == 2
    assert main(["data", "label", "new", "--run", "nothing"]) == 1
    capsys.readouterr()
    assert main(["data", "label", "new", "--run", run.id, "--accept-above", "0", "--device", "cpu", "--json"]) == 0
    assert json_lines(capsys)[-1] == {"accepted": 20}
    for name in ("labels.jsonl", "labels.conll"):
        assert main(["data", "export-labels", "new", str(tmp_path / name)]) == 0
        assert "20 labelled texts" in capsys.readouterr().out
    assert main(["data", "import", str(tmp_path / "labels.jsonl")]) == 0
    assert Workspace(folder).dataset("labels").info.usable == 20


def test_an_evaluation_is_written_as_html_and_pdf_and_kept(folder, texts, tmp_path, capsys):
    assert main(["data", "import", str(texts), "--title", "poems"]) == 0
    assert main(["train", "gpt", "--dataset", "poems", "--title", "<script>x</script>", *QUICK_GPT]) == 0
    run = Workspace(folder).runs()[0]
    html, pdf = tmp_path / "报告.html", tmp_path / "report.pdf"
    small = ["--count", "20", "--sweep", "0", "--device", "cpu"]
    capsys.readouterr()
    assert main(["evaluate", run.id, *small, "--html", str(html), "--pdf", str(pdf), "--language", "zh_CN"]) == 0
    told = capsys.readouterr().out
    assert str(html) in told and str(pdf) in told and "不重复文本" in told and "Different texts" not in told
    assert "&lt;script&gt;" in html.read_text("utf-8") and "<script" not in html.read_text("utf-8")
    assert pdf.read_bytes().startswith(b"%PDF")
    (evaluation,) = Workspace(folder).evaluations()
    assert evaluation.config_values["checkpoint"].isdecimal() and (evaluation.folder / "report.json").is_file()
    for flag in ("--html", "--pdf"):  # told before anything is computed
        assert main(["evaluate", run.id, *small, flag, str(tmp_path / "no" / "r")]) == 2
    assert main(["evaluate", run.id, *small, "--encoder", "nowhere"]) == 1
    assert len(Workspace(folder).evaluations()) == 1, "nothing is left of what failed"


def test_a_published_model_is_fine_tuned_writes_is_compared_and_merged(folder, texts, tmp_path, capsys):
    write_tiny_model(tmp_path / "tiny")
    assert main(["models", "import", str(tmp_path / "tiny")]) == 0
    assert main(["data", "import", str(texts), "--title", "poems"]) == 0
    small = ["--steps", "6", "--context", "64", "--rank", "4", "--batch-size", "2", "--device", "cpu"]
    assert main(["train", "language_model", "--dataset", "poems", "--base", "tiny", *small]) == 0
    told = capsys.readouterr().out
    assert "Learning rates tried" in told and "Perplexity, validation" in told
    run = Workspace(folder).runs()[0]
    out = tmp_path / "out"
    arguments = [run.id, "--prompt", "第1行", "--count", "2", "--length", "8", "--out", str(out), "--format", "jsonl"]
    assert main(["generate", *arguments]) == 0
    (file,) = out.iterdir()
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 2 and all(row["text"].startswith("第1行") for row in rows)
    assert main(["generate", run.id, "--task", "compare", "--count", "2", "--length", "6"]) == 0
    assert "perplexity" in capsys.readouterr().out
    assert main(["generate", run.id, "--task", "merge", "--title", "poet"]) == 0
    assert {model.id for model in Workspace(folder).models()} == {"tiny", "poet"}
    assert main(["models", "import", str(run.checkpoint("last"))]) == 0
    adapter = next(model.id for model in Workspace(folder).models() if model.info.kind == "adapter")
    assert main(["generate", adapter, "--prompt", "x", "--no-chat", "--count", "1", "--length", "4"]) == 0




def test_a_training_of_another_kind_is_refused_before_a_run_is_made(folder, capsys):
    dataset = shapes(Workspace.open(folder))
    other = Workspace(folder).new_run("image_vae.train", {}, "codes")
    for flag in (["image_gan", "--start-from"], ["image_flow", "--start-from"], ["image_transformer", "--tokens"]):
        assert main(["train", *flag, other.id, "--dataset", dataset.id, "--device", "cpu"]) == 2
        assert "“codes” is a training of another kind; choose one of “Image" in capsys.readouterr().err
    assert [run.id for run in Workspace(folder).runs()] == [other.id]


def test_an_import_takes_away_what_a_killed_one_left(folder, texts):
    left = Workspace.open(folder).folder / "datasets" / "half.partial"
    left.mkdir()
    (left / "items.jsonl").write_text("{", encoding="utf-8")
    for path in (left / "items.jsonl", left):
        os.utime(path, (1e9, 1e9))
    assert main(["data", "import", str(texts)]) == 0
    assert not left.exists()


@pytest.mark.parametrize(
    ("command", "parent", "record"),
    [
        (["data", "inspect"], "datasets", "dataset.json"), (["runs"], "runs", "run.json"),
        (["models", "list"], "models", "model.json"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_beside_the_others(folder, texts, tmp_path, capsys, command, parent, record):
    workspace = Workspace.open(folder)
    write_tiny_model(tmp_path / "good")
    assert main(["models", "import", str(tmp_path / "good")]) == 0
    assert main(["data", "import", str(texts), "--title", "good"]) == 0
    workspace.new_run("gpt.train", {}, "good")
    bad = folder / parent / "2999-01-01_000000_bad"  # listed first
    bad.mkdir()
    (bad / record).write_text("{")
    capsys.readouterr()
    assert main(command) == 1
    told = capsys.readouterr()
    assert told.out.count("\n") == 1 and "good" in told.out and "is damaged" in told.err
