"""The order in which training meets the data.

A batch has a budget of tokens rather than a number of sentences, and holds sentences of similar
length, so that little of it is padding. The order of an epoch is a function of seed and epoch
alone: to go on where a run stopped, a position is enough.
"""

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

# The rows of a batch are a multiple of this: products then have fewer shapes, for each of which a
# kernel is made and kept, and they fill the tiles of the processor.
_MULTIPLE = 8


class _Plan(NamedTuple):
    """The order of one epoch: batch `i` is `rows[bounds[i, 0] : bounds[i, 1]]`."""

    epoch: int
    rows: np.ndarray
    bounds: np.ndarray


class BatchSampler:
    """The rows of each batch of each epoch.

    Iterating yields the batches from the current position to the end of the epoch, and moves on to
    the next epoch when it is asked for one more. Within an epoch every row comes exactly once.

    Attributes:
        epoch: The current epoch, from 0.
        position: Batches of this epoch that were handed out.

    Args:
        src_lengths: Pieces of each source, (rows,).
        tgt_lengths: Pieces of each target, (rows,).
        batch_tokens: The budget: rows times the longest side of the batch, with EOS or BOS. A pair
            that is longer makes a batch of its own. Segmentations that are drawn anew every time
            (`tokenizer.sample_alpha`) are mostly longer than these lengths say, by up to half.
        seed: Decides the order of all epochs.
        content: A hash of the sentences, for which alone a saved place is valid.
        together: How many batches of similar length follow each other: those of an update, which
            processes then finish at about the same time.

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
        content: str = "",
        together: int = 1,
    ) -> None:
        if len(src_lengths) != len(tgt_lengths) or len(src_lengths) == 0:
            raise ValueError(
                f"{len(src_lengths)} sources and {len(tgt_lengths)} targets: "
                "expected the same number, at least 1"
            )
        self.epoch = 0
        self.position = 0
        self._lengths = np.maximum(src_lengths, tgt_lengths).astype(np.int32) + 1
        self._batch_tokens = batch_tokens
        self._seed = seed
        self._together = together
        options = repr((batch_tokens, content, together))
        digest = hashlib.blake2b(options.encode(), digest_size=16)
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
                "the data are not those of the saved place (the sentences of training or "
                "validation, the tokenizer, data.max_length or trainer.batch_tokens changed): "
                "resume with the same, or start a new run"
            )
        self.epoch = state["epoch"]
        self.position = state["position"]

    def _current_plan(self) -> _Plan:
        if self._plan is None or self._plan.epoch != self.epoch:
            self._plan = self._make_plan()
        return self._plan

    def _make_plan(self) -> _Plan:
        rng = np.random.default_rng([self._seed, self.epoch])
        # Below 1, so that it mixes rows of one length only.
        noise = rng.random(len(self._lengths), dtype=np.float32)
        rows = np.argsort(self._lengths + noise, kind="stable")  # ties alike on every processor
        bounds = self._cut(self._lengths[rows])
        return _Plan(self.epoch, rows, self._mix(bounds, rng))

    def _mix(self, bounds: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Bring batches into random order, `together` neighbours at a time, the rest at the end."""
        n_rest = len(bounds) % self._together
        rest = rng.choice(len(bounds), n_rest, replace=False)
        groups = np.delete(bounds, rest, axis=0).reshape(-1, self._together, 2)
        return np.concatenate([rng.permutation(groups).reshape(-1, 2), bounds[rest]])

    def _cut(self, lengths: np.ndarray) -> np.ndarray:
        """Cut rows, sorted by length, into consecutive batches within the budget: (batches, 2)."""
        bounds = []
        start = 0
        while start < len(lengths):
            most = self._batch_tokens // int(lengths[start]) + 1
            longest = lengths[start : start + most].astype(np.int64)
            costs = longest * np.arange(1, len(longest) + 1)
            size = max(1, int(np.searchsorted(costs, self._batch_tokens, side="right")))
            if size > _MULTIPLE:
                size -= size % _MULTIPLE
            bounds.append((start, start + size))
            start += size
        return np.array(bounds, dtype=np.int64)
