import resource
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aigc_desktop.core.errors import OutOfSpace, UserError
from aigc_desktop.core.files import atomic_file, atomic_folder, need_space, read_json, safe_name, write_json


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})
    with pytest.raises(RuntimeError), atomic_file(path, "w") as f:
        f.write("half")
        raise RuntimeError
    assert read_json(path) == {"old": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_an_error_leaves_no_half_folder(tmp_path):
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "set") as folder:
        (folder / "images").write_bytes(b"half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_harms_nothing(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError), atomic_file(path) as f:
            f.write(b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_damaged_json_file_is_named(tmp_path):
    path = tmp_path / "run.json"
    path.write_text('{"a": ', encoding="utf-8")
    with pytest.raises(UserError, match=r"run\.json"):
        read_json(path)


def test_space_is_asked_for_beforehand(tmp_path):
    with pytest.raises(OutOfSpace, match="needed"):
        need_space(tmp_path, 1 << 60)


@given(st.text(max_size=300))
def test_any_text_becomes_a_usable_file_name(tmp_path_factory, text):
    name = safe_name(text)
    assert 0 < len(name.encode()) <= 255
    assert name not in (".", "..") and "/" not in name and "\0" not in name
    assert name == name.strip(" .")


def test_reserved_names_are_avoided():
    assert safe_name("CON") == "_CON"
    assert safe_name("杯子 / 2") == "杯子 2"
