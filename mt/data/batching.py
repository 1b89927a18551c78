"""Batches: padded tensors, and the order in which training meets them.

A batch has a budget of tokens rather than a number of sentences, and holds sentences of similar
length, so that little of it is padding. The order of an epoch is a function of seed and epoch
alone: to go on where a run stopped, a position is enough.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from mt.config import TokenizerConfig
from mt.data.tokenizer import BOS_ID, EOS_ID, PAD_ID, TokenizerPair

if TYPE_CHECKING:
    from mt.data.encoding import EncodedSplit


class Pair(NamedTuple):
    """The piece ids of a sentence and its translation, without BOS and EOS."""

    src: list[int]
    tgt: list[int]


class Sources(NamedTuple):
    """Padded sources: `src` (B, S) int64, each row ends in EOS; `src_lengths` (B,) counts it."""

    src: Tensor
    src_lengths: Tensor


class Batch(NamedTuple):
    """Padded pairs, padding on the right.

    Attributes:
        src: (B, S) int64, each row ends in EOS.
        src_lengths: (B,) int64, counts EOS; always on the CPU.
        tgt_in: (B, T) int64, each row starts with BOS.
        tgt_out: (B, T) int64, each row ends in EOS.
    """

    src: Tensor
    src_lengths: Tensor
    tgt_in: Tensor
    tgt_out: Tensor

    @property
    def n_tokens(self) -> int:
        """The number of real target tokens, EOS included."""
        return int((self.tgt_out != PAD_ID).sum())

    def to(self, device: torch.device | str) -> Self:
        """Move the ids to a device; `src_lengths` stay on the CPU."""
        return self._replace(
            src=self.src.to(device), tgt_in=self.tgt_in.to(device), tgt_out=self.tgt_out.to(device)
        )


class _Ragged(NamedTuple):
    """Sequences of different lengths, end to end: `ids` (sum of lengths,), `lengths` (B,)."""

    ids: np.ndarray
    lengths: np.ndarray


def collate(pairs: Sequence[Pair]) -> Batch:
    """Make a batch of pairs.

    Raises:
        ValueError: There is no pair.
    """
    return _batch(_ragged([pair.src for pair in pairs]), _ragged([pair.tgt for pair in pairs]))


def collate_sources(sources: Sequence[list[int]]) -> Sources:
    """Make a batch of sources alone, for translation.

    Raises:
        ValueError: There is no source.
    """
    return _sources(_ragged(sources))


class BatchSampler:
    """The rows of each batch of each epoch.

    Iterating yields the batches from the current position to the end of the epoch, and then moves
    on to the next epoch; a state saved after the last batch still belongs to the epoch that it
    ends. Within an epoch every row comes exactly once.

    Attributes:
        epoch: The current epoch, from 0.
        position: Batches of this epoch that were handed out.

    Args:
        src_lengths: Pieces of each source, (rows,).
        tgt_lengths: Pieces of each target, (rows,).
        batch_tokens: The budget: rows times the longest side of the batch, with EOS or BOS. A pair
            that is longer makes a batch of its own.
        seed: Decides the order of all epochs.
        shuffle: Whether rows of one length, and then the batches, come in random order; otherwise
            from short to long.

    Raises:
        ValueError: There is no row, or the sides differ in length.
    """

    def __init__(
        self,
        src_lengths: np.ndarray,
        tgt_lengths: np.ndarray,
        *,
        batch_tokens: int,
        seed: int,
        shuffle: bool = True,
    ) -> None:
        if len(src_lengths) != len(tgt_lengths) or len(src_lengths) == 0:
            raise ValueError(
                f"{len(src_lengths)} sources and {len(tgt_lengths)} targets: "
                "accepted is the same number, at least 1"
            )
        self.epoch = 0
        self.position = 0
        self._lengths = np.maximum(src_lengths, tgt_lengths).astype(np.int32) + 1
        self._batch_tokens = batch_tokens
        self._seed = seed
        self._shuffle = shuffle
        digest = hashlib.blake2b(repr((batch_tokens, shuffle)).encode(), digest_size=16)
        for lengths in (src_lengths, tgt_lengths):
            digest.update(np.asarray(lengths, dtype=np.int32).tobytes())
        self._check = digest.hexdigest()
        self._plan: _Plan | None = None

    def __len__(self) -> int:
        """Return the number of batches in the current epoch."""
        return len(self._current_plan().bounds)

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the row numbers of each batch that is left of the current epoch."""
        plan = self._current_plan()
        while self.position < len(plan.bounds):
            start, stop = plan.bounds[self.position]
            self.position += 1
            yield plan.rows[start:stop].tolist()
        self.epoch += 1
        self.position = 0

    def state_dict(self) -> dict[str, int | str]:
        """Return the place in the data, as plain values."""
        return {
            "epoch": self.epoch,
            "position": self.position,
            "seed": self._seed,
            "check": self._check,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to a place that `state_dict` returned.

        Raises:
            ValueError: Seed, data or budget is another, so that the place means nothing here.
        """
        if state["seed"] != self._seed:
            raise ValueError(
                f"seed={self._seed}, but the saved place in the data is of seed={state['seed']}: "
                "resume with the same seed, or start a new run"
            )
        if state["check"] != self._check:
            raise ValueError(
                "the training data are not those of the saved place (the sentences, the tokenizer, "
                "data.max_length or trainer.batch_tokens changed): resume with the same, or start "
                "a new run"
            )
        self.epoch = state["epoch"]
        self.position = state["position"]

    def _current_plan(self) -> _Plan:
        if self._plan is None or self._plan.epoch != self.epoch:
            self._plan = self._make_plan()
        return self._plan

    def _make_plan(self) -> _Plan:
        if not self._shuffle:
            rows = np.argsort(self._lengths, kind="stable")
            return _Plan(self.epoch, rows, self._cut(self._lengths[rows]))
        rng = np.random.default_rng([self._seed, self.epoch])
        noise = rng.random(
            len(self._lengths), dtype=np.float32
        )  # below 1: mixes equal lengths only
        rows = np.argsort(self._lengths + noise)
        bounds = self._cut(self._lengths[rows])
        return _Plan(self.epoch, rows, rng.permutation(bounds))

    def _cut(self, lengths: np.ndarray) -> np.ndarray:
        """Cut rows, sorted by length, into consecutive batches within the budget: (batches, 2)."""
        bounds = []
        start = 0
        while start < len(lengths):
            most = max(1, self._batch_tokens // int(lengths[start]) + 1)
            longest = lengths[start : start + most].astype(np.int64)
            costs = longest * np.arange(1, len(longest) + 1)
            size = max(1, int(np.searchsorted(costs, self._batch_tokens, side="right")))
            bounds.append((start, start + size))
            start += size
        return np.array(bounds, dtype=np.int64)


class _Plan(NamedTuple):
    """The order of one epoch: batch `i` is `rows[bounds[i, 0] : bounds[i, 1]]`."""

    epoch: int
    rows: np.ndarray
    bounds: np.ndarray


class BatchLoader:
    """The batches of an epoch, with subword regularisation where it is wanted.

    Args:
        encoded: The encoded training split.
        sampler: Chooses the rows; its position is the position of the loader.
        tokenizers: Draw other segmentations of the text when `sample_nbest` is above 0.
        tokenizer_config: `sample_nbest` and `sample_alpha`.
        seed: With epoch and batch number it decides the draws, so that a resumed run repeats them.
    """

    def __init__(
        self,
        encoded: EncodedSplit,
        sampler: BatchSampler,
        *,
        tokenizers: TokenizerPair,
        tokenizer_config: TokenizerConfig,
        seed: int,
    ) -> None:
        self.sampler = sampler
        self._table = encoded.dataset.with_format("arrow")
        self._tokenizers = tokenizers
        self._config = tokenizer_config
        self._seed = seed

    def __len__(self) -> int:
        """Return the number of batches in the current epoch."""
        return len(self.sampler)

    def __iter__(self) -> Iterator[Batch]:
        """Yield what is left of the current epoch."""
        for rows in self.sampler:
            table = self._table[rows]
            if self._config.sample_nbest == 0:
                yield _batch(_ragged_column(table["src_ids"]), _ragged_column(table["tgt_ids"]))
            else:
                rng = np.random.default_rng([self._seed, self.sampler.epoch, self.sampler.position])
                yield self._sampled(table["src"].to_pylist(), table["tgt"].to_pylist(), rng=rng)

    def _sampled(self, src: list[str], tgt: list[str], *, rng: np.random.Generator) -> Batch:
        nbest, alpha = self._config.sample_nbest, self._config.sample_alpha
        sides = [
            [tokenizer.sample(text, nbest=nbest, alpha=alpha, rng=rng) for text in texts]
            for tokenizer, texts in zip(self._tokenizers, (src, tgt), strict=True)
        ]
        return _batch(_ragged(sides[0]), _ragged(sides[1]))


def _batch(src: _Ragged, tgt: _Ragged) -> Batch:
    n_rows, width = len(tgt.lengths), int(tgt.lengths.max(initial=0)) + 1
    sources = _sources(src)
    tgt_out = _padded(tgt)
    tgt_in = np.empty((n_rows, width), dtype=np.int64)
    tgt_in[:, 0] = BOS_ID
    tgt_in[:, 1:] = np.where(tgt_out[:, :-1] == EOS_ID, PAD_ID, tgt_out[:, :-1])
    return Batch(*sources, torch.from_numpy(tgt_in), torch.from_numpy(tgt_out))


def _sources(src: _Ragged) -> Sources:
    lengths = src.lengths.astype(np.int64) + 1
    return Sources(torch.from_numpy(_padded(src)), torch.from_numpy(lengths))


def _padded(ragged: _Ragged) -> np.ndarray:
    """Lay sequences out in rows, EOS after each, padding after that: (B, longest + 1) int64."""
    if len(ragged.lengths) == 0:
        raise ValueError("a batch needs at least one sentence")
    places = np.arange(int(ragged.lengths.max()) + 1)
    lengths = ragged.lengths[:, None]
    padded = np.where(places == lengths, EOS_ID, PAD_ID)  # (B, longest + 1)
    padded[places < lengths] = ragged.ids
    return padded


def _ragged(sequences: Sequence[list[int]]) -> _Ragged:
    lengths = np.fromiter(map(len, sequences), dtype=np.int64, count=len(sequences))
    ids = np.fromiter(chain.from_iterable(sequences), dtype=np.int64, count=int(lengths.sum()))
    return _Ragged(ids, lengths)


def _ragged_column(column: Any) -> _Ragged:
    """Take the sequences out of an Arrow column of lists, with no Python object for each id."""
    lists = column.combine_chunks()
    return _Ragged(lists.flatten().to_numpy(), np.diff(lists.offsets.to_numpy()))
