"""The lexical model: source words that are looked at vote for their translations."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mt.models.dropout import Dropout
from mt.models.tanh import tanh


class Lexical(nn.Module):
    """fˡ_t = tanh(Σⱼ α_tj xⱼ), hˡ_t = tanh(W fˡ_t + b) + fˡ_t.

    xⱼ is the embedding of source token j as the encoder reads it, scaled and with its dropout, and
    α_tj the attention that step t pays to it. Nguyen & Chiang 2018, "Improving Lexical Choice in
    Neural Machine Translation", 4, where W has no bias b.
    """

    def __init__(self, size: int, *, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(size, size)  # W and b
        self.dropout = Dropout(dropout)

    def forward(
        self, weights: Float[Tensor, "B T S"], embedded: Float[Tensor, "B S E"]
    ) -> Float[Tensor, "B T E"]:
        """Return hˡ of every step."""
        with torch.autocast(weights.device.type, enabled=False):
            words = tanh(torch.bmm(weights, embedded))
        features: Tensor = self.dropout(tanh(self.linear(words)) + words)
        return features


class LexicalOutput(nn.Module):
    """The output layer of features [f_t; hˡ_t]: logits = Wᵒ f_t + bᵒ + Wˡ hˡ_t.

    Nguyen & Chiang 2018, 4, who have a second bias bˡ; only the sum of the two would count.

    Args:
        recurrent: Wᵒ and bᵒ, the output layer of a model without a lexical part.
    """

    def __init__(self, recurrent: nn.Linear) -> None:
        super().__init__()
        self.recurrent = recurrent
        self.lexical = nn.Linear(recurrent.in_features, recurrent.out_features, bias=False)  # Wˡ
        self.out_features = recurrent.out_features

    @property
    def weight(self) -> Float[Tensor, "V W"]:
        """Return Wᵒ and Wˡ side by side, (V, 2E)."""
        return torch.cat([self.recurrent.weight, self.lexical.weight], dim=1)

    @property
    def bias(self) -> Float[Tensor, " V"]:
        """Return bᵒ."""
        return self.recurrent.bias

    def forward(self, features: Float[Tensor, "*N W"]) -> Float[Tensor, "*N V"]:
        """Return the logits, without a copy of both matrices side by side."""
        f, h_lexical = features.chunk(2, dim=-1)
        logits: Tensor = self.recurrent(f) + self.lexical(h_lexical)
        return logits
