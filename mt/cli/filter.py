"""The filter in a pipe: one line out per line in, written as soon as no more input is waiting."""

import logging
import os
import select
from io import RawIOBase
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from mt.cli.render import OutputFormat, render

if TYPE_CHECKING:  # the types alone; importing the translator would load torch
    from mt.translator import Translator

LINES_AT_ONCE = 512  # enough to sort into batches of similar length
BYTES_AT_ONCE = 1 << 16  # bounds the memory that the alignments of many long lines take
_CHUNK = 1 << 16  # bytes a read

_log = logging.getLogger(__name__)


class SearchOptions(NamedTuple):
    """What the command line may change about the search; None is the run's own."""

    beam_size: int | None = None
    length_penalty: float | None = None
    batch_size: int | None = None


class LineReader:
    """The lines of a file descriptor as they arrive, split at line feeds alone.

    Python's own text files wait for a whole buffer, and split at other characters too.
    """

    def __init__(self, descriptor: int) -> None:
        """Read from an open descriptor; a file, a pipe or a terminal."""
        self._descriptor = descriptor
        self._lines: list[bytes] = []
        self._tail = bytearray()
        self._ended = False

    def read(self) -> list[bytes]:
        """Return lines without line feeds, at most those translated at once; [] at the end.

        Wait for the first line only; then take what has arrived.
        """
        while not self._ended and len(self._lines) < LINES_AT_ONCE:
            if self._lines and not self._waiting():
                break
            self._receive()
        sizes = accumulate(len(line) for line in self._lines[:LINES_AT_ONCE])
        count = max(1, sum(size <= BYTES_AT_ONCE for size in sizes))
        lines, self._lines = self._lines[:count], self._lines[count:]
        return lines

    def _waiting(self) -> bool:
        return bool(select.select([self._descriptor], [], [], 0)[0])

    def _receive(self) -> None:
        data = os.read(self._descriptor, _CHUNK)
        if b"\n" in data:
            first, *others = data.split(b"\n")
            self._lines += [bytes(self._tail) + first, *others[:-1]]
            self._tail = bytearray(others[-1])
        else:
            self._tail += data
        if not data:
            self._ended = True
            if self._tail:  # a last line without its end
                self._lines.append(bytes(self._tail))


def translate_stream(
    translator: "Translator",
    *,
    descriptor: int,
    output: RawIOBase,
    form: OutputFormat,
    options: SearchOptions,
) -> None:
    """Translate every line of `descriptor` into `output`, UTF-8, in order, until it ends."""
    reader = LineReader(descriptor)
    n_read = 0
    while lines := reader.read():
        sentences = [decode_line(line, number) for number, line in enumerate(lines, n_read + 1)]
        results = translator.translate_n_best(
            sentences,
            n_best=form.n_best,
            beam_size=options.beam_size,
            length_penalty=options.length_penalty,
            batch_size=options.batch_size,
        )
        text = "".join(
            line + "\n"
            for number, translations in enumerate(results, n_read)
            for line in render(number, translations, form)
        )
        _write(output, text.encode("utf-8"))
        n_read += len(lines)


def _write(output: RawIOBase, data: bytes) -> None:
    """Write all of it at once: a raw file takes a part, and keeps nothing back to fail at exit."""
    rest = memoryview(data)
    while rest:
        rest = rest[output.write(rest) or 0 :]


def decode_line(line: bytes, number: int) -> str:
    """Decode UTF-8; replace invalid bytes by U+FFFD, with a warning that names the line (from 1).

    A byte order mark before the first line and a carriage return after any line are dropped.
    """
    line = line.removesuffix(b"\r")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        _log.warning("line %d: not UTF-8 at byte %d, replaced by U+FFFD", number, error.start + 1)
        text = line.decode("utf-8", "replace")
    return text.removeprefix("\ufeff") if number == 1 else text
