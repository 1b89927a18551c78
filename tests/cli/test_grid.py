"""The alignment drawn with characters."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from wcwidth import wcswidth

from mt.alignment import WordAlignment
from mt.cli.grid import draw_alignment, fit, legend
from mt.display import display_width, printable


def _diagonal(source: list[str], target: list[str]) -> WordAlignment:
    return WordAlignment(source, target, np.eye(len(target), len(source)))


def test_a_small_grid() -> None:
    words = WordAlignment(["der", "Hund"], ["the", "dog"], np.array([[0.8, 0.05], [0.0, 0.35]]))
    assert draw_alignment(words, 60).split("\n") == [
        "    ┌─── der",
        "    │ ┌─ Hund",
        "the ██··",
        "dog   ▒▒",
    ]


def test_wide_characters_do_not_move_the_cells() -> None:
    picture = draw_alignment(_diagonal(["一", "二二"], ["日本語", "e\u0301te\u0301"]), 60)
    cells = [line for line in picture.split("\n") if "█" in line]
    starts = [wcswidth(line[: line.index("█")]) for line in cells]
    assert starts == [7, 9]


_WORDS = st.lists(
    st.text(st.sampled_from("abc日本🙂e\u0301ش\x1b\t"), min_size=1, max_size=30),
    min_size=1,
    max_size=40,
)


@given(_WORDS, _WORDS, st.integers(20, 120))
def test_no_line_is_wider_than_the_terminal(
    source: list[str], target: list[str], width: int
) -> None:
    picture = draw_alignment(_diagonal(source, target), width)
    for line in picture.split("\n"):
        assert 0 <= wcswidth(line) <= width
    # every source word is drawn in exactly one panel
    assert picture.count("┌") == len(source)
    assert picture.count("█") >= 2 * min(len(source), len(target))


@given(st.text(max_size=20), st.integers(2, 10))
@example("❤\ufe0f" * 5, 7)  # each of two cells, though its two characters have one and none
def test_fit_keeps_the_width_and_what_fits(text: str, width: int) -> None:
    cut = fit(text, width)
    assert display_width(cut) <= width
    if display_width(text) <= width:
        assert cut == printable(text)
    else:
        kept, shown = cut.removesuffix("…"), printable(text)
        assert cut == f"{kept}…" and shown.startswith(kept)
        longer = (shown[:end] for end in range(len(kept) + 1, len(shown) + 1))
        assert all(display_width(f"{more}…") > width for more in longer)


def test_control_characters_cannot_reach_the_terminal() -> None:
    assert printable("a\x1b[31mb\x07\n") == "a\ufffd[31mb\ufffd\ufffd"


@pytest.mark.parametrize("words", [WordAlignment([], [], np.zeros((0, 0)))])
def test_nothing_to_draw_is_empty(words: WordAlignment) -> None:
    assert draw_alignment(words, 60) == ""


def test_the_legend_explains_every_shade() -> None:
    assert all(shade in legend() for shade in "·░▒▓█")
