"""Texts in every encoding and shape: found, cut into items, or refused with the line that is wrong."""

from __future__ import annotations

import csv
import json
import random
import time
import tracemalloc
from pathlib import Path

import pytest

from aigc_desktop.core.errors import UserError
from aigc_desktop.core.workspace import Workspace
from aigc_desktop.data.encodings import detect_encoding
from aigc_desktop.data.problems import ItemProblem
from tests.data.conftest import Import
from tests.data.test_bad_pictures import assert_told

ZH = (
    "春天来了，花园里的花都开了。小猫在树下睡觉，孩子们在草地上跑来跑去。\n"
    "他们说这是一年中最好的时候，我们应该到外面去看一看。\n"
)
ZH_TW = (
    "春天來了，花園裡的花都開了。小貓在樹下睡覺，孩子們在草地上跑來跑去。\n"
    "他們說這是一年中最好的時候，我們應該到外面去看一看。\n"
)
JA = (
    "春が来て、庭の花がみんな咲きました。子猫は木の下で眠っています。\n"
    "子供たちは芝生の上を走り回っています。カメラを持って行きましょう。\n"
)
KO = (
    "봄이 와서 정원에 꽃이 모두 피었습니다. 고양이는 나무 아래에서 자고 있습니다.\n"
    "아이들은 잔디밭에서 뛰어다니고 있습니다. 밖으로 나가 봅시다.\n"
)
FR = (
    "Le printemps est arrivé, les fleurs du jardin sont écloses. Le chat dort près de l’arbre.\n"
    "À midi, les élèves reviennent.\n"
)
RU = "Пришла весна, и в саду расцвели цветы. Кошка спит под деревом.\nДети бегают по траве и смеются весь день.\n"


@pytest.mark.parametrize(("text", "codec"), [
    (ZH, "utf-8"), (ZH, "utf-8-sig"), (ZH, "utf-16"), (ZH, "utf-16-le"), (ZH, "utf-16-be"), (ZH, "utf-32"),
    (ZH, "gb18030"), (ZH, "gbk"), (ZH + "𠮷㐀", "gb18030"), (ZH_TW, "big5"), (JA, "cp932"), (JA, "euc_jp"),
    (KO, "cp949"), (FR, "cp1252"), (RU, "cp1251"), ("plain ascii text\nsecond line\n", "utf-16-le"),
])  # fmt: skip
def test_encoding_is_found_and_the_text_is_equal(do_scan: Import, source: Path, text: str, codec: str) -> None:
    (source / "t.txt").write_bytes((text * 3).encode(codec))
    found = do_scan(source, text_item="document")
    assert found.texts() == [(text * 3).strip("\n")]
    if codec not in ("utf-8",):
        assert any("Text encodings found" in note for note in found.notes)


def test_lines_in_several_encodings_are_told_and_can_be_left_out(do_scan: Import, source: Path) -> None:
    table = "text,label\n今天天气很好,好\n".encode("gb18030") + "菜也不好吃,差\n".encode()
    (source / "a.csv").write_bytes(table)
    (source / "b.txt").write_bytes("un café noir\n".encode("cp1252") + "thé à la menthe\n".encode())
    (source / "c.txt").write_bytes((ZH * 3000).encode("gb18030") + "他们说这是一年中最好的时候\n".encode())
    (source / "good.txt").write_text("good", encoding="utf-8")
    found = do_scan(source)
    assert found.texts() == ["good"]
    for name, line in (("a.csv", 3), ("b.txt", 2), ("c.txt", 6001)):
        assert_told(found[name], "mixed", "Save all of it as UTF-8")
        assert f"line {line} is UTF-8" in found[name].detail
    chosen = do_scan(source, encoding="utf-8", text_item="line")
    assert chosen.texts() == ["菜也不好吃", "thé à la menthe", "他们说这是一年中最好的时候", "good"]
    assert_told(chosen["a.csv:2"], "bad_bytes", "Choose another text encoding")


@pytest.mark.parametrize("length", [1, 2, 3, 5, 8])
def test_short_lines_of_chinese_are_not_taken_for_several_encodings(tmp_path: Path, length: int) -> None:
    """Two letters of GB18030 are valid UTF-8 now and then."""
    path, rng = tmp_path / "t.txt", random.Random(length)
    for count in (20, 100, 5000):
        letters = [chr(rng.randrange(0x4E00, 0x9F00)) for _letter in range(length * count)]
        usual = [letter for letter in letters if letter in _USUAL]
        text = "".join(letter + "\n" * (at % length == length - 1) for at, letter in enumerate(usual))
        path.write_bytes(text.encode("gb18030"))
        assert detect_encoding(path).codec == "gb18030"


