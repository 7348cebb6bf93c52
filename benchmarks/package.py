"""Size of the one-folder app and its .deb, and the time to build them (make package check-package, then this)."""

import json
import sys
from pathlib import Path

from aigc_desktop import __version__
from benchmarks.report import figure, write

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    build, start = read("build/package.json"), read("build/check/start.json")
    folder = build["size_mb"]
    write(
        "package",
        [
            figure("app.package.size_mb", folder, "MB", "<= 773", folder <= 773),
            figure("app.package.build_s", build["build_s"], "s", "<= 191", build["build_s"] <= 191),
            figure("app.package.build_cpu_s", build["build_cpu_s"], "s"),
            figure("app.package.deb_mb", build["deb_mb"], "MB", "<= 266", build["deb_mb"] <= 266),
            figure("app.package.deb_s", build["deb_s"], "s"),
            figure("app.package.install_root_first_window_ms", start["first_window_ms"], "ms"),
            figure("app.package.install_root_second_window_ms", start["second_window_ms"], "ms"),
            figure("app.package.load_average", build["load_average"], "processes"),
        ],
    )


def read(name: str) -> dict[str, float]:
    """Return the numbers that a step of the build left behind."""
    path = ROOT / name
    if not path.is_file():
        sys.exit(f"{name} is not there: run make package check-package first (version {__version__})")
    return json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
