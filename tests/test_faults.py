"""Faults: each kind is found, what is none is left alone, the references have theirs."""

import re

import pytest

from mt.faults import Faults, count_faults


def _count(*texts: str, sources: list[str] | None = None) -> Faults:
    sources = sources or [f"source {i}" for i in range(len(texts))]
    return count_faults(texts, sources, [["one two"]] * len(texts))


@pytest.mark.parametrize(
    "text",
    [
        "a man a man sleeps",
        "the the the",
        "Ein Mann  ein mann",
        "he sees w1 w2 w3 w4 w5 w6 w7 w8 w1 w2 w3 w4 w5 w6 w7 w8",
        "x! x! x!",
    ],
)
def test_repetition(text: str) -> None:
    assert _count(text).repeated == 100


@pytest.mark.parametrize(
    "text",
    [
        "",
        "that that is said",
        "a man and a man sleep",
        "a manor a man",
        "he sees w1 w2 w3 w4 w5 w6 w7 w8 w9 w1 w2 w3 w4 w5 w6 w7 w8 w9",
    ],
)
def test_no_repetition(text: str) -> None:
    assert _count(text).repeated == 0


def test_identical_texts_of_different_sources() -> None:
    assert _count("x", "x", "y", "z").identical == 50
    assert _count("x", "x", sources=["same", "same"]).identical == 0
    assert _count("", "").identical == 0  # empty, which is counted as such


def test_empty_texts_of_sources_with_text() -> None:
    assert _count("", " ", "x", "", sources=["a", "b", "c", " "]).empty == 50


def test_copies_whatever_the_case() -> None:
    assert _count("A Man.", "a dog.", sources=["a man. ", "ein Hund."]).copied == 50


def test_copies_whatever_the_tokenizer_writes_otherwise() -> None:
    sources = ["你好，世界！", "Wait… ½", "می\u200cروم", "a b", "你好"]
    texts = ["你好,世界!", "wait... 1⁄2", "می روم", "ab", "您好"]
    assert _count(*texts, sources=sources).copied == 80


def test_length_ratio() -> None:
    assert _count("one two three", "one two three").length_ratio == 1.5
    assert count_faults([""], [""], [[""]]).length_ratio == 0


@pytest.mark.parametrize(
    ("text", "repeated"),
    [
        ("一只狗一只狗在跑", 100),
        ("哈哈哈", 100),
        ("一只狗在跑", 0),
        ("2000年 www", 0),
        ("3 3 3", 100),
        ("我不知道......", 0),
        ("我不知道……", 0),
        ("そう・・・", 0),
        ("人口1,000,000。", 0),
        ("12:30:30", 0),
        ("2020.02.02", 0),
        ("២០០០", 0),
        ("二〇〇〇年", 0),
    ],
)
def test_words_of_a_language_without_spaces_are_characters(text: str, repeated: float) -> None:
    faults = count_faults([text], ["source"], [["一只狗在跑"]], spaced=False)
    assert faults.repeated == repeated


def test_length_ratio_is_to_the_first_reference() -> None:
    assert count_faults(["one two three"], ["s"], [["one two", "one"]]).length_ratio == 1.5


def test_length_ratio_without_spaces() -> None:
    assert count_faults(["一只狗在2000"], ["x"], [["一只"]], spaced=False).length_ratio == 2.5
    assert count_faults(["一只狗在2000"], ["x"], [["一只"]]).length_ratio == 1


def test_counts_that_differ() -> None:
    message = "1 texts, 2 sources and 1 groups of references: expected the same number"
    with pytest.raises(ValueError, match=re.escape(message)):
        count_faults(["x"], ["a", "b"], [["y"]])
    with pytest.raises(ValueError, match="at least 1"):
        count_faults([], [], [])
