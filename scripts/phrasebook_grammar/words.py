"""Words that remember which words of the other language they correspond to."""

from collections.abc import Iterable
from typing import NamedTuple


class Word(NamedTuple):
    """A word with the numbers of its links; words that share a link are aligned."""

    text: str
    links: frozenset[int]


Phrase = tuple[Word, ...]

COMMA = Word(",", frozenset())


class Pair(NamedTuple):
    """The same phrase in both languages."""

    en: Phrase
    de: Phrase


class SentencePair(NamedTuple):
    """A finished sentence in both languages with its gold alignment in Pharaoh format."""

    en: str
    de: str
    alignment: str


def words(text: str, *links: int) -> Phrase:
    """Split a text at spaces into words that all carry the same links."""
    return tuple(Word(part, frozenset(links)) for part in text.split())


def join(*pairs: Pair | None) -> Pair:
    """Put phrases one after the other in both languages; None is no phrase."""
    found = [pair for pair in pairs if pair]
    return Pair(
        tuple(word for pair in found for word in pair.en),
        tuple(word for pair in found for word in pair.de),
    )


def fixed(en: str, de: str, link: int) -> Pair:
    """Pair two fixed phrases whose groups, divided by "|", correspond in order."""
    en_groups, de_groups = en.split("|"), de.split("|")
    if len(en_groups) != len(de_groups):
        raise ValueError(f"{en!r} and {de!r} have different numbers of groups")
    return Pair(
        tuple(word for i, group in enumerate(en_groups) for word in words(group, link + i)),
        tuple(word for i, group in enumerate(de_groups) for word in words(group, link + i)),
    )


def punctuate(phrase: Iterable[Word], mark: str) -> Phrase:
    """Attach commas and the final mark to the words before them and capitalise the first word.

    A comma is dropped at the beginning, after another comma and before the final mark.
    """
    done: list[Word] = []
    for word in phrase:
        if word is COMMA:
            if done and not done[-1].text.endswith(","):
                done[-1] = Word(done[-1].text + ",", done[-1].links)
        else:
            done.append(word)
    done[-1] = Word(done[-1].text.rstrip(",") + mark, done[-1].links)
    done[0] = Word(done[0].text[0].upper() + done[0].text[1:], done[0].links)
    return tuple(done)


def sentence_pair(pair: Pair, mark: str) -> SentencePair:
    """Finish both sides of a sentence and read its word alignment off the links."""
    en, de = punctuate(pair.en, mark), punctuate(pair.de, mark)
    alignment = " ".join(
        f"{i}-{j}"
        for i, source in enumerate(en)
        for j, target in enumerate(de)
        if source.links & target.links
    )
    return SentencePair(
        " ".join(word.text for word in en), " ".join(word.text for word in de), alignment
    )
