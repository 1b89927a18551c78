"""One step of a GRU whose input product is already there."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


def gru_step(
    gates: Float[Tensor, "N G"], hidden: Float[Tensor, "N H"], recurrence: nn.GRU, layer: int
) -> Float[Tensor, "N H"]:
    """Advance one layer of `recurrence` by one step.

    r, z = σ(W x + U h), n = tanh(W x + r ⊙ (U h)), h' = (1 - z) ⊙ n + z ⊙ h; Cho et al. 2014,
    eq. 5-8, in the variant of `nn.GRU`.

    Args:
        gates: W x with its bias, for r, z and n side by side, (N, 3H).
        hidden: The state before, (N, H).
        recurrence: Holds U and its bias.
        layer: Which layer of it.
    """
    recurrent = F.linear(
        hidden, getattr(recurrence, f"weight_hh_l{layer}"), getattr(recurrence, f"bias_hh_l{layer}")
    )
    width = hidden.shape[-1]
    reset, update = torch.sigmoid(gates[:, : 2 * width] + recurrent[:, : 2 * width]).chunk(
        2, dim=-1
    )
    new = torch.tanh(torch.addcmul(gates[:, 2 * width :], reset, recurrent[:, 2 * width :]))
    return torch.lerp(new, hidden, update)
