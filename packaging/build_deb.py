"""Wrap the one-folder app in dist/aigc-desktop into dist/aigc-desktop_VERSION_ARCH.deb.

The package has no maintainer scripts: the menus and icon caches of the desktop follow its files by themselves, so
removing the files removes everything. Run after build_app.sh; needs dpkg-deb.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parents[1]
LINUX = ROOT / "packaging" / "linux"
NAME = "aigc-desktop"
HEADING = re.compile(r"^## \[?v?(?P<version>\d+\.\d+\.\d+)\]?\D*(?P<date>\d{4}-\d\d-\d\d)?")


@dataclass(frozen=True)
class Release:
    """One section of the changelog."""

    version: str
    date: str
    changes: list[str]


def main() -> int:
    version = project_version()
    dist = ROOT / "dist" / NAME
    if not (dist / NAME).is_file():
        sys.exit(f"{dist} holds no app; run packaging/build_app.sh first")
    releases = read_changelog((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    if version not in [release.version for release in releases]:
        sys.exit(f"CHANGELOG.md has no section for version {version}")
    tree = ROOT / "build" / "deb"
    shutil.rmtree(tree, ignore_errors=True)
    place_files(tree, dist, releases)
    place_control(tree, version)
    package = ROOT / "dist" / f"{NAME}_{version}_{architecture()}.deb"
    started = time.monotonic()
    pack(tree, package)
    seconds, megabytes = time.monotonic() - started, package.stat().st_size / 1e6
    note_figures({"deb_s": round(seconds), "deb_mb": round(megabytes, 1)})
    print(f"{package}: {megabytes:.0f} MB, packed in {seconds:.0f} s")
    return 0


def note_figures(figures: dict[str, float]) -> None:
    """Add to what build_app.sh noted about this build."""
    path = ROOT / "build" / "package.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    path.write_text(json.dumps(known | figures), encoding="utf-8")


def project_version() -> str:
    """Return the version of the package without importing it."""
    text = (ROOT / "aigc_desktop" / "__init__.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)[1]  # type: ignore[index]


def architecture() -> str:
    """Return Debian's name of this machine's processor family."""
    return subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True).stdout.strip()


def read_changelog(text: str) -> list[Release]:
    """Return the released sections of CHANGELOG.md: `## 1.2.3 (2026-01-31)`, then `- ` items, also over lines."""
    releases: list[Release] = []
    current: Release | None = None
    for line in text.splitlines():
        if found := HEADING.match(line):
            current = Release(found["version"], found["date"] or "", [])
            releases.append(current)
        elif line.startswith("## "):
            current = None
        elif current and line.startswith(("- ", "* ")):
            current.changes.append(line[2:].strip())
        elif current and current.changes and line.startswith("  ") and line.strip():
            current.changes[-1] += " " + line.strip()
    return releases


def metainfo(releases: list[Release]) -> str:
    """Return the AppStream file with the release notes."""
    template = (LINUX / f"{NAME}.metainfo.xml.in").read_text(encoding="utf-8")
    return template.replace("@RELEASES@", "\n".join(release_notes(release) for release in releases))


def release_notes(release: Release) -> str:
    """Return one release in AppStream's form."""
    date = f' date="{release.date}"' if release.date else ""
    changes = "".join(f"<li>{escape(plain(change))}</li>" for change in release.changes)
    return (
        f'    <release version="{release.version}"{date}>\n'
        f"      <description><ul>{changes}</ul></description>\n"
        "    </release>"
    )


