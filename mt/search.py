"""Beam search over a step function. It knows tokens and log-probabilities, not models."""

from collections.abc import Callable
from typing import NamedTuple, Protocol, Self

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mt.data.tokenizer import BOS_ID, EOS_ID, PAD_ID


class Hypothesis(NamedTuple):
    """One translation found.

    Attributes:
        tokens: Target ids without BOS and EOS.
        score: log_prob divided by the length penalty; what hypotheses are ranked by.
        log_prob: Natural log-probability of the tokens and the EOS.
        alignment: Attention weights (T, S), a row a token and one for the EOS; None without attention.
    """

    tokens: list[int]
    score: float
    log_prob: float
    alignment: Float[Tensor, "T S"] | None


class State(Protocol):
    """What the step function carries along."""

    def select(self, rows: Tensor, sentences: Tensor | None) -> Self:
        """Keep these rows, and what belongs to these sentences; None keeps every sentence."""
        ...


class Step(NamedTuple):
    """What a step function returns: log-probabilities (N, V), weights (N, S) or None, the next state."""

    log_probs: Tensor
    weights: Tensor | None
    state: State


def length_penalty_divisor(length: int, alpha: float) -> float:
    """Return ((5 + length) / 6)^α; Wu et al. 2016, eq. 14. `length` counts the EOS."""
    return ((5 + length) / 6) ** alpha


class _Beams:
    """The unfinished sentences: K live prefixes each, and how they came about."""

    def __init__(self, n_sentences: int, beam_size: int, device: torch.device) -> None:
        self.sentences = torch.arange(n_sentences, device=device)  # (B,)
        self.beam_size = beam_size
        self.tokens = torch.empty(
            n_sentences, beam_size, 0, dtype=torch.long, device=device
        )  # (B, K, t)
        self.weights: Tensor | None = None  # (B, K, t, S)
        # All K prefixes of a sentence are the same at first, so only one of them may be extended.
        self.log_probs = torch.full((n_sentences, beam_size), float("-inf"), device=device)
        self.log_probs[:, 0] = 0.0

    def extend(
        self, parents: Tensor, tokens: Tensor, log_probs: Tensor, weights: Tensor | None
    ) -> None:
        """Replace every prefix by a parent (B, K) and a token (B, K)."""
        self.log_probs = log_probs
        history = self.tokens.gather(1, parents.unsqueeze(-1).expand(-1, -1, self.tokens.shape[-1]))
        self.tokens = torch.cat([history, tokens.unsqueeze(-1)], dim=-1)
        if weights is not None:
            row = torch.arange(len(parents), device=parents.device).unsqueeze(-1)
            new = weights.unflatten(0, parents.shape)[row, parents].unsqueeze(2)  # (B, K, 1, S)
            self.weights = (
                new if self.weights is None else torch.cat([self.weights[row, parents], new], dim=2)
            )

    def keep(self, kept: Tensor) -> None:
        """Drop the sentences that are done."""
        self.sentences, self.tokens, self.log_probs = (
            self.sentences[kept],
            self.tokens[kept],
            self.log_probs[kept],
        )
        self.weights = None if self.weights is None else self.weights[kept]


