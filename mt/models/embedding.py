"""Word embeddings with two kinds of dropout."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mt.data.tokenizer import PAD_ID
from mt.models.dropout import Dropout


class Embedding(nn.Module):
    """Token vectors, times √E so that a matrix shared with the output layer serves both.

    The scale is that of Vaswani et al. 2017, 3.4. Word dropout replaces whole vectors by zero, one
    draw a position, made before any recurrence runs (Sennrich & Zhang 2019, 3.3; Gal & Ghahramani
    2016 drop all occurrences of a type at once); what is left is scaled up as in `nn.Dropout`, and
    ordinary dropout follows.
    """

    def __init__(self, vocab_size: int, size: int, *, dropout: float, word_dropout: float) -> None:
        super().__init__()
        self.table = nn.Embedding(vocab_size, size, padding_idx=PAD_ID)
        nn.init.normal_(self.table.weight, std=size**-0.5)
        with torch.no_grad():
            self.table.weight[PAD_ID].zero_()
        self.scale = math.sqrt(size)
        self.dropout = Dropout(dropout)
        self.word_dropout = Dropout(word_dropout)

    def forward(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B T E"]:
        """Return the vectors of these tokens."""
        vectors = self.table(tokens) * self.scale
        if self.training and self.word_dropout.p > 0:
            vectors = vectors * self.word_dropout(vectors.new_ones(*tokens.shape, 1))
        dropped: Tensor = self.dropout(vectors)
        return dropped
