"""`mt-compare RUN RUN...`: runs side by side, in a table, a report and figures."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mt.cli.command import run_command, set_threads
from mt.cli.options import (
    add_model_options,
    add_precision_option,
    add_set_options,
    check_set_options,
    read_src_and_ref,
)
from mt.file_names import as_file_name, check_writable, joined_names

PROG = "mt-compare"
_EXAMPLES = """\
  mt-compare runs/attention runs/baseline
  mt-compare runs/attention runs/baseline --split test --split test_long --output comparison/long
  mt-compare runs/attention runs/baseline --src in.en --ref first.de --ref second.de

The first run is the one that the others are tested against. SACREBLEU_SEED in the environment sets
the seed of the resampling (default 12345).
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 1 on failure; exit with 2 on wrong usage."""
    arguments = _parse(argv)
    return run_command(PROG, lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    from mt.checkpoint import RunDirectory
    from mt.comparison import compare, run_names
    from mt.comparison_report import check_replaceable, plain_table, report_folder, write_report
    from mt.data.locating import real_root
    from mt.device import select_device, select_precision

    set_threads(arguments.threads)
    precision = select_precision(arguments.precision, select_device(arguments.device))
    texts = read_src_and_ref(arguments)
    paths = [Path(run) for run in arguments.run]
    if arguments.output is None:
        name = _report_name(run_names(paths), arguments, precision)
        if texts is not None:
            files = texts.files
        else:
            own = RunDirectory.open(paths[0]).load_config().data.root
            root = real_root(own if arguments.data_root is None else arguments.data_root)
            files = [] if root is None else [root]
        folder = report_folder(name, paths, files)
    else:
        folder = Path(arguments.output)
    check_writable(folder, option="--output")
    check_replaceable(folder)
    comparison = compare(
        paths,
        splits=arguments.split or (),
        texts=texts,
        checkpoint=arguments.checkpoint,
        beam_size=arguments.beam_size,
        length_penalty=arguments.length_penalty,
        batch_size=arguments.batch_size,
        device=arguments.device,
        precision=precision,
        data_root=arguments.data_root,
    )
    try:  # a closed pipe or a full disk must not cost the other result as well
        report = write_report(comparison, folder)
    finally:
        for split in comparison.splits:
            print(plain_table(comparison, split), end="\n\n", flush=True)
    print(f"report and figures: {report}")
    return 0


def _report_name(names: Sequence[str], arguments: argparse.Namespace, precision: str) -> str:
    """Name a comparison by its runs, its splits or file and all options not at their defaults."""
    parts = [joined_names([name.replace("/", "-") for name in names], "_")]
    if arguments.split:
        parts.append(
            joined_names([as_file_name(name) for name in dict.fromkeys(arguments.split)], "+")
        )
    if arguments.src is not None:
        parts.append(as_file_name(Path(arguments.src).name.removesuffix(".gz")))
    if arguments.checkpoint != "best":
        parts.append(arguments.checkpoint)
    if arguments.beam_size is not None:
        parts.append(f"beam-{arguments.beam_size}")
    if arguments.length_penalty is not None:
        parts.append(f"penalty-{arguments.length_penalty:g}")
    if precision != "fp32":
        parts.append(precision)
    return ".".join(parts)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=PROG,
        description="Compare runs of one language pair on the same test sets.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("run", nargs="+", metavar="RUN", help="run directories, two or more")
    add_set_options(parser)
    add(
        "--output",
        metavar="DIR",
        help="folder for report and figures (default: comparison/NAMES plus splits and options)",
    )
    add(
        "--checkpoint", choices=("best", "last", "averaged"), default="best", help="(default: best)"
    )
    add_model_options(parser, whose="each run's")
    add_precision_option(parser)
    arguments = parser.parse_args(argv)
    if len(arguments.run) < 2:
        parser.error("give two run directories or more; mt-evaluate is for one")
    check_set_options(parser, arguments)
    return arguments


if __name__ == "__main__":
    sys.exit(main())