def plain(markdown: str) -> str:
    """Return a line of Markdown without its marks."""
    return re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", markdown.replace("**", "").replace("`", ""))


def control(version: str, architecture: str, installed_kib: int) -> str:
    """Return the control file."""
    text = (LINUX / "control.in").read_text(encoding="utf-8")
    values = {"VERSION": version, "ARCHITECTURE": architecture, "SIZE": str(installed_kib)}
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    head, separator, tail = text.partition("Depends: ")
    depends, next_field, rest = tail.partition("\nRecommends:")
    return head + separator + " ".join(depends.split()) + next_field + rest  # one line, as dpkg wants it


def debian_changelog(releases: list[Release]) -> str:
    """Return the changelog in Debian's form."""
    entries = []
    for release in releases:
        day = time.strptime(release.date or "1970-01-01", "%Y-%m-%d")
        signed = time.strftime("%a, %d %b %Y 00:00:00 +0000", day)
        changes = "".join(
            textwrap.fill(plain(change), 78, initial_indent="  * ", subsequent_indent="    ") + "\n"
            for change in release.changes
        )
        maintainer = "AIGC Desktop developers <developers@aigc-desktop.invalid>"
        entries.append(f"{NAME} ({release.version}) stable; urgency=medium\n\n{changes}\n -- {maintainer}  {signed}\n")
    return "\n".join(entries)


def copyright_text(third_party: Path) -> str:
    """Return the copyright file: our licence, then one line for each work inside."""
    components = json.loads(third_party.read_text(encoding="utf-8"))["components"]
    works = "\n".join(f" {item['name']} {item['version']}: {item['licence']}" for item in components)
    return (LINUX / "copyright.in").read_text(encoding="utf-8").replace("@WORKS@", works)


def place_files(tree: Path, dist: Path, releases: list[Release]) -> None:
    """Lay out what the package installs below `tree`; the app is hard-linked, not copied."""
    app = tree / "opt" / NAME
    shutil.copytree(dist, app, symlinks=True, copy_function=os.link)
    (tree / "usr" / "bin").mkdir(parents=True)
    (tree / "usr" / "bin" / NAME).symlink_to(f"/opt/{NAME}/{NAME}")
    icons = ROOT / "resources" / "icons"
    for picture in icons.glob("app-*.png"):
        size = picture.stem.removeprefix("app-")
        place(picture.read_bytes(), tree / f"usr/share/icons/hicolor/{size}x{size}/apps/{NAME}.png")
    place((icons / "app.svg").read_bytes(), tree / f"usr/share/icons/hicolor/scalable/apps/{NAME}.svg")
    place((LINUX / f"{NAME}.desktop").read_bytes(), tree / f"usr/share/applications/{NAME}.desktop")
    place(metainfo(releases).encode(), tree / f"usr/share/metainfo/{NAME}.metainfo.xml")
    place(gzip.compress((LINUX / f"{NAME}.1").read_bytes(), mtime=0), tree / f"usr/share/man/man1/{NAME}.1.gz")
    documents = tree / "usr" / "share" / "doc" / NAME
    third_party = app / "_internal" / "resources" / "licences" / "third_party.json"
    place(copyright_text(third_party).encode(), documents / "copyright")
    place(gzip.compress(debian_changelog(releases).encode(), mtime=0), documents / "changelog.gz")


def place(content: bytes, path: Path) -> None:
    """Write one installed file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o644)


def place_control(tree: Path, version: str) -> None:
    """Write DEBIAN/control and DEBIAN/md5sums for the files that are in place."""
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    kib = sum(-(-path.stat().st_size // 1024) for path in files)
    sums = "".join(
        f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {path.relative_to(tree)}\n"
        for path in files
    )
    place(control(version, architecture(), kib).encode(), tree / "DEBIAN" / "control")
    place(sums.encode(), tree / "DEBIAN" / "md5sums")
    for folder in [tree, *(path for path in tree.rglob("*") if path.is_dir() and not path.is_symlink())]:
        folder.chmod(0o755)


def pack(tree: Path, package: Path) -> None:
    """Run dpkg-deb, with the time of the last commit on every file so that equal sources make an equal package."""
    last = subprocess.run(
        ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"], capture_output=True, text=True, check=False
    )
    environment = os.environ | ({"SOURCE_DATE_EPOCH": last.stdout.strip()} if last.returncode == 0 else {})
    method = os.environ.get("DEB_COMPRESSION", "-Zzstd -z12").split()
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", *method, "--build", str(tree), str(package)], check=True, env=environment
    )


if __name__ == "__main__":
    sys.exit(main())
