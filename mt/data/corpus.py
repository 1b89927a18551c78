"""A parallel corpus as a `datasets.Dataset` with the columns `src` and `tgt`, whatever holds it."""

import difflib
import hashlib
import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import datasets

from mt.choices import Format
from mt.config import HOLDOUT_BOTH, DataConfig
from mt.data.cache_faults import tell_of_faults
from mt.data.holdout import carve
from mt.data.locating import locate
from mt.data.reading import (
    Columns,
    CorpusFile,
    Row,
    content_hash,
    jsonl_rows,
    text_rows,
    tsv_rows,
)
from mt.data.tables import load_hub, load_parquet

_CARVED = ("train", "valid", "test")
_FEATURES = datasets.Features({"src": datasets.Value("string"), "tgt": datasets.Value("string")})
_VERSION = "1"  # part of every fingerprint: raise it when the same files are read differently


class References(NamedTuple):
    """Sentences with their accepted translations, at least one each."""

    sources: list[str]
    references: list[list[str]]


def load_split(config: DataConfig, split: str) -> datasets.Dataset:
    """Load one split of a corpus.

    Args:
        config: The corpus and the language pair.
        split: A name out of `split_names(config)`.

    Returns:
        A memory-mapped dataset with the string columns `src` and `tgt`, every row of the corpus in
        its order. What was read before comes from the cache of `datasets` while the files are
        the same.

    Raises:
        FileNotFoundError: A file is missing and cannot be fetched.
        ValueError: The split is unknown or empty, or a file is malformed; the message names it.
    """
    datasets.disable_progress_bars()
    datasets.logging.set_verbosity_error()
    _check_split(config, split)
    carved = split in _carved(config)
    dataset = _LOADERS[config.format](config, config.splits["train" if carved else split])
    if carved:
        dataset = _carve(dataset, config, split)
    if len(dataset) == 0:
        no_test = carved and split == "test" and not _is_per_split(config)  # 0: the stored one
        raise ValueError(
            f"split {split} of {config.name} is empty: check data.root, data.path, data.splits"
            + (f" and data.holdout.{split}" if carved and split != "train" else "")
            + (", or set that to 0 for no test set" if no_test else "")
        )
    return dataset


def split_names(config: DataConfig) -> list[str]:
    """Return the names of the splits that this corpus has for this language pair."""
    return [
        split
        for split in [*_carved(config), *_stored(config)]
        if not _missing_languages(config, split)
    ]


def group_references(dataset: datasets.Dataset) -> References:
    """Gather the pairs with the same source: one sentence, several references, first come first."""
    grouped: dict[str, list[str]] = {}
    for src, tgt in zip(dataset["src"][:], dataset["tgt"][:], strict=True):
        grouped.setdefault(src, []).append(tgt)
    return References(list(grouped), list(grouped.values()))


def _check_split(config: DataConfig, split: str) -> None:
    _check_leaks(config)
    names = split_names(config)
    if split in names:
        return
    missing = _missing_languages(config, split)
    if missing and split in config.splits:
        raise ValueError(
            f"split {split} of {config.name} has no {' and no '.join(missing)} "
            f"(it has {', '.join(config.split_languages[split])})"
        )
    nearest = difflib.get_close_matches(split, names, n=1)
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    raise ValueError(
        f"{config.name} ({config.direction}) has no split {split!r}; "
        f"it has {', '.join(names) or 'none'}{hint}"
    )


def _check_leaks(config: DataConfig) -> None:
    by, columns = config.holdout.by, _holdout_columns(config)
    if by is not None and by not in columns:
        raise ValueError("data.holdout.by={}: expected {}, {} or {}".format(by, *columns))
    if by is None and len(config.splits) > 1 and not _is_per_split(config):
        raise ValueError(
            f"data.path={config.path} has no {{split}}, so that all splits would be the same "
            "sentences: write it in, or set data.holdout.by=both to split by a hash"
        )


