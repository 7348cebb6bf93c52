import json
import re
import sys
from pathlib import Path

import numpy
import pydantic
import pytest
import shiboken6


def bundled_folder(tmp_path: Path) -> Path:
    model = tmp_path / "resources" / "models"
    model.mkdir(parents=True)
    (model / "net.safetensors").write_bytes(b"weights")
    (model / "net.json").write_text("{}")
    (model / "net.LICENSE.txt").write_text("Apache")
    samples = tmp_path / "resources" / "samples" / "birds"
    samples.mkdir(parents=True)
    (samples / "LICENSE").write_text("CC0")
    icons = tmp_path / "resources" / "icons"
    icons.mkdir()
    (icons / "LICENSE-lucide.txt").write_text("ISC")
    (icons / "app.svg").write_text("<svg/>")
    return tmp_path


def test_every_collected_file_is_traced_to_its_licence(licences, tmp_path):
    root = bundled_folder(tmp_path)
    collected = [Path(numpy.__file__), Path(pydantic.__file__), Path(shiboken6.__file__), Path(json.__file__)]
    components = {item.name: item for item in licences.gather(collected, root)}
    assert set(components) == {
        "numpy", "pydantic", "shiboken6", "Python", "pyinstaller",
        "models/net.safetensors", "samples/birds", "icons/lucide",
    }  # fmt: skip
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in components["shiboken6"].texts["LGPL-3.0.txt"]
    assert components["pydantic"].licence == "MIT"
    assert components["models/net.safetensors"].texts == {"net.LICENSE.txt": "Apache"}
    assert all(item.texts for item in components.values())


def test_on_windows_the_libraries_beside_python_belong_to_it(licences, tmp_path, monkeypatch):
    library = tmp_path / "python" / "DLLs" / "_ctypes.pyd"
    library.parent.mkdir(parents=True)
    library.write_bytes(b"")
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path / "python"))
    monkeypatch.setattr(licences.sysconfig, "get_config_var", lambda name: None)  # as there
    assert licences.origin_of(library, tmp_path / "project") == "python:Python"


def test_data_without_a_licence_stops_the_build(licences, tmp_path):
    root = bundled_folder(tmp_path)
    (root / "resources" / "models" / "foreign.safetensors").write_bytes(b"weights")
    with pytest.raises(licences.MissingLicence, match="models/foreign"):
        licences.gather([], root)


def test_a_wheel_without_a_licence_stops_the_build(licences, tmp_path, monkeypatch):
    monkeypatch.setitem(licences.TEXTS_BY_NAME, "shiboken6", [])
    with pytest.raises(licences.MissingLicence, match="shiboken6"):
        licences.gather([Path(shiboken6.__file__)], tmp_path)


def test_a_file_of_unknown_origin_stops_the_build(licences, tmp_path):
    stray = tmp_path / "elsewhere" / "libstray.so"
    stray.parent.mkdir()
    stray.write_bytes(b"")
    with pytest.raises(licences.MissingLicence, match="libstray"):
        licences.gather([stray], tmp_path / "project")


def test_our_own_files_need_no_notice(licences, root):
    assert licences.origin_of(root / "aigc_desktop" / "__init__.py", root) == ""


def test_our_resources_all_carry_their_licence(licences, root):
    components = licences.of_resources(root / "resources")
    assert {"samples/emoji", "samples/texts", "icons/lucide"} <= {item.name for item in components}
    assert [item.name for item in components if not item.texts] == []


def test_the_written_notices_point_to_each_text_once(licences, tmp_path):
    root = bundled_folder(tmp_path)
    as_json, as_text = licences.write([shiboken6.__file__, sys.modules["PySide6"].__file__], root, tmp_path / "out")
    notices = json.loads(as_json.read_text(encoding="utf-8"))
    keys = [key for item in notices["components"] for key in item["texts"].values()]
    assert set(keys) == set(notices["texts"])
    assert len(keys) > len(set(keys)), "Qt and shiboken6 share the LGPL"
    assert len(re.findall("GNU LESSER GENERAL PUBLIC LICENSE\n", as_text.read_text(encoding="utf-8"))) == 1


def test_about_shows_what_the_build_gathered(licences, tmp_path, monkeypatch):
    from aigc_desktop.ui.widgets.settings import licences as about

    root = bundled_folder(tmp_path)
    (root / "LICENSE").write_text("Apache License", encoding="utf-8")
    licences.write([shiboken6.__file__], root, root / "resources" / "licences")
    monkeypatch.setattr(about, "resources", lambda: root / "resources")
    shown = {licence.part: licence for licence in about.licences()}
    assert shown["AIGC Desktop"].text == "Apache License"
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in shown[f"shiboken6 {shiboken6.__version__}"].text
    assert shown["models/net.safetensors"].text == "Apache"
    assert all(licence.text for licence in shown.values())
