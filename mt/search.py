"""Beam search over a step function. It knows tokens and log-probabilities, not models."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from mt.data.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID

_BLOCK = 64  # tokens of the vocabulary that are compared by their maximum first


class Hypothesis(NamedTuple):
    """One translation found.

    Attributes:
        tokens: Target ids without BOS and EOS.
        score: log_prob divided by the length penalty; what hypotheses are ranked by.
        log_prob: Natural log-probability of the tokens and the EOS.
        alignment: Attention weights (T, S), a row per token and one for the EOS; None without
            attention.
    """

    tokens: list[int]
    score: float
    log_prob: float
    alignment: Float[Tensor, "T S"] | None


AnyState = TypeVar("AnyState", bound="State")


@runtime_checkable
class State(Protocol):
    """What the step function carries along."""

    def select(self: AnyState, rows: Tensor, sentences: Tensor | None) -> AnyState:
        """Keep these rows, and what belongs to these sentences; None keeps every sentence."""
        ...


StepFunction = Callable[[Tensor, AnyState], tuple[Tensor, Tensor | None, AnyState]]


def length_penalty_divisor(length: int, alpha: float) -> float:
    """Return ((5 + length) / 6)^α; Wu et al. 2016, eq. 14. `length` counts the EOS."""
    return float(((5 + length) / 6) ** alpha)


class _Move(NamedTuple):
    """How the live prefixes came about at one step.

    Attributes:
        place: For each sentence of the whole search its row among the B unfinished ones, -1 once it
            is done, (all,).
        parents: The number of the earlier prefix that each new one extends, (B, K).
        tokens: The token that it is extended by, (B, K).
        weights: Where each earlier prefix looked while it was extended, (B, K before, S), or None.
    """

    place: Tensor
    parents: Tensor
    tokens: Tensor
    weights: Tensor | None


class _Record(NamedTuple):
    """A `_Move` copied off the device into arrays, whose elements and rows are fast to read.

    Lists would be as fast, but so many of them would set off the garbage collector.
    """

    place: np.ndarray
    parents: np.ndarray
    tokens: np.ndarray
    weights: np.ndarray | None


class _Ending(NamedTuple):
    """A finished hypothesis: prefix number `parent` of its sentence, then EOS as token `length`."""

    score: float
    log_prob: float
    parent: int
    length: int


@torch.inference_mode()
def beam_search(
    step: StepFunction[AnyState],
    state: AnyState,
    *,
    beam_size: int,
    max_length: Int[Tensor, " B"],
    length_penalty: float,
    n_best: int = 1,
) -> list[list[Hypothesis]]:
    """Find for every sentence the hypotheses of highest score; a beam of 1 is greedy search.

    A sentence is done when `beam_size` of its hypotheses have ended, at its own `max_length`, where
    only EOS is allowed, or when no prefix has a finite log-probability; it then leaves the batch.
    What is found for a sentence does not depend on the others.

    Args:
        step: Maps tokens (N,) and a state to log-probabilities (N, V), which the search overwrites,
            weights (N, S) or None, and the state after.
        state: The state of B sentences, one row each, before BOS is read.
        beam_size: K, the number of live prefixes of a sentence.
        max_length: The most tokens of each translation, EOS included, (B,).
        length_penalty: α of Wu et al. 2016, eq. 14; 0 ranks by log-probability.
        n_best: How many hypotheses to return for each sentence, at most `beam_size`.

    Returns:
        `n_best` hypotheses per sentence, best first (fewer where the beam found fewer).

    Raises:
        ValueError: `n_best` below 1 or above `beam_size`, or a length limit below 1.
    """
    _check(beam_size, max_length, n_best)
    device, n_sentences = max_length.device, len(max_length)
    sentences, limits = torch.arange(n_sentences, device=device), max_length  # the unfinished ones
    endings: list[list[_Ending]] = [[] for _ in range(n_sentences)]
    moves: list[_Move] = []
    totals = torch.zeros(n_sentences, 1, device=device)  # of the live prefixes; at first one: BOS
    last = torch.full((n_sentences,), BOS_ID, device=device)
    while len(sentences):
        length, n_live, unfinished = len(moves) + 1, totals.shape[1], sentences.tolist()
        log_probs, weights, state = step(last, state)
        log_probs = _forbid(log_probs.reshape(-1, n_live, log_probs.shape[-1]), limits == length)
        extensions = _best_extensions(totals, log_probs, 2 * beam_size)
        for b, ending in _ended(extensions, beam_size, length, length_penalty):
            endings[unfinished[b]].append(ending)
        totals, parents, tokens = _going_on(extensions, beam_size)
        place = torch.full((n_sentences,), -1, device=device)
        place[sentences] = torch.arange(len(sentences), device=device)
        if weights is not None:
            weights = weights.reshape(-1, n_live, weights.shape[-1])
        moves.append(_Move(place, parents, tokens, weights))

        n_found = [len(endings[sentence]) for sentence in unfinished]
        full = torch.tensor(n_found, device=device) >= beam_size
        kept = (limits > length) & ~full & (totals[:, 0] > float("-inf"))
        rows = torch.arange(len(kept), device=device).unsqueeze(-1) * n_live + parents
        everyone = bool(kept.all())
        state = state.select(rows[kept].flatten(), None if everyone else kept.nonzero().squeeze(-1))
        sentences, limits, totals = sentences[kept], limits[kept], totals[kept]
        last = tokens[kept].flatten()
    records = [_record(move) for move in moves]
    return [
        [_trace(records, sentence, ending) for ending in sorted(found, reverse=True)[:n_best]]
        for sentence, found in enumerate(endings)
    ]


def _check(beam_size: int, max_length: Tensor, n_best: int) -> None:
    if not 1 <= n_best <= beam_size:
        raise ValueError(
            f"n_best={n_best}: expected 1 to the beam size ({beam_size}); raise the beam size"
        )
    if len(max_length) and int(max_length.min()) < 1:
        raise ValueError(
            f"max_length={int(max_length.min())}: expected 1 or more, since the EOS counts"
        )


class _Extensions(NamedTuple):
    """A sentence's candidates, best first: total log-probability, parent and token, each (B, C)."""

    top: Tensor
    parents: Tensor
    tokens: Tensor


