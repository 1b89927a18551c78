"""From attention over subword pieces to links between words."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_WORD_START = "▁"  # sentencepiece's mark for a space before the piece
_LINK = re.compile(r"(\d+)-(\d+)", re.ASCII)
_BYTE_PIECE = re.compile(r"<0x([0-9A-F]{2})>")
# What sentencepiece's NFKC makes spaces of, beside spaces.
_BECOME_SPACES = re.compile("[\u061c\u200b\u200c\u200e\u200f\u2581\ufeff\ufffd]+")
# What `str.split` splits at, in UTF-8: control characters and other spaces among it.
_SPACES = re.compile(
    b"|".join(re.escape(chr(n).encode()) for n in range(0x3001) if chr(n).isspace())
)


class WordAlignment(NamedTuple):
    """How much each target word looked at each source word.

    Attributes:
        source_words: The source text split at white space, length S.
        target_words: The target text split at white space, length T.
        weights: (T, S). A piece's weights on the pieces of one source word are added, then the mean
            is taken over the pieces of the target word, so that a row sums to at most 1.
    """

    source_words: list[str]
    target_words: list[str]
    weights: NDArray[np.float64]

    @property
    def links(self) -> list[tuple[int, int]]:
        """Link each target word to the source word it looked at most: (source, target), sorted."""
        return sorted(
            (int(row.argmax()), target) for target, row in enumerate(self.weights) if row.any()
        )


def align_words(
    source: str,
    target: str,
    *,
    source_tokens: Sequence[str],
    target_tokens: Sequence[str],
    weights: Sequence[Sequence[float]],
) -> WordAlignment:
    """Add up attention between pieces into attention between words.

    Args:
        source: The source text.
        target: The target text.
        source_tokens: The pieces of the source, as sentencepiece writes them.
        target_tokens: The pieces of the target.
        weights: One row per target piece, one column per source piece, without the end-of-sentence
            symbols.

    Raises:
        ValueError: The weights have not one row per target piece and one column per source piece.
    """
    expected = (len(target_tokens), len(source_tokens))
    matrix = np.asarray(weights, dtype=np.float64)
    if matrix.size == 0 and 0 in expected:
        matrix = matrix.reshape(expected)
    if matrix.shape != expected:
        raise ValueError(
            f"the attention weights have shape {matrix.shape}; expected {expected}: "
            "a row for each target piece, a column for each source piece"
        )
    source_words, target_words = source.split(), target.split()
    columns = _membership(word_of_piece(source_tokens, source), len(source_words))
    rows = _membership(word_of_piece(target_tokens, target), len(target_words))
    pieces_in_word = np.maximum(rows.sum(axis=0), 1)[:, None]
    return WordAlignment(source_words, target_words, rows.T @ matrix @ columns / pieces_in_word)


def pharaoh(links: Sequence[tuple[int, int]]) -> str:
    """Write links as `0-0 1-2`: source word, hyphen, target word, counted from 0.

    >>> pharaoh([(0, 0), (1, 2)])
    '0-0 1-2'
    """
    return " ".join(f"{source}-{target}" for source, target in links)


def read_pharaoh(line: str) -> list[tuple[int, int]]:
    """Read links that `pharaoh` writes.

    >>> read_pharaoh("0-0 1-2")
    [(0, 0), (1, 2)]

    Raises:
        ValueError: For a word that is no link.
    """
    links = []
    for word in line.split():
        match = _LINK.fullmatch(word)
        if match is None:
            raise ValueError(f"{word!r} is no link: expected source-target, such as 0-0 1-2")
        links.append((int(match.group(1)), int(match.group(2))))
    return links


def word_of_piece(pieces: Sequence[str], text: str) -> list[int | None]:
    """Find the index in `text.split()` of each piece's word; None for a piece that is only a space.

    The pieces hold the text after sentencepiece's normalisation, which can split a word (a
    zero-width space becomes a space) or join two (control characters vanish). Where the number of
    words differs and such spaces are not the reason, a piece goes to the word at the same share of
    the way through the text.
    """
    chunks = [_piece_bytes(piece) for piece in pieces]
    # Of the same length, with a plain space for all that `str.split` splits at.
    joined = _SPACES.sub(lambda space: b" " * len(space.group()), b"".join(chunks))
    text_words = [len(word.encode("utf-8", "replace")) for word in text.split()]
    words = list(re.finditer(rb"\S+", joined))
    if not text_words or not words:
        return [None] * len(pieces)
    starts = [word.start() for word in words]
    if len(words) == len(text_words):
        targets = np.arange(len(words))
    elif sum(n_parts := [_n_parts(word) for word in text.split()]) == len(words):
        targets = np.repeat(np.arange(len(n_parts)), n_parts)
    else:
        sizes = np.array([len(word.group()) for word in words])
        middles = (np.cumsum(sizes) - sizes / 2) / sizes.sum() * sum(text_words)
        targets = np.searchsorted(np.cumsum(text_words), middles, side="right")
    found: list[int | None] = []
    position = 0
    for chunk in chunks:
        stripped = joined[position : position + len(chunk)].lstrip()
        first = position + len(chunk) - len(stripped)
        word = int(np.searchsorted(starts, first, side="right")) - 1
        found.append(int(targets[word]) if stripped else None)
        position += len(chunk)
    return found


def _n_parts(word: str) -> int:
    return sum(map(bool, _BECOME_SPACES.split(word)))


def _piece_bytes(piece: str) -> bytes:
    byte = _BYTE_PIECE.fullmatch(piece)
    if byte:
        return bytes([int(byte.group(1), 16)])
    return piece.replace(_WORD_START, " ").encode("utf-8", "replace")


def _membership(words: Sequence[int | None], n_words: int) -> NDArray[np.float64]:
    """Build the (pieces, words) matrix that is 1 where the piece belongs to the word."""
    member = np.zeros((len(words), n_words))
    for piece, word in enumerate(words):
        if word is not None:
            member[piece, word] = 1.0
    return member
