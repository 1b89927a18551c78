"""`mt-translate RUN`: a prompt on a terminal, a filter in a pipe."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mt.cli.command import run_command, set_threads
from mt.cli.options import CHECKPOINT_HELP, add_model_options, add_precision_option, count

if TYPE_CHECKING:  # the types alone: --help and usage errors must not wait for torch
    from mt.translator import Translator

PROG = "mt-translate"
_EXAMPLES = """\
on a terminal it is a prompt; in a pipe a filter, one line out per line in:

  mt-translate runs/mine
  mt-translate runs/mine < in.txt > out.txt
  mt-translate runs/seed1 runs/seed2 runs/seed3 < in.txt      # an ensemble
  mt-translate runs/mine --n-best 3 --beam-size 8 < in.txt    # id ||| text ||| score
  mt-translate runs/mine --scores --alignments < in.txt       # text TAB score TAB 0-0 1-2
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 0, 1 on failure, 130 after Ctrl-C; exit with 2 on wrong usage."""
    arguments = _parse(argv)
    return run_command(PROG, lambda: _run(arguments), log_level=logging.WARNING)


def _run(arguments: argparse.Namespace) -> int:
    from mt.cli.filter import SearchOptions, translate_stream
    from mt.cli.render import OutputFormat

    translator = _load(arguments)
    form = OutputFormat(
        json=arguments.format == "json",
        n_best=arguments.n_best,
        scores=arguments.scores,
        alignments=arguments.alignments,
    )
    options = SearchOptions(arguments.beam_size, arguments.length_penalty, arguments.batch_size)
    if os.isatty(0) and os.isatty(1):
        from mt.cli.prompt import Prompt, run_prompt

        run_prompt(Prompt(translator, form=form, options=options))
    else:
        # Not sys.stdout: what it holds back after a failed write would fail again, aloud, at exit.
        with open(1, "wb", buffering=0, closefd=False) as output:
            translate_stream(translator, descriptor=0, output=output, form=form, options=options)
    return 0


def _load(arguments: argparse.Namespace) -> "Translator":
    from mt.translator import Translator

    set_threads(arguments.threads)
    translator = Translator.from_run(
        *arguments.runs,
        checkpoint=arguments.checkpoint,
        device=arguments.device,
        precision=arguments.precision,
    )
    if arguments.alignments and not translator.has_attention:
        names = ", ".join(arguments.runs)
        raise ValueError(
            f"{names} has no attention (model.decoder=fixed_context), so it has no "
            "alignments: leave --alignments out, or take a run of model=attention or conditional"
        )
    return translator


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=PROG,
        description="Translate with a trained run, from standard input to standard output.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="the run directory; several make an ensemble")
    add("--n-best", type=count, default=1, metavar="N", help="translations per line (default: 1)")
    add(
        "--scores",
        action="store_true",
        help="add the score; n-best lines and JSON always have it",
    )
    add(
        "--alignments",
        action="store_true",
        help="append word links, such as 0-0 1-2; to JSON, which always has links, add weights",
    )
    add("--format", choices=("text", "json"), default="text", help="json: one object per line")
    add("--checkpoint", default="best", metavar="NAME|FILE", help=CHECKPOINT_HELP)
    add_model_options(parser)
    add_precision_option(parser)
    arguments = parser.parse_args(argv)
    if arguments.beam_size is not None and arguments.n_best > arguments.beam_size:
        parser.error(
            f"--n-best {arguments.n_best} needs --beam-size {arguments.n_best} or more, "
            f"not {arguments.beam_size}"
        )
    return arguments


if __name__ == "__main__":
    sys.exit(main())
