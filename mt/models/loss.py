"""The training loss, computed in chunks so that the logits of a whole batch never exist at once."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mt.data.tokenizer import PAD_ID
from mt.models.lexical import LexicalOutput
from mt.models.precision import at_least_fp32, product_dtype

CHUNK = 1024  # tokens; a batch of fewer has its weight gradient in one product


class SequenceLoss(NamedTuple):
    """The loss of a batch, in nats.

    Attributes:
        loss: Mean over real target tokens, label smoothing included; what is minimised. 0, with
            gradients of 0, where no token is real.
        nll: Sum over real target tokens, without smoothing and without gradient; what perplexity
            is made of. A token counts at most 87.3, the -log of the smallest normal number of fp32.
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
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        smoothing: float,
        records: bool,
    ) -> tuple[Tensor, Tensor]:
        """Return the smoothed sum, and the plain cross-entropy of every token.

        `records` is `torch.is_grad_enabled()` of the caller, which cannot be asked for here, and
        which `needs_input_grad` does not know.
        """
        w, b = weight.to(x.dtype), bias.to(x.dtype)
        wants_gradient = records and any(ctx.needs_input_grad[:3])
        d_x, d_weight, d_bias = torch.empty_like(x), weight.new_zeros(()), bias.new_zeros(())
        buffer = x.new_empty(min(CHUNK, len(x)), len(w))
        gold, gold_probs = x.new_empty(2, len(x))
        for start in range(0, len(x), CHUNK):
            chunk = slice(start, min(start + CHUNK, len(x)))
            rows, y = torch.arange(chunk.stop - start, device=x.device), targets[chunk]
            logits = torch.mm(x[chunk], w.T, out=buffer[: len(y)])
            logits += b
            gold[chunk] = logits[rows, y]
            probs = torch.softmax(logits, dim=-1, out=logits)
            gold_probs[chunk] = probs[rows, y]
            if wants_gradient:
                d_logits = probs
                d_logits[rows, y] -= 1 - smoothing
                torch.mm(d_logits, w, out=d_x[chunk])
                d_weight = d_weight + (d_logits.T @ x[chunk]).to(weight.dtype)
                d_bias = d_bias + d_logits.sum(dim=0).to(bias.dtype)
        tiny = torch.finfo(x.dtype).tiny
        nll = -gold_probs.clamp_min_(tiny).to(at_least_fp32(weight.dtype)).log()
        loss = nll.sum()
        if smoothing > 0:
            total, mean = x.sum(dim=0, dtype=weight.dtype), weight.mean(dim=0)
            loss += smoothing * (gold.sum(dtype=loss.dtype) - total @ mean - len(x) * bias.mean())
            if wants_gradient:
                d_x -= smoothing * mean
                d_weight = d_weight - smoothing / len(w) * total
                d_bias = d_bias - smoothing / len(w) * len(x)
        if wants_gradient:
            # Without any token there was no chunk to give them their shape.
            ctx.save_for_backward(d_x, d_weight.expand_as(weight), d_bias.expand_as(bias))
        ctx.mark_non_differentiable(nll)
        return loss, nll

    @staticmethod
    def backward(ctx: Any, d_loss: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        """Scale the gradients that `forward` left."""
        return *(d_loss.to(saved.dtype) * saved for saved in ctx.saved_tensors), None, None, None


def sequence_loss(
    features: Float[Tensor, "B T E"],
    output_layer: nn.Linear | LexicalOutput,
    tgt_out: Int[Tensor, "B T"],
    *,
    label_smoothing: float = 0.0,
) -> SequenceLoss:
    """Compare the output layer's predictions with the target; padding does not count.

    With label smoothing ε the target distribution is (1 - ε) on the token and ε spread evenly over
    the vocabulary (Szegedy et al. 2016, section 7).
    """
    loss, nll = _cross_entropy(features, output_layer, tgt_out, label_smoothing)
    return SequenceLoss(loss / max(len(nll), 1), nll.sum(), len(nll))


def sentence_nll(
    features: Float[Tensor, "B T E"],
    output_layer: nn.Linear | LexicalOutput,
    tgt_out: Int[Tensor, "B T"],
) -> Float[Tensor, " B"]:
    """Return -log p of every target, in nats, without gradient; padding does not count."""
    _, nll = _cross_entropy(features, output_layer, tgt_out, 0.0)
    n_tokens = (tgt_out != PAD_ID).sum(dim=1)
    return torch.stack([of_sentence.sum() for of_sentence in torch.split(nll, n_tokens.tolist())])


def _cross_entropy(
    features: Tensor,
    output_layer: nn.Linear | LexicalOutput,
    tgt_out: Tensor,
    label_smoothing: float,
) -> tuple[Tensor, Tensor]:
    """Return the smoothed sum, and the plain cross-entropies (N,) of the N real tokens."""
    real = tgt_out != PAD_ID
    x = features[real]
    x = x.to(product_dtype(x))
    with torch.autocast(x.device.type, enabled=False):
        loss, nll = _ChunkedCrossEntropy.apply(  # type: ignore[no-untyped-call]
            x,
            output_layer.weight,
            output_layer.bias,
            tgt_out[real],
            label_smoothing,
            torch.is_grad_enabled(),
        )
    return loss, nll
