"""The self-check of a build: every family trains three steps, saves, loads and generates; every page is built.

Prints one JSON object a line and returns 0 when all is well. It works on a workspace of its own.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

STEPS = 3


def main() -> int:
    """Run all checks and return the exit code."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from aigc_desktop.core.offline import connection_count, go_offline

    go_offline()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="aigc-check-", ignore_cleanup_errors=True) as name:
        os.environ["AIGC_DESKTOP_CONFIG"] = os.environ["AIGC_DESKTOP_CACHE"] = name
        for title, check in checks(Path(name) / "工作区 workspace"):
            start = time.monotonic()
            problem = _problem(check)
            failed += problem is not None
            report = {"check": title, "ok": problem is None, "seconds": round(time.monotonic() - start, 2)}
            print(json.dumps(report | ({"problem": problem} if problem else {})), flush=True)
    print(json.dumps({"check": "network", "ok": connection_count() == 0, "connections": connection_count()}))
    failed += connection_count() > 0
    print(json.dumps({"self_check": "failed" if failed else "passed"}), flush=True)
    return int(failed > 0)


def checks(folder: Path) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield every check with its name; a check raises when something is wrong."""
    from aigc_desktop.core.i18n import LANGUAGES
    from aigc_desktop.core.rehearsal import SAMPLES
    from aigc_desktop.core.workspace import Workspace
    from aigc_desktop.engine.families import load_families
    from aigc_desktop.engine.nn.four_bit import is_installed

    workspace = Workspace.open(folder)
    datasets: dict[str, str] = {}
    for kind in SAMPLES:
        yield f"import {kind}", lambda kind=kind: datasets.update({kind: import_samples(workspace, kind)})  # type: ignore[misc]
    yield "import labelled texts", lambda: datasets.update(labelled=import_labelled(workspace, folder.parent))
    for name, family in load_families().items():
        kind = "labelled" if _published(family, "encoder") else family.kind
        if any(task.group == "train" for task in family.tasks):
            yield name, lambda family=family, kind=kind: check_family(workspace, family, datasets[kind])  # type: ignore[misc]
    yield "editing", lambda: check_editing(workspace, folder.with_name("edited 图"))
    yield "evaluation", lambda: check_evaluation(workspace, datasets["text"])
    yield "published language model", lambda: check_language_model(workspace, folder.with_name("tiny 模型"))
    yield "adapter", lambda: check_adapter(workspace)
    yield "LoRA", lambda: check_lora(workspace)
    if is_installed():
        yield "weights in 4 bits", check_four_bits
    for line in diffusion_lines():
        yield f"diffusion {line}", lambda line=line: check_diffusion(workspace, folder.with_name(f"tiny {line}"), line)  # type: ignore[misc]
    for language in LANGUAGES:
        yield f"pages {language}", lambda language=language: check_pages(workspace, language)  # type: ignore[misc]
    yield "engine process", check_engine_process


def import_samples(workspace: Any, kind: str) -> str:
    """Import and freeze the bundled samples and return the id of the data set."""
    from aigc_desktop.core.rehearsal import scan_values

    found = run_task(workspace, "data.scan", scan_values(kind))
    run_task(workspace, "data.freeze", {"dataset": found["id"]})
    return str(found["id"])


def import_labelled(workspace: Any, folder: Path) -> str:
    """Import and freeze a few texts with classes and marked names and return the id of the data set."""
    rows = []
    for i, does in enumerate(("likes", "left") * 10):
        where = [len(does) + 5, len(does) + 9, "where"]
        rows.append({"text": f"Ann {does} Oslo {i}", "class": does, "spans": [[0, 3, "who"], where]})
    source = folder / "labelled.jsonl"
    source.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    values = {"source": str(source), "labels": "column", "label_column": "class"}
    found = run_task(workspace, "data.scan", values)
    run_task(workspace, "data.freeze", {"dataset": found["id"]})
    return str(found["id"])


def check_family(workspace: Any, family: Any, dataset: str) -> None:
    """Train a few steps, save, load again, and generate, label or copy."""
    from aigc_desktop.core.events import Sample, Text
    from aigc_desktop.core.rehearsal import sample_path
    from aigc_desktop.engine.diffusion.tiny import add_tiny_diffusion
    from aigc_desktop.engine.pretrained.tiny import add_tiny_model
    from aigc_desktop.engine.pretrained.tiny_encoder import add_tiny_encoder

    name = family.name
    encoders = _published(family, "encoder")
    published = {field: add_tiny_encoder(workspace, ["Ann likes Oslo", "left"]) for field in encoders}
    published |= {field: add_tiny_model(workspace) for field in _published(family, "model")}
    painters = _published(family, "diffusion")
    published |= {field: add_tiny_diffusion(workspace, _class_name="LCMScheduler") for field in painters}  # few steps
    published |= {"trigger": "ohwx"} if painters else {}
    values = {"dataset": dataset, "steps": STEPS, **published}
    plan = run_task(workspace, f"{name}.train", values, mode="plan")["plan"]
    assert not plan.problems, plan.problems
    run = workspace.new_run(f"{name}.train", plan.values)
    run_task(workspace, f"{name}.train", plan.values, run)
    assert run.checkpoints(), "no checkpoint"
    values = {"run": run.id, **({"text": "Ann left Oslo"} if encoders else {"count": 2})}
    offered = {task.name for task in family.tasks}
    used = {"label"} if encoders else offered & {"generate", "compare", "extend"} or {"reconstruct"}
    extended = {"picture": str(next(sample_path("image").rglob("*.png"))), "left": 0, "top": 0, "bottom": 0}
    for task in sorted(used):
        given = extended if task == "extend" else {}
        result = workspace.new_run(f"{name}.{task}", values | given, parent="results")
        events: list[Any] = []
        run_task(workspace, f"{name}.{task}", values | given, result, events)
        assert any(isinstance(event, Sample | Text) for event in events), "nothing was made"
    if family.latents is not None:
        found = run_task(workspace, "explore.map", {"run": run.id, "columns": 2})
        assert sorted(found["order"]) == [0, 1, 2, 3], found


def check_editing(workspace: Any, folder: Path) -> None:
    """Enlarge a picture with the network that is shipped, and trace the outcome as a drawing in the helper process."""
    from aigc_desktop.core.rehearsal import sample_path
    from aigc_desktop.editing.chain import steps_text
    from aigc_desktop.export.edited import edited_piece, outcomes, source_of_file
    from aigc_desktop.export.export import export_pieces, format_named

    source = source_of_file(next(sample_path("image").rglob("*.png")))
    steps = [{"operation": "upscale"}]
    values = {"pictures": str(source.file), "steps": steps_text(steps), "out": str(folder)}
    run_task(workspace, "edit.apply", values)
    [(source, file)] = outcomes(folder, [source])
    [drawing] = export_pieces([edited_piece(source, file, steps)], folder, format_named("svg", "image"))
    assert b"<path" in drawing.read_bytes(), "an empty drawing"


def check_evaluation(workspace: Any, dataset: str) -> None:
    """Measure the newest model that writes, in an encoder's vectors too, and write the report as HTML and PDF."""
    from aigc_desktop.engine.pretrained.tiny_encoder import add_tiny_encoder
    from aigc_desktop.export.report_html import write_html
    from aigc_desktop.export.report_pdf import write_pdf

    run = next(run for run in workspace.runs() if run.info.dataset == dataset)
    encoder = add_tiny_encoder(workspace, ["Ann likes Oslo", "left"], "for evaluation")
    values = {"run": run.id, "count": 24, "sweep": 0, "encoder": encoder}
    evaluation = workspace.new_run("evaluate.run", values, parent="evaluations")
    run_task(workspace, "evaluate.run", values, evaluation)
    for write, begin in ((write_html, b"<!DOCTYPE"), (write_pdf, b"%PDF")):
        write(evaluation, workspace.folder / "report")
        assert (workspace.folder / "report").read_bytes().startswith(begin), begin


