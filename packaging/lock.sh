#!/bin/sh
# Write requirements.lock: the exact versions in the environment that the project, its tests, its packaging and
# its benchmarks need. torch is pinned by its public version, so that any build of it (CPU, CUDA) fits.
set -eu
cd "$(dirname "$0")/.."
.venv/bin/python - >requirements.lock.new <<'PYTHON'
import importlib.metadata as metadata
import re
import sys

from packaging.requirements import Requirement


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def needs(name: str) -> list[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []


def installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        if normal(name) not in kept:
            raise
        return kept[normal(name)]  # what only some machines install keeps its pin


kept = dict(line.strip().split("==") for line in open("requirements.lock") if "==" in line)
wanted = [Requirement("aigc-desktop[dev,package,bench,gpu]")]
pins: dict[str, str] = {}
seen: set[tuple[str, str]] = set()
while wanted:
    item = wanted.pop()
    for extra in ["", *sorted(item.extras)]:
        if (normal(item.name), extra) in seen:
            continue
        seen.add((normal(item.name), extra))
        pins[normal(item.name)] = installed(item.name).partition("+")[0]
        for text in needs(item.name):
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                wanted.append(needed)
del pins["aigc-desktop"]
print(f"# Made by `make lock` with Python {sys.version_info[0]}.{sys.version_info[1]}: what developers and CI install.")
print("# Used as a constraints file, so `make run` takes only what the app itself needs.")
for name in sorted(pins):
    print(f"{name}=={pins[name]}")
PYTHON
mv requirements.lock.new requirements.lock
echo "requirements.lock: $(grep -c == requirements.lock) packages"
