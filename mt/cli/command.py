"""What mt-evaluate, mt-compare and mt-translate share: failures, and options of running a model."""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mt import __version__
from mt.choices import Device, Precision
from mt.cli.options import count, penalty
from mt.garbage import spare_garbage_collector

if TYPE_CHECKING:
    from mt.evaluation_set import EvaluationSet

CHECKPOINT_HELP = "best, last, another name in RUN/checkpoints, or a file (default: best)"
_FAILURE = 1


def run_command(prog: str, body: Callable[[], int], *, log_level: int = logging.INFO) -> int:
    """Run the body of a command and return its exit code; say a failure in one line.

    The code is 1 after a failure that the user can mend, and 128 and the signal's number after
    Ctrl-C or when the reader of a pipe has left.
    """
    spare_garbage_collector()
    logging.basicConfig(stream=sys.stderr, format=f"{prog}: %(message)s")
    logging.getLogger("mt").setLevel(log_level)
    try:
        code = body()
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        code, message = 128 + signal.SIGINT, None
    except BrokenPipeError:
        code, message = 128 + signal.SIGPIPE, None
    except (ValueError, OSError) as error:
        code, message = _FAILURE, str(error)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        code, message = _FAILURE, "out of memory: lower --batch-size or --beam-size"
    drop_unwritten_output()
    if message is not None:
        print(f"{prog}: error: {' '.join(message.split())}", file=sys.stderr)
    return code


def drop_unwritten_output() -> None:
    """Lose what standard output does not take: at exit Python would fail on it again, aloud."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def is_out_of_memory(error: RuntimeError) -> bool:
    """Say whether torch ran out of memory; only on a GPU has it an exception for that."""
    return any(phrase in str(error) for phrase in ("out of memory", "can't allocate memory"))


def add_model_options(parser: argparse.ArgumentParser, *, whose: str = "the run's") -> None:
    """Add the options of search and machine, and --version; `whose` default the help text names."""
    add = parser.add_argument
    add("--version", action="version", version=f"mt {__version__}")
    add("--beam-size", type=count, metavar="N", help=f"1 is greedy (default: {whose})")
    add(
        "--length-penalty",
        type=penalty,
        metavar="A",
        help=f"alpha of the length penalty; 0 favours short ones (default: {whose})",
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
        help="auto takes bf16 where the device has instructions for it, and is faster "
        "(default: %(default)s)",
    )


def add_set_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which sentences are translated and scored."""
    add = parser.add_argument
    add("--split", action="append", metavar="NAME", help="repeatable (default: the test split)")
    add("--src", metavar="FILE", help="source sentences instead of a split, one a line")
    add("--ref", action="append", metavar="FILE", help="their translations; repeatable")
    add("--data-root", metavar="DIR", help="local copies of the corpus, in place of data.root")


def check_set_options(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """End with a usage error where the options of `add_set_options` do not fit together."""
    if (arguments.src is None) != (arguments.ref is None):
        parser.error("--src and --ref go together: give the source file and at least one reference")
    if arguments.src is not None and arguments.split:
        parser.error("--split and --src exclude each other: take a split or a file")
    if arguments.src is not None and arguments.data_root is not None:
        parser.error("--data-root and --src exclude each other: it is splits that come from there")


def read_src_and_ref(arguments: argparse.Namespace) -> "EvaluationSet | None":
    """Return the sentences of `--src` and `--ref`; None without them."""
    from mt.evaluation_set import read_evaluation_set

    if arguments.src is None:
        return None
    return read_evaluation_set(Path(arguments.src), [Path(ref) for ref in arguments.ref])


def set_threads(threads: int | None) -> None:
    """Use so many CPU threads; None leaves the choice to torch."""
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
