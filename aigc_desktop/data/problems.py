"""What can be wrong with a file or a text, each as a code, a sentence that names it, and what to do about it."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterable
from typing import Any

from aigc_desktop.core.errors import BadInput
from aigc_desktop.core.i18n import N_, _, sentences

PROBLEMS: dict[str, tuple[str, str]] = {
    "empty": (N_("“{name}” is empty."), N_("Copy it again from where it came, or leave it out.")),
    "truncated": (
        N_("“{name}” is cut off: its end is missing."), N_("Copy or download it again."),
    ),
    "corrupt": (
        N_("“{name}” is damaged and cannot be read."), N_("Open it in its own program and save it again."),
    ),
    "unsupported": (
        N_("“{name}” is {kind}, which cannot be used here."),
        N_("Use PNG, JPEG, WebP, GIF, TIFF or BMP pictures, or txt, md, csv or jsonl texts."),
    ),
    "too_small": (
        N_("“{name}” is only {width} × {height} pixels; {minimum} are the least."),
        N_("Use a larger picture, or lower the minimum side."),
    ),
    "too_large": (
        N_("“{name}” is too large: {size}; the limit is {limit}."), N_("Make it smaller and import it again."),
    ),
    "duplicate": (
        N_("“{name}” has the same content as an earlier item."),
        N_("Nothing to do: one of them is used. Switch off “Remove duplicates” to use both."),
    ),
    "contradiction": (
        N_("“{name}” has the same content as an earlier item, but the label “{label}” in place of “{other}”."),
        N_("The first one is used; decide on a label and import again."),
    ),
    "missing": (N_("“{name}” is not there."), N_("Check the spelling, or whether it was moved.")),
    "unreadable": (
        N_("“{name}” cannot be read: {reason}."), N_("Check its permissions and the disk, then import again."),
    ),
    "special": (
        N_("“{name}” is no ordinary file but a device, a pipe or a socket."), N_("Leave it out of the folder."),
    ),
    "link": (
        N_("“{name}” is a link that leads out of the chosen folder or to another folder."),
        N_("Copy what it leads to into the folder."),
    ),
    "archive": (
        N_("“{name}” is an archive inside the chosen folder or archive."),
        N_("Unpack it first, or choose it by itself."),
    ),
    "about": (
        N_("“{name}” tells about the data and is not part of them."), N_("Nothing to do; rename it to use it."),
    ),
    "not_picture": (
        N_("“{name}” is not a picture."), N_("Use PNG, JPEG, WebP, GIF, TIFF or BMP pictures, or leave it out."),
    ),
    "not_text": (
        N_("“{name}” is not a text: it holds bytes that no text has."),
        N_("Export it as a txt, md, csv or jsonl file."),
    ),
    "zero_byte": (
        N_("“{name}” holds a zero byte, which no text has."),
        N_("Take it out, or export the file again as a text in UTF-8."),
    ),
    "mixed": (
        N_("“{name}” mixes text encodings: line {utf8} is UTF-8, line {other} is not."),
        N_("Save all of it as UTF-8. With UTF-8 chosen as the text encoding, the lines that are not are left out."),
    ),
    "bad_bytes": (
        N_("“{name}” holds bytes that are not valid in the encoding {encoding}: {bytes}."),
        N_("Choose another text encoding, or save the file as UTF-8."),
    ),
    "encoding": (
        N_("“{name}” is in a text encoding that was not recognised."),
        N_("Choose the text encoding yourself, or save the file as UTF-8."),
    ),
    "too_few_cells": (
        N_("“{name}” has too few cells: {found} of the table's {expected}."),
        N_("Fill in the missing cells; an empty one needs its separator, too."),
    ),
    "too_many_cells": (
        N_("“{name}” has too many cells: {found}, and the table has {expected}."),
        N_("Put quotation marks around texts that contain the separator."),
    ),
    "quote": (
        N_("A quotation mark in “{name}” is not closed: what follows it up to the end is read as one text."),
        N_("Close it, or write it twice where it belongs to a text, and import again."),
    ),
    "no_rows": (
        N_("“{name}” has a header and no rows below it."), N_("Fill in the table, or leave the file out."),
    ),
    "bad_json": (N_("“{name}” is not valid JSON: {reason}."), N_("Correct this line and import again.")),
    "no_text": (N_("“{name}” has no text in the column “{column}”."), N_("Fill in the text, or leave the row out.")),
    "labels": (
        N_("“{name}” has labels that do not fit: {reason}."), N_("Correct its labels and import again."),
    ),
    "changed": (
        N_("“{name}” was changed or removed after it was imported."), N_("Import the folder again to use it."),
    ),
}  # fmt: skip

NOTES: dict[str, str] = {
    "mislabelled": N_("“{name}” is a {format} picture under another ending; it is used as it is."),
    "animated": N_("“{name}” has several pictures; only the first one is used."),
    "split": N_("“{name}” is very long and was cut into pieces of at most {limit} characters."),
    "duplicate": N_("“{name}” has the same content as an earlier item; both are used."),
    "several": N_("“{name}” has words with several labels; one that fits is used."),
}

TITLES: dict[str, str] = {
    "empty": N_("empty"), "truncated": N_("cut off"), "corrupt": N_("damaged"), "unsupported": N_("wrong kind"),
    "too_small": N_("too small"), "too_large": N_("too large"), "duplicate": N_("duplicate"),
    "missing": N_("gone"), "unreadable": N_("unreadable"), "special": N_("no ordinary file"), "link": N_("link"),
    "archive": N_("archive inside"),
    "about": N_("read-me or licence"), "not_text": N_("not a text"), "not_picture": N_("not a picture"),
    "zero_byte": N_("zero byte"), "mixed": N_("mixed encodings"),
    "bad_bytes": N_("wrong encoding"), "encoding": N_("unknown encoding"),
    "too_few_cells": N_("too few cells"), "too_many_cells": N_("too many cells"),
    "quote": N_("open quotation mark"), "no_rows": N_("header only"),
    "bad_json": N_("not valid JSON"), "no_text": N_("no text"),
    "labels": N_("labels that do not fit"),
    "changed": N_("changed since"), "mislabelled": N_("wrong ending"), "animated": N_("animated"),
    "split": N_("cut into pieces"), "several": N_("several labels of a word"),
    "contradiction": N_("same content with another label"),
}  # fmt: skip
"""Short names of all codes, for counts and filters."""

_UNSHOWABLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_NO_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # halves of pairs, which no byte of a file name gives
_JOINERS = {"\u200c", "\u200d", "\ufe0f"}  # emoji sequences and Persian need them


class ItemProblem(Exception):
    """An item that cannot be used: a code of PROBLEMS and the values its sentence needs."""

    def __init__(self, code: str, **values: Any) -> None:
        super().__init__(code)
        self.code = code
        self.values = values


def describe_problem(code: str, name: str, **values: Any) -> str:
    """Return the translated sentence for a problem, and what to do, as one text."""
    sentence, advice = PROBLEMS[code]
    return sentences(_(sentence).format(name=name, **values), _(advice))


def describe_note(code: str, name: str, **values: Any) -> str:
    """Return the translated sentence for something odd about a usable item."""
    return _(NOTES[code]).format(name=name, **values)


def bad_input(problem: ItemProblem, name: str) -> BadInput:
    """Return the error for a single item that was asked for by itself."""
    sentence, advice = PROBLEMS[problem.code]
    return BadInput(name, _(sentence).format(name=name, **problem.values), _(advice))


def count_problems(problems: dict[str, int]) -> str:
    """Return counts by code as people read them, the most frequent first: “12 damaged, 3 too small”."""
    ordered = sorted(problems.items(), key=lambda pair: -pair[1])
    return _(", ").join(_("{count} {what}").format(count=count, what=_(TITLES[code])) for code, count in ordered)


def describe_alike(classes: Iterable[str]) -> str:
    """Return a sentence that names classes which differ by case, width or spaces only, or "" when none do."""
    groups: dict[str, list[str]] = {}
    for name in classes:
        groups.setdefault("".join(unicodedata.normalize("NFKC", name).casefold().split()), []).append(name)
    alike = [" / ".join(f"“{shown_name(name)}”" for name in names[:5]) for names in groups.values() if len(names) > 1]
    if not alike:
        return ""
    told = _(
        "Some classes differ by case or spaces only: {names}. If they mean the same, make them one in the source and "
        "import again."
    )
    return told.format(names=_(", ").join(alike[:3]))


def shown_name(name: str) -> str:
    """Return a foreign file name that is safe to show and to store as UTF-8.

    Bytes that are no UTF-8, control characters and marks that turn the direction of text become "\ufffd".
    """
    if name.isascii() and name.isprintable():
        return name
    name = _NO_BYTE.sub("\ufffd", name)
    name = os.fsencode(name).decode("utf-8", "replace") if re.search("[\udc80-\udcff]", name) else name
    return "".join("\ufffd" if unicodedata.category(c) in _UNSHOWABLE and c not in _JOINERS else c for c in name)
