"""The order of the batches: all rows, within the budget, from the seed, and resumable anywhere."""

import json
import sys
from types import FrameType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt.data.sampling import BatchSampler

LENGTHS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=120)
SRC = np.random.default_rng(1).integers(1, 30, 500).astype(np.int32)
TGT = np.maximum(1, SRC + np.random.default_rng(2).integers(-3, 4, 500)).astype(np.int32)


def sampler(*, batch_tokens: int = 200, seed: int = 1) -> BatchSampler:
    return BatchSampler(SRC, TGT, batch_tokens=batch_tokens, seed=seed)


@given(lengths=LENGTHS, batch_tokens=st.integers(1, 200))
def test_every_row_once_within_the_budget(
    lengths: list[tuple[int, int]], batch_tokens: int
) -> None:
    src, tgt = np.array(lengths).T
    batches = BatchSampler(src, tgt, batch_tokens=batch_tokens, seed=0)
    for _ in range(2):
        n_batches = len(batches)
        epoch = list(batches)
        assert len(epoch) == n_batches
        assert sorted(row for batch in epoch for row in batch) == list(range(len(src)))
        for batch in epoch:
            cost = len(batch) * (max(max(lengths[row]) for row in batch) + 1)
            assert cost <= batch_tokens or len(batch) == 1


def test_budget_is_used() -> None:
    longest = np.maximum(SRC, TGT)
    epoch = list(sampler())
    padded = sum(len(batch) * (longest[batch].max() + 1) for batch in epoch)
    assert padded / len(epoch) > 0.8 * 200
    assert (longest + 1).sum() / padded > 0.9


def test_rows_come_in_multiples_of_eight() -> None:
    lengths = np.random.default_rng(0).integers(1, 40, 5000)
    batches = list(BatchSampler(lengths, lengths, batch_tokens=600, seed=1))
    odd = [len(rows) for rows in batches if len(rows) > 8 and len(rows) % 8]
    assert len(odd) <= 1  # the longest rows, which are what is left


@pytest.mark.parametrize("together", [2, 3, 7])
def test_batches_of_an_update_are_of_similar_length(together: int) -> None:
    lengths = np.random.default_rng(0).integers(1, 90, 5000)
    sampler = BatchSampler(lengths, lengths, batch_tokens=600, seed=1, together=together)
    batches = list(sampler)
    assert sorted(row for rows in batches for row in rows) == list(range(5000))
    n_full = len(batches) // together * together
    spreads = [
        np.ptp([lengths[rows].mean() for rows in batches[start : start + together]])
        for start in range(0, n_full, together)
    ]
    assert np.median(spreads) < 4
    means = [lengths[rows].mean() for rows in batches[::together]]
    assert np.ptp(means) > 40 and not np.all(np.diff(means) >= 0)


def test_rows_of_a_batch_are_of_similar_length() -> None:
    longest = np.maximum(SRC, TGT)
    for batch in sampler():
        assert np.ptp(longest[batch]) <= 3


def test_same_seed_same_order() -> None:
    one, two = sampler(), sampler()
    assert [list(one), list(one)] == [list(two), list(two)]


def test_another_seed_or_epoch_is_another_order() -> None:
    one, two = sampler(seed=1), sampler(seed=2)
    first, second, other = list(one), list(one), list(two)
    assert first != second
    assert first != other
    assert sorted(map(sorted, first)) != sorted(map(sorted, second))  # other neighbours too


def test_batches_do_not_come_by_length() -> None:
    longest = np.maximum(SRC, TGT)
    means = [longest[batch].mean() for batch in sampler()]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.5


def test_rows_of_equal_keys_keep_their_order() -> None:
    """Else every kind of processor would order them in its own way."""
    lengths, seed = np.zeros(200_000), 1
    [batch] = BatchSampler(lengths, lengths, batch_tokens=len(lengths), seed=seed)
    keys = np.random.default_rng([seed, 0]).random(len(lengths), dtype=np.float32)[batch]
    rises, falls = np.diff(keys), np.diff(batch) < 0
    assert (rises >= 0).all()
    assert (rises == 0).any()
    assert not (falls & (rises == 0)).any()


def test_position_counts_batches_handed_out() -> None:
    batches = sampler()
    n_batches = len(batches)
    for count, _ in enumerate(batches, start=1):
        assert (batches.epoch, batches.position) == (0, count)
    assert count == n_batches
    assert (batches.epoch, batches.position) == (1, 0)


@given(stop=st.integers(0, 130))
def test_resumed_anywhere_equals_uninterrupted(stop: int) -> None:
    whole = sampler()
    expected = [batch for _ in range(3) for batch in whole]
    interrupted = sampler()
    done: list[list[int]] = []
    while len(done) < stop:
        for batch in interrupted:
            done.append(batch)
            if len(done) == stop:
                break
    resumed = sampler()
    resumed.load_state_dict(json.loads(json.dumps(interrupted.state_dict())))
    while len(done) < len(expected):
        done.extend(resumed)
    assert done == expected


def test_state_after_the_last_batch_belongs_to_its_epoch() -> None:
    batches = sampler()
    states = [batches.state_dict() for _ in batches]
    assert states[-1]["epoch"] == 0
    resumed = sampler()
    resumed.load_state_dict(states[-1])
    assert list(resumed) == []
    assert list(resumed) == list(batches)


def test_a_place_of_another_seed_or_other_data_is_refused() -> None:
    state = sampler().state_dict()
    with pytest.raises(ValueError, match="seed=2, but the saved place in the data is of seed=1"):
        sampler(seed=2).load_state_dict(state)
    changed = SRC.copy()
    changed[0] += 1
    for other in (
        sampler(batch_tokens=201),
        BatchSampler(changed, TGT, batch_tokens=200, seed=1),
        BatchSampler(SRC[1:], TGT[1:], batch_tokens=200, seed=1),
        BatchSampler(SRC, TGT, batch_tokens=200, seed=1, content="other"),
        BatchSampler(SRC, TGT, batch_tokens=200, seed=1, together=2),
    ):
        with pytest.raises(ValueError, match="the data are not those of the saved place"):
            other.load_state_dict(state)


@pytest.mark.parametrize(("n_src", "n_tgt"), [(0, 0), (2, 3)])
def test_rows_must_be_there_and_match(n_src: int, n_tgt: int) -> None:
    with pytest.raises(ValueError, match=f"{n_src} sources and {n_tgt} targets"):
        BatchSampler(SRC[:n_src], TGT[:n_tgt], batch_tokens=10, seed=1)


def test_large_corpora_are_ordered_quickly() -> None:
    # A Python loop over the batches is fast enough; one over a million rows is not.
    lengths = np.random.default_rng(0).integers(1, 60, 1_000_000).astype(np.int32)
    batches = BatchSampler(lengths, lengths, batch_tokens=4000, seed=1)
    lines = 0

    def count(_: FrameType, event: str, __: object) -> Any:
        nonlocal lines
        lines += event == "line"
        return count

    sys.settrace(count)
    try:
        n_batches = len(batches)
    finally:
        sys.settrace(None)
    assert n_batches > 1000
    assert lines < 20 * n_batches
