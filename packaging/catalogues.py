"""Keep the gettext catalogues in step with the code: `python packaging/catalogues.py update|check|missing`.

update  reads all texts of the program, merges them into resources/locale/*/LC_MESSAGES/aigc_desktop.po, compiles
check   fails when a text has no translation, a translation lost a placeholder, or a compiled file is old
missing prints the texts without a translation as JSON
"""

from __future__ import annotations

import io
import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[1]
LOCALE = ROOT / "resources" / "locale"
LANGUAGES = ("zh_CN", "en")
DATE = datetime(2026, 1, 1, tzinfo=UTC)  # a moving date would change the files each time
KEYWORDS = {"_": None, "N_": None, "ngettext": (1, 2)}


def main(action: str) -> int:
    """Do what the first argument says and return the exit code."""
    template = extract()
    if action == "update":
        for language in LANGUAGES:
            update(language, template)
        return 0
    if action == "missing":
        catalogue = load("zh_CN")
        texts = [message.id for message in template if message.id and not translated(catalogue, message.id)]
        print(json.dumps(texts, ensure_ascii=False, indent=0))
        return 0
    problems = [problem for language in LANGUAGES for problem in check(language, template)]
    print("\n".join(problems) or "catalogues are complete")
    return bool(problems)


def extract() -> Catalog:
    """Return a catalogue of every text marked in the program."""
    catalogue = Catalog(project="AIGC Desktop", version="1", msgid_bugs_address="", last_translator="", charset="utf-8")
    found = extract_from_dir(ROOT / "aigc_desktop", [("**.py", "python")], {}, KEYWORDS)
    for filename, _line, message, _comments, context in sorted(found, key=lambda item: (item[0], item[1])):
        catalogue.add(message, locations=[(f"aigc_desktop/{filename}", 0)], context=context)
    return catalogue


def update(language: str, template: Catalog) -> None:
    """Merge the texts of the program into a language's catalogue and compile it; old texts are dropped."""
    catalogue = load(language)
    catalogue.update(template, no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    catalogue.fuzzy = False
    catalogue.header_comment = f"# {language} texts of AIGC Desktop (Apache-2.0)."
    catalogue.creation_date = catalogue.revision_date = DATE
    path = po_file(language)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as f:
        write_po(f, catalogue, width=100, no_location=True, sort_output=True, omit_header=False)
    path.with_suffix(".mo").write_bytes(compiled(load(language)))


def check(language: str, template: Catalog) -> list[str]:
    """Return what is wrong with a language's catalogue, a line each."""
    catalogue = load(language)
    problems = []
    for message in template:
        if not message.id:
            continue
        if language != "en" and not translated(catalogue, message.id):
            problems.append(f"{language}: no translation of {message.id!r}")
        problems += placeholder_problems(language, message.id, catalogue)
    mo = po_file(language).with_suffix(".mo")
    if not mo.exists() or mo.read_bytes() != compiled(catalogue):
        problems.append(f"{language}: {mo.name} is not compiled from its .po: run `make locale`")
    return problems


def placeholder_problems(language: str, text: str | tuple[str, ...], catalogue: Catalog) -> list[str]:
    """Return a line for each translation that lost or invented a {placeholder}."""
    message = catalogue.get(text if isinstance(text, str) else text[0])
    if message is None or not message.string:
        return []
    ids = (text,) if isinstance(text, str) else text
    wanted = {name for part in ids for name in re.findall(r"\{(\w+)", part)}
    strings = (message.string,) if isinstance(message.string, str) else message.string
    return [
        f"{language}: placeholders of {ids[0]!r} differ"
        for string in strings
        if (string and set(re.findall(r"\{(\w+)", string)) - wanted)
        or (string and isinstance(text, str) and set(re.findall(r"\{(\w+)", string)) != wanted)
    ]  # fmt: skip


def translated(catalogue: Catalog, text: str | tuple[str, ...]) -> bool:
    """Return whether every form of a text has a translation."""
    message = catalogue.get(text if isinstance(text, str) else text[0])
    if message is None or message.fuzzy:
        return False
    return bool(message.string) if isinstance(message.string, str) else all(message.string)


def load(language: str) -> Catalog:
    """Return a language's catalogue from its .po file, empty when there is none yet."""
    path = po_file(language)
    if not path.exists():
        return Catalog(
            locale=language,
            project="AIGC Desktop",
            version="1",
            msgid_bugs_address="",
            last_translator="",
            charset="utf-8",
        )
    with path.open("rb") as f:
        return read_po(f, locale=language)


def compiled(catalogue: Catalog) -> bytes:
    """Return the .mo bytes of a catalogue."""
    buffer = io.BytesIO()
    write_mo(buffer, catalogue)
    return buffer.getvalue()


def po_file(language: str) -> Path:
    """Return the path of a language's .po file."""
    return LOCALE / language / "LC_MESSAGES" / "aigc_desktop.po"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
