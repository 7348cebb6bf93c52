import errno
import json
import subprocess
import sys

import pytest

from aigc_desktop.core.errors import OutOfSpace, failure_of, readable_size
from aigc_desktop.core.files import atomic_file, atomic_folder
from aigc_desktop.core.i18n import LANGUAGES, _, ngettext, set_language, system_language
from aigc_desktop.core.partial import known_path
from aigc_desktop.core.settings import Preferences, load_preferences, save_preferences


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "OutOfSpace"),
        (MemoryError(), "OutOfMemory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), "OutOfMemory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "OutOfMemory"),
        (RuntimeError("MPS backend out of memory (MPS allocated: 17.8 GB)"), "OutOfMemory"),
        (PermissionError(errno.EACCES, "denied", "/root/x"), "PermissionError"),
        (FileNotFoundError(errno.ENOENT, "gone", "/x/y"), "FileNotFoundError"),
        (OSError(errno.EIO, "Input/output error"), "OSError"),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError"),
    ],
)
def test_every_failure_has_a_sentence_and_a_way_out(error, kind):
    failed = failure_of(error)
    assert failed.kind == kind
    assert failed.message and failed.hint
    assert "Traceback" not in failed.message


@pytest.mark.parametrize(
    "name",
    [
        "EISDIR", "EBUSY", "ENOTEMPTY", "EXDEV", "EINVAL", "ESTALE", "ENODEV", "ENAMETOOLONG", "ELOOP", "EROFS", "EIO",
        "EFBIG", "ENOTCONN", "EMFILE",
    ],
)  # fmt: skip
def test_reasons_of_the_system_are_told_in_the_chosen_language(name):
    set_language("zh_CN")
    told = failure_of(OSError(getattr(errno, name), "in the system's words", "/home/x"))
    assert "system's" not in told.message and not told.message.isascii()


def test_messages_name_what_the_user_knows_and_not_what_is_half_written():
    inner = "/home/me/datasets/cups.partial/items.jsonl"
    for error in (
        PermissionError(errno.EACCES, "denied", inner), IsADirectoryError(errno.EISDIR, "folder", inner),
        OutOfSpace(2, 1, inner),
    ):  # fmt: skip
        told = failure_of(error).message
        assert "/home/me/datasets/cups" in told and "partial" not in told
    long = failure_of(OSError(errno.ENAMETOOLONG, "too long", "/home/" + "x" * 9000)).message
    assert len(long) < 300 and "too long" in long
    assert known_path("/home/my.partial view/a") == "/home/my.partial view/a"


def test_a_full_disk_is_named_by_a_place_that_the_user_knows(tmp_path):
    home = tmp_path / "work"
    with pytest.raises(OSError, match="full") as raised, atomic_file(tmp_path / "a.png"):
        raise OSError(errno.ENOSPC, "full")
    assert failure_of(raised.value).message == f"The disk that holds {tmp_path} is full."
    assert failure_of(raised.value, tmp_path).message == f"The disk that holds {tmp_path} is full."
    with pytest.raises(OSError, match="full") as raised, atomic_folder(home / "datasets" / "cups"):
        raise OSError(errno.ENOSPC, "full")
    assert failure_of(raised.value, home).message == f"The disk that holds {home} is full."
    copied = OSError(errno.ENOSPC, "full", "/camera/a.png", None, str(home / "a.png"))
    assert failure_of(copied).message == f"The disk that holds {home} is full."
    assert failure_of(OSError(errno.ENOSPC, "full"), home).message == f"The disk that holds {home} is full."


def test_sizes_are_readable():
    assert [readable_size(n) for n in (12, 34_000_000, 1_200_000_000, 1.4e12)] == ["12 B", "34 MB", "1.2 GB", "1.4 TB"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_languages_have_catalogues(language):
    set_language(language)
    assert _("The disk is full.")
    assert ngettext("{count} picture", "{count} pictures", 2)


def test_an_unknown_language_is_refused():
    with pytest.raises(ValueError, match="xx"):
        set_language("xx")


def test_the_system_language(monkeypatch):
    monkeypatch.setenv("LANGUAGE", "zh_TW:en")
    assert system_language() == "zh_CN"
    monkeypatch.setenv("LANGUAGE", "de_DE")
    assert system_language() == "en"


def test_preferences_round_trip(tmp_path):
    save_preferences(Preferences(language="zh_CN", scale=125), tmp_path)
    assert load_preferences(tmp_path) == Preferences(language="zh_CN", scale=125)


@pytest.mark.parametrize(
    "damage",
    [
        "", "{", '{"language": "klingon"}', "[1]", '{"scale": 74}', '{"scale": 201}',
        '{"scale": true}', '{"workspace": 3}',
    ],
)  # fmt: skip
def test_damaged_preferences_are_set_aside(tmp_path, damage):
    (tmp_path / "preferences.json").write_text(damage, encoding="utf-8")
    assert load_preferences(tmp_path) == Preferences()
    assert (tmp_path / "preferences.damaged").read_text(encoding="utf-8") == damage


def test_what_a_newer_version_wrote_into_the_preferences_stays(tmp_path):
    file = tmp_path / "preferences.json"
    file.write_text('{"language": "zh_CN", "colour_of_tomorrow": ["blue"]}', encoding="utf-8")
    assert load_preferences(tmp_path) == Preferences(language="zh_CN")
    assert [path.name for path in tmp_path.iterdir()] == ["preferences.json"]
    save_preferences(Preferences(scale=125), tmp_path)
    written = json.loads(file.read_text(encoding="utf-8"))
    assert written["colour_of_tomorrow"] == ["blue"] and written["scale"] == 125
    assert load_preferences(tmp_path) == Preferences(scale=125)


def test_the_network_is_refused_and_counted():
    code = (
        "from aigc_desktop.core.offline import go_offline, connection_count\n"
        "import os, socket\n"
        "go_offline(); go_offline()\n"
        "for act in (lambda: socket.create_connection(('192.0.2.1', 80), 1), lambda: socket.getaddrinfo('e.org', 1)):\n"
        "    try: act()\n"
        "    except PermissionError: pass\n"
        "    else: raise SystemExit('went through')\n"
        "a, b = socket.socketpair(); a.send(b'x'); b.recv(1)\n"
        "print(connection_count(), os.environ['HF_HUB_OFFLINE'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, switch = done.stdout.split()
    assert int(count) >= 2 and switch == "1"
