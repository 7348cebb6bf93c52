"""What the tests of the command line begin with: texts and a workspace."""

from pathlib import Path

import pytest


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    folder = tmp_path / "我的 texts"
    folder.mkdir()
    lines = [f"第{number}行：春眠不觉晓，处处闻啼鸟。" for number in range(60)]
    (folder / "poems.txt").write_text("\n".join(lines), encoding="gb18030")
    return folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    folder = tmp_path / "work 空间"
    monkeypatch.setenv("AIGC_DESKTOP_WORKSPACE", str(folder))
    return folder