def _published(family: Any, kind: str) -> list[str]:
    """Return the settings of a family's training that name a published model of this kind of field."""
    from aigc_desktop.core.config import describe

    trainings = [task.config for task in family.tasks if task.group == "train"]
    return [field.name for config in trainings for field in describe(config) if field.kind == kind]


def check_language_model(workspace: Any, folder: Path) -> None:
    """Import a tiny published model and answer with it in both kinds of numbers, once within a given length."""
    from aigc_desktop.core.events import Text
    from aigc_desktop.engine.pretrained.tiny import write_tiny_model

    write_tiny_model(folder)
    model = run_task(workspace, "models.import", {"source": str(folder)})["id"]
    for numbers, most in (("float32", 0), ("int8", 6)):
        values = {"model": model, "prompt": "hello", "count": 2, "length": 8, "numbers": numbers, "most": most}
        values |= {"device": "cpu"}  # 8-bit weights are for processors
        result = workspace.new_run("language_model.generate", values, parent="results")
        events: list[Any] = []
        run_task(workspace, "language_model.generate", values, result, events)
        assert any(isinstance(event, Text) for event in events), "nothing was written"


def check_adapter(workspace: Any) -> None:
    """Import the adapter of the newest fine-tuning as one from elsewhere, and write with it."""
    from aigc_desktop.core.events import Text

    run = next(run for run in workspace.runs() if run.info.task == "language_model.train")
    adapter = run_task(workspace, "models.import", {"source": str(run.checkpoint("last"))})["id"]
    assert workspace.model(adapter).info.kind == "adapter", workspace.model(adapter).info
    values = {"model": adapter, "prompt": "hello", "count": 1, "length": 8}
    result = workspace.new_run("language_model.generate", values, parent="results")
    events: list[Any] = []
    run_task(workspace, "language_model.generate", values, result, events)
    assert any(isinstance(event, Text) for event in events), "nothing was written"


def check_four_bits() -> None:
    """Pack a matrix into 4 bits and take a product with it, where bitsandbytes is."""
    import torch

    from aigc_desktop.engine.nn.four_bit import need_four_bits

    need_four_bits(torch.device("cuda" if torch.cuda.is_available() else "cpu"))


