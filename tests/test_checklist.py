import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_every_test_of_the_checklist_exists():
    named = re.findall(r"`([^`]+)`", (ROOT / "tests" / "checklist.md").read_text(encoding="utf-8").partition("|---")[2])
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    tests = set(re.findall(r"^def (test_\w+)", sources, re.MULTILINE))
    missing = [name for name in named if name.startswith("test_") and name not in tests]
    missing += [name for name in named if "/" in name and not (ROOT / name).is_file()]
    assert missing == []
