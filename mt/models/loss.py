"""The training loss, computed in chunks so that the logits of a whole batch never exist at once."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from mt.data.tokenizer import PAD_ID

CHUNK = 512  # tokens; the logits of a chunk stay in the cache of a CPU core


class SequenceLoss(NamedTuple):
    """The loss of a batch, in nats.

    Attributes:
        loss: Mean over real target tokens, label smoothing included; what is minimised.
        nll: Sum over real target tokens, without smoothing and without gradient; what perplexity
            is made of.
        n_tokens: The number of real target tokens.
    """

    loss: Float[Tensor, ""]
    nll: Float[Tensor, ""]
    n_tokens: int


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Sum of smoothed cross-entropies; a chunk's gradient is taken while its logits are there."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        """Return the smoothed sum and the plain sum."""
        loss, nll = (
            features.new_zeros((), dtype=torch.float32),
            features.new_zeros((), dtype=torch.float32),
        )
        wants_gradient = any(ctx.needs_input_grad[:3])
        if wants_gradient:
            d_features, d_weight, d_bias = (torch.zeros_like(t) for t in (features, weight, bias))
        for start in range(0, len(features), CHUNK):
            x, y = features[start : start + CHUNK], targets[start : start + CHUNK, None]
            logits = F.linear(x, weight, bias)
            log_probs = torch.log_softmax(logits.float(), dim=-1)
            chunk_nll = -log_probs.gather(1, y).sum()
            nll += chunk_nll
            loss += (1 - smoothing) * chunk_nll - smoothing * log_probs.mean(dim=-1).sum()
            if wants_gradient:
                # d loss / d logits = softmax - target distribution
                d_logits = log_probs.exp_().sub_(smoothing / len(weight))
                d_logits.scatter_add_(1, y, d_logits.new_full(y.shape, smoothing - 1))
                d_bias += d_logits.sum(dim=0)
                d_logits = d_logits.to(logits.dtype)
                d_features[start : start + CHUNK] = d_logits @ weight.to(logits.dtype)
                d_weight += d_logits.T @ x.to(logits.dtype)
        if wants_gradient:
            ctx.save_for_backward(d_features, d_weight, d_bias)
        ctx.mark_non_differentiable(nll)
        return loss, nll

    @staticmethod
    def backward(ctx: Any, d_loss: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        """Scale the gradients that `forward` left."""
        return *(d_loss.to(saved.dtype) * saved for saved in ctx.saved_tensors), None, None


def sequence_loss(
    features: Float[Tensor, "B T E"],
    output_layer: nn.Linear,
    tgt_out: Int[Tensor, "B T"],
    *,
    label_smoothing: float = 0.0,
) -> SequenceLoss:
    """Compare the output layer's predictions with the target; padding does not count.

    With label smoothing ε the target distribution is (1 - ε) on the token and ε spread evenly over
    the vocabulary (Szegedy et al. 2016, section 7).
    """
    real = tgt_out != PAD_ID
    n_tokens = int(real.sum())
    loss, nll = _ChunkedCrossEntropy.apply(  # type: ignore[no-untyped-call]
        features[real], output_layer.weight, output_layer.bias, tgt_out[real], label_smoothing
    )
    return SequenceLoss(loss / n_tokens, nll, n_tokens)
