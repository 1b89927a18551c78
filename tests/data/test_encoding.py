"""Encoding: every row with its ids and lengths, dropped pairs counted, nothing encoded twice."""

from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np
import pytest
from toy_corpus import WORDS, sentences

from mt.config import DataConfig, HoldoutConfig, TokenizerConfig
from mt.data.corpus import load_split
from mt.data.encoding import encode_split, ids_hash
from mt.data.tokenizer import Tokenizer, TokenizerPair, train_tokenizers

Write = Callable[[str, bytes | str], Path]
Load = Callable[[list[str], list[str]], datasets.Dataset]


@pytest.fixture
def load(tmp_path: Path, write: Write) -> Load:
    """Return a function that makes a split of two lists of sentences."""

    def load_lines(src: list[str], tgt: list[str]) -> datasets.Dataset:
        write("train.en", "".join(f"{text}\n" for text in src))
        write("train.de", "".join(f"{text}\n" for text in tgt))
        return load_split(DataConfig(name="toy", src="en", tgt="de", root=str(tmp_path)), "train")

    return load_lines


def test_the_check_knows_the_sentences_and_their_order(
    load: Load, tokenizers: TokenizerPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(src: list[str], tgt: list[str], max_length: int | None = None) -> str:
        return ids_hash(encode_split(load(src, tgt), tokenizers, max_length=max_length))

    src, tgt = ["Hund", "Katze", "", "Haus"], ["der", "die", "", "das"]
    first = check(src, tgt)
    assert check(src, tgt) == first
    assert check(src, ["die", "der", "", "das"]) != first
    assert check(["Katze", "Hund", "", "Haus"], ["die", "der", "", "das"]) != first
    assert check(src, tgt, 50) != first  # without the empty pair
    assert check(src, [*tgt[:3], "der"], 50) != check(src, tgt, 50)
    monkeypatch.setattr("mt.data.encoding._BLOCK", 1)
    assert check(src, [*tgt[:3], "der"]) != check(src, tgt)
    monkeypatch.setattr("mt.data.encoding._BLOCKS", 2)  # rows 0 and 2
    assert check(["Katze", *src[1:]], tgt) != check(src, tgt)
    assert check([*src[:2], "Hund", "Haus"], tgt) != check(src, tgt)
    assert check(src, [*tgt[:3], "der"]) == check(src, tgt)


def test_ids_and_lengths_of_every_row(load: Load, tokenizers: TokenizerPair) -> None:
    src, tgt = ["Hund", "", "Haus grün \u2028 x"], ["Katze 😀", "der", ""]
    encoded = encode_split(load(src, tgt), tokenizers, max_length=None)
    assert list(encoded.dataset["src"]) == src
    assert list(encoded.dataset["tgt"]) == tgt
    assert list(encoded.dataset["src_ids"]) == tokenizers.src.encode(src)
    assert list(encoded.dataset["tgt_ids"]) == tokenizers.tgt.encode(tgt)
    assert encoded.src_lengths.tolist() == [len(ids) for ids in tokenizers.src.encode(src)]
    assert encoded.tgt_lengths.tolist() == [len(ids) for ids in tokenizers.tgt.encode(tgt)]
    assert encoded.src_lengths.dtype == np.int32
    assert (encoded.dropped_empty, encoded.dropped_long) == (0, 0)


def test_dropped_pairs_are_counted_by_reason(load: Load, tokenizers: TokenizerPair) -> None:
    long = "Hund " * 50
    src = ["Hund", "", "Haus", " ", long, "Katze", long]
    tgt = ["Hund", "x", "", "", "Haus", long, ""]
    encoded = encode_split(load(src, tgt), tokenizers, max_length=20)
    assert (encoded.dropped_empty, encoded.dropped_long) == (4, 2)
    assert list(encoded.dataset["src"]) == ["Hund"]
    assert len(encoded.src_lengths) == len(encoded.tgt_lengths) == 1


def test_the_limit_itself_is_kept(load: Load, tokenizers: TokenizerPair) -> None:
    [ids] = tokenizers.src.encode(["Hund Katze Haus"])
    dataset = load(["Hund Katze Haus", "Hund"], ["Hund", "Hund Katze Haus"])
    assert encode_split(dataset, tokenizers, max_length=len(ids)).dropped_long == 0
    with pytest.raises(
        ValueError, match="none of 2 pairs is left: 0 have an empty side, and 2 hav"
    ):
        encode_split(dataset, tokenizers, max_length=len(ids) - 1)
    message = "2 have an empty side, .* look at data.splits and data.columns"
    with pytest.raises(ValueError, match=message):
        encode_split(load(["Hund", "Haus"], ["", " "]), tokenizers, max_length=9)


def test_second_encoding_comes_from_the_cache(
    load: Load, tokenizers: TokenizerPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded_texts = []
    real = Tokenizer.encode

    def spy(self: Tokenizer, texts: list[str]) -> list[list[int]]:
        encoded_texts.extend(texts)
        return real(self, texts)

    monkeypatch.setattr(Tokenizer, "encode", spy)
    first = encode_split(load(["Hund"], ["Katze"]), tokenizers, max_length=9)
    assert encoded_texts == ["Hund", "Katze"]
    again = encode_split(load(["Hund"], ["Katze"]), tokenizers, max_length=None)
    assert encoded_texts == ["Hund", "Katze"]
    assert again.dataset[0] == first.dataset[0]
    encode_split(load(["Hund"], ["Haus"]), tokenizers, max_length=9)
    assert encoded_texts[2:] == ["Hund", "Haus"]


def test_another_tokenizer_is_another_encoding(load: Load, tokenizers: TokenizerPair) -> None:
    other = train_tokenizers(sentences(50), sentences(50), TokenizerConfig(vocab_size=310))
    text = " ".join(WORDS)
    assert tokenizers.src.encode([text]) != other.src.encode([text])
    dataset = load([text], [text])
    for pair in (tokenizers, TokenizerPair(tokenizers.src, other.tgt), other):
        encoded = encode_split(dataset, pair, max_length=None)
        assert encoded.dataset[0]["src_ids"] == pair.src.encode([text])[0]
        assert encoded.dataset[0]["tgt_ids"] == pair.tgt.encode([text])[0]


def test_result_is_memory_mapped(load: Load, tokenizers: TokenizerPair) -> None:
    encoded = encode_split(load(["Hund"], ["Katze"]), tokenizers, max_length=9)
    assert [Path(file["filename"]).suffix for file in encoded.dataset.cache_files] == [".arrow"]


@pytest.mark.parametrize("damage", ["cut short", "gone"])
@pytest.mark.parametrize("held_out", [False, True])
def test_a_damaged_cache_is_named(
    tmp_path: Path, write: Write, tokenizers: TokenizerPair, damage: str, held_out: bool
) -> None:
    write("train.en", "Hund\nHaus\n")
    write("train.de", "der\ndas\n")
    holdout = HoldoutConfig(by="both", valid=0.001, test=0.001) if held_out else HoldoutConfig()
    config = DataConfig(name="toy", src="en", tgt="de", root=str(tmp_path), holdout=holdout)

    def encode() -> None:
        encode_split(load_split(config, "train"), tokenizers, max_length=None)

    encode()
    folder = Path(datasets.config.HF_DATASETS_CACHE)
    kept = {path: path.read_bytes() for path in folder.rglob("*.arrow")}
    assert len(kept) >= 2
    for path, content in kept.items():
        if damage == "gone":
            path.unlink()
        else:
            path.write_bytes(content[:100])
        try:
            encode()  # which makes some of them anew
        except OSError as error:
            message = f"the cache in {folder} cannot be read or written ("
            assert str(error).startswith(message) and "delete this one" in str(error)
        else:
            assert damage == "gone"
        path.write_bytes(content)


def test_a_cache_that_cannot_be_made_is_named(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "file" / "cache")
    monkeypatch.delenv("HF_DATASETS_CACHE", raising=False)
    with pytest.raises(OSError, match=r"the cache in .*/file/cache cannot .* another by HF_HOME,"):
        load(["Hund"], ["der"])
    monkeypatch.setenv("HF_DATASETS_CACHE", "set")  # which HF_HOME would not change
    with pytest.raises(OSError, match="another by HF_DATASETS_CACHE, or delete this one"):
        load(["Hund"], ["der"])
