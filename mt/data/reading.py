"""Read aligned sentences from files, whatever characters they hold.

A line ends at a line feed and nowhere else: Unicode line separators, form feeds, tabs, NUL and
control characters inside a sentence never shift the alignment. Errors name the file and the line.
"""

import codecs
import gzip
import hashlib
import json
import logging
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

ROOT_OPTION = "data.root=DIR (in mt-evaluate and mt-compare: --data-root DIR)"  # for messages
_GZIP_MAGIC = b"\x1f\x8b"
_ZIP_MAGIC = b"PK\3\4"
_FOREIGN_MAGICS = (b"\xfd7zXZ\0", b"(\xb5/\xfd", b"BZh91AY&SY")  # xz, Zstandard, bzip2
_BREAKS = re.compile(r"[\r\n]+")
_CHUNK = 1 << 20  # bytes

_log = logging.getLogger(__name__)


class CorpusFile(NamedTuple):
    """A file on this machine, plain or gzip, or a member of a .zip."""

    path: Path
    member: str | None = None

    def __str__(self) -> str:
        """Name the file for a message."""
        return str(self.path) if self.member is None else f"{self.member} in {self.path}"


class Columns(NamedTuple):
    """Where the two sides are: column names, or numbers from 0 in a TSV."""

    src: str
    tgt: str


class Row(NamedTuple):
    """One pair of aligned sentences."""

    src: str
    tgt: str


def read_lines(file: CorpusFile) -> Iterator[str]:
    """Yield the lines of a file, without line feed, trailing carriage return and byte order mark.

    Raises:
        ValueError: A file that cannot be read, invalid UTF-8, no line feed but carriage returns, a
            damaged archive, or no such member in it.
    """
    with _open(file) as stream:
        for number, line in enumerate(stream, start=1):
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
                if b"\r" in line.rstrip(b"\r\n") and not line.endswith(b"\n"):
                    raise ValueError(
                        f"{file}: its lines end in carriage returns alone; convert them to line "
                        "feeds, for example by tr '\\r' '\\n'"
                    )
            try:
                yield line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{file}, line {number}: invalid UTF-8 (byte 0x{line[error.start]:02x} at "
                    f"position {error.start + 1}); convert the file to UTF-8"
                ) from None


def has_byte_order_mark(file: CorpusFile) -> bool:
    """Say whether a file begins with what `read_lines` leaves out."""
    with _open(file) as stream:
        return stream.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8


def is_gzip(path: Path) -> bool:
    """Say whether a file is compressed, whatever its name."""
    with path.open("rb") as file:
        return file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC


def text_rows(src: CorpusFile, tgt: CorpusFile) -> Iterator[Row]:
    """Yield the pairs of two aligned files, one sentence per line.

    Raises:
        ValueError: The files differ in their number of lines.
    """
    src_lines, tgt_lines = read_lines(src), read_lines(tgt)
    for n_rows, (src_line, tgt_line) in enumerate(zip_longest(src_lines, tgt_lines)):
        if src_line is None or tgt_line is None:
            n_src = n_rows + (src_line is not None) + sum(1 for _ in src_lines)
            n_tgt = n_rows + (tgt_line is not None) + sum(1 for _ in tgt_lines)
            raise ValueError(
                f"{src} has {n_src} lines, but {tgt} has {n_tgt}: the files are not aligned. "
                "Line N of one must be the translation of line N of the other: add or take out the "
                "lines that have no partner"
            )
        yield Row(src_line, tgt_line)


def tsv_rows(file: CorpusFile, columns: Columns) -> Iterator[Row]:
    """Yield the pairs of a tab-separated file; quotes mean nothing, other columns are ignored.

    The first line is a header where a column is given by name.

    Raises:
        ValueError: A column is missing from the header, or a line has too few.
    """
    lines = enumerate(read_lines(file), start=1)
    if columns.src.isdecimal() and columns.tgt.isdecimal():
        src, tgt = int(columns.src), int(columns.tgt)
    else:
        header = next(lines, (1, ""))[1].split("\t")
        src, tgt = (_column_index(name, header, file) for name in columns)
    warned = False
    for number, line in lines:
        fields = line.split("\t")
        if len(fields) <= max(src, tgt):
            advice = "mend the line" if line.strip() else "take the blank line out"
            if number == 1:
                advice = "name the columns with data.columns.LANGUAGE=NUMBER"
            raise ValueError(
                f"{file}, line {number}: {len(fields)} columns, but column {max(src, tgt)} "
                f"(counted from 0) is wanted; {advice}"
            )
        if not warned and any(map(_is_csv_quoted, fields)):
            warned = True
            _log.warning(
                "%s, line %d: there are quotes as in a CSV file, which are taken for text; write "
                "the file without them",
                file,
                number,
            )
        yield Row(fields[src], fields[tgt])


