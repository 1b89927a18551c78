"""How much gradient reaches each source position from the loss: the vanishing gradient, measured.

For one sentence pair, L is the teacher-forced loss of the whole target in nats (the sum over its
tokens) and xⱼ the embedding of source piece j. Measured is ‖∂L/∂xⱼ‖₂. Where the target reaches the
source only through the encoder's last states, it may be expected to fall with the distance from
both ends of the sentence (Bengio et al. 1994); attention (Bahdanau et al. 2015, section 3.1) gives
every position a path of its own.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mt.data.batching import Pair, collate
from mt.data.sampling import BatchSampler
from mt.models.loss import sequence_loss
from mt.models.seq2seq import Seq2Seq

STRETCHES = 10  # equal parts of a sentence that `relative` is given for
_BATCH_TOKENS = 2000
_FEWEST_SHARE = 0.1  # a position is reported while this share of the sentences reaches it


class GradientReach(NamedTuple):
    """Gradient norms, averaged over the pieces of all sentences.

    Attributes:
        absolute: The mean norm at source pieces 1, 2, ... from the start, as far as a tenth of the
            sentences goes.
        relative: The mean norm in each of `STRETCHES` equal parts of a sentence, from its start to
            its end, divided by that sentence's mean norm; NaN for a part that no piece falls in.
    """

    absolute: list[float]
    relative: list[float]

    @property
    def weakest(self) -> float:
        """The norm in the least reached part of a sentence, divided by the sentence's mean."""
        return float(np.nanmin(self.relative))


def measure_reach(
    model: Seq2Seq, pairs: Sequence[Pair], *, device: torch.device | str = "cpu"
) -> GradientReach:
    """Measure how much gradient reaches each source position of these pairs.

    Args:
        model: In eval mode and on `device`; its parameters and their gradients stay as they are.
        pairs: Ids without BOS and EOS, no side empty.
        device: Where to compute.

    Raises:
        ValueError: If there are no pairs.
    """
    if not pairs:
        raise ValueError("no sentence pairs to measure the gradient of")
    return summarize_norms(source_gradient_norms(model, pairs, device=device))


def source_gradient_norms(
    model: Seq2Seq, pairs: Sequence[Pair], *, device: torch.device | str = "cpu"
) -> list[NDArray[np.float64]]:
    """Return ‖∂L/∂xⱼ‖₂ for each pair and each of its source pieces, the EOS left out."""
    norms: list[NDArray[np.float64]] = [np.empty(0)] * len(pairs)
    sampler = BatchSampler(
        np.array([len(pair.src) for pair in pairs]),
        np.array([len(pair.tgt) for pair in pairs]),
        batch_tokens=_BATCH_TOKENS,
        seed=0,
    )
    for rows in sampler:
        batch = collate([pairs[row] for row in rows]).to(device)
        # cuDNN's recurrent layers have no backward pass in eval mode.
        with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
            watch = _EmbeddingWatch(model.src_embedding)
            features, _ = model(batch.src, batch.src_lengths, batch.tgt_in)
            loss = sequence_loss(features, model.output_layer, batch.tgt_out)
            (gradient,) = torch.autograd.grad(loss.loss * loss.n_tokens, watch.vectors)
        lengths = gradient.float().norm(dim=-1).cpu().double().numpy()  # (B, S)
        for row, values in zip(rows, lengths, strict=True):
            norms[row] = values[: len(pairs[row].src)]
    return norms


def summarize_norms(norms: Sequence[NDArray[np.float64]]) -> GradientReach:
    """Average the norms of sentences (S,) by position and by place in the sentence."""
    lengths = np.array([len(values) for values in norms])
    positions = np.concatenate([np.arange(length) for length in lengths])
    flat = np.concatenate(norms)
    means = np.repeat([values.mean() for values in norms], lengths)
    parts = (positions + 0.5) / np.repeat(lengths, lengths) * STRETCHES
    fewest = max(1, int(_FEWEST_SHARE * len(norms)))
    last = int(np.sort(lengths)[::-1][fewest - 1])
    absolute = _mean_by(positions, flat, last)
    # A sentence that no gradient reaches at all has no shares.
    reached = means > 0
    relative = _mean_by(parts.astype(int)[reached], flat[reached] / means[reached], STRETCHES)
    return GradientReach(absolute, relative)


def _mean_by(groups: NDArray[np.int_], values: NDArray[np.float64], size: int) -> list[float]:
    kept = groups < size
    counts = np.bincount(groups[kept], minlength=size)
    sums = np.bincount(groups[kept], weights=values[kept], minlength=size)
    with np.errstate(invalid="ignore"):
        return [float(mean) for mean in sums / counts]


class _EmbeddingWatch:
    """Makes the next output of an embedding a leaf of the graph, and keeps it as `vectors`.

    Only the next: source and target may share the module, and the source is read first.
    """

    vectors: Tensor

    def __init__(self, embedding: nn.Module) -> None:
        self._handle = embedding.register_forward_hook(self._take)

    def _take(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        self._handle.remove()
        self.vectors = output.detach().requires_grad_()
        return self.vectors
