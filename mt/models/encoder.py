"""The encoder: a bidirectional GRU over the source."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mt.models.dropout import Dropout
from mt.models.precision import at_least_fp32
from mt.models.recurrence import run_gru


class Encoding(NamedTuple):
    """What the encoder returns.

    Attributes:
        states: One vector per source position, zero at padding, (B, S, M).
        summary: The last state of each direction, side by side, (B, M).
    """

    states: Float[Tensor, "B S M"]
    summary: Float[Tensor, "B M"]


class GRUEncoder(nn.Module):
    """h_j = [GRU→(x_1 … x_j) ; GRU←(x_S … x_j)]; Bahdanau et al. 2015, 3.2.

    Padding is never read, so no state depends on it.
    """

    def __init__(self, *, input_size: int, size: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.recurrence = nn.GRU(
            input_size,
            size,
            layers,
            bidirectional=True,
            dropout=dropout if layers > 1 else 0.0,
        )
        self.dropout = Dropout(dropout)

    def forward(self, embedded: Float[Tensor, "B S E"], lengths: Int[Tensor, " B"]) -> Encoding:
        """Encode embedded sources; `lengths` stay on the CPU."""
        recurrence = self.recurrence
        start = embedded.new_zeros(
            (2 * recurrence.num_layers, len(embedded), recurrence.hidden_size),
            dtype=at_least_fp32(embedded.dtype),
        )
        states, final = run_gru(recurrence, embedded.transpose(0, 1), start, lengths=lengths)
        states = states.transpose(0, 1)  # (B, S, M)
        summary = torch.cat([final[-2], final[-1]], dim=-1)
        return Encoding(self.dropout(states), self.dropout(summary))
