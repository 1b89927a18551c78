"""Encode a corpus once: the piece ids beside the text, cached and memory-mapped."""

import hashlib
from functools import partial
from typing import NamedTuple

import datasets
import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]

from mt.data.cache_faults import tell_of_faults
from mt.data.tokenizer import Tokenizer, TokenizerPair

_IDS = pa.list_(pa.int32())
_BLOCKS, _BLOCK = 100, 1_000  # rows that `ids_hash` reads


class EncodedSplit(NamedTuple):
    """A split as piece ids.

    Attributes:
        dataset: Columns `src`, `tgt` (text) and `src_ids`, `tgt_ids` (without BOS and EOS).
        src_lengths: Pieces of each row's source, (rows,) int32.
        tgt_lengths: Pieces of each row's target, (rows,) int32.
        dropped_empty: Pairs left out because a side has no piece.
        dropped_long: Pairs left out because a side has more than `max_length` pieces.
    """

    dataset: datasets.Dataset
    src_lengths: np.ndarray
    tgt_lengths: np.ndarray
    dropped_empty: int
    dropped_long: int


def encode_split(
    dataset: datasets.Dataset, tokenizers: TokenizerPair, *, max_length: int | None
) -> EncodedSplit:
    """Encode both sides of a split, in its order.

    Args:
        dataset: Columns `src` and `tgt`.
        tokenizers: The tokenizer of each side.
        max_length: For training: pairs with an empty side, or with more pieces than this on a side,
            are dropped and counted. None keeps every row, so that the rows are those of `dataset`.

    Returns:
        The ids, from the cache of `datasets` where the same text met the same tokenizers before.

    Raises:
        ValueError: No pair is left.
    """
    datasets.disable_progress_bars()
    key = hashlib.blake2b(digest_size=16)
    for part in ("2", dataset._fingerprint, tokenizers.fingerprint):
        key.update(f"{part}\n".encode())
    with tell_of_faults():
        encoded = dataset.with_format("arrow").map(
            partial(_encode_table, tokenizers=tokenizers),
            batched=True,
            batch_size=10_000,
            new_fingerprint=key.hexdigest(),
        )
    encoded = encoded.with_format(None)
    src_lengths, tgt_lengths = _lengths(encoded, "src_ids"), _lengths(encoded, "tgt_ids")
    if max_length is None:
        return EncodedSplit(encoded, src_lengths, tgt_lengths, 0, 0)
    empty = np.minimum(src_lengths, tgt_lengths) == 0
    long = ~empty & (np.maximum(src_lengths, tgt_lengths) > max_length)
    kept = np.flatnonzero(~(empty | long))
    if len(kept) == 0:
        advice = "raise data.max_length" if long.any() else "look at data.splits and data.columns"
        raise ValueError(
            f"none of {len(encoded)} pairs is left: {int(empty.sum())} have an empty side, and "
            f"{int(long.sum())} have more than {max_length} pieces on a side; {advice}"
        )
    return EncodedSplit(
        encoded.select(kept) if len(kept) < len(encoded) else encoded,
        src_lengths[kept],
        tgt_lengths[kept],
        int(empty.sum()),
        int(long.sum()),
    )


def ids_hash(encoded: EncodedSplit) -> str:
    """Hash the ids of a split, to tell it from other text; of very many rows, hash a part only."""
    table = encoded.dataset.with_format("arrow")
    digest = hashlib.blake2b(digest_size=16)
    for start in range(0, len(table), max(_BLOCK, len(table) // _BLOCKS)):
        rows = table[start : start + _BLOCK]
        for column in ("src_ids", "tgt_ids"):
            lists = rows[column].combine_chunks()
            digest.update(pc.list_value_length(lists).to_numpy().tobytes())
            digest.update(lists.flatten().to_numpy().tobytes())
    return digest.hexdigest()


def _encode_table(table: pa.Table, tokenizers: TokenizerPair) -> pa.Table:
    table = table.append_column("src_ids", _encode_column(table["src"], tokenizers.src))
    return table.append_column("tgt_ids", _encode_column(table["tgt"], tokenizers.tgt))


def _encode_column(texts: pa.ChunkedArray, tokenizer: Tokenizer) -> pa.Array:
    return pa.array(tokenizer.encode(texts.to_pylist()), type=_IDS)


def _lengths(dataset: datasets.Dataset, column: str) -> np.ndarray:
    lengths = pc.list_value_length(dataset.data.column(column)).to_numpy()
    return np.asarray(lengths, dtype=np.int32)
