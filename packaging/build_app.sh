#!/bin/sh
# Build the one-folder app into dist/aigc-desktop and note what it took in build/package.json.
set -eu
cd "$(dirname "$0")/.."
mkdir -p build
.venv/bin/python - <<'PYTHON'
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

begin = time.monotonic()
pyinstaller = Path(sys.executable).with_name("pyinstaller")
done = subprocess.run([pyinstaller, "--noconfirm", "--clean", "--log-level", "ERROR", "build.spec"])
if done.returncode:
    sys.exit(done.returncode)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
files = [path for path in Path("dist/aigc-desktop").rglob("*") if path.is_file() and not path.is_symlink()]
figures = {
    "build_s": round(time.monotonic() - begin),
    "build_cpu_s": round(used.ru_utime + used.ru_stime),
    "size_mb": round(sum(path.stat().st_size for path in files) / 1e6, 1),
    "files": len(files),
    "load_average": round(os.getloadavg()[0], 1),
}
Path("build/package.json").write_text(json.dumps(figures), encoding="utf-8")
print(f"dist/aigc-desktop: {figures['size_mb']} MB in {figures['files']} files, built in {figures['build_s']} s")
PYTHON
