"""The training loss, computed in chunks so that the logits of a whole batch never exist at once."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mt.data.tokenizer import PAD_ID
from mt.models.precision import product_dtype

CHUNK = 1024  # tokens; a batch of fewer has its weight gradient in one product


class SequenceLoss(NamedTuple):
    """The loss of a batch, in nats.

    Attributes:
        loss: Mean over real target tokens, label smoothing and consistency included; what is
            minimised. 0, with gradients of 0, where no token is real.
        nll: Sum over real target tokens, without either and without gradient; what perplexity is
            made of.
        n_tokens: The number of real target tokens.
    """

    loss: Float[Tensor, ""]
    nll: Float[Tensor, ""]
    n_tokens: int


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Sum of smoothed cross-entropies; a chunk's gradient takes the place of its logits.

    For a token y with logits z = W x + b the loss is logsumexp(z) - (1 - ε) z_y - ε mean(z), and
    its gradient by z is softmax(z) - (1 - ε) onehot(y) - ε / V. What belongs to mean(z) needs no
    pass over the logits, since Σ mean(z) over N tokens is (Σ x) mean(W) + N mean(b).

    x (P, N, E) holds P passes over the same N tokens. The cross-entropy is the mean over them; with
    a consistency α, of two passes, α times their `_disagreement` is added.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        smoothing: float,
        consistency: float,
    ) -> tuple[Tensor, Tensor]:
        """Return the smoothed sum and the plain sum."""
        w, b = weight.to(x.dtype), bias.to(x.dtype)
        wants_gradient = any(ctx.needs_input_grad[:3])
        n_passes, n_tokens, width = x.shape
        size = max(1, min(CHUNK // n_passes, n_tokens))
        d_x, d_weight, d_bias = torch.empty_like(x), torch.zeros(()), torch.zeros(())
        buffer = x.new_empty(n_passes * size, len(w))
        gold, gold_probs = x.new_empty(2, n_passes, n_tokens)
        disagreement = weight.new_zeros(())
        for start in range(0, n_tokens, size):
            chunk = slice(start, min(start + size, n_tokens))
            inputs, y = x[:, chunk].reshape(-1, width), targets[chunk].repeat(n_passes)
            rows = torch.arange(len(y), device=x.device)
            logits = torch.mm(inputs, w.T, out=buffer[: len(y)])
            logits += b
            z_y = logits[rows, y]
            probs = torch.softmax(logits, dim=-1, out=None if consistency else logits)
            p_y = probs[rows, y].clamp_min_(torch.finfo(x.dtype).tiny)
            gold[:, chunk], gold_probs[:, chunk] = z_y.view(n_passes, -1), p_y.view(n_passes, -1)
            d_logits = probs
            if consistency:
                log_probs = logits.sub_((z_y - p_y.log()).unsqueeze(-1))
                found, gradient = _disagreement(log_probs, probs)
                disagreement += found
                d_logits = probs.add_(gradient, alpha=n_passes * consistency)
            if wants_gradient:
                d_logits[rows, y] -= 1 - smoothing
                d_x[:, chunk] = (d_logits @ w).view(n_passes, -1, width)
                d_weight = d_weight + (d_logits.T @ inputs).to(weight.dtype)
                d_bias = d_bias + d_logits.sum(dim=0).to(bias.dtype)
        nll = -gold_probs.to(weight.dtype).log().sum()
        loss = nll.clone()
        if smoothing > 0:
            total, mean = x.sum(dim=(0, 1), dtype=weight.dtype), weight.mean(dim=0)
            n_logits = n_passes * n_tokens
            loss += smoothing * (gold.sum(dtype=loss.dtype) - total @ mean - n_logits * bias.mean())
            d_x -= smoothing * mean
            d_weight = d_weight - smoothing / len(w) * total
            d_bias = d_bias - smoothing / len(w) * n_logits
        if wants_gradient:
            ctx.n_passes = n_passes
            # Without any token there was no chunk to give them their shape.
            ctx.save_for_backward(d_x, d_weight.expand_as(weight), d_bias.expand_as(bias))
        nll /= n_passes
        ctx.mark_non_differentiable(nll)
        return loss / n_passes + consistency * disagreement, nll

    @staticmethod
    def backward(ctx: Any, d_loss: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        """Scale the gradients that `forward` left."""
        scale = d_loss / ctx.n_passes
        scaled = (scale.to(saved.dtype) * saved for saved in ctx.saved_tensors)
        return *scaled, None, None, None


def _disagreement(
    log_probs: Float[Tensor, "N V"], probs: Float[Tensor, "N V"]
) -> tuple[Float[Tensor, ""], Float[Tensor, "N V"]]:
    """Return ½ Σ (KL(p‖q) + KL(q‖p)) and its gradient by the logits of p and q.

    p is the first half of the rows, q the second. With δ = log p - log q the gradient by the logits
    of p is ½ (p (δ - KL(p‖q)) + p - q), and that of q is the same with p and q exchanged.
    """
    (log_p, log_q), (p, q) = log_probs.chunk(2), probs.chunk(2)
    delta = log_p - log_q
    p_delta, q_delta = p * delta, q * delta
    p_to_q, q_to_p = p_delta.sum(dim=-1, keepdim=True), -q_delta.sum(dim=-1, keepdim=True)
    apart = p - q
    gradient = torch.cat([p_delta - p * p_to_q + apart, -q_delta - q * q_to_p - apart]).mul_(0.5)
    return 0.5 * (p_to_q + q_to_p).sum(dtype=torch.float32), gradient


def sequence_loss(
    features: Float[Tensor, "PB T E"],
    output_layer: nn.Linear,
    tgt_out: Int[Tensor, "B T"],
    *,
    label_smoothing: float = 0.0,
    consistency: float = 0.0,
) -> SequenceLoss:
    """Compare the output layer's predictions with the target; padding does not count.

    With label smoothing ε the target distribution is (1 - ε) on the token and ε spread evenly over
    the vocabulary (Szegedy et al. 2016, section 7). With a consistency α the features are those of
    two passes over the batch, one after the other, which differ in what dropout left out; what is
    minimised is the mean of their cross-entropies plus α times the mean of the two
    Kullback-Leibler divergences between their predictions (R-Drop: Liang et al. 2021, eq. 1-3,
    whose α is twice this one, since they add the cross-entropies up).
    """
    n_passes = len(features) // len(tgt_out)
    real = tgt_out != PAD_ID
    n_tokens = int(real.sum())
    weight, bias = output_layer.weight, output_layer.bias
    x = features.view(n_passes, *tgt_out.shape, -1)[:, real]  # (P, N, E)
    x = x.to(product_dtype(x))
    with torch.autocast(x.device.type, enabled=False):
        loss, nll = _ChunkedCrossEntropy.apply(  # type: ignore[no-untyped-call]
            x, weight, bias, tgt_out[real], label_smoothing, consistency
        )
    return SequenceLoss(loss / max(n_tokens, 1), nll, n_tokens)
