"""Reading files: bytes are bytes, lines end at line feeds, errors name file and line."""

import bz2
import gzip
import json
import lzma
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from zipfile import is_zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mt.data.reading import (
    Columns,
    CorpusFile,
    Row,
    content_hash,
    jsonl_rows,
    read_lines,
    text_rows,
    tsv_rows,
)

Write = Callable[[str, bytes | str], Path]
EN_DE = Columns("en", "de")
AWKWARD = ["a\u2028b", "c\x85d", "e\ff", "g\th", "i\0j", "k\x1bl", "m\rn", "\u2029", "", "\ufeffo"]


def lines(path: Path, member: str | None = None) -> list[str]:
    return list(read_lines(CorpusFile(path, member)))


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_only_a_line_feed_ends_a_line(write: Write) -> None:
    assert lines(write("x", "x\n" + "\n".join(AWKWARD) + "\n")) == ["x", *AWKWARD]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\n")).filter(
            lambda text: not text.endswith("\r")
        )
    )
)
def test_any_text_comes_back(write: Write, texts: list[str]) -> None:
    path = write("x", "".join(f"{text}\n" for text in ["first", *texts]))
    assert lines(path) == ["first", *texts]


def test_windows_line_ends_and_byte_order_mark(write: Write) -> None:
    assert lines(write("x", b"\xef\xbb\xbfa\r\nb\r\n")) == ["a", "b"]


@pytest.mark.parametrize("text", ["a\rb\rc\r", "\ufeffa\rb"])
def test_carriage_returns_alone_are_no_line_ends(write: Write, text: str) -> None:
    with pytest.raises(ValueError, match=r"/x: its lines end in carriage returns alone.* by tr '"):
        lines(write("x", text))
    assert lines(write("y", "a\r")) == ["a"]


def test_last_line_may_lack_its_line_feed(write: Write) -> None:
    assert lines(write("x", "a\nb")) == lines(write("y", "a\nb\n")) == ["a", "b"]


def test_gzip_is_known_by_its_content(write: Write) -> None:
    content = "ä\nb\n".encode()
    assert lines(write("x.txt", gzip.compress(content))) == lines(write("y.gz", content))


def test_zip_member(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"a.txt": b"a\nb\n", "readme": b""})
    assert lines(path, "a.txt") == ["a", "b"]
    for member in ("c.txt", None):
        with pytest.raises(ValueError, match=r"data\.member to one of: a\.txt, readme"):
            lines(path, member)


def test_invalid_utf8_names_file_line_and_byte(write: Write) -> None:
    path = write("bad.en", b"good\nb\xe4d\n")
    message = f"{re.escape(str(path))}, line 2: invalid UTF-8 .byte 0xe4 at position 2"
    with pytest.raises(ValueError, match=message):
        lines(path)


@pytest.mark.parametrize("compress", [bz2.compress, lzma.compress])
def test_what_else_is_compressed_is_to_be_unpacked(
    write: Write, compress: Callable[[bytes], bytes]
) -> None:
    path = write("x.en", compress(b"a\n"))
    with pytest.raises(ValueError, match=r"x\.en: expected a plain file, gzip or zip; unpack"):
        lines(path)


@pytest.mark.parametrize(
    ("places", "value", "reason"),
    [((6, 8), 1, "password required"), ((8, 10), 9, "compression method is not supported")],
)
def test_a_zip_that_python_cannot_read_is_to_be_unpacked(
    tmp_path: Path, places: tuple[int, int], value: int, reason: str
) -> None:
    path = zipped(tmp_path / "x.zip", {"a.txt": b"a\n"})
    content = bytearray(path.read_bytes())
    for header, place in zip((b"PK\3\4", b"PK\1\2"), places, strict=True):
        content[content.index(header) + place] = value
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"x\.zip.*{reason}.*; unpack the archive, and name the"):
        lines(path, "a.txt")


