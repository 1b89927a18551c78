"""A model applied to many sentences: sorted by length, batched, searched or scored."""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import torch
from torch import Tensor

from mt.config import SearchConfig
from mt.data.batching import Pair, collate, collate_sources
from mt.models.ensemble import Ensemble
from mt.models.loss import sentence_nll
from mt.models.seq2seq import Seq2Seq
from mt.search import Hypothesis, beam_search

_PAIRS_AT_ONCE = 64
_WEIGHTS_AT_ONCE = 1 << 22  # sum of squared lengths in a batch: 64 rows of 256 pieces


def search_ids(
    models: Sequence[Seq2Seq],
    sources: Sequence[list[int]],
    search: SearchConfig,
    *,
    n_best: int = 1,
    device: torch.device | str = "cpu",
) -> list[list[Hypothesis]]:
    """Translate sources, given as ids without EOS, with one model or several together.

    A translation has at most `length_limit` pieces, whatever else is in the batch.

    Returns:
        Up to `n_best` hypotheses per source, in the order of the sources; none where no score is a
        finite number.

    Raises:
        ValueError: `n_best` below 1 or above the beam.
    """
    ensemble = Ensemble(models)
    found: list[list[Hypothesis]] = [[] for _ in sources]

    def search_batch(rows: list[int]) -> None:
        src, src_lengths = collate_sources([sources[row] for row in rows])
        limits = [length_limit(search, len(sources[row])) for row in rows]
        with torch.inference_mode(), _own_precision(models[0]):
            hypotheses = beam_search(
                ensemble.step,
                ensemble.start(src.to(device), src_lengths),
                beam_size=search.beam_size,
                max_length=torch.tensor(limits, device=device),
                length_penalty=search.length_penalty,
                n_best=n_best,
            )
        for row, length, answers in zip(rows, src_lengths.tolist(), hypotheses, strict=True):
            found[row] = [_trim(answer, length) for answer in answers]

    batches = list(_by_length([len(source) for source in sources], search.batch_size))
    _for_each(search_batch, batches, device=torch.device(device))
    return found


def length_limit(search: SearchConfig, n_pieces: int) -> int:
    """Return how many pieces, EOS included, the translation of `n_pieces` may have."""
    return int(search.max_length_ratio * n_pieces) + search.max_length_offset


def _own_precision(model: Seq2Seq) -> torch.autocast:
    """Multiply in the type of the parameters: a model converted to bf16 keeps fp32 states."""
    bias = model.output_layer.bias
    return torch.autocast(bias.device.type, torch.bfloat16, bias.dtype == torch.bfloat16)


def _for_each(
    work: Callable[[list[int]], None], batches: list[list[int]], *, device: torch.device
) -> None:
    """Run the batches; on a CPU as many at once as torch has threads, each batch on one of them.

    Products of a few rows gain little from a second thread; a second batch makes full use of it.
    """
    n_threads = torch.get_num_threads()
    if device.type != "cpu" or min(n_threads, len(batches)) <= 1:
        for rows in batches:
            work(rows)
        return
    with ThreadPoolExecutor(n_threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            for _ in pool.map(work, batches):  # which raises what a batch raised
                pass
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(n_threads)


class TeacherForced(NamedTuple):
    """What a model thinks of given translations: nats per target token (EOS included)."""

    loss: float
    n_tokens: int

    @classmethod
    def of(cls, scores: Sequence[float], pairs: Sequence[Pair]) -> "TeacherForced":
        """Sum up the log-probabilities that `score_ids` found for the pairs."""
        n_tokens = sum(len(pair.tgt) + 1 for pair in pairs)
        return cls(-sum(scores) / n_tokens, n_tokens)

    @property
    def perplexity(self) -> float:
        """Exponential of the loss."""
        return math.exp(self.loss)


def score_ids(
    model: Seq2Seq,
    pairs: Sequence[Pair],
    *,
    batch_size: int | None = None,
    device: torch.device | str = "cpu",
) -> list[float]:
    """Return the teacher-forced log-probability of every target, EOS included, in nats."""
    scores = [0.0] * len(pairs)
    for rows in _pairs_by_length(pairs, batch_size):
        batch = collate([pairs[row] for row in rows]).to(device)
        with torch.inference_mode(), _own_precision(model):
            features, _ = model(batch.src, batch.src_lengths, batch.tgt_in)
            nll = sentence_nll(features, model.output_layer, batch.tgt_out)
        for row, value in zip(rows, nll.tolist(), strict=True):
            scores[row] = -value
    return scores


def forced_attention(
    model: Seq2Seq,
    pairs: Sequence[Pair],
    *,
    batch_size: int | None = None,
    device: torch.device | str = "cpu",
) -> list[Tensor] | None:
    """Return where the model looks while it reads each target, (T, S); None without attention.

    Row t is the attention from which target token t is predicted; the EOS of both sides is cut off.
    """
    found: list[Tensor] = [torch.empty(0)] * len(pairs)
    for rows in _pairs_by_length(pairs, batch_size):
        batch = collate([pairs[row] for row in rows]).to(device)
        with torch.inference_mode(), _own_precision(model):
            weights = model(batch.src, batch.src_lengths, batch.tgt_in).weights
        if weights is None:
            return None
        for row, alignment in zip(rows, weights.cpu(), strict=True):
            found[row] = alignment[: len(pairs[row].tgt), : len(pairs[row].src)]
    return found


def _pairs_by_length(pairs: Sequence[Pair], batch_size: int | None) -> Iterator[list[int]]:
    """Yield batches of at most `_PAIRS_AT_ONCE`: all steps of one are in memory together."""
    lengths = [max(len(pair.src), len(pair.tgt)) for pair in pairs]
    return _by_length(lengths, min(_PAIRS_AT_ONCE, batch_size or _PAIRS_AT_ONCE))


def _by_length(lengths: Sequence[int], batch_size: int) -> Iterator[list[int]]:
    """Yield row numbers in batches of similar length, the longest first, fewer of very long ones.

    What a batch needs for its attention grows with the square of its longest row.
    """
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    start = 0
    while start < len(order):
        longest = max(1, lengths[order[start]])
        size = min(batch_size, max(1, _WEIGHTS_AT_ONCE // longest**2))
        yield order[start : start + size]
        start += size


def _trim(hypothesis: Hypothesis, source_length: int) -> Hypothesis:
    """Cut the columns of the alignment that belong to the batch's padding."""
    if hypothesis.alignment is None:
        return hypothesis
    return hypothesis._replace(alignment=hypothesis.alignment[:, :source_length])
