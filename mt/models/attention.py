"""Attention: five score functions and the masked, weighted sum that they share.

s is the decoder state that asks, the query; hⱼ is the encoder state at source position j.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from mt.choices import ScoreKind
from mt.models.precision import at_least_fp32
from mt.models.tanh import tanh

_AT_ONCE_ON_GPU = 1 << 26  # numbers of a (B, ·, S, A): 256 MiB in fp32


class Memory(NamedTuple):
    """The source sentences as a decoder sees them.

    Attributes:
        states: Encoder states, (B, S, M).
        keys: The states as the score function wants them, projected once, (B, S, A).
        mask: True where there is a real token, (B, S).
    """

    states: Float[Tensor, "B S M"]
    keys: Float[Tensor, "B S A"]
    mask: Bool[Tensor, "B S"]

    def select(self, rows: Tensor) -> "Memory":
        """Return the memory of the given sentences, in that order."""
        return Memory(self.states[rows], self.keys[rows], self.mask[rows])


class Attended(NamedTuple):
    """What attention returns: context (B, T, M) and weights (B, T, S)."""

    context: Float[Tensor, "B T M"]
    weights: Float[Tensor, "B T S"]


class AdditiveScore(nn.Module):
    """score(s, h) = vᵀ tanh(W s + U h + b); Bahdanau et al. 2015, A.1.2, which writes no biases."""

    def __init__(self, *, query_size: int, memory_size: int, attention_size: int) -> None:
        super().__init__()
        self.query = nn.Linear(query_size, attention_size, bias=False)  # W
        self.key = nn.Linear(memory_size, attention_size)  # U and b
        self.energy = nn.Linear(attention_size, 1, bias=False)  # v

    def project(self, states: Float[Tensor, "B S M"]) -> Float[Tensor, "B S A"]:
        """Return U h + b."""
        keys: Tensor = self.key(states)
        return keys.to(at_least_fp32(keys.dtype))

    def forward(
        self, query: Float[Tensor, "B T H"], keys: Float[Tensor, "B S A"]
    ) -> Float[Tensor, "B T S"]:
        """Score every query against every key."""
        projected = self.query(query).to(keys.dtype)
        # A CPU's cache holds the (B, 1, S, A) of one query; a GPU wants many, within its memory.
        at_once = max(1, _AT_ONCE_ON_GPU // keys.numel()) if projected.is_cuda else 1
        energy = self.energy.weight.squeeze(0).to(keys.dtype)  # v
        with torch.autocast(query.device.type, enabled=False):  # tanh and sum in fp32
            energies = [
                tanh(part.unsqueeze(2) + keys.unsqueeze(1)) @ energy  # (B, ·, S)
                for part in projected.split(at_once, dim=1)
            ]
        return torch.cat(energies, dim=1)


class DotScore(nn.Module):
    """score(s, h) = sᵀ h; Luong et al. 2015, 3.1 (dot).

    Times `scale`, which is 1/√M for the scaled dot product (Vaswani et al. 2017, eq. 1); with
    `squash`, passed through tanh, so that every score lies between -1 and 1 (from neither paper: no
    weight can then be more than e² = 7.4 times another, and attention cannot settle on one word).
    """

    def __init__(self, *, scale: float = 1.0, squash: bool = False) -> None:
        super().__init__()
        self.scale = scale
        self.squash = squash

    def project(self, states: Float[Tensor, "B S M"]) -> Float[Tensor, "B S M"]:
        """Return the states as they are."""
        return states

    def forward(
        self, query: Float[Tensor, "B T M"], keys: Float[Tensor, "B S M"]
    ) -> Float[Tensor, "B T S"]:
        """Score every query against every key."""
        scores = torch.bmm(query, keys.transpose(1, 2)) * self.scale
        return tanh(scores) if self.squash else scores


class GeneralScore(nn.Module):
    """score(s, h) = sᵀ W h; Luong et al. 2015, 3.1 (general)."""

    def __init__(self, *, query_size: int, memory_size: int) -> None:
        super().__init__()
        self.key = nn.Linear(memory_size, query_size, bias=False)  # W

    def project(self, states: Float[Tensor, "B S M"]) -> Float[Tensor, "B S H"]:
        """Return W h."""
        keys: Tensor = self.key(states)
        return keys

    def forward(
        self, query: Float[Tensor, "B T H"], keys: Float[Tensor, "B S H"]
    ) -> Float[Tensor, "B T S"]:
        """Score every query against every key."""
        return torch.bmm(query, keys.transpose(1, 2))


def build_score(
    kind: ScoreKind, *, query_size: int, memory_size: int, attention_size: int
) -> AdditiveScore | DotScore | GeneralScore:
    """Build the score function of this kind; a dot product needs queries as wide as the memory."""
    if kind is ScoreKind.additive:
        return AdditiveScore(
            query_size=query_size, memory_size=memory_size, attention_size=attention_size
        )
    if kind is ScoreKind.general:
        return GeneralScore(query_size=query_size, memory_size=memory_size)
    scale = 1 / math.sqrt(memory_size) if kind is ScoreKind.scaled_dot else 1.0
    return DotScore(scale=scale, squash=kind is ScoreKind.tanh_dot)


class Attention(nn.Module):
    """α = softmax over real positions of score(s, hⱼ); c = Σⱼ αⱼ hⱼ.

    Bahdanau et al. 2015, eq. 5-6, with α the `weights` and c the `context`. T counts the queries of
    a sentence: the steps of its target in training (one at a time where the context feeds the next
    step), its prefixes in search.
    """

    def __init__(self, score: AdditiveScore | DotScore | GeneralScore) -> None:
        super().__init__()
        self.score = score

    def project(self, states: Float[Tensor, "B S M"]) -> Float[Tensor, "B S A"]:
        """Return what of the score depends on the source alone."""
        return self.score.project(states)

    def forward(self, query: Float[Tensor, "B T H"], memory: Memory) -> Attended:
        """Look at the source once for every query."""
        scores = self.score(query, memory.keys).to(memory.states.dtype)
        scores = scores.masked_fill(~memory.mask.unsqueeze(1), float("-inf"))
        weights = torch.softmax(scores, dim=-1)
        with torch.autocast(weights.device.type, enabled=False):
            return Attended(torch.bmm(weights, memory.states), weights)
