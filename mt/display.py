"""How text shows in a terminal: how wide it is, and what of it must not get there."""

from wcwidth import wcswidth, wcwidth


def printable(text: str) -> str:
    """Replace control characters, which could change the state of the terminal, by U+FFFD."""
    return "".join("\ufffd" if wcwidth(character) < 0 else character for character in text)


def display_width(text: str) -> int:
    """Count the terminal cells of a text: wide characters take two, combining ones none."""
    return int(wcswidth(printable(text)))
