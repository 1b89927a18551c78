"""Splits of a corpus: all rows, in order, from the cache while the files stay the same."""

import dataclasses
import gzip
import hashlib
import json
import re
import resource
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from zipfile import ZipFile

import datasets
import pytest
from toy_corpus import WORDS

from mt.choices import Format
from mt.config import DataConfig, HoldoutConfig
from mt.data import corpus, holdout
from mt.data.corpus import group_references, load_split, split_names

Write = Callable[[str, bytes | str], Path]
AWKWARD = ["a\u2028b", "c\x85d", "e\ff", "g\th", "i\0j", "", "😀"]


def config(root: Path, **options: object) -> DataConfig:
    given = {"name": "toy", "src": "en", "tgt": "de", "root": str(root), **options}
    return DataConfig(**given)  # type: ignore[arg-type]


def everything(write: Write, n: int) -> None:
    """Write one TSV for all splits, with several translations of some sentences."""
    write("all.tsv", "".join(f"sentence {i // 3}\tSatz {i}\n" for i in range(n)))


def carved(root: Path, **options: object) -> DataConfig:
    given: dict[str, object] = {
        "format": Format.tsv,
        "path": "all.tsv",
        "columns": {"en": "0", "de": "1"},
        "holdout": HoldoutConfig(by="en", valid=0.2, test=0.1),
        **options,
    }
    return config(root, **given)


def test_text_rows_keep_order_and_odd_characters(tmp_path: Path, write: Write) -> None:
    write("train.en", "".join(f"{text}\n" for text in AWKWARD))
    numbers = [str(i) for i in range(len(AWKWARD))]
    write("train.de.gz", gzip.compress("".join(f"{i}\n" for i in numbers).encode()))
    dataset = load_split(config(tmp_path), "train")
    assert dataset.column_names == ["src", "tgt"]
    assert list(dataset["src"]) == AWKWARD
    assert list(dataset["tgt"]) == numbers


@pytest.mark.parametrize("form", ["tsv", "jsonl"])
def test_tsv_and_jsonl_in_both_directions(tmp_path: Path, write: Write, form: str) -> None:
    write("train.tsv", "de\ten\nHallo\tHi\n")
    write("train.jsonl", json.dumps({"translation": {"de": "Hallo", "en": "Hi"}}) + "\n")
    options = {"format": Format[form], "path": "{split}." + form}
    assert load_split(config(tmp_path, **options), "train")[0] == {"src": "Hi", "tgt": "Hallo"}
    reverse = config(tmp_path, src="de", tgt="en", **options)
    assert load_split(reverse, "train")[0] == {"src": "Hallo", "tgt": "Hi"}


