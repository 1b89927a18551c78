"""Faults of translations that a score hides: counted, beside the references' own.

A word is what stands between spaces. In a language without spaces it is one character, but a
number, letters of ASCII that stand together and a mark that is repeated are one word. Nothing here
knows a model.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

# A word three times running, or a phrase of two to eight twice: "the the the", "a man a man".
_REPEATED = re.compile(r"(?<!\S)(?:(\S+)(?: \1){2}|(\S+(?: \S+){1,7}) \2)(?!\S)")
# ASCII with what stands inside a time or a date; digits; a mark, repeated or not; a character.
_CHARACTER = re.compile(
    r"[0-9A-Za-z]+(?:[.,:/-][0-9A-Za-z]+)*|[\d〇]+(?:[.,]\d+)*|(?P<mark>[^\w\s])(?P=mark)*|\S"
)
# Spaces, and what sentencepiece's NFKC makes spaces of.
_SPACES = re.compile("[\\s\u061c\u200b\u200c\u200e\u200f\ufeff]+")


@dataclass(frozen=True)
class Faults:
    """Percentages of sentences with a fault, and how long the text is.

    Attributes:
        repeated: A phrase of two to eight words stands twice running, or a word three times.
        identical: The text is also that of another source.
        empty: There is no text, though the source has some.
        copied: The text is that of the source, whatever the case, the spaces, and the form of
            characters that NFKC makes alike.
        length_ratio: Words of all texts for each word of their first references.
    """

    repeated: float
    identical: float
    empty: float
    copied: float
    length_ratio: float


def count_faults(
    texts: Sequence[str],
    sources: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    spaced: bool = True,
) -> Faults:
    """Count the faults of a list of translations; of the references, if given as `texts`.

    Args:
        texts: One per source sentence.
        sources: Blank ones count as translated without fault.
        references: One or more a source sentence.
        spaced: Whether the language of the texts sets spaces between words.

    Raises:
        ValueError: The lists differ in length or are empty.
    """
    if not len(texts) == len(sources) == len(references) or not texts:
        raise ValueError(
            f"{len(texts)} texts, {len(sources)} sources and {len(references)} groups of "
            "references: expected the same number of each, at least 1"
        )
    origins: defaultdict[str, set[str]] = defaultdict(set)
    for text, source in zip(texts, sources, strict=True):
        origins[text].add(source)
    pairs = [(text, source) for text, source in zip(texts, sources, strict=True) if source.strip()]

    def percentage(n_faulty: int) -> float:
        return 100 * n_faulty / len(texts)

    def words(text: str) -> list[str]:
        return text.split() if spaced else [m.group() for m in _CHARACTER.finditer(text)]

    n_words = sum(len(words(text)) for text in texts)
    n_reference_words = sum(len(words(group[0])) for group in references)
    return Faults(
        repeated=percentage(sum(_repeats(words(text.casefold())) for text, _ in pairs)),
        identical=percentage(sum(len(origins[text]) > 1 for text, _ in pairs if text.strip())),
        empty=percentage(sum(not text.strip() for text, _ in pairs)),
        copied=percentage(sum(_same(text, source) for text, source in pairs)),
        length_ratio=n_words / max(1, n_reference_words),
    )


def _repeats(words: list[str]) -> bool:
    return _REPEATED.search(" ".join(words)) is not None


def _same(text: str, source: str) -> bool:
    return _plain(text) == _plain(source)


def _plain(text: str) -> str:
    return _SPACES.sub("", unicodedata.normalize("NFKC", text).casefold())
