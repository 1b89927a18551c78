"""Batches: shapes, padding, special symbols, and the loader that makes them."""

from collections.abc import Callable
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from toy_corpus import sentences

from mt.config import DataConfig, TokenizerConfig
from mt.data.batching import Batch, BatchLoader, Pair, collate, collate_sources
from mt.data.corpus import load_split
from mt.data.encoding import EncodedSplit, encode_split
from mt.data.sampling import BatchSampler
from mt.data.tokenizer import BOS_ID, EOS_ID, PAD_ID, TokenizerPair, train_tokenizers

IDS = st.lists(st.integers(EOS_ID + 1, 99), max_size=12)
PAIRS = st.lists(st.builds(Pair, IDS, IDS), min_size=1, max_size=8)


@pytest.fixture
def encoded(
    tmp_path: Path, write: Callable[[str, bytes | str], Path], tokenizers: TokenizerPair
) -> EncodedSplit:
    """Return a split of which some pairs are dropped."""
    lines = sentences(200)
    lines[3] = lines[50] = ""
    write("train.en", "".join(f"{line}\n" for line in lines))
    write("train.de", "".join(f"{line}\n" for line in lines[::-1]))
    config = DataConfig(name="toy", src="en", tgt="de", root=str(tmp_path))
    return encode_split(load_split(config, "train"), tokenizers, max_length=40)


def loader(encoded: EncodedSplit, tokenizers: TokenizerPair, *, alpha: float = 0.0) -> BatchLoader:
    sampler = BatchSampler(encoded.src_lengths, encoded.tgt_lengths, batch_tokens=300, seed=1)
    return BatchLoader(encoded, sampler, tokenizers=tokenizers, sample_alpha=alpha, seed=1)


def batches_of(loader: BatchLoader) -> list[Batch]:
    return list(chain.from_iterable(loader))


def same(one: list[Batch], two: list[Batch]) -> bool:
    return len(one) == len(two) and all(
        torch.equal(a, b) for x, y in zip(one, two, strict=True) for a, b in zip(x, y, strict=True)
    )


@given(pairs=PAIRS)
def test_collate_lays_out_every_row(pairs: list[Pair]) -> None:
    batch = collate(pairs)
    n_src = max(len(pair.src) for pair in pairs) + 1
    n_tgt = max(len(pair.tgt) for pair in pairs) + 1
    assert batch.src.shape == (len(pairs), n_src)
    assert batch.tgt_in.shape == batch.tgt_out.shape == (len(pairs), n_tgt)
    for tensor in batch:
        assert tensor.dtype == torch.int64
    for row, pair in enumerate(pairs):
        src_padding = [PAD_ID] * (n_src - len(pair.src) - 1)
        tgt_padding = [PAD_ID] * (n_tgt - len(pair.tgt) - 1)
        assert batch.src[row].tolist() == [*pair.src, EOS_ID, *src_padding]
        assert batch.src_lengths[row] == len(pair.src) + 1
        assert batch.tgt_in[row].tolist() == [BOS_ID, *pair.tgt, *tgt_padding]
        assert batch.tgt_out[row].tolist() == [*pair.tgt, EOS_ID, *tgt_padding]
    assert batch.n_tokens == sum(len(pair.tgt) + 1 for pair in pairs)


@given(pairs=PAIRS)
def test_sources_alone_are_those_of_a_batch(pairs: list[Pair]) -> None:
    sources, batch = collate_sources([pair.src for pair in pairs]), collate(pairs)
    assert torch.equal(sources.src, batch.src)
    assert torch.equal(sources.src_lengths, batch.src_lengths)


def test_no_sentence_is_an_error() -> None:
    for make in (collate, collate_sources):
        with pytest.raises(ValueError, match="at least one sentence"):
            make([])


def test_moving_a_batch_leaves_the_lengths() -> None:
    moved = collate([Pair([5, 6], [7])]).to("meta")
    assert [tensor.device.type for tensor in moved] == ["meta", "cpu", "meta", "meta"]


def test_loader_gives_the_rows_of_the_sampler(
    encoded: EncodedSplit, tokenizers: TokenizerPair
) -> None:
    batches = loader(encoded, tokenizers)
    rows = loader(encoded, tokenizers).sampler
    n_batches = len(batches)
    loaded = batches_of(batches)
    assert len(loaded) == n_batches == len(rows)
    expected = [
        collate([Pair(r["src_ids"], r["tgt_ids"]) for r in map(encoded.dataset.__getitem__, batch)])
        for batch in rows
    ]
    assert same(loaded, expected)
    assert sum(batch.n_tokens for batch in loaded) == int((encoded.tgt_lengths + 1).sum())


def test_sampling_changes_the_pieces_but_not_the_text(
    encoded: EncodedSplit, tokenizers: TokenizerPair
) -> None:
    plain = batches_of(loader(encoded, tokenizers))
    sampled = batches_of(loader(encoded, tokenizers, alpha=0.1))
    assert not same(plain, sampled)
    for one, other in zip(plain, sampled, strict=True):
        for field in ("src", "tgt_out"):
            for ids, others in zip(getattr(one, field), getattr(other, field), strict=True):
                texts = [tokenizers.src.decode(tensor.tolist()) for tensor in (ids, others)]
                assert texts[0] == texts[1]