def _holdout_columns(config: DataConfig) -> dict[str, str | None]:
    """Return what `data.holdout.by` may be, each with the column that is hashed, None for both."""
    return {config.src: "src", config.tgt: "tgt", HOLDOUT_BOTH: None}


def _is_per_split(config: DataConfig) -> bool:
    return config.format is Format.hub or "{split}" in config.path + (config.member or "")


def _carved(config: DataConfig) -> list[str]:
    """Return the splits that come out of the stored training split by the hash of a sentence."""
    holdout = config.holdout
    if holdout.by is None:
        return []
    shares = {"train": 1.0, "valid": holdout.valid, "test": holdout.test}
    return [split for split in _CARVED if shares[split] > 0]


def _stored(config: DataConfig) -> list[str]:
    """Return the splits that are stored as such."""
    carved = _carved(config)
    if carved and not _is_per_split(config):
        return []
    return [split for split in config.splits if split not in carved]


def _missing_languages(config: DataConfig, split: str) -> list[str]:
    present = config.split_languages.get(split)
    if present is None:
        return []
    return [language for language in (config.src, config.tgt) if language not in present]


def _carve(dataset: datasets.Dataset, config: DataConfig, split: str) -> datasets.Dataset:
    holdout = config.holdout
    column = _holdout_columns(config)[str(holdout.by)]
    fingerprint = _fingerprint(dataset._fingerprint, split, column, holdout.valid, holdout.test)
    with tell_of_faults():
        return carve(dataset, holdout, split, column=column, fingerprint=fingerprint)


def _load_text(config: DataConfig, split: str) -> datasets.Dataset:
    src, tgt = locate(config, split)
    return _build(partial(text_rows, src, tgt), [src, tgt], "text")


def _load_tsv(config: DataConfig, split: str) -> datasets.Dataset:
    [file], columns = locate(config, split), _columns(config)
    return _build(partial(tsv_rows, file, columns), [file], "tsv", *columns)


def _load_jsonl(config: DataConfig, split: str) -> datasets.Dataset:
    [file], columns = locate(config, split), _columns(config)
    return _build(partial(jsonl_rows, file, columns), [file], "jsonl", *columns)


def _load_parquet(config: DataConfig, split: str) -> datasets.Dataset:
    [file] = locate(config, split)
    return load_parquet(file.path, _columns(config))


def _load_hub(config: DataConfig, split: str) -> datasets.Dataset:
    return load_hub(config, split, columns=_columns(config))


_LOADERS: dict[Format, Callable[[DataConfig, str], datasets.Dataset]] = {
    Format.text: _load_text,
    Format.tsv: _load_tsv,
    Format.jsonl: _load_jsonl,
    Format.parquet: _load_parquet,
    Format.hub: _load_hub,
}


def _columns(config: DataConfig) -> Columns:
    return Columns(*(str(config.columns.get(lang, lang)) for lang in (config.src, config.tgt)))


def _build(
    read: Callable[[], Iterator[Row]], files: list[CorpusFile], *options: str
) -> datasets.Dataset:
    def examples() -> Iterator[dict[str, str]]:
        for row in read():
            yield row._asdict()

    if next(read(), None) is None:  # which `datasets` does not take
        return datasets.Dataset.from_dict({"src": [], "tgt": []}, features=_FEATURES)
    fingerprint = _fingerprint(content_hash(files), *options)
    try:
        with tell_of_faults():
            return datasets.Dataset.from_generator(
                examples, features=_FEATURES, fingerprint=fingerprint
            )
    except datasets.exceptions.DatasetGenerationError as error:
        if isinstance(error.__cause__, ValueError):
            raise error.__cause__ from None
        raise


def _fingerprint(*parts: object) -> str:
    """Hash what a dataset is made from, for the cache of `datasets`."""
    text = json.dumps([_VERSION, *map(str, parts)])
    return hashlib.blake2b(text.encode("utf-8"), digest_size=16).hexdigest()