def test_damaged_gzip_is_named(write: Write) -> None:
    whole = gzip.compress(b"hello\n" * 1000)
    with pytest.raises(
        ValueError, match=r"cut\.gz: damaged archive.*; delete it and fetch it again"
    ):
        lines(write("cut.gz", whole[: len(whole) // 2]))


def test_a_damaged_zip_is_named(tmp_path: Path, write: Write) -> None:
    whole = zipped(tmp_path / "x.zip", {"a.txt": b"a\n"}).read_bytes()
    cut, page = write("cut.zip", whole[: len(whole) // 2]), write("page.zip", "<html>\n")
    for path, member in ((cut, "a.txt"), (cut, None), (page, "a.txt")):
        with pytest.raises(ValueError, match=rf"{path.name}.*: damaged archive .* not a zip file"):
            lines(path, member)


def test_a_gzip_that_ends_like_a_zip_is_one(write: Write, tmp_path: Path) -> None:
    end = zipped(tmp_path / "x.zip", {}).read_bytes()
    content = b"a" + end + b"\n"
    assert is_zipfile(stored := write("x.gz", gzip.compress(content, 0)))
    assert lines(stored) == [content.decode().rstrip("\n")]


def test_what_the_system_cannot_read_is_named(tmp_path: Path) -> None:
    for read in (lambda: lines(tmp_path), lambda: content_hash([CorpusFile(tmp_path)])):
        with pytest.raises(ValueError, match=f"{tmp_path} cannot be read: Is a directory"):
            read()


def test_text_rows_are_aligned(write: Write) -> None:
    src = CorpusFile(write("a.en", "\n".join(AWKWARD) + "\nend\n"))
    tgt = CorpusFile(write("a.de", "".join(f"{i}\n" for i in range(len(AWKWARD) + 1))))
    rows = list(text_rows(src, tgt))
    assert [row.tgt for row in rows] == [str(i) for i in range(len(AWKWARD) + 1)]
    assert rows[-1].src == "end"


@pytest.mark.parametrize(("n_src", "n_tgt"), [(3, 5), (5, 3), (0, 1), (4, 0), (5, 4), (4, 5)])
def test_unequal_line_counts_name_both(write: Write, n_src: int, n_tgt: int) -> None:
    src, tgt = write("a.en", "x\n" * n_src), write("a.de", "y\n" * n_tgt)
    message = (
        f"a.en has {n_src} lines, but .*a.de has {n_tgt}: the files are not aligned. Line N of"
    )
    with pytest.raises(ValueError, match=message):
        list(text_rows(CorpusFile(src), CorpusFile(tgt)))


def test_tsv_by_number_ignores_other_columns(write: Write) -> None:
    file = CorpusFile(write("x.tsv", 'Hi.\tHallo!\tCC-BY\n"Go\tGeh"\n'))
    assert list(tsv_rows(file, Columns("1", "0"))) == [Row("Hallo!", "Hi."), Row('Geh"', '"Go')]


def test_tsv_by_name_takes_the_first_line_as_header(write: Write) -> None:
    file = CorpusFile(write("x.tsv", "id\tde\ten\n1\tHallo\tHi\n"))
    assert list(tsv_rows(file, EN_DE)) == [Row("Hi", "Hallo")]
    assert list(tsv_rows(file, Columns("en", "1"))) == [Row("Hi", "Hallo")]


def test_tsv_missing_column_lists_the_columns(write: Write) -> None:
    file = CorpusFile(write("x.tsv", "id\tde\n1\tHallo\n"))
    with pytest.raises(ValueError, match=r"x\.tsv, line 1: no column 'en'; there are: id, de"):
        list(tsv_rows(file, EN_DE))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "Hi Hallo\n",
            "line 1: 1 columns, but column 1 .* is wanted; name .* with data.columns.LAN",
        ),
        ("Hi\tHallo\nGo\n", "line 2: 1 columns, but column 1 .* is wanted; mend the line$"),
        ("Hi\tHallo\n\n", "line 2: 1 columns, but column 1 .* wanted; take the blank line out$"),
    ],
)
def test_tsv_short_line_is_named(write: Write, text: str, message: str) -> None:
    file = CorpusFile(write("x.tsv", text))
    with pytest.raises(ValueError, match=rf"x\.tsv, {message}"):
        list(tsv_rows(file, Columns("0", "1")))


def test_quotes_as_in_a_csv_file_are_kept_and_warned_of_once(
    write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    quoted = '"He said ""no"" again."'
    plain = '"No", he said.\t""Nein""\n"Hi"\t"Hallo"\n'
    file = CorpusFile(write("x.tsv", f"{plain}{quoted}\tx\n{quoted}\ty\n"))
    rows = list(tsv_rows(file, Columns("0", "1")))
    assert rows[2:] == [Row(quoted, "x"), Row(quoted, "y")]
    [message] = caplog.messages
    assert "x.tsv, line 3: there are quotes as in a CSV file" in message


def test_jsonl_columns_and_translation(write: Write) -> None:
    records = [
        {"en": "Hi", "de": "Hallo\u2028du", "id": 3},
        {"translation": {"de": "Geh\nweg", "en": None}},
    ]
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    rows = list(jsonl_rows(CorpusFile(write("x.jsonl", text)), EN_DE))
    assert rows == [Row("Hi", "Hallo\u2028du"), Row("", "Geh weg")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "{",
            "line 2: not a JSON object: '{'; expected one per line, with the keys 'en' and 'de'",
        ),
        ('["a"]', "line 2: not a JSON object"),
        ("", "line 2: not a JSON object: ''"),
        ("[" * 100_000, "line 2: not a JSON object"),
        ('{"n": ' + "9" * 5_000 + "}", "line 2: not a JSON object"),
        ('{"en": "a", "fr": "b"}', "line 2: no column 'de'; there are: en, fr"),
        ('{"translation": {"en": "a"}}', "line 2: no column 'de'; there are: en"),
        ('{"en": 5, "de": "b"}', "line 2: column 'en' holds 5, which is not text"),
        ('{"en": "\\ud800", "de": "b"}', "line 2: column 'en' has half a surrogate pair"),
    ],
)
def test_jsonl_errors_name_file_and_line(write: Write, line: str, message: str) -> None:
    file = CorpusFile(write("x.jsonl", f'{{"en": "a", "de": "b"}}\n{line}\n'))
    with pytest.raises(ValueError, match=f"x.jsonl, {message}"):
        list(jsonl_rows(file, EN_DE))


def test_content_hash_changes_with_content_order_and_member(write: Write) -> None:
    a, b = CorpusFile(write("a", "1")), CorpusFile(write("b", "2"))
    same = CorpusFile(write("c", "1"))
    hashes = {content_hash(files) for files in ([a, b], [b, a], [a], [a._replace(member="m")])}
    assert len(hashes) == 4
    assert content_hash([a]) == content_hash([same])
