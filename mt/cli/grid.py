"""Draw an alignment with characters: a heat map in the terminal."""

from bisect import bisect_left

from mt.alignment import WordAlignment
from mt.display import display_width, printable

_SHADES = " ·░▒▓█"
_LIMITS = (0.02, 0.1, 0.3, 0.5, 0.75)  # a weight from the i-th limit on has shade i + 1
_MIN_LABEL = 4
_LABEL_SHARE = 3  # a label takes at most this part of the width: 1 / 3


def draw_alignment(words: WordAlignment, width: int) -> str:
    """Draw a row for each target word, a column for each source word, in `width` terminal cells.

    Each source word stands on a line of its own above the grid, joined to its column, so that long
    words and scripts that cannot be written downwards stay legible. Where the columns do not fit,
    further grids with the next source words follow.
    """
    label = min(
        max(map(display_width, words.target_words), default=0),
        max(width // _LABEL_SHARE, _MIN_LABEL),
    )
    longest = max(map(display_width, words.source_words), default=0)
    room = min(longest, max(width // _LABEL_SHARE, _MIN_LABEL))
    columns = max(1, (width - label - room - 2) // 2)
    panels = [
        _panel(words, range(start, min(start + columns, len(words.source_words))), label, width)
        for start in range(0, len(words.source_words), columns)
    ]
    return "\n\n".join(panels)


def _panel(words: WordAlignment, columns: range, label: int, width: int) -> str:
    lines = []
    for place, column in enumerate(columns):
        joint = "│ " * place + "┌" + "─" * (2 * (len(columns) - place) - 1)
        left = " " * (label + 1) + joint + " "
        lines.append(left + fit(words.source_words[column], width - len(left)))
    for word, row in zip(words.target_words, words.weights, strict=True):
        text = fit(word, label)
        cells = "".join(_shade(row[column]) * 2 for column in columns)
        lines.append((" " * (label - display_width(text)) + text + " " + cells).rstrip())
    return "\n".join(lines)


def _shade(weight: float) -> str:
    return _SHADES[sum(weight >= limit for limit in _LIMITS)]


def fit(text: str, width: int) -> str:
    """Cut a text to at most `width` terminal cells, with an ellipsis where something was cut."""
    text = printable(text)
    if display_width(text) <= width:
        return text
    # Prefixes are measured whole: a variation selector makes the character before it wider.
    ends = range(1, len(text))
    return text[: bisect_left(ends, width, key=lambda end: display_width(text[:end]))] + "…"


def legend() -> str:
    """Say which shade stands for which weight."""
    return "weight: " + "  ".join(
        f"{shade} from {limit:g}" for shade, limit in zip(_SHADES[1:], _LIMITS, strict=True)
    )
