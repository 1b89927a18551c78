"""Split the sentences of the grammar into train, valid, test and test_long, and write them."""

import gzip
import io
from collections.abc import Callable
from pathlib import Path

from . import sentences
from .phrases import Dice
from .words import SentencePair

SEED = 2026
SIZES = {"train": 20_000, "valid": 500, "test": 500, "test_long": 500}
SHORTEST, LONGEST = 3, 30  # words on either side
LONG = 20  # a sentence of test_long has at least so many words on both sides
# Keeps the long tail of train thin: the share of sentences over LONG_TAIL words that is kept.
LONG_TAIL, KEPT = 16, 0.6


def _draw(
    dice: Dice, draw: Callable[[Dice], SentencePair], size: int, seen: set[str], shortest: int
) -> list[SentencePair]:
    """Draw pairs none of whose sides was seen before."""
    found: list[SentencePair] = []
    while len(found) < size:
        pair = draw(dice)
        lengths = [len(side.split()) for side in (pair.en, pair.de)]
        if min(lengths) < shortest or max(lengths) > LONGEST or {pair.en, pair.de} & seen:
            continue
        if shortest < LONG and max(lengths) > LONG_TAIL and not dice.chance(KEPT):
            continue
        seen.update((pair.en, pair.de))
        found.append(pair)
    return found


def build(seed: int = SEED) -> dict[str, list[SentencePair]]:
    """Make all splits; no sentence of either language occurs twice in the whole corpus."""
    dice = Dice(seed)
    seen: set[str] = set()
    test_long = _draw(dice, sentences.long, SIZES["test_long"], seen, LONG)
    drawn = SIZES["train"] + SIZES["valid"] + SIZES["test"]
    mixed = _draw(dice, sentences.sentence, drawn, seen, SHORTEST)
    dice.shuffle(mixed)
    test = SIZES["train"] + SIZES["valid"]
    return {
        "train": mixed[: SIZES["train"]],
        "valid": mixed[SIZES["train"] : test],
        "test": mixed[test:],
        "test_long": test_long,
    }


def _compress(lines: list[str]) -> bytes:
    """Compress lines so that the same lines always give the same bytes."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as file:
        file.write("".join(line + "\n" for line in lines).encode("utf-8"))
    return buffer.getvalue()


def render(seed: int = SEED) -> dict[str, bytes]:
    """Make the contents of all files, by file name."""
    files: dict[str, bytes] = {}
    for split, pairs in build(seed).items():
        files[f"{split}.en.gz"] = _compress([pair.en for pair in pairs])
        files[f"{split}.de.gz"] = _compress([pair.de for pair in pairs])
        files[f"{split}.align.gz"] = _compress([pair.alignment for pair in pairs])
    return files


def differing(folder: Path, files: dict[str, bytes]) -> list[str]:
    """List the files of a folder that are missing or differ from what they should be."""
    return [
        name
        for name, content in files.items()
        if not (folder / name).is_file() or (folder / name).read_bytes() != content
    ]