@torch.no_grad()
def beam_search(
    step: Callable[[Tensor, State], Step],
    state: State,
    *,
    beam_size: int,
    max_length: Int[Tensor, " B"],
    length_penalty: float,
    n_best: int = 1,
) -> list[list[Hypothesis]]:
    """Find for every sentence the hypotheses of highest score; a beam of 1 is greedy search.

    A sentence is done when `beam_size` of its hypotheses have ended, or at its own `max_length`, where only EOS is allowed; it
    then leaves the batch. What is found for a sentence does not depend on the
    others.

    Args:
        step: Maps tokens (N,) and a state to log-probabilities (N, V), weights (N, S) or None, and a state.
        state: The state of B sentences, one row each, before BOS is read.
        beam_size: K, live prefixes a sentence.
        max_length: The most tokens of each sentence, EOS included, (B,).
        length_penalty: α of Wu et al. 2016, eq. 14; 0 ranks by log-probability.
        n_best: How many hypotheses to return a sentence, at most `beam_size`.

    Returns:
        `n_best` hypotheses a sentence, best first (fewer where the beam found fewer).

    Raises:
        ValueError: `n_best` above `beam_size`, or a length limit below 1.
    """
    if not 1 <= n_best <= beam_size:
        raise ValueError(
            f"n_best={n_best}: accepted is 1 to the beam size ({beam_size}); raise the beam size"
        )
    if len(max_length) and int(max_length.min()) < 1:
        raise ValueError(
            f"max_length={int(max_length.min())}: accepted is 1 or more, since the EOS counts"
        )
    device, n_sentences = max_length.device, len(max_length)
    beams = _Beams(n_sentences, beam_size, device)
    finished: list[list[Hypothesis]] = [[] for _ in range(n_sentences)]
    limits = max_length
    first = torch.arange(n_sentences, device=device).repeat_interleave(beam_size)
    state = state.select(first, None)
    last = torch.full((n_sentences * beam_size,), BOS_ID, device=device)
    length = 0
    while len(beams.sentences):
        length += 1
        log_probs, weights, state = step(last, state)
        log_probs = _forbid(log_probs.unflatten(0, (-1, beam_size)), limits == length)
        vocab_size = log_probs.shape[-1]
        totals = (beams.log_probs.unsqueeze(-1) + log_probs).flatten(1)  # (B, K·V)
        # 2K candidates: even if K of them end, K prefixes live on.
        top, index = totals.topk(min(2 * beam_size, totals.shape[-1]), dim=-1)
        parents, tokens = index // vocab_size, index % vocab_size
        _finish(finished, beams, top, parents, tokens, weights, length, length_penalty)
        live = top.masked_fill(tokens == EOS_ID, float("-inf"))
        best, order = live.topk(beam_size, dim=-1)
        parents, tokens = parents.gather(1, order), tokens.gather(1, order)
        beams.extend(parents, tokens, best, weights)
        kept = _unfinished(finished, beams, limits, length)
        rows = (torch.arange(len(kept), device=device).unsqueeze(-1) * beam_size + parents)[
            kept
        ].flatten()
        if bool(kept.all()):
            state = state.select(rows, None)
        else:
            state = state.select(rows, kept.nonzero().squeeze(-1))
            beams.keep(kept)
            limits = limits[kept]
        last = beams.tokens[..., -1].flatten()
    for hypotheses in finished:
        hypotheses.sort(key=lambda hypothesis: -hypothesis.score)
    return [hypotheses[:n_best] for hypotheses in finished]


def _forbid(log_probs: Tensor, at_limit: Tensor) -> Tensor:
    """Rule out PAD and BOS everywhere, and all but EOS for the sentences (B,) that are at their limit."""
    log_probs = log_probs.clone()
    log_probs[..., PAD_ID] = float("-inf")
    log_probs[..., BOS_ID] = float("-inf")
    end = log_probs[..., EOS_ID].clone()
    log_probs.masked_fill_(at_limit[:, None, None], float("-inf"))
    log_probs[..., EOS_ID] = end
    return log_probs


def _finish(
    finished: list[list[Hypothesis]],
    beams: _Beams,
    top: Tensor,
    parents: Tensor,
    tokens: Tensor,
    weights: Tensor | None,
    length: int,
    length_penalty: float,
) -> None:
    """Move the candidates that end now, among the best K, to their sentences' finished hypotheses."""
    ends = (tokens == EOS_ID) & (top > float("-inf"))
    ends[:, beams.beam_size :] = False
    divisor = length_penalty_divisor(length, length_penalty)
    for b, k in ends.nonzero().tolist():
        parent = int(parents[b, k])
        alignment = None
        if weights is not None:
            row = weights[b * beams.beam_size + parent].unsqueeze(0)
            alignment = row if beams.weights is None else torch.cat([beams.weights[b, parent], row])
        log_prob = float(top[b, k])
        hypotheses = finished[int(beams.sentences[b])]
        hypotheses.append(
            Hypothesis(beams.tokens[b, parent].tolist(), log_prob / divisor, log_prob, alignment)
        )


def _unfinished(
    finished: list[list[Hypothesis]], beams: _Beams, limits: Tensor, length: int
) -> Tensor:
    """Return which sentences (B,) go on: those below their limit with fewer than K finished hypotheses."""
    full = [len(finished[sentence]) >= beams.beam_size for sentence in beams.sentences.tolist()]
    dead = beams.log_probs[:, 0] == float("-inf")
    return (limits > length) & ~dead & ~torch.tensor(full, dtype=torch.bool, device=limits.device)