def _best_extensions(totals: Tensor, log_probs: Tensor, n_wanted: int) -> _Extensions:
    """Return the best ways to extend K prefixes (B, K) by a token (B, K, V).

    Twice the beam size is wanted, so that the beam lives on even if half of them end. The n best
    lie in the n blocks of the vocabulary with the highest maxima; to find those first is cheaper
    than to rank all extensions.
    """
    n_live, vocab_size = log_probs.shape[1:]
    n_wanted = min(n_wanted, n_live * vocab_size)
    if missing := -vocab_size % _BLOCK:
        log_probs = F.pad(log_probs, (0, missing), value=float("-inf"))
    blocks = log_probs.view(*log_probs.shape[:2], -1, _BLOCK)  # (B, K, blocks, _BLOCK)
    blocks = blocks.to(totals.dtype)  # a CPU takes the maxima of bf16 slowly
    n_blocks = blocks.shape[2]
    highest = (blocks.amax(dim=-1) + totals.unsqueeze(-1)).flatten(1)  # (B, K * blocks)
    best = highest.topk(min(n_wanted, highest.shape[1]), dim=-1).indices
    inside = blocks.flatten(1, 2).gather(1, best.unsqueeze(-1).expand(-1, -1, _BLOCK))
    candidates = inside + totals.gather(1, best // n_blocks).unsqueeze(-1)  # (B, wanted, _BLOCK)
    top, index = candidates.flatten(1).topk(n_wanted, dim=-1)
    block = best.gather(1, index // _BLOCK)
    tokens = block % n_blocks * _BLOCK + index % _BLOCK
    # The padding of the last block is taken only where too few finite extensions are left; its
    # index must be a token's all the same.
    return _Extensions(top, block // n_blocks, tokens.clamp_max(vocab_size - 1))


def _ended(
    extensions: _Extensions, beam_size: int, length: int, length_penalty: float
) -> Iterator[tuple[int, _Ending]]:
    """Yield the row and the hypothesis of what ends among the `beam_size` best extensions."""
    top, parents, tokens = (part[:, :beam_size] for part in extensions)
    ends = (tokens == EOS_ID) & (top > float("-inf"))
    divisor = length_penalty_divisor(length, length_penalty)
    rows = ends.nonzero()
    log_probs, prefixes = top[ends].tolist(), parents[ends].tolist()
    for b, log_prob, parent in zip(rows[:, 0].tolist(), log_probs, prefixes, strict=True):
        yield b, _Ending(log_prob / divisor, log_prob, parent, length)


def _going_on(extensions: _Extensions, beam_size: int) -> _Extensions:
    """Return the best extensions that do not end, at most `beam_size`."""
    top, parents, tokens = extensions
    totals = top.masked_fill(tokens == EOS_ID, float("-inf"))
    totals, order = totals.topk(min(beam_size, totals.shape[1]), dim=-1)
    return _Extensions(totals, parents.gather(1, order), tokens.gather(1, order))


def _record(move: _Move) -> _Record:
    place, parents, tokens, weights = move
    return _Record(
        place.cpu().numpy(),
        parents.cpu().numpy(),
        tokens.cpu().numpy(),
        None if weights is None else weights.cpu().numpy(),
    )


def _trace(records: Sequence[_Record], sentence: int, ending: _Ending) -> Hypothesis:
    """Follow a finished hypothesis back to its beginning."""
    tokens: list[int] = []
    weights: list[np.ndarray] = []
    prefix = ending.parent
    for t in range(ending.length - 1, -1, -1):
        record = records[t]
        b = record.place[sentence]
        if t < ending.length - 1:
            tokens.append(int(record.tokens[b, prefix]))
            prefix = record.parents[b, prefix]
        if record.weights is not None:
            weights.append(record.weights[b, prefix])
    alignment = torch.from_numpy(np.stack(weights[::-1])) if weights else None
    return Hypothesis(tokens[::-1], ending.score, ending.log_prob, alignment)


def _forbid(log_probs: Tensor, at_limit: Tensor) -> Tensor:
    """Rule out PAD, UNK and BOS, and all but EOS for the sentences (B,) that are at their limit.

    Changes the step's tensor in place: a copy would take half as long as the output layer.
    """
    log_probs[..., [PAD_ID, UNK_ID, BOS_ID]] = float("-inf")
    if at_limit.any():
        end = log_probs[at_limit, :, EOS_ID]
        log_probs[at_limit] = float("-inf")
        log_probs[at_limit, :, EOS_ID] = end
    return log_probs