def jsonl_rows(file: CorpusFile, columns: Columns) -> Iterator[Row]:
    """Yield the pairs of a file of JSON objects, one per line.

    A side is read from its column, or from that key of a `translation` object. `null` is an empty
    sentence, and a line break inside a sentence becomes a space.

    Raises:
        ValueError: A line is no JSON object, lacks a column, or holds something other than text.
    """
    for number, line in enumerate(read_lines(file), start=1):
        where = f"{file}, line {number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise ValueError(
                f"{where}: not a JSON object: {line[:60]!r}; expected one per line, with the keys "
                f"{columns.src!r} and {columns.tgt!r}"
            )
        yield Row(*(_field(record, name, where) for name in columns))


def one_line(text: str | None) -> str:
    """Put a sentence on one line; a missing one is empty."""
    return _BREAKS.sub(" ", text) if text else ""


def missing_column(where: object, column: str, present: Sequence[str]) -> ValueError:
    """Build the error for a column that is not there."""
    return ValueError(
        f"{where}: no column {column!r}; there are: {', '.join(present) or 'none'}. "
        "Name the column of a language with data.columns.LANGUAGE=COLUMN"
    )


def content_hash(files: Sequence[CorpusFile]) -> str:
    """Hash the bytes of files, so that a changed file is read again."""
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        part = hashlib.blake2b()
        try:
            with open(file.path, "rb") as stream:
                while chunk := stream.read(_CHUNK):
                    part.update(chunk)
        except OSError as error:
            raise _unreadable(file.path, error) from None
        digest.update(part.digest() + (file.member or "").encode("utf-8"))
    return digest.hexdigest()


def _is_csv_quoted(field: str) -> bool:
    """Say whether a field is written as a CSV file writes its quotes: "He said ""no"" again."."""
    inner = field[1:-1]
    return field[:1] == field[-1:] == '"' and '""' in inner and '"' not in inner.replace('""', "")


def _column_index(name: str, header: list[str], file: CorpusFile) -> int:
    if name in header:
        return header.index(name)
    if name.isdecimal():
        return int(name)
    raise missing_column(f"{file}, line 1", name, header)


def _field(record: dict[str, object], name: str, where: str) -> str:
    nested = record.get("translation")
    if name not in record and isinstance(nested, dict):
        record = nested
    if name not in record:
        raise missing_column(where, name, list(record))
    value = record[name]
    if not isinstance(value, str | None):
        raise ValueError(f"{where}: column {name!r} holds {value!r:.60}, which is not text")
    try:
        (value or "").encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"{where}: column {name!r} has half a surrogate pair") from None
    return one_line(value)


@contextmanager
def _open(file: CorpusFile) -> Iterator[BinaryIO]:
    try:
        with open(file.path, "rb") as raw:
            head = raw.read(10)
            raw.seek(0)
            if head.startswith(_FOREIGN_MAGICS):
                raise ValueError(f"{file}: expected a plain file, gzip or zip; unpack it")
            if head.startswith(_GZIP_MAGIC):
                yield cast(BinaryIO, gzip.GzipFile(fileobj=raw))
            elif file.member is not None or head.startswith(_ZIP_MAGIC):
                with zipfile.ZipFile(raw) as archive:
                    yield _open_member(archive, file)
            else:
                yield raw
    except (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{file}: damaged archive ({error}); delete it and fetch it again"
        ) from None
    except OSError as error:
        raise _unreadable(file.path, error) from None


def _unreadable(path: Path, error: OSError) -> ValueError:
    return ValueError(f"{path} cannot be read: {error.strerror or error}")


def _open_member(archive: zipfile.ZipFile, file: CorpusFile) -> BinaryIO:
    try:
        return cast(BinaryIO, archive.open(file.member or ""))
    except KeyError:
        members = ", ".join(archive.namelist())
        raise ValueError(
            f"{file.path} has no member {file.member!r}; set data.member to one of: {members}"
        ) from None
    except RuntimeError as error:  # encrypted, or compressed in a way that Python does not know
        raise ValueError(
            f"{file}: {error}; unpack the archive, and name the folder by {ROOT_OPTION}"
        ) from None
