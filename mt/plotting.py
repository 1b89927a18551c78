"""Pictures: the alignment heat map, BLEU by length, the gradient that reaches the source.

Figures are made without pyplot, so nothing is global, nothing needs a display, and the caller need
not close them. No other module imports matplotlib.
"""

import logging
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unicodedata import category

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager, get_font
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

_log = logging.getLogger(__name__)

FIGURE_SUFFIXES = (".png", ".pdf", ".svg")

_UNSHOWN = ("Cc", "Cn", "Co", "Cs")  # of Unicode's categories; those of format, Cf, join letters
_WORD_START = "\u2581"  # sentencepiece writes the space before a word as this character
_END = "</s>"
_DEFAULT_FONT = "DejaVu Sans"  # comes with matplotlib
# These cover code points with something else than the character's own shape.
_NO_TEXT_FONTS = ("Last Resort", "STIX", "cm")

# Okabe and Ito's palette: can be told apart with every common kind of colour blindness; the markers
# repeat the distinction.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_GREY = "#5A5A5A"
_LIGHT_GREY = "#D9D9D9"


def alignment_figure(
    source_tokens: list[str], target_tokens: list[str], weights: list[list[float]]
) -> Figure:
    """Draw attention weights as a heat map: source across, target down.

    Dark is where attention looks. Thick white lines separate words, thin ones the pieces of a
    word. Fonts are chosen so that the characters show.

    Args:
        source_tokens: The S source pieces.
        target_tokens: The T target pieces.
        weights: T rows of S weights from 0 to 1.

    Raises:
        ValueError: If there is no token on a side, or the weights are not T x S.
    """
    if not source_tokens or not target_tokens:
        raise ValueError("nothing to draw: source and target need at least one token each")
    if len(weights) != len(target_tokens) or any(len(row) != len(source_tokens) for row in weights):
        widths = sorted({len(row) for row in weights})
        raise ValueError(
            f"weights have {len(weights)} rows of {widths} columns: expected "
            f"{len(target_tokens)} rows (target tokens) of {len(source_tokens)} columns (source)"
        )
    columns, rows = [_label(t) for t in source_tokens], [_label(t) for t in target_tokens]
    cell = min(0.34, 36 / max(len(columns), len(rows)))  # inches
    font_size = max(2.0, 29 * cell)
    longest_row, longest_column = (
        max(0.6, 0.6 * font_size / 72 * max(map(len, labels))) for labels in (rows, columns)
    )  # inches, of letters 0.6 times as wide as high
    figure = _figure(
        cell * len(columns) + longest_row + 1.6, cell * len(rows) + longest_column + 1.2
    )
    axes = figure.add_subplot()
    image = axes.imshow(weights, cmap="Blues", vmin=0.0, vmax=1.0, aspect="equal")
    families = covering_fonts("".join(columns + rows))
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    for axis, labels in ((axes.xaxis, columns), (axes.yaxis, rows)):
        axis.set_ticks(range(len(labels)), labels, fontsize=font_size, fontfamily=families)
        for text in axis.get_ticklabels():
            text.set_parse_math(False)
    for text in axes.get_xticklabels():
        text.set(rotation=90, ha="center", va="bottom")
    axes.tick_params(length=0, pad=3)
    axes.spines[:].set_visible(False)
    _draw_piece_borders(axes, source_tokens, target_tokens)
    axes.set_xlabel("source", color=_GREY, labelpad=8)
    axes.set_ylabel("target", color=_GREY, labelpad=8)
    bar = figure.colorbar(image, ax=axes, shrink=min(1.0, 2.0 / (cell * len(rows))), pad=0.03)
    bar.set_label("attention weight", color=_GREY)
    bar.outline.set_visible(False)
    return figure


def bleu_by_length_figure(
    buckets: Sequence[str],
    scores: Mapping[str, Sequence[float]],
    *,
    counts: Sequence[int],
    title: str,
    unit: str = "words",
) -> Figure:
    """Draw BLEU against source length, one line per system, sentence counts underneath.

    Args:
        buckets: A name for each range of source lengths, such as `11-15`.
        scores: For each system's name, its BLEU (0 to 100) in each bucket.
        counts: How many sentences each bucket holds.
        title: Stands above the picture.
        unit: Of the lengths.
    """
    figure = _figure(max(6.4, 0.8 * len(buckets) + 2.4), 4.8)
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    positions = range(len(buckets))
    for number, values in enumerate(scores.values()):
        axes.plot(positions, values, **_line_style(number))
    top = max((max(values) for values in scores.values()), default=0.0)
    axes.set_ylim(0, min(102.0, max(10.0, 1.12 * top)))
    axes.set_ylabel("BLEU")
    _decorate(axes, title=title)
    bars = below.bar(positions, counts, color=_LIGHT_GREY, width=0.62)
    below.bar_label(bars, fontsize=8, color=_GREY, padding=1)
    below.set_ylim(0, 1.45 * max(counts, default=1))
    below.set_ylabel("sentences", fontsize=9)
    below.set_yticks([])
    below.spines[["top", "right", "left"]].set_visible(False)
    below.set_xticks(positions, buckets)
    below.set_xlabel(f"source length in {unit}")
    _add_legend(figure, axes, list(scores))
    return figure


