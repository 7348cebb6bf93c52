"""Large data sets: memory stays bounded, the list opens at once, and a stop takes effect within two seconds."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from aigc_desktop.core.config import check
from aigc_desktop.core.run import Run
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.preview import ItemFilter, ItemIndex
from aigc_desktop.data.scan import ScanConfig, scan
from tests.data.conftest import encoded, picture

IMPORT = textwrap.dedent("""
    import json, sys, time
    from pathlib import Path
    import psutil
    from aigc_desktop.core.config import check
    from aigc_desktop.core.run import Run
    from aigc_desktop.data.jobs import FreezeConfig, ScanConfig, freeze, scan
    source, folder, size = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    run, me = Run(folder, folder), psutil.Process()
    start, peak, handles, figures = me.memory_info().rss, 0, 0, {}
    jobs = ((scan, check(ScanConfig, {"source": source, "title": "big", "text_item": "line"})),
            (freeze, check(FreezeConfig, {"dataset": "big", "size": size})))
    for job, config in jobs:
        began = last = time.monotonic()
        gap = 0.0
        for event in job(config, run):
            now = time.monotonic()
            gap, last = max(gap, now - last), now
            peak = max(peak, me.memory_info().rss)
            handles = max(handles, me.num_fds())
        figures[job.__name__] = {"seconds": time.monotonic() - began, "longest_gap": gap}
    print(json.dumps({**figures, "growth_mb": (peak - start) / 1e6, "handles": handles, **event.data}))
""")


def import_it(source: Path, workspace: Workspace, size: int = 32) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, str(source), str(workspace.folder), str(size)],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    print({name: figures[name] for name in ("scan", "freeze", "growth_mb", "handles", "usable")})
    return figures


@pytest.mark.slow
def test_20000_pictures(workspace: Workspace, source: Path) -> None:
    data = encoded(picture(1, side=32), "BMP")
    for number in range(20_000):
        folder = source / f"{number // 1000:02d}"
        folder.mkdir(exist_ok=True)
        (folder / f"{number}.bmp").write_bytes(data[:-4] + number.to_bytes(4, "little"))
    figures = import_it(source, workspace)
    assert (figures["usable"], figures["train"], figures["validation"]) == (20_000, 18_000, 2_000)
    assert figures["growth_mb"] < 150
    assert figures["handles"] < 40
    assert max(figures["scan"]["longest_gap"], figures["freeze"]["longest_gap"]) < 2.0
    index = ItemIndex(workspace.dataset("big"))
    assert len(index) == 20_000 and len(index.select(ItemFilter(split="validation"))) == 2_000
    index.close()


@pytest.mark.slow
def test_1000000_lines(workspace: Workspace, source: Path) -> None:
    with (source / "lines.txt").open("w", encoding="utf-8") as f:
        f.writelines(f"line number {number} of a long text file\n" for number in range(1_000_000))
    figures = import_it(source, workspace)
    assert figures["usable"] == 1_000_000
    assert figures["growth_mb"] < 350
    assert 1_000_000 / figures["scan"]["seconds"] > 5_000
    index = ItemIndex(workspace.dataset("big"))
    assert index.text(999_999) == "line number 999999 of a long text file"
    assert index.select(ItemFilter(search="number 123456 of")).tolist() == [123_456]
    index.close()


def test_a_stop_takes_effect_at_once(workspace: Workspace, source: Path) -> None:
    for number in range(300):
        (source / f"{number}.png").write_bytes(encoded(picture(number)))
    job = scan(check(ScanConfig, {"source": str(source)}), Run(workspace.folder, workspace.folder))
    for _count in range(3):
        next(job)
    began = time.monotonic()
    job.close()
    assert time.monotonic() - began < 2.0
    assert not list((workspace.folder / "datasets").iterdir())