_USUAL = "".join(bytes([lead, trail]).decode("gb2312") for lead in range(0xB0, 0xD7) for trail in range(0xA1, 0xFF))


@pytest.mark.parametrize(("text", "codec", "found"), [
    ("螢幕清晰", "gb18030", "gb18030"), ("請問您", "gb18030", "gb18030"), ("產業的工作方式", "gb18030", "gb18030"),
    ("人工智慧", "big5", "big5hkscs"), ("ありがとう", "cp932", "cp932"), ("Да", "cp1251", "gb18030"),
    (RU, "cp1251", "cp1251"), (JA.splitlines()[0], "euc_jp", "euc_jp"), (KO.splitlines()[0], "cp949", "cp949"),
])  # fmt: skip
def test_little_text_is_rather_chinese_than_rare(tmp_path: Path, text: str, codec: str, found: str) -> None:
    path = tmp_path / "t.txt"
    path.write_bytes(text.encode(codec))
    assert detect_encoding(path).codec == found


def test_a_chosen_encoding_overrides_the_guess(do_scan: Import, source: Path) -> None:
    (source / "t.txt").write_bytes("日本語".encode("cp932"))
    assert do_scan(source, encoding="cp932").texts() == ["日本語"]


def test_an_unknown_encoding_says_so_and_can_be_chosen(do_scan: Import, source: Path) -> None:
    (source / "good.txt").write_text("good", encoding="utf-8")
    (source / "odd.txt").write_bytes(bytes([0x98, 0xFF, 0x81, 0x98, 0xFD, 0x8D, 0xFF, 0x90, 0x98]))
    assert_told(do_scan(source)["odd.txt"], "encoding", "Choose the text encoding yourself")
    assert do_scan(source, encoding="cp1251").result["usable"] == 1  # 0x98 is no letter there either
    (source / "odd.txt").write_bytes(bytes([0x99, 0xFF, 0x81, 0xFD, 0x8D, 0xFF, 0x90]))
    assert do_scan(source, encoding="cp1251").result["usable"] == 2


def test_line_ends_of_all_systems(do_scan: Import, source: Path) -> None:
    (source / "t.txt").write_bytes(b"one\r\ntwo\rthree\n\n\nfour\xe2\x80\xa8still four")
    assert do_scan(source, text_item="line").texts() == ["one", "two", "three", "four\u2028still four"]


def test_paragraphs_and_documents(do_scan: Import, source: Path) -> None:
    (source / "t.md").write_text("# a\nb\n\n\nc\n \nd\ne\n", encoding="utf-8")
    assert do_scan(source, text_item="paragraph").texts() == ["# a\nb", "c", "d\ne"]
    assert do_scan(source, text_item="auto").texts() == ["# a\nb", "c", "d\ne"]
    assert do_scan(source, text_item="document").texts() == ["# a\nb\n\n\nc\n \nd\ne"]
    assert do_scan(source, text_item="line")["t.md:8"].length == 1


