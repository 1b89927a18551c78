"""Attention between pieces becomes attention between words."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mt.alignment import align_words, pharaoh, word_of_piece
from mt.config import TokenizerConfig
from mt.data.tokenizer import Tokenizer, train_tokenizers

_TEXTS = [
    "the old house by the river stands empty",
    "der alte hund schläft unter dem tisch",
    "houses and rivers and tables and dogs",
    "a boat on the river carries bread and honey from house to house",
    "vier alte frauen verkaufen brot und honig auf dem markt",
]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    config = TokenizerConfig(vocab_size=300)
    return train_tokenizers(_TEXTS, _TEXTS, config, cache_dir=tmp_path_factory.mktemp("cache")).src


def _words_by_force(pieces: list[str]) -> list[int]:
    word = -1
    found = []
    for piece in pieces:
        word += piece.startswith("▁")
        found.append(word)
    return found


@given(
    st.lists(
        st.text(st.sampled_from("abhouseriv日🙂é"), min_size=1, max_size=6), min_size=1, max_size=6
    )
)
def test_every_piece_belongs_to_the_word_it_stands_in(
    tokenizer: Tokenizer, words: list[str]
) -> None:
    text = " ".join(words)
    pieces = tokenizer.pieces(tokenizer.encode([text])[0])
    found = word_of_piece(pieces, text)
    inside = [
        (word, expected)
        for piece, word, expected in zip(pieces, found, _words_by_force(pieces), strict=True)
        if piece != "▁"
    ]
    assert all(word == expected for word, expected in inside)
    assert {word for word, _ in inside} == set(range(len(words)))


@given(st.text(max_size=40))
def test_any_text_keeps_its_pieces_in_range_and_in_order(tokenizer: Tokenizer, text: str) -> None:
    pieces = tokenizer.pieces(tokenizer.encode([text])[0])
    found = [word for word in word_of_piece(pieces, text) if word is not None]
    assert found == sorted(found)
    assert all(0 <= word < len(text.split()) for word in found)


def test_words_that_normalisation_splits_are_found_by_their_place() -> None:
    text = "zero\u200bwidth end"  # two words; the pieces make three of it
    assert word_of_piece(["▁zero", "▁width", "▁end"], text) == [0, 0, 1]


@pytest.mark.parametrize("joiner", ["\u200c", "\u200b", "\u200f", "\u2581"])
def test_every_word_after_one_that_is_split_has_its_pieces(joiner: str) -> None:
    text = f"{joiner}im{joiner} rovam to be khane"
    pieces = ["▁im", "▁ro", "vam", "▁to", "▁be", "▁khane"]
    assert word_of_piece(pieces, text) == [0, 1, 1, 2, 3, 4]
    text = f"an{joiner}ha mi{joiner}guyand ke u"
    assert word_of_piece(["▁an", "▁ha", "▁mi", "▁guyand", "▁ke", "▁u"], text) == [0, 0, 1, 1, 2, 3]


def test_words_that_normalisation_joins_are_found_by_their_place() -> None:
    text = "ab\x1ccd ef"  # str.split sees three words; the pieces two
    assert word_of_piece(["▁abcd", "▁ef"], text)[-1] == 2


@pytest.mark.parametrize("space", ["\u3000", "\u00a0", "\x1f"])
def test_any_space_ends_a_word_as_it_does_for_str_split(space: str) -> None:
    pieces = ["▁a", "▁b", "▁c", space, "d", "▁e"]  # as without normalisation
    assert word_of_piece(pieces, f"a b c{space}d e") == [0, 1, 2, None, 3, 4]
    bytewise = ["▁a", *(f"<0x{byte:02X}>" for byte in space.encode()), "d"]
    assert word_of_piece(bytewise, f"a{space}d")[-1] == 1


def test_a_piece_that_is_only_a_space_has_no_word() -> None:
    assert word_of_piece(["▁", "▁", "▁a"], "a") == [None, None, 0]


def test_bytes_of_one_character_stay_in_one_word() -> None:
    assert word_of_piece(["▁a", "▁", "<0xE2>", "<0x82>", "<0xAC>", "s"], "a €s") == [
        0,
        None,
        1,
        1,
        1,
        1,
    ]


def test_weights_are_summed_over_the_source_and_averaged_over_the_target() -> None:
    words = align_words(
        "a bc",
        "xy z",
        source_tokens=["▁a", "▁b", "c"],
        target_tokens=["▁x", "y", "▁z"],
        weights=[[0.4, 0.3, 0.3], [0.2, 0.1, 0.7], [0.9, 0.1, 0.0]],
    )
    assert words.source_words == ["a", "bc"]
    assert words.target_words == ["xy", "z"]
    np.testing.assert_allclose(words.weights, [[0.3, 0.7], [0.9, 0.1]])
    # 0.4 is the largest single weight of the first row, but "b" and "c" together have more.
    assert words.links == [(0, 1), (1, 0)]


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_each_target_word_has_one_link_and_rows_keep_their_mass(n: int, m: int, seed: int) -> None:
    weights = np.random.default_rng(seed).dirichlet(np.ones(n), size=m)
    source, target = [f"▁s{i}" for i in range(n)], [f"▁t{i}" for i in range(m)]
    words = align_words(
        " ".join(f"s{i}" for i in range(n)),
        " ".join(f"t{i}" for i in range(m)),
        source_tokens=source,
        target_tokens=target,
        weights=weights.tolist(),
    )
    np.testing.assert_allclose(words.weights, weights)
    assert sorted(target for _, target in words.links) == list(range(m))
    assert words.links == sorted(words.links)
    assert all(weights[t, s] == weights[t].max() for s, t in words.links)


def test_a_word_that_looked_nowhere_has_no_link() -> None:
    words = align_words(
        "a", "x y", source_tokens=["▁a"], target_tokens=["▁x", "▁y"], weights=[[1.0], [0.0]]
    )
    assert words.links == [(0, 0)]


def test_an_empty_side_has_no_links() -> None:
    assert align_words("", "", source_tokens=[], target_tokens=[], weights=[]).links == []
    assert align_words("a", "", source_tokens=["▁a"], target_tokens=[], weights=[]).links == []


def test_weights_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 2\); expected \(1, 1\)"):
        align_words("a", "x", source_tokens=["▁a"], target_tokens=["▁x"], weights=[[0.5, 0.5]])


def test_pharaoh() -> None:
    assert pharaoh([(0, 0), (1, 2)]) == "0-0 1-2"
    assert pharaoh([]) == ""
