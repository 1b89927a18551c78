"""Values of command-line options that argparse has no type for."""

import argparse
import math

from mt.config import HIGHEST_LENGTH_PENALTY


def count(text: str) -> int:
    """Read a whole number from 1 on."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: accepted is a whole number from 1 on")
    return value


def penalty(text: str) -> float:
    """Read a length penalty."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= HIGHEST_LENGTH_PENALTY:
        raise argparse.ArgumentTypeError(
            f"{text}: accepted is a number from 0 to {HIGHEST_LENGTH_PENALTY}"
        )
    return value
