"""Every text of the program has a translation, with its placeholders, and the compiled catalogues are current."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_no_text_lacks_a_translation():
    check = [sys.executable, str(ROOT / "packaging" / "catalogues.py"), "check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