def test_binary_and_empty_files_are_told(do_scan: Import, source: Path) -> None:
    (source / "good.txt").write_text("good\n", encoding="utf-8")
    (source / "zero.txt").write_bytes(b"")
    (source / "blank.txt").write_bytes(b" \n\n")
    (source / "program.txt").write_bytes(bytes(range(256)) * 40)
    (source / "controls.txt").write_bytes(b"\x01\x02\x03\x04 abc" * 40)
    (source / "paper.pdf").write_bytes(b"%PDF-1.4")
    (source / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    found = do_scan(source, kind="text")
    assert found.texts() == ["good"]
    assert_told(found["zero.txt"], "empty", "leave it out")
    assert_told(found["blank.txt"], "empty", "leave it out")
    assert_told(found["program.txt"], "not_text", "Export it")
    assert_told(found["controls.txt"], "not_text", "Export it")
    assert "PDF" in found["paper.pdf"].detail
    assert "a picture" in found["photo.png"].detail


def test_no_text_at_all_is_one_sentence(do_scan: Import, source: Path) -> None:
    (source / "zero.txt").write_bytes(b"")
    with pytest.raises(UserError, match="no usable texts: 1 empty") as caught:
        do_scan(source)
    assert "“zero.txt”" in caught.value.hint


def test_wrong_bytes_name_their_line(do_scan: Import, source: Path) -> None:
    lines = [ZH.splitlines()[0].encode()] * 20
    lines = [line + str(number).encode() for number, line in enumerate(lines)]
    lines[7] += b"\xff\xfe"
    (source / "t.txt").write_bytes(b"\n".join(lines))
    found = do_scan(source, text_item="line")
    assert found.result["usable"] == 19
    assert_told(found["t.txt:8"], "bad_bytes", "Choose another text encoding")
    assert "0xFF 0xFE" in found["t.txt:8"].detail
    assert not any("\ufffd" in text for text in found.texts())


def test_zero_bytes_late_in_a_file_are_told(do_scan: Import, source: Path) -> None:
    (source / "t.txt").write_bytes((b"x" * 99 + b"\n") * 3000 + b"a\0b\n")
    assert do_scan(source, text_item="line", remove_duplicates=False)["t.txt:3001"].problem == "zero_byte"


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_a_zero_byte_in_a_table_is_told_as_what_it_is(do_scan: Import, source: Path, encoding: str) -> None:
    rows = [f"这家店很好,{number},好" for number in range(20)]
    rows[4], rows[9] = "这家\0店不错,4,好", "这家店很好,9,\0好"
    (source / "a.csv").write_bytes("\n".join(["text,id,label", *rows]).encode(encoding))
    (source / "b.csv").write_bytes("te\0xt,label\n这家店很差,差\n这家店很远,差\n".encode(encoding))
    found = do_scan(source, labels="column", label_column="label", remove_duplicates=False)
    assert found.result["usable"] == 18
    for name in ("a.csv:6", "a.csv:11", "b.csv"):
        assert_told(found[name], "zero_byte", "Take it out")


def test_one_line_of_50_mb_is_cut_with_bounded_memory(do_scan: Import, source: Path) -> None:
    with (source / "long.txt").open("w", encoding="utf-8") as f:
        for number in range(500):
            f.write(f"{number:05d}" + "长a" * 25_000)
    assert (source / "long.txt").stat().st_size > 50_000_000
    tracemalloc.start()
    found = do_scan(source, text_item="line")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 120_000_000
    assert sum(len(text) for text in found.texts()) == 500 * 50_005
    assert "cut into pieces" in found.records[0].detail
    assert any("cut into pieces" in note for note in found.notes)


def test_csv_separators_quotes_and_formulas(do_scan: Import, source: Path) -> None:
    (source / "a.csv").write_text('text,label\n"one, ""two""\nthree",x\n=cmd|1,y\n', encoding="utf-8-sig")
    (source / "b.csv").write_text("Label;Text\nx;vier, fünf\ny;sechs\n", encoding="cp1252")
    (source / "c.tsv").write_text("id\ttext\tlabel\n1\tseven\tz\n", encoding="utf-8")
    found = do_scan(source, labels="none")
    assert found.texts() == ['one, "two"\nthree', "=cmd|1", "vier, fünf", "sechs", "seven"]


def test_csv_labels_from_a_column(do_scan: Import, source: Path) -> None:
    (source / "a.csv").write_text("sentiment,review\ngood,nice\nbad,awful\n", encoding="utf-8")
    found = do_scan(source, labels="column", label_column="sentiment")
    assert [(r.label, r.name) for r in found.records] == [("good", "a.csv:2"), ("bad", "a.csv:3")]
    with pytest.raises(UserError, match="no column “nothing”") as caught:
        do_scan(source, text_column="nothing")
    assert "sentiment, review" in caught.value.hint
    with pytest.raises(UserError, match="label column is not named"):
        do_scan(source, labels="column")


def test_classes_that_differ_by_case_or_spaces_only_are_told(do_scan: Import, source: Path) -> None:
    rows = ["Sport", "sport ", " Home  news", "home news", "Ｓport", "other", "Home  news"]
    lines = [f"text {number},{name}" for number, name in enumerate(rows)]
    (source / "a.csv").write_text("\n".join(["text,label", *lines]), encoding="utf-8")
    found = do_scan(source, labels="column", label_column="label")
    (told,) = [note for note in found.notes if "differ by case" in note]
    assert "“Sport” / “sport” / “Ｓport”" in told and "“Home  news” / “home news”" in told and "other" not in told
    (source / "a.csv").write_text("text,label\none,Sport\ntwo,Sports\n", encoding="utf-8")
    assert not [note for note in do_scan(source, labels="column", label_column="label").notes if "differ" in note]


def test_csv_without_header_takes_the_longest_column(do_scan: Import, source: Path) -> None:
    rows = [(n, f"a rather long sentence, number {n}", "tag") for n in range(5)]
    with (source / "a.csv").open("w", encoding="utf-8", newline="") as f:
        csv.writer(f).writerows(rows)
    assert do_scan(source).texts() == [row[1] for row in rows]


def test_ragged_and_empty_rows_have_numbers(do_scan: Import, source: Path) -> None:
    (source / "a.csv").write_text("id,text\n1,good\n2,too,many\n3\n4,\n\n5,fine\n", encoding="utf-8")
    found = do_scan(source)
    assert found.texts() == ["good", "fine"]
    assert_told(found["a.csv:3"], "too_many_cells", "quotation marks")
    assert "too many cells: 3, and the table has 2" in found["a.csv:3"].detail
    assert_told(found["a.csv:4"], "too_few_cells", "Fill in the missing cells")
    assert "too few cells: 1 of the table's 2" in found["a.csv:4"].detail
    assert_told(found["a.csv:5"], "no_text", "Fill in the text")


def test_csv_fields_beyond_pythons_limit(do_scan: Import, source: Path) -> None:
    (source / "a.csv").write_text(
        "text,id\n" + "x" * 200_000 + ",1\n" + "y" * 5_000_000 + ",2\nlast,3\n", encoding="utf-8"
    )
    found = do_scan(source)
    assert [len(text) for text in found.texts()] == [200_000, 4]
    assert_told(found["a.csv:3"], "too_large", "Make it smaller")


def test_an_open_quote_does_not_swallow_the_memory(do_scan: Import, source: Path) -> None:
    lines = "".join(f"row {n}{'z' * 100},x\n" for n in range(45_000))
    (source / "a.csv").write_text('text,id\nfirst,1\n"never closed,2\n' + lines, encoding="utf-8")
    found = do_scan(source)
    assert found.texts()[0] == "first"
    assert "too_large" in found.result["problems"]


def test_jsonl_bad_lines_are_listed(do_scan: Import, source: Path) -> None:
    lines = ['{"text": "one", "label": "a"}', "{broken", '{"other": 1}', '"just a text"', '{"text": "\\ud800"}',
             "[" * 200_000, "1" * 5000, '{"text": "two", "label": 3, "n": NaN}', "", '{"text": ["x"]}']  # fmt: skip
    (source / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    found = do_scan(source, labels="column", label_column="label")
    assert found.texts() == ["one", "just a text", "two"]
    assert found["a.jsonl:8"].label == "3"
    assert_told(found["a.jsonl:2"], "bad_json", "Correct this line")
    assert_told(found["a.jsonl:3"], "no_text", "Fill in the text")
    assert_told(found["a.jsonl:5"], "bad_json", "half of a character")
    assert "64 levels" in found["a.jsonl:6"].detail
    assert "digits" in found["a.jsonl:7"].detail
    assert found["a.jsonl:10"].problem == "no_text"


@pytest.mark.parametrize(("name", "line"), [("a.jsonl", '{"text": "one", "mood": "a"}'), ("a.csv", "text,moood\none,"),
                                           ("a.txt", "one")])  # fmt: skip
def test_a_label_column_without_a_label_is_refused(
    do_scan: Import, workspace: Workspace, source: Path, name: str, line: str
) -> None:
    (source / name).write_text(line, encoding="utf-8")
    with pytest.raises(UserError, match="No text has a label in the column “moood”") as caught:
        do_scan(source, labels="column", label_column="moood")
    assert "Correct the name" in caught.value.hint
    assert workspace.datasets() == []


def test_only_the_first_hundred_bad_lines_are_told_but_all_are_counted(do_scan: Import, source: Path) -> None:
    (source / "a.jsonl").write_text('{"text": "good"}\n' + "{bad\n" * 1000, encoding="utf-8")
    result = do_scan(source).result
    assert result["problems"] == {"bad_json": 1000}
    assert len(result["first_problems"]) == 100
    assert result["first_problems"][0]["name"] == "a.jsonl:2"


def test_a_read_error_in_the_middle_costs_the_file_not_the_import(
    do_scan: Import, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aigc_desktop.data import scan_texts

    def failing(path, encoding, options):  # the disk's own EIO needs a broken disk
        yield from scan_texts_plain(path, encoding, options)
        raise OSError(5, "Input/output error")

    scan_texts_plain = scan_texts._READERS["plain"]
    monkeypatch.setitem(scan_texts._READERS, "plain", failing)
    (source / "a.txt").write_text("one\ntwo\n", encoding="utf-8")
    (source / "b.jsonl").write_text('{"text": "three"}', encoding="utf-8")
    found = do_scan(source, text_item="line")
    assert found.texts() == ["one", "two", "three"]
    assert_told(found["a.txt"], "unreadable", "Check its permissions")


def test_duplicates_are_found_or_kept(do_scan: Import, source: Path) -> None:
    (source / "a.txt").write_text("one\ntwo\none\n", encoding="utf-8")
    assert do_scan(source, text_item="line")["a.txt:3"].problem == "duplicate"
    kept = do_scan(source, text_item="line", remove_duplicates=False)
    assert kept["a.txt:3"].note == "duplicate"
    assert kept.texts() == ["one", "two", "one"]


def test_the_same_text_with_another_label_is_told_apart_from_a_duplicate(do_scan: Import, source: Path) -> None:
    (source / "a.csv").write_text("text,mood\nfine,glad\nfine,glad\nfine,sad\n", encoding="utf-8")
    found = do_scan(source, labels="column", label_column="mood")
    assert found["a.csv:3"].problem == "duplicate" and found.texts() == ["fine"]
    assert_told(found["a.csv:4"], "contradiction", "label “sad” in place of “glad”")


def test_an_open_quotation_mark_and_a_lone_header_are_told_as_what_they_are(do_scan: Import, source: Path) -> None:
    (source / "good.csv").write_text('text,mood\n"two\nlines",glad\nfine,sad\n', encoding="utf-8")
    (source / "open.csv").write_text('text,mood\nfine,glad\n"never closed,sad\nmore,sad\n', encoding="utf-8")
    (source / "head.csv").write_text("text,mood\n", encoding="utf-8")
    (source / "last.csv").write_text('mood,text\nglad,worn\nsad,"never closed\nglad,more\nsad,end\n', encoding="utf-8")
    (source / "wide.csv").write_text('text,mood\nold,sad,"a\nb"\nnew,glad\n5" tall,glad\n', encoding="utf-8")
    found = do_scan(source, text_column="text")
    assert found.texts() == ["two\nlines", "fine", "worn", "new", '5" tall']
    assert_told(found["open.csv:3"], "quote", "Close it")
    assert_told(found["last.csv:3"], "quote", "Close it")
    assert_told(found["wide.csv:2"], "too_many_cells", "quotation marks")
    assert_told(found["head.csv"], "no_rows", "Fill in the table")


def test_a_text_with_other_attributes_is_another_item_on_its_side(do_scan: Import, do_freeze, source: Path) -> None:
    rows = "".join(f"fine,{colour},{size}\n" for colour in ("red", "blue", "red") for size in (1, 2, 3))
    (source / "a.csv").write_text(f"text,colour,size\n{rows}worn,red,1\nworn,blue,2\n", encoding="utf-8")
    plain = do_scan(source, text_column="text")
    assert plain.texts() == ["fine", "worn"]
    told = do_scan(source, text_column="text", attribute_columns="colour, size")
    assert told.texts() == ["fine"] * 6 + ["worn"] * 2 and told["a.csv:8"].problem == "duplicate"
    frozen = do_freeze(told.dataset, validation=0.4).dataset
    sides = [set(frozen.texts(split)) for split in ("train", "validation")]
    assert sorted(map(len, sides)) == [1, 1] and sides[0] != sides[1]


def test_the_name_of_a_mark_that_is_half_a_letter_is_told(do_scan: Import, source: Path) -> None:
    rows = [{"text": f"Ann {n}", "spans": [[0, 3, name]]} for n, name in enumerate(("who", "\ud800", "who"))]
    (source / "a.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    found = do_scan(source)
    assert found.texts() == ["Ann 0", "Ann 2"] and found.dataset.info.span_classes == ["who"]
    assert_told(found["a.jsonl:2"], "bad_json", "Correct this line")


def random_bytes(rng: random.Random) -> bytes:
    codec = rng.choice(["utf-8", "utf-16", "utf-16-le", "gb18030", "big5", "cp932", "cp1252"])
    data = bytearray(rng.choice([ZH, JA, FR, "a,b\n1,2\n"]).encode(codec, "replace") * rng.randint(1, 3))
    for _change in range(rng.randint(0, 6)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data[: rng.randint(0, len(data))])


def scan_mutants(folder: Path, count: int, make) -> None:
    """Every mutant is read to its end or refused with a code; nothing else may come out."""
    from aigc_desktop.data.scan_texts import _READERS
    from aigc_desktop.data.texts import SUFFIXES, TextOptions

    rng = random.Random(count)
    options = TextOptions(limit=10_000)
    good = bad = 0
    for _number in range(count):
        suffix, data = make(rng)
        path = folder / f"m{suffix}"
        path.write_bytes(data)
        try:
            encoding = detect_encoding(path).codec
            items = list(_READERS[SUFFIXES[suffix]](path, encoding, options))
            good += 1
            bad += any(item.problem for item in items)
            for item in items:
                (item.text + item.label + item.marks).encode("utf-8")
        except (ItemProblem, UserError):
            bad += 1
    assert good and bad


def a_text(rng: random.Random) -> tuple[str, bytes]:
    return ".txt", random_bytes(rng)


def a_csv(rng: random.Random) -> tuple[str, bytes]:
    rows = [",".join(rng.choice(['"a"', "b", '"c,""', "=1", "", "\0", "é"]) for _cell in range(3)) for _row in range(8)]
    data = bytearray(("text,label,id\n" + "\n".join(rows)).encode(rng.choice(["utf-8", "utf-16", "gb18030"])))
    for _change in range(rng.randint(0, 5)):
        data[rng.randrange(len(data))] = rng.choice(b'",;\t\n\r\0\xff')
    return ".csv", bytes(data)


def a_jsonl(rng: random.Random) -> tuple[str, bytes]:
    line = json.dumps(
        {"text": "some text é", "label": rng.random(), "deep": [[{"a": [1]}]]}, ensure_ascii=rng.random() < 0.5
    )
    data = bytearray("\n".join([line] * 4).encode())
    for _change in range(rng.randint(0, 8)):
        data[rng.randrange(len(data))] = rng.choice(b'"{}[]\\\n:,0u\xff\x00\x80')
    return ".jsonl", bytes(data)


def a_marked(rng: random.Random) -> tuple[str, bytes]:
    odd = [
        None, -1, 3.5, 10**20, "x", [], [0], [3, 0, "who"], [0, 99, "who"], [0, 3, ""], [0, 3, "\ud800"], {"start": 0},
        True,
    ]  # fmt: skip
    rows = []
    for _row in range(4):
        told = {"text": "Ann likes Oslo 😀", "label": "a", "spans": [[0, 3, "who"], [10, 14, "where"]]}
        if rng.random() < 0.7:
            told["spans"][rng.randrange(2)] = rng.choice(odd)
        if rng.random() < 0.3:
            told[rng.choice(["text", "label", "spans"])] = rng.choice(odd)
        rows.append(json.dumps(told))
    return ".jsonl", "\n".join(rows).encode()


def a_conll(rng: random.Random) -> tuple[str, bytes]:
    words = [
        "Ann B-who", "Oslo\tB-where", "in O", "", "-DOCSTART- -X- O O", "alone", "EU NNP B-NP B-org", "a I-who", "b B-",
        "\u202eא O", "😀 O", "w " + "O" * 5000, "\t", "x y z B-q",
    ]  # fmt: skip
    data = bytearray("\n".join(rng.choice(words) for _row in range(rng.randint(1, 12))).encode() + b"\n")
    for _change in range(rng.choice([0, 0, 1, 4])):
        data[rng.randrange(len(data))] = rng.choice(b"\t \n\r\0\xff-BIO")
    return ".conll", bytes(data)


@pytest.mark.parametrize("make", [a_text, a_csv, a_jsonl, a_marked, a_conll])
def test_1000_mutated_texts_are_read_or_refused(tmp_path: Path, make) -> None:
    scan_mutants(tmp_path, 1000 if make is not a_text else 300, make)


@pytest.mark.slow
@pytest.mark.parametrize("make", [a_text, a_csv, a_jsonl, a_marked, a_conll])
def test_10000_mutated_texts_are_read_or_refused(tmp_path: Path, make) -> None:
    scan_mutants(tmp_path, 10_000, make)


def test_lines_are_streamed_fast_enough(do_scan: Import, source: Path) -> None:
    with (source / "big.txt").open("w", encoding="utf-8") as f:
        f.writelines(f"line number {number} of a text file\n" for number in range(20_000))
    began = time.process_time()
    assert do_scan(source, text_item="line").result["usable"] == 20_000
    assert 20_000 / (time.process_time() - began) > 5_000