def test_cache_while_the_content_is_the_same(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []
    real = corpus.text_rows
    monkeypatch.setattr(corpus, "text_rows", lambda *files: read.append(files) or real(*files))
    write("train.en", "a\n")
    write("train.de", "b\n")
    first = load_split(config(tmp_path), "train")
    again = load_split(config(tmp_path), "train")
    assert again._fingerprint == first._fingerprint
    cached = [file["filename"] for file in again.cache_files]
    assert cached == [file["filename"] for file in first.cache_files] != []
    assert len(read) == 3  # the first time for its first row and for all; then the first row alone
    write("train.de", "c\n")  # same length, perhaps the same time stamp
    changed = load_split(config(tmp_path), "train")
    assert [first[0]["tgt"], again[0]["tgt"], changed[0]["tgt"]] == ["b", "b", "c"]
    reverse = load_split(config(tmp_path, src="de", tgt="en"), "train")
    assert reverse[0] == {"src": "c", "tgt": "a"}


def test_malformed_files_are_named_through_datasets(tmp_path: Path, write: Write) -> None:
    write("train.en", "a\nb\n")
    write("train.de", "a\n")
    with pytest.raises(ValueError, match=r"train\.en has 2 lines, but .*train\.de has 1"):
        load_split(config(tmp_path), "train")
    write("train.de", b"a\n\xff\n")
    with pytest.raises(ValueError, match=r"train\.de, line 2: invalid UTF-8"):
        load_split(config(tmp_path), "train")


def test_empty_split_is_an_error(tmp_path: Path, write: Write) -> None:
    write("valid.en", "")
    write("valid.de", "")
    write("valid.tsv", "en\tde\n")
    write("valid.jsonl", "")
    datasets.Dataset.from_dict({"en": [], "de": []}).to_parquet(tmp_path / "valid.parquet")
    for form in (Format.text, Format.tsv, Format.jsonl, Format.parquet):
        path = "{split}." + ("{lang}" if form is Format.text else form.name)
        with pytest.raises(ValueError, match=r"split valid of toy is empty: check data\.root"):
            load_split(config(tmp_path, format=form, path=path), "valid")


def test_unknown_split_lists_the_splits_and_the_nearest(tmp_path: Path) -> None:
    options = config(tmp_path, splits={"train": "train", "valid": "val", "test_2016": "t"})
    message = (
        "toy .en-de. has no split 'test2016'; it has train, valid, test_2016; did you mean test"
    )
    with pytest.raises(ValueError, match=message):
        load_split(options, "test2016")
    with pytest.raises(ValueError, match=r"it has train, valid, test_2016$"):
        load_split(options, "xyz")


def test_split_that_lacks_a_language(tmp_path: Path) -> None:
    options = config(
        tmp_path,
        name="multi30k",
        src="cs",
        splits={"train": "train", "test_2017": "test_2017"},
        split_languages={"test_2017": ["en", "de", "fr"]},
    )
    assert split_names(options) == ["train"]
    message = r"split test_2017 of multi30k has no cs \(it has en, de, fr\)"
    with pytest.raises(ValueError, match=message):
        load_split(options, "test_2017")
    options.src = "en"
    assert split_names(options) == ["train", "test_2017"]


def test_path_without_split_would_leak(tmp_path: Path) -> None:
    options = config(tmp_path, path="all.{lang}")
    with pytest.raises(ValueError, match=r"has no \{split\}.*data\.holdout\.by=both"):
        load_split(options, "train")


def test_holdout_needs_a_language_of_the_pair(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"data\.holdout\.by=fr: expected en, de or both"):
        load_split(carved(tmp_path, holdout=HoldoutConfig(by="fr")), "train")


def test_holdout_is_a_partition_without_leaks(tmp_path: Path, write: Write) -> None:
    everything(write, 900)
    options = carved(tmp_path)
    assert split_names(options) == ["train", "valid", "test"]
    splits = {name: load_split(options, name) for name in split_names(options)}
    rows = [(row["src"], row["tgt"]) for split in splits.values() for row in split]
    assert sorted(rows) == sorted((f"sentence {i // 3}", f"Satz {i}") for i in range(900))
    sources = {name: set(split["src"]) for name, split in splits.items()}
    assert sum(map(len, sources.values())) == 300  # no sentence in two splits
    assert 30 <= len(sources["valid"]) <= 90
    assert 10 <= len(sources["test"]) <= 50


def test_holdout_by_both_keeps_what_shares_a_sentence_in_one_split(
    tmp_path: Path, write: Write
) -> None:
    shape = [("a", "x"), ("a", "y"), ("b", "y"), (" b", "z"), ("c", "z"), ("d", " z")]
    pairs = [(f"{s} {n}", f"{t} {n}") for n in range(200) for s, t in shape]
    write("all.tsv", "".join(f"{s}\t{t}\n" for s, t in pairs))
    options = carved(tmp_path, holdout=HoldoutConfig(by="both", valid=0.2, test=0.1))
    splits = [load_split(options, name) for name in ("train", "valid", "test")]
    rows = [[(row["src"], row["tgt"]) for row in split] for split in splits]
    assert sorted(chain.from_iterable(rows)) == sorted(pairs)
    groups = [{source.split()[-1] for source, _ in split} for split in rows]
    assert sum(map(len, groups)) == 200  # no group in two splits
    assert 20 <= len(groups[1]) <= 60
    assert 5 <= len(groups[2]) <= 40


def test_holdout_by_both_never_holds_out_a_large_group(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"holdout": HoldoutConfig(by="both", valid=0.0, test=0.99)}
    write("all.tsv", "".join(f"Hi\t{i}\n" for i in range(20)))
    monkeypatch.setattr(holdout, "_LARGEST_GROUP", 21)  # so many with "Hi"
    assert len(load_split(carved(tmp_path, **options), "test")) == 20
    write("all.tsv", "".join(f"Hi\t{i}\n" for i in reversed(range(20))))  # not in the cache
    monkeypatch.setattr(holdout, "_LARGEST_GROUP", 20)
    assert len(load_split(carved(tmp_path, **options), "train")) == 20


@pytest.mark.parametrize("by", ["en", "both"])
def test_holdout_does_not_depend_on_direction_or_order(
    tmp_path: Path, write: Write, by: str
) -> None:
    everything(write, 300)
    by_it = {"holdout": HoldoutConfig(by=by, valid=0.2, test=0.1)}
    forward = load_split(carved(tmp_path, **by_it), "test")
    assert len(forward) > 0
    backward = load_split(carved(tmp_path, src="de", tgt="en", **by_it), "test")
    assert list(backward["src"]) == list(forward["tgt"])
    assert list(backward["tgt"]) == list(forward["src"])
    lines = (tmp_path / "all.tsv").read_text(encoding="utf-8").splitlines(keepends=True)
    write("all.tsv", "".join(reversed(lines)))
    reordered = load_split(carved(tmp_path, **by_it), "test")
    assert list(reordered["tgt"]) == list(forward["tgt"])[::-1]


@pytest.mark.parametrize("by", ["en", "both"])
def test_holdout_stays_the_same_for_ever(tmp_path: Path, write: Write, by: str) -> None:
    # Another hash would move sentences that a model was trained on into the test split.
    write("all.tsv", "".join(f"{word}\t~{word}\n" for word in WORDS))  # the word comes first
    options = carved(tmp_path, holdout=HoldoutConfig(by=by, valid=0.2, test=0.1))
    assert list(load_split(options, "test")["src"]) == [
        "Straße",
        "laufe",
        "kleinen",
        "laufer",
        "Hundes",
        "Hundchen",
        "laufchen",
        "schlafchen",
        "Katzelich",
    ]


def test_holdout_looks_past_outer_spaces(tmp_path: Path, write: Write) -> None:
    write("all.tsv", "".join(f"{word}\t-\n {word} \t+\n" for word in WORDS))
    sources = list(load_split(carved(tmp_path), "test")["src"])
    assert sources[1::2] == [f" {word} " for word in sources[::2]]


def test_holdout_of_valid_alone_keeps_the_stored_test(tmp_path: Path, write: Write) -> None:
    for language in ("en", "de"):
        write(f"train.{language}", "".join(f"{language} {i}\n" for i in range(100)))
        write(f"test.{language}", f"{language} test\n")
    holdout = HoldoutConfig(by="en", valid=0.2, test=0.0)
    options = config(tmp_path, holdout=holdout)
    assert split_names(options) == ["train", "valid", "test"]
    assert load_split(options, "test")[0] == {"src": "en test", "tgt": "de test"}
    assert len(load_split(options, "train")) + len(load_split(options, "valid")) == 100
    single = carved(tmp_path, holdout=holdout)
    assert split_names(single) == ["train", "valid"]


@pytest.mark.parametrize(
    "changed", [{"by": "de"}, {"by": "both"}, {"valid": 0.3}, {"test": 0.3}], ids=str
)
def test_another_holdout_is_no_matter_for_the_cache(
    tmp_path: Path, write: Write, changed: dict[str, object]
) -> None:
    everything(write, 300)
    first = {"by": "en", "valid": 0.2, "test": 0.1}
    for split in ("train", "valid", "test"):
        fingerprints = [
            load_split(carved(tmp_path, holdout=HoldoutConfig(**options)), split)._fingerprint  # type: ignore[arg-type]
            for options in (first, first | changed, first)
        ]
        assert fingerprints[0] == fingerprints[2] != fingerprints[1]


def test_columns_that_change_places_are_no_matter_for_the_cache(
    tmp_path: Path, write: Write
) -> None:
    everything(write, 300)
    first = load_split(carved(tmp_path), "test")
    labels = {"src": "de", "tgt": "en", "columns": {"de": "0", "en": "1"}}
    second = load_split(carved(tmp_path, **labels), "test")
    rest = load_split(carved(tmp_path, **labels), "train")
    assert second["src"][:] != first["src"][:]
    held_out = set(second["tgt"])  # by=en, whose column is the second one now
    assert held_out and held_out.isdisjoint(rest["tgt"])


def test_holdout_too_small_for_the_corpus(tmp_path: Path, write: Write) -> None:
    everything(write, 3)
    options = carved(tmp_path, holdout=HoldoutConfig(by="en", valid=1e-6, test=0.5))
    with pytest.raises(ValueError, match=r"valid of toy is empty: .* and data\.holdout\.valid"):
        load_split(options, "valid")
    options = carved(tmp_path, holdout=HoldoutConfig(by="en", valid=0.5, test=1e-6))
    with pytest.raises(ValueError, match=r"and data\.holdout\.test, or set that to 0 for no test"):
        load_split(options, "test")
    write("train.tsv", "a\tb\n")  # 0 would be the stored one
    with pytest.raises(ValueError, match=r"and data\.holdout\.test$"):
        load_split(dataclasses.replace(options, path="{split}.tsv"), "test")


def test_group_references(tmp_path: Path, write: Write) -> None:
    write("train.en", "b\na\nb\nc\n")
    write("train.de", "1\n2\n3\n4\n")
    grouped = group_references(load_split(config(tmp_path), "train"))
    assert grouped.sources == ["b", "a", "c"]
    assert grouped.references == [["1", "3"], ["2"], ["4"]]


@pytest.mark.parametrize("split", ["train", "valid", "test", "test_long"])
def test_embedded_phrasebook(split: str, no_network: list[object]) -> None:
    options = DataConfig(
        name="phrasebook",
        src="de",
        tgt="en",
        home="embedded:phrasebook",
        path="{split}.{lang}.gz",
        splits={name: name for name in ("train", "valid", "test", "test_long")},
    )
    dataset = load_split(options, split)
    assert len(dataset) == (20_000 if split == "train" else 500)
    assert no_network == []


@pytest.mark.parametrize(
    ("split", "n_rows"), [("train", 29_000), ("val", 1_014), ("test_2016_flickr", 1_000)]
)
def test_multi30k(corpora: Path, split: str, n_rows: int, no_network: list[object]) -> None:
    options = config(
        corpora / "multi30k",
        path="{split}.{lang}.gz",
        home="https://example.org/",
        splits={split: split},
        tgt="fr",
    )
    assert len(load_split(options, split)) == n_rows
    assert no_network == []


@pytest.mark.slow
def test_the_readme_has_the_checksums_of_the_public_corpora(corpora: Path) -> None:
    text = (Path(__file__).parents[2] / "data" / "README.md").read_text("utf-8")
    sums = re.findall(r"^    ([0-9a-f]{64})  (\S+\.(?:en|de|fr))$", text, re.M)
    assert len(sums) == 15
    for digest, name in sums:
        content = gzip.decompress((corpora / "multi30k" / f"{name}.gz").read_bytes())
        assert digest == hashlib.sha256(content).hexdigest(), name
    with ZipFile(corpora / "tatoeba" / "deu-eng.zip") as archive:
        assert f"`{hashlib.sha256(archive.read('deu.txt')).hexdigest()}`" in text


@pytest.mark.slow
def test_tatoeba(corpora: Path, no_network: list[object]) -> None:
    options = carved(
        corpora / "tatoeba",
        path="deu-eng.zip",
        member="deu.txt",
        holdout=HoldoutConfig(by="both"),
    )
    splits = [load_split(options, name) for name in ("train", "valid", "test")]
    assert sum(map(len, splits)) == 169_197
    for column in ("src", "tgt"):
        train, valid, test = (set(split[column][:]) for split in splits)
        assert not train & valid | train & test | valid & test
    assert len(group_references(splits[2]).sources) < len(splits[2])
    assert no_network == []


@pytest.mark.parametrize("form", [Format.text, Format.parquet])
def test_a_full_disk_is_no_fault_of_the_file(tmp_path: Path, write: Write, form: Format) -> None:
    sentences = ["a sentence of which there are many"] * 10_000
    write("train.en", "\n".join(sentences) + "\n")
    write("train.de", "\n".join(sentences) + "\n")
    datasets.Dataset.from_dict({"en": sentences, "de": sentences}).to_parquet(
        tmp_path / "train.parquet"
    )
    path = "{split}.parquet" if form is Format.parquet else "{split}.{lang}"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(
            OSError, match=r"the cache in .* cannot be .*Errno 27.* by HF_.*made again$"
        ):
            load_split(config(tmp_path, format=form, path=path), "train")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(load_split(config(tmp_path, format=form, path=path), "train")) == len(sentences)
