"""Parquet and the hub: columns or a `translation` field, and no needless network."""

import os
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mt.choices import Format
from mt.config import DataConfig
from mt.data.corpus import load_split

ROWS = [
    {"en": "Hi", "de": "Hallo", "id": 1},
    {"en": None, "de": "eins\nzwei", "id": 2},
    {"en": "a\u2028b", "de": "c", "id": 3},
]
EXPECTED = [
    {"src": "Hi", "tgt": "Hallo"},
    {"src": "", "tgt": "eins zwei"},
    {"src": "a\u2028b", "tgt": "c"},
]


def nested(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    return [{"translation": {key: row[key] for key in ("en", "de")}} for row in rows]


def save(rows: list[dict[str, object]], path: Path) -> None:
    datasets.Dataset.from_list(rows).to_parquet(path)


def parquet(root: Path, **options: object) -> DataConfig:
    given = {"name": "toy", "src": "en", "tgt": "de", "root": str(root), "format": Format.parquet}
    return DataConfig(**{**given, "path": "{split}.parquet", **options})  # type: ignore[arg-type]


def hub(**options: object) -> DataConfig:
    given = {"name": "hub", "src": "en", "tgt": "de", "format": Format.hub, "path": "some/corpus"}
    return DataConfig(**{**given, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize("rows", [ROWS, nested(ROWS)], ids=["columns", "translation"])
def test_parquet(tmp_path: Path, rows: list[dict[str, object]], no_network: list[object]) -> None:
    save(rows, tmp_path / "train.parquet")
    dataset = load_split(parquet(tmp_path), "train")
    assert dataset.column_names == ["src", "tgt"]
    assert list(dataset) == EXPECTED
    reverse = load_split(parquet(tmp_path, src="de", tgt="en"), "train")
    assert reverse[0] == {"src": "Hallo", "tgt": "Hi"}
    assert no_network == []


def test_translation_feature_of_datasets(tmp_path: Path) -> None:
    features = datasets.Features({"translation": datasets.Translation(["en", "de"])})
    datasets.Dataset.from_list(nested(ROWS), features=features).to_parquet(
        tmp_path / "train.parquet"
    )
    assert list(load_split(parquet(tmp_path), "train")) == EXPECTED
    with pytest.raises(ValueError, match=r"field 'translation': no column 'fr'; there are: .*en"):
        load_split(parquet(tmp_path, tgt="fr"), "train")


def test_parquet_columns_by_name(tmp_path: Path) -> None:
    save([{"source": "Hi", "target": "Hallo"}], tmp_path / "train.parquet")
    columns = {"en": "source", "de": "target"}
    dataset = load_split(parquet(tmp_path, columns=columns), "train")
    assert list(dataset) == [{"src": "Hi", "tgt": "Hallo"}]


def test_changed_parquet_is_read_again(tmp_path: Path) -> None:
    for text in ("one", "another"):
        save([{"en": text, "de": text}], tmp_path / "train.parquet")
        assert load_split(parquet(tmp_path), "train")[0]["src"] == text


def test_another_parquet_of_the_same_name_and_time_is_read(tmp_path: Path) -> None:
    for rows in (ROWS, ROWS[:2]):
        save(rows, tmp_path / "train.parquet")
        os.utime(tmp_path / "train.parquet", (0, 0))
        assert list(load_split(parquet(tmp_path), "train")) == EXPECTED[: len(rows)]


@pytest.mark.parametrize("value", ["Hallo", ["Hallo"]])
def test_a_column_named_translation_that_holds_no_languages(tmp_path: Path, value: object) -> None:
    save([{"source": "Hi", "translation": value}], tmp_path / "train.parquet")
    message = "no column 'de'; there are: source, translation. Name the column of a language with"
    with pytest.raises(ValueError, match=message):
        load_split(parquet(tmp_path, columns={"en": "source"}), "train")


def test_missing_column_lists_the_columns(tmp_path: Path) -> None:
    save([dict(ROWS[0])], tmp_path / "train.parquet")
    message = (
        r"train.parquet: no column 'cs'; there are: en, de, id. .* with data\.columns\.LANGUAGE"
    )
    with pytest.raises(ValueError, match=message):
        load_split(parquet(tmp_path, tgt="cs"), "train")


def test_missing_language_of_a_translation(tmp_path: Path) -> None:
    save(nested(ROWS), tmp_path / "train.parquet")
    with pytest.raises(ValueError, match=r"field 'translation': no column 'cs'; there are: .*en"):
        load_split(parquet(tmp_path, src="cs"), "train")


def test_column_that_is_not_text(tmp_path: Path) -> None:
    save([dict(ROWS[0])], tmp_path / "train.parquet")
    with pytest.raises(ValueError, match="column 'id' holds int64, which is not text"):
        load_split(parquet(tmp_path, columns={"en": "id"}), "train")


def test_not_a_parquet_file(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").write_bytes(b"hello")
    with pytest.raises(ValueError, match=r"train\.parquet: not a readable Parquet file"):
        load_split(parquet(tmp_path), "train")


def test_a_column_of_a_type_that_cannot_be_read_is_to_be_left_out(tmp_path: Path) -> None:
    of_maps = pa.array([[("k", "v")]], pa.map_(pa.string(), pa.string()))
    table = pa.table({"en": ["Hi"], "de": ["Hallo"], "more": of_maps})
    pq.write_table(table, tmp_path / "train.parquet")
    with pytest.raises(
        ValueError, match=r"train\.parquet has a column .*map<.* the file without it$"
    ):
        load_split(parquet(tmp_path), "train")


def test_a_file_of_a_clone_that_is_damaged_is_no_wrong_subset(tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    (tmp_path / "train.parquet").write_text(pointer, encoding="utf-8")
    with pytest.raises(ValueError, match=r"a file of the dataset .* cannot be read .*git lfs pull"):
        load_split(hub(root=str(tmp_path)), "train")
    (tmp_path / "train.parquet").unlink()
    (tmp_path / "train.csv").write_bytes("en,de\ncaf\xe9,x\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"a file of the dataset .* cannot be read .*git lfs pull"):
        load_split(hub(root=str(tmp_path)), "train")


def test_a_file_from_the_hub_that_is_damaged_may_be_so_in_the_cache(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise datasets.exceptions.DatasetGenerationError("cut short")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(ValueError, match=r"cannot be read \(cut short\): check the cache in /"):
        load_split(hub(), "train")


def test_a_cache_that_cannot_be_made_is_no_fault_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save([dict(ROWS[0])], tmp_path / "train.parquet")
    (tmp_path / "file").touch()
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "file" / "cache")
    with pytest.raises(OSError, match=r"the cache in .*/file/cache cannot .* name another by HF_"):
        load_split(parquet(tmp_path), "train")


def test_clone_of_a_hub_dataset_needs_no_network(tmp_path: Path, no_network: list[object]) -> None:
    (tmp_path / "data").mkdir()
    save(nested(ROWS), tmp_path / "data" / "train-00000-of-00001.parquet")
    save(nested(ROWS[:1]), tmp_path / "data" / "validation-00000-of-00001.parquet")
    options = hub(root=str(tmp_path), splits={"train": "train", "valid": "validation"})
    assert list(load_split(options, "train")) == EXPECTED
    assert list(load_split(options, "valid")) == EXPECTED[:1]
    assert no_network == []
    options.splits["valid"] = "dev"
    with pytest.raises(ValueError, match=r"split 'dev': .*dev.*train.*; set data"):
        load_split(options, "valid")


def test_subset_of_a_hub_dataset(tmp_path: Path) -> None:
    names = ("large", "small")
    for name, rows in zip(names, (ROWS, ROWS[:1]), strict=True):
        (tmp_path / name).mkdir()
        save(rows, tmp_path / name / "train.parquet")
    card = "".join(f"- config_name: {name}\n  data_dir: {name}\n" for name in names)
    (tmp_path / "README.md").write_text(f"---\nconfigs:\n{card}---\n", encoding="utf-8")
    for name, expected in zip(names, (EXPECTED, EXPECTED[:1]), strict=True):
        assert list(load_split(hub(root=str(tmp_path), subset=name), "train")) == expected
    message = r"data\.subset=None, split 'train': .*large.*small.*; set data\.subset"
    with pytest.raises(ValueError, match=message):
        load_split(hub(root=str(tmp_path)), "train")


def test_clone_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"data\.root=.*nowhere is not a folder"):
        load_split(hub(root=str(tmp_path / "nowhere")), "train")


def test_a_hub_dataset_that_is_a_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / f"{tmp_path.name}.py").write_text("import datasets\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"Dataset scripts .*: if it has files, .*data=parquet"):
        load_split(hub(root=str(tmp_path)), "train")


def test_hub_offline_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(FileNotFoundError) as error:
        load_split(hub(), "train")
    message = str(error.value)
    assert "\n" not in message
    assert message.startswith("cannot fetch the dataset some/corpus (")
    assert "set data.root=DIR (in mt-evaluate and mt-compare: --data-root DIR)" in message
