"""The YAML files of the corpora and tokenizers: they fit the schema and say what is true."""

import itertools
from pathlib import Path

import pytest
from omegaconf import MissingMandatoryValue, OmegaConf

from mt.choices import TokenizerKind
from mt.config import DataConfig, TokenizerConfig
from mt.data.corpus import load_split, split_names

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
OWN_FORMATS = ["text", "tsv", "jsonl", "parquet", "hub"]


def load(name: str, **options: object) -> DataConfig:
    merged = OmegaConf.merge(
        OmegaConf.structured(DataConfig), OmegaConf.load(CONFIGS / "data" / f"{name}.yaml"), options
    )
    return OmegaConf.to_object(merged)  # type: ignore[return-value]


def test_every_file_is_known_here() -> None:
    names = {path.stem for path in (CONFIGS / "data").glob("*.yaml")}
    assert names == {*OWN_FORMATS, "phrasebook", "multi30k", "tatoeba"}


@pytest.mark.parametrize("name", OWN_FORMATS)
def test_own_corpora_leave_the_languages_to_the_user(name: str) -> None:
    with pytest.raises(MissingMandatoryValue, match="src"):
        load(name)
    config = load(name, src="en", tgt="cs", path="{split}.{lang}")
    assert config.format.name == name
    assert split_names(config) == ["train", "valid", "test"]


@pytest.mark.parametrize("pair", itertools.permutations(["en", "de", "fr", "cs"], 2))
def test_multi30k_has_its_splits_in_every_direction(pair: tuple[str, str]) -> None:
    names = split_names(load("multi30k", src=pair[0], tgt=pair[1]))
    of_all = ["train", "valid", "test", "test_2016_flickr", "test_2018_flickr"]
    of_2017 = [] if "cs" in pair else ["test_2017_flickr", "test_2017_mscoco"]
    assert sorted(names) == sorted(of_all + of_2017)


def test_multi30k_says_which_languages_it_has() -> None:
    with pytest.raises(ValueError, match=r"split train of multi30k has no es \(it has en, de, fr"):
        load_split(load("multi30k", tgt="es"), "train")
    with pytest.raises(ValueError, match="split test_2017_flickr of multi30k has no cs"):
        load_split(load("multi30k", tgt="cs"), "test_2017_flickr")


def test_which_file_and_column_is_which() -> None:
    tatoeba, multi30k = load("tatoeba"), load("multi30k")
    assert tatoeba.columns == {"en": "0", "de": "1"}
    assert (tatoeba.holdout.by, tatoeba.multi_reference) == ("both", True)
    stored = {"train": "train", "valid": "val", "test": "test_2016_flickr"}
    stored |= {name: name for name in multi30k.splits if name.startswith("test_")}
    assert multi30k.splits == stored
    phrasebook = load("phrasebook").splits
    assert phrasebook == {name: name for name in ("train", "valid", "test", "test_long")}


@pytest.mark.parametrize(
    ("name", "url", "file"),
    [
        (
            "multi30k",
            "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1/raw/val.en.gz",
            "val.en.gz and val.de.gz, and likewise the other splits,",
        ),
        ("tatoeba", "http://www.manythings.org/anki/deu-eng.zip", "deu-eng.zip"),
    ],
)
def test_public_corpora_offline(name: str, url: str, file: str, no_network: list[object]) -> None:
    with pytest.raises(FileNotFoundError) as error:
        load_split(load(name), "valid")
    assert str(error.value).startswith(f"cannot fetch {url} (")
    assert f"put {file} into a folder DIR and set data.root=DIR (in mt-evaluate and" in str(
        error.value
    )
    assert no_network


def test_phrasebook_is_embedded_in_both_directions(no_network: list[object]) -> None:
    config = load("phrasebook")
    assert split_names(config) == ["train", "valid", "test", "test_long"]
    forward = load_split(config, "test_long")[0]
    backward = load_split(load("phrasebook", src="de", tgt="en"), "test_long")[0]
    assert backward == {"src": forward["tgt"], "tgt": forward["src"]}
    assert no_network == []


@pytest.mark.parametrize("kind", list(TokenizerKind))
def test_tokenizers(kind: TokenizerKind) -> None:
    path = CONFIGS / "tokenizer" / f"{kind.name}.yaml"
    merged = OmegaConf.merge(OmegaConf.structured(TokenizerConfig), OmegaConf.load(path))
    assert OmegaConf.to_object(merged) == TokenizerConfig(kind=kind)