def diffusion_lines() -> list[str]:
    """Return the names of the lines of diffusion models that are known."""
    from aigc_desktop.data.pipeline_lines import LINES

    return [line.name for line in LINES]


def check_lora(workspace: Any) -> None:
    """Import the LoRA of the newest training of a diffusion model, and make a picture with it."""
    from aigc_desktop.core.events import Sample
    from aigc_desktop.data.pipeline_files import LORA_WEIGHTS

    run = next(run for run in workspace.runs() if run.info.task == "diffusion.train")
    lora = run_task(workspace, "models.import", {"source": str(run.checkpoint("last") / LORA_WEIGHTS)})["id"]
    values = {"model": run.config_values["base"], "lora": lora, "count": 1, "walk_steps": 2}
    result = workspace.new_run("diffusion.generate", values, parent="results")
    events: list[Any] = []
    run_task(workspace, "diffusion.generate", values, result, events)
    assert any(isinstance(event, Sample) for event in events), "nothing was made"


def check_diffusion(workspace: Any, folder: Path, line: str) -> None:
    """Import a tiny diffusion model and do with it what its line can do."""
    import numpy as np
    from PIL import Image

    from aigc_desktop.core.events import Sample
    from aigc_desktop.data.pipeline_lines import LINES
    from aigc_desktop.engine.diffusion.tiny import SIDE, write_tiny_pipeline

    write_tiny_pipeline(folder, line)
    model = run_task(workspace, "models.import", {"source": str(folder)})["id"]
    picture = folder / "picture.png"
    Image.fromarray(np.full((SIDE, SIDE, 3), 180, np.uint8)).save(picture)
    small = {"model": model, "prompt": "a cat", "count": 1, "walk_steps": 2, "width": SIDE, "height": SIDE}
    given = {**small, "picture": str(picture)}
    known = next(each for each in LINES if each.name == line)
    tasks = {"generate": (known.make, small), "vary": (known.vary, given),
             "fill": (known.fill, {**given, "mask": str(picture)})}  # fmt: skip
    for task, values in ((task, values) for task, (runs, values) in tasks.items() if runs):
        result = workspace.new_run(f"diffusion.{task}", values, parent="results")
        events: list[Any] = []
        run_task(workspace, f"diffusion.{task}", values, result, events)
        assert any(isinstance(event, Sample) for event in events), "nothing was made"


def check_pages(workspace: Any, language: str) -> None:
    """Build every page offscreen in one language."""
    from aigc_desktop.app import ThreadEngine
    from aigc_desktop.core.i18n import set_language
    from aigc_desktop.core.settings import check_preferences
    from aigc_desktop.ui.jobs import JobCenter
    from aigc_desktop.ui.main_window import MainWindow
    from aigc_desktop.ui.theme import Theme

    application = _application()
    set_language(language)
    preferences = check_preferences({"language": language})
    theme = Theme(application, preferences)
    jobs = JobCenter(ThreadEngine)
    window = MainWindow(workspace, preferences, jobs, theme)
    window.show()
    for place in window.places:
        window.navigate(place)
        application.processEvents()
    jobs.shut_down()
    window.close()


def _application() -> Any:
    """Return the one application of this process."""
    from PySide6.QtWidgets import QApplication

    from aigc_desktop.app import make_application

    return QApplication.instance() or make_application([])


def check_engine_process() -> None:
    """Start the engine process, see that it answers, and end it."""
    from aigc_desktop.core import paths
    from aigc_desktop.core.engine_process import EngineProcess

    engine = EngineProcess(paths.command(), paths.cache_dir() / "logs" / "engine.log")
    try:
        assert engine.wait_ready().catalogue, "empty catalogue"
        engine.close()
        assert engine.process.wait(timeout=20) == 0, "engine did not leave in good order"
    finally:
        engine.kill()


def run_task(
    workspace: Any,
    task: str,
    values: dict[str, Any],
    run: Any = None,
    events: list[Any] | None = None,
    mode: Any = "run",
) -> dict[str, Any]:
    """Run a job to its end, raise if it failed, and return the data of its Result."""
    from aigc_desktop.core.events import Failed, Result
    from aigc_desktop.core.request import JobRequest
    from aigc_desktop.engine.host import execute

    result: dict[str, Any] = {}
    folder = str(run.folder) if run else ""
    for event in execute(JobRequest(task, values, str(workspace.folder), folder, mode=mode)):
        if events is not None:
            events.append(event)
        if isinstance(event, Failed):
            raise RuntimeError(f"{event.message}\n{event.details}")
        if isinstance(event, Result):
            result = event.data
    return result


def _problem(check: Callable[[], None]) -> str | None:
    """Return what went wrong, or None."""
    try:
        check()
    except Exception:  # noqa: BLE001 - the check reports whatever is wrong
        import traceback

        return traceback.format_exc()
    return None


if __name__ == "__main__":
    sys.exit(main())
