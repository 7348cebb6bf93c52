"""Gather the licence of everything inside the bundle, and refuse to build when one is missing.

Every collected file is traced to its origin: a Python distribution (by its RECORD), the Python standard library,
a Debian package that lends a library, or our own resources. About shows the result.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

LICENCE_NAME = re.compile(r"(^|[-_.])(licen[cs]es?|copying|copyright|notice|ofl|authors)([-_.]|$)", re.IGNORECASE)
HERE = Path(__file__).resolve().parent

# Wheels without a licence file, each with the texts that its metadata names.
TEXTS_BY_NAME = {
    "pyside6-essentials": ["LGPL-3.0.txt", "GPL-3.0.txt"],
    "shiboken6": ["LGPL-3.0.txt", "GPL-3.0.txt"],
    "tokenizers": ["Apache-2.0.txt"],
}
NOTES = {
    "pyside6-essentials": "Qt and PySide6 are used under the LGPL 3; their libraries lie unmodified as separate "
    "files in _internal/PySide6 and may be replaced. Source: https://download.qt.io/official_releases/",
    "pyinstaller": "The start program is PyInstaller's boot loader; its licence allows programs of any licence.",
}
# Parts that only build the bundle leave nothing inside but these.
ALWAYS_INSIDE = ["pyinstaller"]
RESOURCE_FOLDERS = ["fonts", "icons", "models", "samples"]


class MissingLicence(Exception):
    """Something inside the bundle comes without a licence text."""


@dataclass
class Component:
    """One bundled work: what it is called, under which licence it comes, and the full texts."""

    name: str
    version: str
    licence: str
    homepage: str = ""
    note: str = ""
    texts: dict[str, str] = field(default_factory=dict)


def write(collected: Iterable[str], root: Path, folder: Path) -> list[Path]:
    """Write third_party.json and third_party.txt for the collected source files; return both paths."""
    components = gather([Path(name) for name in collected], root)
    folder.mkdir(parents=True, exist_ok=True)
    as_json, as_text = folder / "third_party.json", folder / "third_party.txt"
    as_json.write_text(json.dumps(with_shared_texts(components), ensure_ascii=False, indent=1), encoding="utf-8")
    as_text.write_text(readable(components), encoding="utf-8")
    return [as_json, as_text]


def gather(collected: Iterable[Path], root: Path) -> list[Component]:
    """Return one component per origin, sorted by name; raise MissingLicence naming every origin without a text."""
    origins = {origin for path in collected if (origin := origin_of(path, root))}
    origins |= {f"wheel:{name}" for name in ALWAYS_INSIDE}
    readers: Mapping[str, Callable[[str], Component]] = {
        "wheel": of_distribution,
        "python": of_python,
        "debian": of_debian_package,
        "unknown": lambda name: Component(name, "", ""),
    }
    components = [readers[kind](name) for kind, name in (origin.split(":", 1) for origin in sorted(origins))]
    components += of_resources(root / "resources")
    if nameless := [component.name for component in components if not component.texts]:
        raise MissingLicence("no licence text found for " + ", ".join(nameless))
    return sorted(components, key=lambda component: component.name.casefold())


def origin_of(path: Path, root: Path) -> str:
    """Return "kind:name" for a collected file, or "" for our own files and files made by the build."""
    path = path if path.is_absolute() else root / path
    if (owner := owners().get(str(path))) or (owner := owners().get(str(path.resolve()))):
        return "" if owner == "aigc-desktop" else f"wheel:{owner}"
    real = path.resolve()
    ours = path.is_relative_to(root) and not path.is_relative_to(sys.prefix)
    if ours or not real.is_file():
        return ""
    if any(real.is_relative_to(place.resolve()) for place in homes_of_python()) or real.name.startswith("libpython3"):
        return "python:Python"
    return debian_origin(real) or f"unknown:{real}"


def homes_of_python() -> list[Path]:
    """Return where the files of Python lie; on Windows its libraries are beside the program and in a folder there."""
    base = Path(sys.base_prefix)
    if sys.platform == "win32":
        return [base]
    return [Path(sysconfig.get_path("stdlib")), base / "lib" / sysconfig.get_config_var("LDLIBRARY")]


@cache
def owners() -> dict[str, str]:
    """Return which distribution owns each installed file, by absolute path."""
    result: dict[str, str] = {}
    for distribution in importlib.metadata.distributions():
        name = normal(distribution.metadata["Name"])
        result |= {str(distribution.locate_file(item)): name for item in distribution.files or []}
    return result


def normal(name: str) -> str:
    """Return the comparable form of a distribution's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def debian_origin(path: Path) -> str:
    """Return "debian:PACKAGE" when a Debian package installed the file, else ""."""
    for candidate in (str(path), str(path).removeprefix("/usr")):
        try:
            found = subprocess.run(["dpkg", "-S", candidate], capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return ""
        if found.returncode == 0:
            return "debian:" + found.stdout.split(":")[0]
    return ""


def of_distribution(name: str) -> Component:
    """Read a wheel's licence from its metadata, or from the texts kept here for wheels that carry none."""
    distribution = importlib.metadata.distribution(name)
    metadata = distribution.metadata
    texts = {
        str(item).split(".dist-info/", 1)[1].removeprefix("licenses/"): Path(str(distribution.locate_file(item)))
        for item in distribution.files or []
        if ".dist-info/" in str(item) and LICENCE_NAME.search(item.name)
    }
    kept_here = {file: HERE / "licences" / file for file in TEXTS_BY_NAME.get(name, [])}
    return Component(
        name=metadata["Name"],
        version=distribution.version,
        licence=licence_name(metadata),
        homepage=homepage(metadata),
        note=NOTES.get(name, ""),
        texts={title: read(path) for title, path in (texts or kept_here).items()},
    )


def licence_name(metadata: importlib.metadata.PackageMetadata) -> str:
    """Return the licence's short name: the SPDX expression, else one line of License, else the classifiers."""
    fields = metadata.json
    expression = str(fields.get("license_expression") or fields.get("license") or "").strip()
    if expression and "\n" not in expression and len(expression) < 2000:
        return expression
    kinds = [item for item in fields.get("classifier", []) if item.startswith("License ::")]
    return ", ".join(item.split(" :: ")[-1] for item in kinds) or expression.partition("\n")[0]


def homepage(metadata: importlib.metadata.PackageMetadata) -> str:
    """Return the project's page, from Home-page or the first Project-URL."""
    fields = metadata.json
    addresses = [item.split(",", 1)[-1].strip() for item in fields.get("project_url", [])]
    return str(fields.get("home_page") or (addresses[0] if addresses else ""))


def of_python(name: str) -> Component:
    """Read the licence of the Python that is being bundled."""
    version = sysconfig.get_python_version()
    places = [
        Path(sysconfig.get_path("stdlib")) / "LICENSE.txt",
        Path(f"/usr/share/doc/python{version}/copyright"),
        Path(sys.base_prefix) / "LICENSE.txt",
    ]
    found = next((path for path in places if path.is_file()), None)
    texts = {found.name: read(found)} if found else {}
    return Component(name, sys.version.split()[0], "PSF-2.0", "https://www.python.org/", texts=texts)


def of_debian_package(name: str) -> Component:
    """Read the copyright file of the Debian package that lends a library."""
    found = subprocess.run(
        ["dpkg-query", "-W", "-f=${Version}\t${Homepage}\n", name], capture_output=True, text=True, check=True
    )
    version, _, page = found.stdout.splitlines()[0].partition("\t")
    place = Path("/usr/share/doc") / name / "copyright"
    texts = {"copyright": read(place)} if place.is_file() else {}
    shorts = sorted(
        {line.partition(":")[2].strip() for line in "".join(texts.values()).splitlines() if line.startswith("License:")}
    )
    return Component(name, version, ", ".join(shorts) or "see the text", page, texts=texts)


def of_resources(resources: Path) -> list[Component]:
    """Read the licences beside our data: one component for each work of others in fonts, icons, models and samples.

    A folder brings its own licence. A file is covered by STEM.LICENSE.txt beside it, else by the folder's LICENSE
    files. What carries no text of its own in icons is drawn by us.
    """
    components = []
    for kind in RESOURCE_FOLDERS:
        folder = resources / kind
        entries = sorted(folder.iterdir()) if folder.is_dir() else []
        beside = [path for path in entries if path.is_file() and LICENCE_NAME.search(path.name)]
        works = [path for path in entries if path not in beside and path.suffix not in {".md", ".json", ".py"}]
        if kind == "icons":
            components += [resource(f"icons/{path.stem.removeprefix('LICENSE-')}", [path]) for path in beside]
            continue
        for work in works:
            own = [path for path in sorted(work.rglob("*")) if path.is_file() and tells_licence(path)]
            named = [path for path in beside if path.name.startswith(work.stem + ".")]
            general = [path for path in beside if LICENCE_NAME.match(path.name)]
            components.append(resource(f"{kind}/{work.name}", own or named or general))
    return components


def tells_licence(path: Path) -> bool:
    """Tell whether a file beside data states where the data comes from and what is allowed."""
    return bool(LICENCE_NAME.search(path.name)) or path.name == "README.md"


def resource(name: str, texts: list[Path]) -> Component:
    """Return the component of a resource; a README alone is no licence."""
    if not any(LICENCE_NAME.search(path.name) for path in texts):
        texts = []
    return Component(name, "", "see the text", texts={path.name: read(path) for path in texts})


def read(path: Path) -> str:
    """Read a text in whatever encoding its author used."""
    return path.read_bytes().decode("utf-8", errors="replace")


def with_shared_texts(components: list[Component]) -> dict[str, object]:
    """Return the data for About: components that point to texts by hash, as many texts are the same."""
    texts: dict[str, str] = {}
    listed = []
    for component in components:
        keys = {title: hashlib.sha256(text.encode()).hexdigest()[:16] for title, text in component.texts.items()}
        texts |= {keys[title]: text for title, text in component.texts.items()}
        listed.append(asdict(component) | {"texts": keys})
    return {"components": listed, "texts": texts}


def readable(components: list[Component]) -> str:
    """Return everything as one text file: the list first, then each text once with the names it belongs to."""
    lines = ["AIGC Desktop contains the following works.", ""]
    lines += [f"{item.name} {item.version} - {item.licence}".replace("  ", " ") for item in components]
    users: dict[str, list[str]] = {}
    for item in components:
        for title, text in item.texts.items():
            users.setdefault(text.strip(), []).append(f"{item.name}: {title}")
    for text, titles in users.items():
        lines += ["", "=" * 100, *titles, "-" * 100, text]
    return "\n".join(lines) + "\n"