def gradient_reach_figure(
    absolute: Mapping[str, Sequence[float]], relative: Mapping[str, Sequence[float]], *, title: str
) -> Figure:
    """Draw how much gradient reaches each source position from the loss, one line per system.

    Args:
        absolute: For each system's name, the mean norm at positions 1, 2, ... from the start of
            the sentence; drawn on a log scale.
        relative: For each system's name, the norm in equal stretches of the sentence from start to
            end, in shares of the sentence's mean norm (1 everywhere if all positions were reached
            alike).
        title: Stands above the picture.
    """
    figure = _figure(10.4, 4.4)
    left, right = figure.subplots(1, 2, gridspec_kw={"wspace": 0.06})
    for number, values in enumerate(absolute.values()):
        left.plot(range(1, len(values) + 1), values, **_line_style(number))
    left.set_yscale("log")
    left.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    left.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    left.yaxis.set_minor_formatter(NullFormatter())
    left.set_xlim(left=0.5)
    left.set_xlabel("source position (pieces from the start)")
    left.set_ylabel("gradient norm at the embedding")
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    _decorate(left, title="Norm, by position from the start")
    for number, values in enumerate(relative.values()):
        centres = [100 * (index + 0.5) / len(values) for index in range(len(values))]
        right.plot(centres, values, **_line_style(number))
    right.axhline(1.0, color=_GREY, linewidth=0.8, linestyle=(0, (4, 3)))
    right.set_ylim(bottom=0)
    right.set_xlim(0, 100)
    right.set_xlabel("place in the source sentence (% of its length)")
    right.set_ylabel("norm / mean norm of the sentence")
    _decorate(right, title="Where in the sentence it arrives")
    figure.suptitle(title, fontsize=12, fontweight="bold", **_as_it_is(title))
    _add_legend(figure, left, list(absolute))
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure; the suffix of `path` chooses the format.

    Raises:
        ValueError: For a suffix that is not one of `FIGURE_SUFFIXES`.
        FileNotFoundError: If the folder does not exist.
    """
    if path.suffix.lower() not in FIGURE_SUFFIXES:
        raise ValueError(
            f"{path}: no picture format for the suffix {path.suffix!r}; "
            f"use one of {', '.join(FIGURE_SUFFIXES)}"
        )
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent}: no such folder for the picture; create it first")
    with unshown_characters_named():
        figure.savefig(path, dpi=160, facecolor="white")


@contextmanager
def unshown_characters_named() -> Iterator[None]:
    """Keep matplotlib quiet about characters that no font shows, while a figure is drawn.

    `covering_fonts` has named them already, once and with what to do.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def covering_fonts(text: str) -> list[str]:
    """Choose font families that together show every character of `text`.

    DejaVu Sans comes first; installed fonts follow, each time the one that covers most of what is
    still missing. Characters that no installed font covers are named in a warning, and are drawn
    as boxes.
    """
    families = [_DEFAULT_FONT]
    missing = {ord(char) for char in text} - _coverage(_DEFAULT_FONT)
    if not missing:
        return families
    candidates = sorted(
        {font.name for font in fontManager.ttflist if not font.name.startswith(_NO_TEXT_FONTS)}
    )
    while missing:
        best = max(candidates, key=lambda name: len(missing & _coverage(name)))
        found = missing & _coverage(best)
        if not found:
            shown = "".join(chr(code) for code in sorted(missing)[:20])
            _log.warning(
                "no installed font shows these characters: %s; install one that does", shown
            )
            break
        families.append(best)
        missing -= found
    return families


@cache
def _coverage(family: str) -> frozenset[int]:
    """Return the code points that a family can show, by its first upright regular face.

    There are none where its file cannot be read: matplotlib remembers fonts that are gone.
    """
    faces = [font for font in fontManager.ttflist if font.name == family]
    upright = [font for font in faces if font.style == "normal" and font.weight in (400, "normal")]
    try:
        return frozenset(get_font((upright or faces)[0].fname).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()


def _label(token: str) -> str:
    """Return what a token shows as: no word-start mark, no control characters, never empty."""
    text = token.removeprefix(_WORD_START)
    return "".join("\ufffd" if category(char) in _UNSHOWN else char for char in text) or _WORD_START


def _draw_piece_borders(axes: Axes, source: Sequence[str], target: Sequence[str]) -> None:
    for tokens, draw in ((source, axes.axvline), (target, axes.axhline)):
        # Tokens without any mark are whole words.
        marked = any(token.startswith(_WORD_START) for token in tokens)
        for index, token in enumerate(tokens):
            starts_word = not marked or token.startswith((_WORD_START, _END))
            if index:
                draw(index - 0.5, color="white", linewidth=2.2 if starts_word else 0.5)


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _line_style(number: int) -> dict[str, object]:
    round_, color = divmod(number, len(_COLORS))
    return {
        "color": _COLORS[color],
        "marker": _MARKERS[(color + round_) % len(_MARKERS)],  # others at each round of the colours
        "markersize": 5,
        "linewidth": 1.8,
    }


def _decorate(axes: Axes, *, title: str) -> None:
    axes.set_title(title, fontsize=11, loc="left", **_as_it_is(title))
    axes.grid(axis="y", color=_LIGHT_GREY, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _add_legend(figure: Figure, axes: Axes, names: Sequence[str]) -> None:
    """Name the lines below the figure; as labels, names that begin with _ would not be shown."""
    numbers = [str(number) for number in range(len(names))]
    entry = 0.7 + 0.09 * max(map(len, names))  # inches, by the usual width of letters
    n_columns = min(3, len(names), max(1, int(figure.get_figwidth() / entry)))
    n_rows = math.ceil(len(names) / n_columns)
    figure.set_figheight(figure.get_figheight() + 0.2 * (n_rows - 1))  # a row's height
    legend = figure.legend(
        axes.get_lines(),
        numbers,
        loc="outside lower center",
        ncols=n_columns,
        frameon=False,
    )
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set(text=name, **_as_it_is(name))


def _as_it_is(text: str) -> dict[str, Any]:
    """Return what shows a text as it stands: fonts that have its characters, $ as a character."""
    return {"parse_math": False, "fontfamily": covering_fonts(text)}
