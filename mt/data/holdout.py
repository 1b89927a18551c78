"""Splits for a corpus that has none, by a hash of its sentences."""

import hashlib
from collections.abc import Iterable
from functools import cache

import datasets
from networkx.utils import UnionFind

from mt.config import HoldoutConfig

_LARGEST_GROUP = 1000  # sentences; a larger group goes to train: it might fill a split by itself


def carve(
    dataset: datasets.Dataset,
    holdout: HoldoutConfig,
    split: str,
    *,
    column: str | None,
    fingerprint: str,
) -> datasets.Dataset:
    """Keep the rows of one split.

    Args:
        dataset: All rows, with the columns `src` and `tgt`.
        holdout: The shares of valid and test.
        split: train, valid or test.
        column: The one whose sentence is hashed; None: both, so that pairs that share a sentence
            of either side, directly or through other pairs, stay together.
        fingerprint: Of the result, for the cache of `datasets`.
    """

    def belong(names: Iterable[str | None]) -> list[bool]:
        return [_assigned(name, holdout) == split for name in names]

    if column is not None:
        return dataset.filter(
            belong, batched=True, input_columns=[column], new_fingerprint=fingerprint
        )

    @cache  # not before `filter` asks: the result may be in the cache
    def group_names() -> list[str | None]:
        return _group_names(dataset["src"][:], dataset["tgt"][:])

    return dataset.filter(
        lambda rows: belong(group_names()[row] for row in rows),
        batched=True,
        with_indices=True,
        input_columns=[],
        new_fingerprint=fingerprint,
    )


def _group_names(sources: list[str], targets: list[str]) -> list[str | None]:
    """Return for every pair the first sentence of its group, by code points, of either side.

    None: the group is too large to be held out.
    """
    pairs = [
        (("src", src.strip()), ("tgt", tgt.strip()))
        for src, tgt in zip(sources, targets, strict=True)
    ]
    groups = UnionFind()
    for src, tgt in pairs:
        groups.union(src, tgt)
    names: dict[tuple[str, str], str | None] = {}
    for group in groups.to_sets():
        first = min(text for _, text in group) if len(group) <= _LARGEST_GROUP else None
        names.update(dict.fromkeys(group, first))
    return [names[src] for src, _ in pairs]


def _assigned(name: str | None, holdout: HoldoutConfig) -> str:
    if name is None:
        return "train"
    digest = hashlib.blake2b(name.strip().encode("utf-8"), digest_size=8).digest()
    place = int.from_bytes(digest, "big") / 2**64
    if place < holdout.valid:
        return "valid"
    return "test" if place < holdout.valid + holdout.test else "train"
