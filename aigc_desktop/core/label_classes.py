"""The classes a data set is labelled with: those that were added by hand, and those that have another name now."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.files import write_json
from aigc_desktop.core.i18n import _
from aigc_desktop.core.labels import Kind
from aigc_desktop.core.marks import MOST_LETTERS
from aigc_desktop.core.records import read_record

FILE = "label_classes.json"
FORMAT = 1
_UNSEEN = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]+")


@dataclass(frozen=True)
class ClassList:
    """Classes of one kind.

    `added` are in their order, `renamed` goes from the name in the files to the present one, `colours` has the number
    of those whose colour was chosen.
    """

    added: list[str] = field(default_factory=list)
    renamed: dict[str, str] = field(default_factory=dict)
    colours: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class LabelClasses:
    """What `label_classes.json` holds."""

    names_added: list[str] = field(default_factory=list)
    names_renamed: dict[str, str] = field(default_factory=dict)
    names_colours: dict[str, int] = field(default_factory=dict)
    class_added: list[str] = field(default_factory=list)
    class_renamed: dict[str, str] = field(default_factory=dict)
    class_colours: dict[str, int] = field(default_factory=dict)
    format: int = FORMAT

    def of(self, kind: Kind) -> ClassList:
        """Return the classes of names, or those of whole texts."""
        if kind == "names":
            return ClassList(self.names_added, self.names_renamed, self.names_colours)
        return ClassList(self.class_added, self.class_renamed, self.class_colours)

    def using(self, kind: Kind, classes: ClassList) -> LabelClasses:
        """Return the record with other classes of a kind."""
        return replace(self, **{f"{kind}_{name}": value for name, value in asdict(classes).items()})


def read_classes(folder: Path) -> LabelClasses:
    """Return the classes of the data set in `folder`; UserError when their file is damaged."""
    return read_record(folder / FILE, LabelClasses) if (folder / FILE).is_file() else LabelClasses()


def write_classes(folder: Path, classes: LabelClasses) -> None:
    """Write the classes of a data set, atomically."""
    write_json(folder / FILE, asdict(classes))


def with_class(classes: ClassList, name: str, known: list[str]) -> ClassList:
    """Return the classes and a new one; UserError for a name that cannot be used. `known` are all there are now."""
    name = _usable(name)
    if name in known:
        raise UserError(_("There is a class “{name}” already.").format(name=name), _("Choose another name."))
    if name in classes.renamed:
        raise UserError(
            _("“{name}” was renamed to “{other}”.").format(name=name, other=classes.renamed[name]),
            _("Rename it back, or choose another name."),
        )
    return replace(classes, added=[*classes.added, name])


def with_name(classes: ClassList, old: str, new: str, known: list[str]) -> ClassList:
    """Return the classes after one got another name, which all its labels take too; UserError when it cannot."""
    new = _usable(new)
    if new == old:
        return classes
    if new in known or classes.renamed.get(new, old) != old:
        raise UserError(_("There is a class “{name}” already.").format(name=new), _("Choose another name."))
    renamed = {first: new if last == old else last for first, last in classes.renamed.items()} | {old: new}
    renamed = {first: last for first, last in renamed.items() if first != last}
    colours = {new if name == old else name: number for name, number in classes.colours.items()}
    return ClassList([new if name == old else name for name in classes.added], renamed, colours)


def with_colour(classes: ClassList, name: str, number: int) -> ClassList:
    """Return the classes after one got the colour of this number."""
    return replace(classes, colours={**classes.colours, name: number})


def present(classes: ClassList, imported: list[str], seen: set[str]) -> list[str]:
    """Return all classes under their present names: imported ones, added ones, then others that labels tell of."""
    names = [*imported, *classes.added, *sorted(seen)]
    return list(dict.fromkeys(classes.renamed.get(name, name) for name in names))


def _usable(name: str) -> str:
    name = _UNSEEN.sub(" ", name).strip()
    if not name:
        raise UserError(_("A class needs a name."), _("Write a word, such as “person” or “good”."))
    if len(name) > MOST_LETTERS:
        raise UserError(
            _("The name of a class can have {count} letters at most.").format(count=MOST_LETTERS),
            _("Choose a shorter name."),
        )
    return name
