"""Word: all texts in one document; label and settings as custom properties, and a line for readers."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from aigc_desktop.core.i18n import N_
from aigc_desktop.data.archive import ZIP_ERRORS, check_directory
from aigc_desktop.export.label import VISIBLE, AigcLabel, parse_label
from aigc_desktop.export.piece import Format, Options, Piece, parse_settings, settings_json

_PART = "docProps/custom.xml"
_TYPE = "application/vnd.openxmlformats-officedocument.custom-properties+xml"
_RELATION = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/custom-properties"
_NAMES = "http://schemas.openxmlformats.org/officeDocument/2006/custom-properties"
_VALUES = "http://schemas.openxmlformats.org/officeDocument/2006/docPropsVTypes"
_SET = "{D5CDD505-2E9C-101B-9397-08002B2CF9AE}"
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_LONGEST = 4 << 20


def write(path: Path, pieces: list[Piece], label: AigcLabel, options: Options) -> None:
    """Write all texts into one document, a heading each when there are several."""
    import docx
    from docx.opc.packuri import PackURI
    from docx.opc.part import Part

    document = docx.Document()
    if options.line == "start":
        document.add_paragraph(VISIBLE)
    for piece in pieces:
        if len(pieces) > 1:
            document.add_heading(_clean(piece.title), level=2)
        for paragraph in _clean(piece.text).rstrip().split("\n"):
            document.add_paragraph(paragraph)
    if options.line == "end":
        document.add_paragraph(VISIBLE)
    properties = document.core_properties
    properties.author, properties.title, properties.comments = "", _clean(pieces[0].title)[:255], ""
    properties.created = properties.modified = datetime.now(UTC)  # else the day of the library's template
    content = _properties({"AIGC": label.json(), "aigc-desktop": settings_json(pieces[0])})
    package = document.part.package
    package.relate_to(Part(PackURI(f"/{_PART}"), _TYPE, content, package), _RELATION)
    whole = io.BytesIO()  # an archive that is cut off by a full disk complains once more when it is forgotten
    document.save(whole)
    path.write_bytes(whole.getvalue())


def read_label(path: Path) -> dict[str, Any] | None:
    """Return the label of a document."""
    return parse_label(_read(path).get("AIGC", ""))


def read_settings(path: Path) -> dict[str, Any] | None:
    """Return the settings of a document's first text."""
    return parse_settings(_read(path).get("aigc-desktop", ""))


def _properties(values: dict[str, str]) -> bytes:
    listed = "".join(
        f'<property fmtid="{_SET}" pid="{number}" name={quoteattr(name)}>'
        f"<vt:lpwstr>{escape(_clean(value))}</vt:lpwstr></property>"
        for number, (name, value) in enumerate(values.items(), 2)
    )
    head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    return f'{head}<Properties xmlns="{_NAMES}" xmlns:vt="{_VALUES}">{listed}</Properties>'.encode()


def _read(path: Path) -> dict[str, str]:
    try:
        check_directory(path)
        with zipfile.ZipFile(path) as archive, archive.open(_PART) as part:
            content = part.read(_LONGEST + 1)
    except ZIP_ERRORS:
        return {}
    if len(content) > _LONGEST or b"<!DOCTYPE" in content:
        return {}
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError:
        return {}
    return {str(node.get("name")): "".join(node.itertext()) for node in root}


def _clean(text: str) -> str:
    """Return a text without the characters that XML cannot hold."""
    return _FORBIDDEN.sub("", text.encode("utf-8", "replace").decode("utf-8"))


FORMAT = Format(
    "docx", N_("Word document, all texts in one file"), ".docx", "text", write, read_label, read_settings,
    together=True, order=20,
)  # fmt: skip
