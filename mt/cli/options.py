"""Options that mt-evaluate, mt-compare and mt-translate share, and the types of their values."""

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from mt import __version__
from mt.choices import Device, Precision
from mt.config import HIGHEST_LENGTH_PENALTY

if TYPE_CHECKING:
    from mt.evaluation_set import EvaluationSet

CHECKPOINT_HELP = "best, last, another name in RUN/checkpoints, or a file (default: best)"


def count(text: str) -> int:
    """Read a whole number, 1 or more."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected a whole number, 1 or more")
    return value


def penalty(text: str) -> float:
    """Read a length penalty."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= HIGHEST_LENGTH_PENALTY:
        raise argparse.ArgumentTypeError(
            f"{text}: expected a number from 0 to {HIGHEST_LENGTH_PENALTY}"
        )
    return value


def add_model_options(parser: argparse.ArgumentParser, *, whose: str = "the run's") -> None:
    """Add the options of search and machine, and --version; `whose` default the help text names."""
    add = parser.add_argument
    add("--version", action="version", version=f"mt {__version__}")
    add("--beam-size", type=count, metavar="N", help=f"1 is greedy search (default: {whose})")
    add(
        "--length-penalty",
        type=penalty,
        metavar="A",
        help=f"alpha of the length penalty; 0 favours short translations (default: {whose})",
    )
    add("--batch-size", type=count, metavar="N", help=f"sentences at once (default: {whose})")
    add("--threads", type=count, metavar="N", help="CPU threads (default: torch's choice)")
    add("--device", choices=[d.name for d in Device], default="auto", help="(default: auto)")


def add_precision_option(parser: argparse.ArgumentParser, *, default: str = "fp32") -> None:
    """Add the choice of the number format."""
    parser.add_argument(
        "--precision",
        choices=[precision.name for precision in Precision],
        default=default,
        help="auto: bf16, which is faster, where the device has instructions for it "
        "(default: %(default)s)",
    )


def add_set_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which sentences are translated and scored."""
    add = parser.add_argument
    add("--split", action="append", metavar="NAME", help="repeatable (default: the test split)")
    add("--src", metavar="FILE", help="source sentences instead of a split, one per line")
    add("--ref", action="append", metavar="FILE", help="their translations; repeatable")
    add("--data-root", metavar="DIR", help="local copies of the corpus, in place of data.root")


def check_set_options(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """End with a usage error where the options of `add_set_options` do not fit together."""
    if (arguments.src is None) != (arguments.ref is None):
        parser.error("--src and --ref go together: give the source file and at least one reference")
    if arguments.src is not None and arguments.split:
        parser.error("--split and --src exclude each other: take a split or a file")
    if arguments.src is not None and arguments.data_root is not None:
        parser.error("--data-root and --src exclude each other: only splits come from a corpus")


def read_src_and_ref(arguments: argparse.Namespace) -> "EvaluationSet | None":
    """Return the sentences of `--src` and `--ref`; None without them."""
    from mt.evaluation_set import read_evaluation_set

    if arguments.src is None:
        return None
    return read_evaluation_set(Path(arguments.src), [Path(ref) for ref in arguments.ref])