def test_sampling_differs_between_sides_batches_epochs_and_seeds(
    tmp_path: Path, write: Callable[[str, bytes | str], Path], tokenizers: TokenizerPair
) -> None:
    for language in ("en", "de"):
        write(f"train.{language}", f"{sentences(12)[11]}\n" * 20)
    config = DataConfig(name="toy", src="en", tgt="de", root=str(tmp_path))
    encoded = encode_split(load_split(config, "train"), tokenizers, max_length=None)

    def epochs(*, seed: int) -> list[list[tuple[list[int], ...]]]:
        sampler = BatchSampler(encoded.src_lengths, encoded.tgt_lengths, batch_tokens=1, seed=1)
        batches = BatchLoader(encoded, sampler, tokenizers=tokenizers, sample_alpha=0.1, seed=seed)
        return [
            [(batch.src[0].tolist(), batch.tgt_out[0].tolist()) for batch in batches_of(batches)]
            for _ in range(2)
        ]

    first, second = epochs(seed=1)
    assert len({tuple(src) for src, _ in first}) > 1
    assert sum(src != tgt for src, tgt in first) > 10  # the same sentence of the same vocabulary
    assert second != first
    assert epochs(seed=2)[0] != first
    assert epochs(seed=1) == [first, second]


def test_each_side_is_sampled_by_its_own_tokenizer(
    tmp_path: Path, write: Callable[[str, bytes | str], Path]
) -> None:
    lines = sentences(60)
    write("train.en", "".join(f"{line}\n" for line in lines))
    write("train.de", "".join(f"{line.upper()}\n" for line in lines))
    tokenizers = train_tokenizers(
        lines,
        [line.upper() for line in lines],
        TokenizerConfig(vocab_size=300, joint=False),
        cache_dir=tmp_path / "cache",
    )
    config = DataConfig(name="toy", src="en", tgt="de", root=str(tmp_path))
    encoded = encode_split(load_split(config, "train"), tokenizers, max_length=None)
    for batch in batches_of(loader(encoded, tokenizers, alpha=0.1)):
        for src, tgt in zip(batch.src.tolist(), batch.tgt_out.tolist(), strict=True):
            assert tokenizers.src.decode(src).upper() == tokenizers.tgt.decode(tgt)
            assert tokenizers.src.decode(src) in lines


@pytest.mark.parametrize("alpha", [0.0, 0.1])
@pytest.mark.parametrize("stop", [1, 5])
def test_resumed_loader_equals_uninterrupted(
    encoded: EncodedSplit, tokenizers: TokenizerPair, alpha: float, stop: int
) -> None:
    whole = loader(encoded, tokenizers, alpha=alpha)
    expected = batches_of(whole) + batches_of(whole)
    interrupted = loader(encoded, tokenizers, alpha=alpha)
    done = list(chain.from_iterable(islice(interrupted, stop)))
    resumed = loader(encoded, tokenizers, alpha=alpha)
    resumed.sampler.load_state_dict(interrupted.sampler.state_dict())
    done += batches_of(resumed) + batches_of(resumed)
    assert same(done, expected)


def shares(
    encoded: EncodedSplit, tokenizers: TokenizerPair, size: int, accumulate: int = 6
) -> list[list[list[Batch]]]:
    """Return the updates of an epoch as each of `size` processes gets them."""
    loaders = []
    for rank in range(size):
        sampler = BatchSampler(encoded.src_lengths, encoded.tgt_lengths, batch_tokens=300, seed=1)
        loaders.append(
            BatchLoader(
                encoded, sampler, tokenizers=tokenizers, sample_alpha=0.0, seed=1,
                accumulate=accumulate, rank=rank, size=size,
            )
        )  # fmt: skip
    return [list(loader) for loader in loaders]


@pytest.mark.parametrize("size", [2, 3, 6])
def test_processes_share_every_update_out(
    encoded: EncodedSplit, tokenizers: TokenizerPair, size: int
) -> None:
    [whole] = shares(encoded, tokenizers, 1)
    dealt = shares(encoded, tokenizers, size)
    assert {len(updates) for updates in dealt} == {len(whole)}
    for number, update in enumerate(whole):
        together = [updates[number] for updates in dealt]
        assert all(together)  # no process stands aside, which would leave the others waiting
        real = [batch for batches in together for batch in batches if batch.n_tokens > 0]
        assert sorted(batch.tgt_out.tolist() for batch in real) == sorted(
            batch.tgt_out.tolist() for batch in update
        )
        for rank, batches in enumerate(together):
            if rank < len(update):
                assert same(batches, update[rank::size])


def test_a_process_without_a_batch_gets_one_that_teaches_nothing(
    encoded: EncodedSplit, tokenizers: TokenizerPair
) -> None:
    size = len(loader(encoded, tokenizers)) - 1
    last = [updates[-1] for updates in shares(encoded, tokenizers, size, accumulate=size)]
    assert [batch.n_tokens > 0 for [batch] in last] == [True] + [False] * (size - 1)
    for [batch] in last[1:]:
        assert torch.equal(batch.src, last[0][0].src)
        assert not batch.tgt_out.any()


def test_uneven_shares_are_refused(encoded: EncodedSplit, tokenizers: TokenizerPair) -> None:
    sampler = BatchSampler(encoded.src_lengths, encoded.tgt_lengths, batch_tokens=300, seed=1)
    with pytest.raises(
        ValueError,
        match=r"trainer\.accumulate=3 batches .* 2 processes: expected a multiple of 2",
    ):
        BatchLoader(
            encoded, sampler, tokenizers=tokenizers, sample_alpha=0.0, seed=1, accumulate=3, size=2,
        )  # fmt: skip


def test_order_of_rows_does_not_touch_numpy_global_state(
    encoded: EncodedSplit, tokenizers: TokenizerPair
) -> None:
    np.random.seed(0)
    expected = np.random.random()
    np.random.seed(0)
    list(loader(encoded, tokenizers, alpha=0.1))
    assert np.random.random() == expected
