"""Does attention look where it should? Its links between words against those of a gold alignment.

The model reads the reference (teacher-forced), so that every system is judged on the same words.
"""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from mt.alignment import WordAlignment, align_words
from mt.data.batching import MAX_PIECES, Pair
from mt.data.tokenizer import TokenizerPair
from mt.decoding import forced_attention
from mt.models.seq2seq import Seq2Seq

_log = logging.getLogger(__name__)

Links = Sequence[tuple[int, int]]


class AlignmentQuality(NamedTuple):
    """How well attention agrees with gold links, over all sentences.

    Attributes:
        error_rate: 1 - 2 |A ∩ G| / (|A| + |G|), where A links each target word to the source word
            it looked at most, and G are the gold links, all of them sure: the alignment error rate
            of Och & Ney 2003, section 5. 0 is perfect agreement.
        mass: The share of a target word's attention that lies on its gold source words, averaged
            over the target words that have gold links.
        diagonal: The error rate of links that ignore the words: each target word linked to the
            source word at the same share of the way through the sentence.
        least: The lowest error rate possible with one link for each target word.
    """

    error_rate: float
    mass: float
    diagonal: float
    least: float


def measure_alignment(
    model: Seq2Seq,
    tokenizers: TokenizerPair,
    sources: Sequence[str],
    targets: Sequence[str],
    gold: Sequence[Links],
    *,
    batch_size: int | None = None,
    device: torch.device | str = "cpu",
) -> AlignmentQuality | None:
    """Compare the attention of a model in evaluation mode with gold links; None without attention.

    Pairs with more than `MAX_PIECES` pieces on a side are left out, with a logged warning; None if
    no pair is left.

    Args:
        model: The model, on `device`.
        tokenizers: The model's.
        sources: One sentence each.
        targets: Their references.
        gold: For each pair links (source word, target word), from 0, of words at white space.
        batch_size: How many pairs at once, if fewer than usual.
        device: Where to compute.
    """
    encoded = zip(tokenizers.src.encode(sources), tokenizers.tgt.encode(targets), strict=True)
    pairs = [Pair(*ids) for ids in encoded]
    kept = [row for row, pair in enumerate(pairs) if max(map(len, pair)) <= MAX_PIECES]
    if len(kept) < len(pairs):
        _log.warning(
            "%d pairs with more than %d pieces on a side have no part in the alignment error rate",
            len(pairs) - len(kept),
            MAX_PIECES,
        )
        if not kept:
            return None
        sources, targets = [sources[row] for row in kept], [targets[row] for row in kept]
        pairs, gold = [pairs[row] for row in kept], [gold[row] for row in kept]
    weights = forced_attention(model, pairs, batch_size=batch_size, device=device)
    if weights is None:
        return None
    found = [
        align_words(
            source,
            target,
            source_tokens=tokenizers.src.pieces(pair.src),
            target_tokens=tokenizers.tgt.pieces(pair.tgt),
            weights=rows.tolist(),
        )
        for source, target, pair, rows in zip(sources, targets, pairs, weights, strict=True)
    ]
    return compare_links(found, gold)


def compare_links(found: Sequence[WordAlignment], gold: Sequence[Links]) -> AlignmentQuality:
    """Compare the alignments of sentences with their gold links."""
    own, diagonal, best = _Agreement(), _Agreement(), _Agreement()
    masses: list[float] = []
    for alignment, links in zip(found, gold, strict=True):
        expected = np.zeros(alignment.weights.shape)  # (target words, source words)
        for source, target in links:
            expected[target, source] = 1.0
        linked = expected.any(axis=1)
        masses += (alignment.weights * expected).sum(axis=1)[linked].tolist()
        own.add(alignment.links, links)
        words = len(alignment.target_words), len(alignment.source_words)
        diagonal.add(diagonal_links(*words), links)
        best.add([(int(row.argmax()), j) for j, row in enumerate(expected) if row.size], links)
    mass = float(np.mean(masses or [0.0]))
    return AlignmentQuality(own.error_rate, mass, diagonal.error_rate, best.error_rate)


def diagonal_links(n_target: int, n_source: int) -> Links:
    """Link each target word to the source word at the same share of the way through the sentence.

    >>> diagonal_links(4, 2)
    [(0, 0), (0, 1), (1, 2), (1, 3)]
    """
    return [((2 * j + 1) * n_source // (2 * n_target), j) for j in range(n_target) if n_source]


class _Agreement:
    """Counts of links, as sentence after sentence comes in."""

    def __init__(self) -> None:
        self._common = self._all = 0

    def add(self, found: Links, gold: Links) -> None:
        self._common += len(set(found) & set(gold))
        self._all += len(set(found)) + len(set(gold))

    @property
    def error_rate(self) -> float:
        """1 - 2 |A ∩ G| / (|A| + |G|); 1 where there is no link at all."""
        return 1 - 2 * self._common / max(1, self._all)
