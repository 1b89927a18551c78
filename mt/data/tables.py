"""Corpora that `datasets` reads by itself: Parquet files and datasets of the Hugging Face hub."""

import hashlib
import logging
import os
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from mt.config import DataConfig
from mt.data.cache_faults import tell_of_faults
from mt.data.reading import (
    ROOT_OPTION,
    Columns,
    CorpusFile,
    content_hash,
    missing_column,
    one_line,
)

_NESTED = "translation"  # {language: text}, as the hub stores parallel corpora
_TEXT_TYPES = ("string", "large_string", "string_view")


def load_parquet(path: Path, columns: Columns) -> datasets.Dataset:
    """Load the two sides of a Parquet file.

    Raises:
        ValueError: It is no Parquet file, or a column is missing or is not text.
        OSError: The cache cannot be read or written.
    """
    try:
        if pq.read_metadata(path).num_rows == 0:
            return datasets.Dataset.from_dict({"src": [], "tgt": []})
    except (ValueError, OSError) as error:
        raise _unreadable(path, error) from None
    # `datasets` knows a file by its name and time; another may have both.
    content = content_hash([CorpusFile(path)])
    cache = Path(datasets.config.HF_DATASETS_CACHE, f"parquet-{content}")
    try:
        with tell_of_faults():
            # Not load_dataset("parquet"), which reports the load to a server.
            table = datasets.Dataset.from_parquet(str(path), cache_dir=str(cache))
    except datasets.exceptions.DatasetGenerationError as error:
        raise _unreadable(path, error) from None
    except ValueError as error:  # a type that `datasets` does not know, of whatever column
        raise ValueError(
            f"{path} has a column that cannot be read ({_reason(error)}): write the file without it"
        ) from None
    return _select(table, columns, where=str(path))


def load_hub(config: DataConfig, split: str, *, columns: Columns) -> datasets.Dataset:
    """Load the two sides of a split of a dataset on the hub, or of a clone of it in `data.root`.

    Raises:
        FileNotFoundError: The dataset can be neither fetched nor found in the cache.
        ValueError: It has no such subset or split, a file of it is damaged, a column is missing or
            is not text, or the dataset is a program.
        OSError: The cache cannot be read or written.
    """
    where = config.path if config.root is None else os.path.expanduser(config.root)
    if config.root is not None and not Path(where).is_dir():
        raise FileNotFoundError(f"data.root={config.root} is not a folder")
    # Each failed request would be a line of its own before ours.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        table = datasets.load_dataset(where, config.subset, split=split)
    except (pa.ArrowInvalid, datasets.exceptions.DatasetGenerationError) as error:
        advice = f"check the cache in {datasets.config.HF_DATASETS_CACHE}"
        if config.root is not None:
            advice = f"in a clone `git lfs pull` fetches the large files; else {advice}"
        raise ValueError(
            f"a file of the dataset {where} cannot be read ({_reason(error)}): {advice}"
        ) from None
    except ValueError as error:  # an unknown subset or split; the message of `datasets` lists them
        raise ValueError(
            f"{where}, data.subset={config.subset}, split {split!r}: {_reason(error)}; "
            "set data.subset, or data.splits.NAME to the name of the split there"
        ) from None
    except RuntimeError as error:  # a dataset that is a program, which `datasets` no longer runs
        raise ValueError(
            f"the dataset {where} cannot be read ({_reason(error)}): if it has files, take them "
            "with data=parquet, jsonl, tsv or text"
        ) from None
    except (OSError, datasets.exceptions.DatasetsError) as error:
        raise FileNotFoundError(
            f"cannot fetch the dataset {where} ({_reason(error)}): check data.path and the cache "
            f"in {datasets.config.HF_DATASETS_CACHE}, or put a clone of its repository into a "
            f"folder DIR and set {ROOT_OPTION}"
        ) from None
    return _select(table, columns, where=where)


def _select(table: datasets.Dataset, columns: Columns, *, where: str) -> datasets.Dataset:
    """Reduce a table to `src` and `tgt`; a missing value is empty, a line break becomes a space."""
    nested = [name for name in columns if name not in table.column_names]
    if nested and not isinstance(table.features.get(_NESTED), dict | datasets.Translation):
        raise missing_column(where, nested[0], table.column_names)
    for name in columns:
        _check_text(table, name, where=where, nested=name in nested)

    def rows(batch: dict[str, list[Any]]) -> dict[str, list[str]]:
        return {
            side: [
                one_line((value or {}).get(name) if name in nested else value)
                for value in batch[_NESTED if name in nested else name]
            ]
            for side, name in zip(Columns._fields, columns, strict=True)
        }

    key = repr((table._fingerprint, columns)).encode("utf-8")
    with tell_of_faults():
        return table.map(
            rows,
            batched=True,
            remove_columns=table.column_names,
            features=datasets.Features(dict.fromkeys(Columns._fields, datasets.Value("string"))),
            new_fingerprint=hashlib.blake2b(key, digest_size=16).hexdigest(),
        )


def _check_text(table: datasets.Dataset, name: str, *, where: str, nested: bool) -> None:
    feature = table.features[_NESTED if nested else name]
    if nested:
        fields = feature.languages if isinstance(feature, datasets.Translation) else list(feature)
        if name not in fields:
            raise missing_column(f"{where}, field {_NESTED!r}", name, fields)
        if isinstance(feature, datasets.Translation):
            return
        feature = feature[name]
    dtype = getattr(feature, "dtype", type(feature).__name__)
    if dtype not in _TEXT_TYPES:
        raise ValueError(f"{where}: column {name!r} holds {dtype}, which is not text")


def _unreadable(path: Path, error: BaseException) -> ValueError:
    return ValueError(f"{path}: not a readable Parquet file ({_reason(error)})")


def _reason(error: BaseException) -> str:
    return " ".join(str(error.__cause__ or error).split())[:300] or type(error).__name__
