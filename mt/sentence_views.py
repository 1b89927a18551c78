"""Where systems differ: by the length of the source, and in which sentences."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mt import metrics
from mt.evaluation_set import EvaluationSet

BUCKETS = 6  # about so many buckets hold the middle nine tenths of the sentences
FEWEST_SENTENCES = 20  # a bucket with fewer says little: it joins its neighbour
EXAMPLES = 6


class LengthBucket(NamedTuple):
    """BLEU of each system on the sentences with `shortest` to `longest` source words."""

    shortest: int
    longest: int
    sentences: int
    bleu: list[float]

    @property
    def label(self) -> str:
        """The range as text, such as `6-10`."""
        if self.shortest == self.longest:
            return str(self.shortest)
        return f"{self.shortest}-{self.longest}"


class Example(NamedTuple):
    """One sentence, each system's translation of it, and those translations' chrF."""

    source: str
    references: list[str]
    outputs: list[str]
    chrf: list[float]


def length_unit(language: str) -> str:
    """Return the unit of sentence length: words, or characters in a language without spaces."""
    return "words" if metrics.sets_spaces(language) else "characters"


def sentence_lengths(sentences: Sequence[str], *, language: str) -> list[int]:
    """Count the words of each sentence; characters, where the language sets no spaces."""
    words = [text.split() for text in sentences]
    if length_unit(language) == "words":
        return [len(one) for one in words]
    return [len("".join(one)) for one in words]


def bleu_by_length(
    data: EvaluationSet, outputs: Sequence[Sequence[str]], *, src: str, tgt: str
) -> list[LengthBucket]:
    """Compute each system's BLEU on short to long sources.

    Args:
        data: Sources and references.
        outputs: For each system, its translations.
        src: The source language code, which chooses the unit of length.
        tgt: The target language code, which chooses BLEU's tokenizer.
    """
    lengths = sentence_lengths(data.sources, language=src)
    buckets = []
    for rows in length_buckets(lengths, width=bucket_width(lengths)):
        references = [data.references[row] for row in rows]
        columns = [[column[row] for row in rows] for column in outputs]
        bleu = [metrics.bleu(some, references, language=tgt).value for some in columns]
        inside = [lengths[row] for row in rows]
        buckets.append(LengthBucket(min(inside), max(inside), len(rows), bleu))
    return buckets


def bucket_width(lengths: Sequence[int]) -> int:
    """Choose the width of length buckets so that the curve has about `BUCKETS` points."""
    short, long = np.quantile(lengths, [0.05, 0.95])
    return max(1, math.ceil(float(long - short) / BUCKETS))


def length_buckets(
    lengths: Sequence[int], *, width: int, fewest: int = FEWEST_SENTENCES
) -> list[list[int]]:
    """Group sentences by length, in ranges of `width`; one with few joins the next, or the last.

    Args:
        lengths: Of each sentence, in words or characters.
        width: Of a range: 1 to `width`, and so on.
        fewest: Sentences in a group, unless there are fewer in all.

    Returns:
        The row numbers of each group, from short to long; every row is in one group.
    """
    ranges: dict[int, list[int]] = {}
    for row, length in enumerate(lengths):
        ranges.setdefault(max(0, length - 1) // width, []).append(row)
    groups: list[list[int]] = []
    pending: list[int] = []
    for key in sorted(ranges):
        pending += ranges[key]
        if len(pending) >= fewest:
            groups.append(pending)
            pending = []
    if pending and groups:
        groups[-1] += pending
    elif pending:
        groups.append(pending)
    return groups


def differing_examples(
    data: EvaluationSet, outputs: Sequence[Sequence[str]], *, count: int = EXAMPLES
) -> list[Example]:
    """Return the sentences whose translations' chrF lie furthest apart, the furthest first.

    Sentences that all systems score alike on are no examples; a repeated source is shown once.
    """
    found = []
    for row, (source, references) in enumerate(zip(data.sources, data.references, strict=True)):
        texts = [column[row] for column in outputs]
        if len(set(texts)) > 1:
            scores = [metrics.sentence_chrf(text, references) for text in texts]
            if max(scores) > min(scores):
                found.append(Example(source, references, texts, scores))
    found.sort(key=lambda example: min(example.chrf) - max(example.chrf))
    first: dict[str, Example] = {}
    for example in found:
        first.setdefault(example.source, example)
    return list(first.values())[:count]
