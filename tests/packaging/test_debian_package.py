import configparser
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

import aigc_desktop

CHANGELOG = """# Changelog

## Unreleased
- Not yet.

## 0.2.0 – 2026-12-01

### Added
- A **bold** thing, see [the page](https://example.invalid), with `code`
  over two lines & a sign.

## [0.1.0] - 2026-11-23
* First.
"""


def test_released_sections_of_the_changelog_are_read(deb):
    newer, older = deb.read_changelog(CHANGELOG)
    assert (newer.version, newer.date, len(newer.changes)) == ("0.2.0", "2026-12-01", 1)
    assert deb.plain(newer.changes[0]) == "A bold thing, see the page, with code over two lines & a sign."
    assert (older.version, older.date, older.changes) == ("0.1.0", "2026-11-23", ["First."])


def test_the_changelog_tells_of_this_version(deb, root):
    releases = deb.read_changelog((root / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert releases[0].version == aigc_desktop.__version__
    assert all(release.date and release.changes for release in releases)


def test_the_control_file_carries_the_version_of_the_program(deb):
    text = deb.control(deb.project_version(), "amd64", 123)
    assert f"\nVersion: {aigc_desktop.__version__}\n" in text
    assert "\nInstalled-Size: 123\n" in text
    assert "@" not in text.replace("developers@", "")
    assert "\nRecommends: fonts-noto-cjk\n" in text
    depends = next(line for line in text.splitlines() if line.startswith("Depends: "))
    assert "libxcb-cursor0" in depends
    assert depends.endswith("libglib2.0-0t64"), "the whole field is on one line"


def test_the_desktop_entry_reads_well_in_both_languages(root):
    entry = configparser.ConfigParser(interpolation=None)
    entry.optionxform = str  # keys are case-sensitive there
    entry.read(root / "packaging" / "linux" / "aigc-desktop.desktop", encoding="utf-8")
    fields = entry["Desktop Entry"]
    assert fields["Exec"] == "aigc-desktop %F"
    assert fields["Icon"] == fields["StartupWMClass"] == "aigc-desktop"
    for key in ("Name", "GenericName", "Comment"):
        assert fields[key]
        assert re.search("[一-鿿]", fields[f"{key}[zh_CN]"])


@pytest.mark.skipif(not shutil.which("desktop-file-validate"), reason="desktop-file-utils is not installed")
def test_the_desktop_entry_is_valid(root):
    entry = root / "packaging" / "linux" / "aigc-desktop.desktop"
    done = subprocess.run(["desktop-file-validate", str(entry)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_metainfo_carries_the_release_notes(deb):
    component = ElementTree.fromstring(deb.metainfo(deb.read_changelog(CHANGELOG)))
    assert [release.get("version") for release in component.iter("release")] == ["0.2.0", "0.1.0"]
    assert component.findtext("launchable") == "aigc-desktop.desktop"


@pytest.mark.skipif(not shutil.which("appstreamcli"), reason="appstream is not installed")
def test_the_metainfo_is_valid(deb, root, tmp_path):
    path = tmp_path / "aigc-desktop.metainfo.xml"
    releases = deb.read_changelog((root / "CHANGELOG.md").read_text(encoding="utf-8"))
    path.write_text(deb.metainfo(releases), encoding="utf-8")
    # The project owns no domain to build a reverse name from.
    command = ["appstreamcli", "validate", "--no-net", "--override=cid-desktopapp-is-not-rdns=info", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(not shutil.which("dpkg-deb"), reason="dpkg is not installed")
def test_a_package_is_made_and_holds_what_it_should(deb, tmp_path, monkeypatch):
    dist = tmp_path / "dist"
    licences = dist / "_internal" / "resources" / "licences"
    licences.mkdir(parents=True)
    component = {"name": "thing", "version": "1", "licence": "MIT"}
    (licences / "third_party.json").write_text(json.dumps({"components": [component]}))
    (dist / "aigc-desktop").write_bytes(b"program")
    (dist / "_internal" / "lib.so").symlink_to("other.so")
    tree = tmp_path / "tree"
    deb.place_files(tree, dist, deb.read_changelog(CHANGELOG))
    deb.place_control(tree, "0.2.0")
    monkeypatch.setenv("DEB_COMPRESSION", "-Znone")
    package = tmp_path / "x.deb"
    deb.pack(tree, package)

    listed = subprocess.run(["dpkg-deb", "--contents", str(package)], capture_output=True, text=True, check=True).stdout
    for size in (16, 24, 32, 48, 64, 128, 256):
        assert f"./usr/share/icons/hicolor/{size}x{size}/apps/aigc-desktop.png" in listed
    assert "./usr/share/icons/hicolor/scalable/apps/aigc-desktop.svg" in listed
    assert "./usr/bin/aigc-desktop -> /opt/aigc-desktop/aigc-desktop" in listed
    assert "./opt/aigc-desktop/_internal/lib.so -> other.so" in listed
    assert all(" root/root " in line for line in listed.splitlines())
    assert (dist / "aigc-desktop").stat().st_nlink == 2, "the app is linked, not copied"
    assert "thing 1: MIT" in (tree / "usr/share/doc/aigc-desktop/copyright").read_text(encoding="utf-8")
    name = subprocess.run(["dpkg-deb", "--field", str(package), "Version"], capture_output=True, text=True, check=True)
    assert name.stdout.strip() == "0.2.0"
