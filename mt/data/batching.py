"""Batches: sentences as padded tensors, and the loader that makes those of an epoch."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from mt.data.sampling import BatchSampler
from mt.data.tokenizer import BOS_ID, EOS_ID, PAD_ID, TokenizerPair

if TYPE_CHECKING:
    from mt.data.encoding import EncodedSplit


MAX_PIECES = 1000
"""The rest of a longer sentence is cut off: time and memory grow with the square of its length."""

_log = logging.getLogger(__name__)


class Pair(NamedTuple):
    """The piece ids of a sentence and its translation, without BOS and EOS."""

    src: list[int]
    tgt: list[int]


class Sources(NamedTuple):
    """Padded sources: `src` (B, S) int64, each row ends in EOS; `src_lengths` (B,) counts it."""

    src: Int[Tensor, "B S"]
    src_lengths: Int[Tensor, " B"]


class Batch(NamedTuple):
    """Padded pairs, padding on the right.

    Attributes:
        src: (B, S) int64, each row ends in EOS.
        src_lengths: (B,) int64, counts EOS; always on the CPU.
        tgt_in: (B, T) int64, each row starts with BOS.
        tgt_out: (B, T) int64, each row ends in EOS.
    """

    src: Int[Tensor, "B S"]
    src_lengths: Int[Tensor, " B"]
    tgt_in: Int[Tensor, "B T"]
    tgt_out: Int[Tensor, "B T"]

    @property
    def n_tokens(self) -> int:
        """The number of real target tokens, EOS included."""
        return int((self.tgt_out != PAD_ID).sum())

    def to(self, device: torch.device | str) -> Self:
        """Move the ids to a device; `src_lengths` stay on the CPU."""
        return self._replace(
            src=self.src.to(device), tgt_in=self.tgt_in.to(device), tgt_out=self.tgt_out.to(device)
        )

    def silenced(self) -> Self:
        """Make every target token padding: a batch of the same cost that teaches nothing."""
        return self._replace(tgt_out=torch.full_like(self.tgt_out, PAD_ID))


class _Ragged(NamedTuple):
    """Sequences of different lengths, end to end: `ids` (sum of lengths,), `lengths` (B,)."""

    ids: np.ndarray
    lengths: np.ndarray


class _Rows(NamedTuple):
    """The row numbers of a batch, and its place in the order of training."""

    numbers: list[int]
    epoch: int
    position: int


def cut_pairs(pairs: Sequence[Pair], *, where: str) -> list[Pair]:
    """Cut both sides to `MAX_PIECES`, with a logged warning that says where the pairs are from."""
    n_long = sum(max(len(pair.src), len(pair.tgt)) > MAX_PIECES for pair in pairs)
    if n_long:
        _log.warning(
            "%s: %d pairs with more than %d pieces on a side are cut there; split their sentences",
            where,
            n_long,
            MAX_PIECES,
        )
    return [Pair(pair.src[:MAX_PIECES], pair.tgt[:MAX_PIECES]) for pair in pairs]


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


class BatchLoader:
    """The batches of an epoch, update by update, with subword regularisation where it is wanted.

    Args:
        encoded: The encoded training split.
        sampler: Chooses the rows; its position is the position of the loader.
        tokenizers: Draw other segmentations of the text when `sample_alpha` is above 0.
        sample_alpha: As in `TokenizerConfig`.
        seed: With epoch and batch number it decides the draws, so that a resumed run repeats them.
        accumulate: Batches of one update; the last update of an epoch may have fewer.
        rank: The process whose share of every update this is, from 0.
        size: How many processes share an update out.

    Raises:
        ValueError: `accumulate` batches do not go evenly into `size` shares.
    """

    def __init__(
        self,
        encoded: EncodedSplit,
        sampler: BatchSampler,
        *,
        tokenizers: TokenizerPair,
        sample_alpha: float,
        seed: int,
        accumulate: int = 1,
        rank: int = 0,
        size: int = 1,
    ) -> None:
        if accumulate % size != 0:
            raise ValueError(
                f"trainer.accumulate={accumulate} batches an update cannot be shared out evenly "
                f"among {size} processes: expected a multiple of {size}"
            )
        self.sampler = sampler
        self._table = encoded.dataset.with_format("arrow")
        self._tokenizers = tokenizers
        self._sample_alpha = sample_alpha
        self._seed = seed
        self._accumulate, self._rank, self._size = accumulate, rank, size

    def __len__(self) -> int:
        """Return the number of updates in the current epoch."""
        return math.ceil(len(self.sampler) / self._accumulate)

    def __iter__(self) -> Iterator[list[Batch]]:
        """Yield this process's batches of each update that is left of the current epoch.

        Every process yields as often as the others, and every time at least one batch.
        """
        update: list[_Rows] = []
        for rows in self.sampler:
            update.append(_Rows(rows, self.sampler.epoch, self.sampler.position))
            if len(update) == self._accumulate:
                yield self._share(update)
                update = []
        if update:
            yield self._share(update)

    def _share(self, update: list[_Rows]) -> list[Batch]:
        mine = update[self._rank :: self._size]
        return [self._batch(rows) for rows in mine] or [self._batch(update[0]).silenced()]

    def _batch(self, rows: _Rows) -> Batch:
        table = self._table[rows.numbers]
        if self._sample_alpha == 0:
            return _batch(_ragged_column(table["src_ids"]), _ragged_column(table["tgt_ids"]))
        seeds = np.random.SeedSequence([self._seed, rows.epoch, rows.position]).generate_state(2)
        src, tgt = (
            tokenizer.sample(table[side].to_pylist(), alpha=self._sample_alpha, seed=int(seed))
            for tokenizer, side, seed in zip(self._tokenizers, ("src", "tgt"), seeds, strict=True)
        )
        return _batch(_ragged(src), _ragged(tgt))


def _batch(src: _Ragged, tgt: _Ragged) -> Batch:
    sources = _sources(src)
    tgt_out = _padded(tgt)
    tgt_in = np.empty_like(tgt_out)
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
