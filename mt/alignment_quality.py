"""Does attention look where it should? Its links between words against those of a gold alignment.

The model reads the reference (teacher-forced), so that every system is judged on the same words.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from mt.alignment import WordAlignment, align_words
from mt.data.batching import Pair
from mt.data.tokenizer import TokenizerPair
from mt.decoding import forced_attention
from mt.models.seq2seq import Seq2Seq

Links = Sequence[tuple[int, int]]


class AlignmentQuality(NamedTuple):
    """How well attention agrees with gold links, over all sentences.

    Attributes:
        error_rate: 1 - 2 |A ∩ G| / (|A| + |G|), where A links each target word to the source word
            it looked at most, and G are the gold links, all of them sure: the alignment error rate
            of Och & Ney 2003, section 5. 0 is perfect agreement.
        mass: The share of a target word's attention that lies on its gold source words, the mean
            over the target words that have some.
    """

    error_rate: float
    mass: float


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
    n_common = n_links = 0
    masses: list[float] = []
    for alignment, links in zip(found, gold, strict=True):
        n_common += len(set(alignment.links) & set(links))
        n_links += len(alignment.links) + len(set(links))
        expected = np.zeros(alignment.weights.shape)  # (target words, source words)
        for source, target in links:
            expected[target, source] = 1.0
        linked = expected.any(axis=1)
        masses += (alignment.weights * expected).sum(axis=1)[linked].tolist()
    return AlignmentQuality(1 - 2 * n_common / max(1, n_links), float(np.mean(masses or [0.0])))
