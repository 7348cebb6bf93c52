"""The label of generated content inside a file: GB 45438-2025, 6.1 and annex E, in the places the TC260 guides name.

Seven strings of printable ASCII; `Label` "1" says that the content is generated. In pictures they are one JSON value
of the XMP property TC260:AIGC; beside it IPTC's DigitalSourceType says the same to other programs.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.i18n import _

PRODUCER = "AIGC-Desktop"
"""Named when the user has typed no code of a provider; a code is never made up."""
MARKS = {"zh_CN": "AI生成", "en": "AI generated"}
"""What a picture says of itself, by language; 5.1 asks for a word for AI and a word for generated."""
VISIBLE = " · ".join(MARKS.values())
"""What a text says of itself."""
TC260 = "http://www.tc260.org.cn/ns/AIGC/1.0/"
IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
OWN = "urn:aigc-desktop:1"
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_PLAIN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]*")
_LONGEST = 4 << 20


@dataclass(frozen=True)
class AigcLabel:
    """What the label says; the fields are the standard's, in its order. ValueError for characters it forbids."""

    produce_id: str
    producer: str = PRODUCER
    propagator: str = PRODUCER
    propagate_id: str = ""
    reserved1: str = ""
    reserved2: str = ""

    def __post_init__(self) -> None:
        for value in vars(self).values():
            if not _PLAIN.fullmatch(value):
                raise ValueError(f"a label holds printable ASCII without blank, quote and backslash: {value!r}")

    def values(self) -> dict[str, str]:
        """Return the seven values by the standard's names; at the first writing the propagator is the producer."""
        return {
            "Label": "1", "ContentProducer": self.producer, "ProduceID": self.produce_id,
            "ReservedCode1": self.reserved1, "ContentPropagator": self.propagator,
            "PropagateID": self.propagate_id or self.produce_id, "ReservedCode2": self.reserved2,
        }  # fmt: skip

    def json(self) -> str:
        """Return the values as compact JSON."""
        return json.dumps(self.values(), separators=(",", ":"))


def new_label() -> AigcLabel:
    """Return a label with a number of its own: a UUID of version 7, which holds the time and is never repeated."""
    bits = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    bits = bits & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62
    return AigcLabel(f"{bits:032x}")


def is_label(values: Any) -> bool:
    """Return whether a value read from a file is a label of generated content."""
    return isinstance(values, dict) and values.get("Label") in ("1", "2", "3") and "ProduceID" in values


def parse_label(text: str) -> dict[str, Any] | None:
    """Return the values of a label's JSON, with or without the outer "AIGC"; None when it is none."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(values, dict) and isinstance(values.get("AIGC"), dict):
        values = values["AIGC"]
    return values if is_label(values) else None


def xmp_packet(label: AigcLabel, settings: str = "") -> bytes:
    """Return an XMP packet with the label and, where a format has no better place, our settings as JSON."""
    own = f"<aigcd:Settings>{escape(settings)}</aigcd:Settings>" if settings else ""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}"><rdf:Description rdf:about=""'
        f' xmlns:TC260="{TC260}" xmlns:Iptc4xmpExt="{IPTC}" xmlns:aigcd="{OWN}">'
        f"<TC260:AIGC>{escape(label.json())}</TC260:AIGC>"
        f"<Iptc4xmpExt:DigitalSourceType>{SOURCE_TYPE}</Iptc4xmpExt:DigitalSourceType>{own}"
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def xmp_values(packet: bytes) -> dict[str, str]:
    """Return the texts of an XMP packet by "{namespace}name"; nothing for one that is damaged or a trap."""
    if len(packet) > _LONGEST or b"<!DOCTYPE" in packet or b"<!ENTITY" in packet:
        return {}
    try:
        root = ElementTree.fromstring(packet.decode("utf-8").strip("\ufeff\x00 \r\n"))
    except (ElementTree.ParseError, UnicodeDecodeError, ValueError):
        return {}
    found: dict[str, str] = {}
    for node in root.iter(f"{{{_RDF}}}Description"):
        found.update(node.attrib)
        found.update({child.tag: child.text or "" for child in node})
    return found


def label_in_xmp(packet: bytes) -> dict[str, Any] | None:
    """Return the label in an XMP packet, or None."""
    return parse_label(xmp_values(packet).get(f"{{{TC260}}}AIGC", ""))


def settings_in_xmp(packet: bytes) -> str:
    """Return our settings in an XMP packet as JSON, or ""."""
    return xmp_values(packet).get(f"{{{OWN}}}Settings", "")


def need_label(found: dict[str, Any] | None, label: AigcLabel) -> None:
    """Raise UserError unless the label read back from a file is the one that was written."""
    if found != label.values():
        raise UserError(
            _("The file was not exported: its label for generated content could not be read back."),
            _("Try another file format, and report this."),
        )
