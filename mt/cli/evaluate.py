"""`mt-evaluate RUN`: translate test sets and score them."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mt.cli.command import run_command, set_threads
from mt.cli.options import (
    CHECKPOINT_HELP,
    add_model_options,
    add_precision_option,
    add_set_options,
    check_set_options,
    read_src_and_ref,
)
from mt.file_names import check_writable

if TYPE_CHECKING:  # the types alone: --help and usage errors must not wait for torch
    from mt.config import DataConfig
    from mt.evaluation import Evaluation, System
    from mt.evaluation_set import EvaluationSet

PROG = "mt-evaluate"
_EXAMPLES = """\
  mt-evaluate runs/mine
  mt-evaluate runs/multi30k_en_de --split test_2016_flickr --split test_2017_flickr --paper-style
  mt-evaluate runs/mine --src in.en --ref first.de --ref second.de --output out.txt
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 1 on failure; exit with 2 on wrong usage."""
    arguments = _parse(argv)
    return run_command(PROG, lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    from dataclasses import replace

    from mt.checkpoint import RunDirectory
    from mt.evaluation import evaluate, load_system
    from mt.evaluation_files import hypotheses_path, write_evaluation

    set_threads(arguments.threads)
    run = RunDirectory.open(Path(arguments.runs[0]))
    corpus = run.load_config().data
    if arguments.data_root is not None:
        corpus = replace(corpus, root=arguments.data_root)
    folder = run.hypotheses if arguments.output is None else Path(arguments.output).parent
    check_writable(folder, option="--output")
    sets = _load_sets(arguments, corpus)
    system = load_system(
        *map(Path, arguments.runs),
        checkpoint=arguments.checkpoint,
        device=arguments.device,
        precision=arguments.precision,
    )
    results = []
    for data in sets:
        evaluation = evaluate(
            system,
            data,
            beam_size=arguments.beam_size,
            length_penalty=arguments.length_penalty,
            batch_size=arguments.batch_size,
            paper_style=arguments.paper_style,
        )
        if arguments.output is None:
            path = hypotheses_path(system, evaluation, data, run.hypotheses)
        else:
            path = Path(arguments.output)
        command = write_evaluation(evaluation, data, path, language=corpus.tgt)
        results.append(evaluation.as_json() | {"hypotheses": str(path)})
        if not arguments.json:
            print(_describe(system, data, evaluation, path, command), flush=True)
    if arguments.json:
        print(json.dumps(results, ensure_ascii=False, indent=2))
    return 0


def _load_sets(arguments: argparse.Namespace, corpus: "DataConfig") -> list["EvaluationSet"]:
    from mt.evaluation_set import default_split, load_evaluation_set

    if (texts := read_src_and_ref(arguments)) is not None:
        return [texts]
    splits = arguments.split or [default_split(corpus)]
    return [load_evaluation_set(corpus, split) for split in splits]


def _describe(
    system: "System", data: "EvaluationSet", evaluation: "Evaluation", path: Path, command: str
) -> str:
    """Return the result as a table for people."""
    from mt.sentence_views import length_unit

    rows = [(s.name, f"{s.value:.2f}", s.signature) for s in evaluation.scores]
    forced = evaluation.teacher_forced
    if forced is not None:
        rows.append(("loss", f"{forced.loss:.3f}", f"nats a token, {forced.n_tokens} tokens"))
        rows.append(("perplexity", f"{forced.perplexity:.2f}", "a token, teacher-forced"))
    alignment = evaluation.alignment
    if alignment is not None:
        scale = (
            f"diagonal links: {alignment.diagonal:.3f}, best possible with one link per word: "
            f"{alignment.least:.3f}"
        )
        rows.append(("alignment error", f"{alignment.error_rate:.3f}", scale))
        on_gold = f"{alignment.mass:.1%}"
        rows.append(("attention", on_gold, "on the gold words, teacher-forced on the references"))
    speed = f"{evaluation.sentences_per_second:.1f}"
    rows.append(("speed", speed, f"sentences a second, {evaluation.seconds:.1f} s in all"))
    rows += _describe_faults(evaluation, unit=length_unit(system.config.data.tgt))
    width, number = max(len(name) for name, _, _ in rows), max(len(value) for _, value, _ in rows)
    table = [f"  {name:<{width}}  {value:>{number}}  {note}" for name, value, note in rows]
    return "\n".join(
        [
            f"{data.name}: {len(data.sources)} sentences, "
            f"{' + '.join(map(str, (system.path, *system.others)))}, {system.checkpoint.name} "
            f"(update {system.step}), beam {evaluation.beam_size}, "
            f"length penalty {evaluation.length_penalty:g}, {evaluation.precision}",
            *table,
            f"  hypotheses: {path}",
            f"  to score the raw text again: {command}",
        ]
    )


def _describe_faults(evaluation: "Evaluation", *, unit: str) -> list[tuple[str, str, str]]:
    faults, own = evaluation.faults, evaluation.reference_faults
    what = {
        "repeated": "repeat a phrase",
        "identical": "are also the translation of another source",
        "empty": "are empty",
        "copied": "are the source itself",
    }
    rows = [
        (name, f"{getattr(faults, name):.1f}", f"% {note} (references: {getattr(own, name):.1f} %)")
        for name, note in what.items()
    ]
    rows.append(("unfinished", f"{evaluation.unfinished:.1f}", "% reached the length limit"))
    rows.append(("length", f"{faults.length_ratio:.3f}", f"times the {unit} of the references"))
    return rows


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=PROG,
        description="Translate a test set with a trained run, and score the translations.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="the run directory; several make an ensemble")
    add_set_options(parser)
    add("--checkpoint", default="best", metavar="NAME|FILE", help=CHECKPOINT_HELP)
    add_model_options(parser)
    add_precision_option(parser)
    add("--paper-style", action="store_true", help="add BLEU of lowercased, Moses-tokenised text")
    add("--json", action="store_true", help="print a JSON list instead of a table")
    add(
        "--output",
        metavar="FILE.txt",
        help="file for the hypotheses; results go to FILE.json (default: below RUN/hypotheses)",
    )
    arguments = parser.parse_args(argv)
    check_set_options(parser, arguments)
    if arguments.output is not None and not arguments.output.endswith(".txt"):
        parser.error(f"--output {arguments.output}: expected a file name that ends in .txt")
    if arguments.output is not None and len(arguments.split or []) > 1:
        parser.error("--output takes the hypotheses of one --split, not of several")
    if arguments.output is not None:
        _check_output(parser, arguments)
    return arguments


def _check_output(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """Refuse an output if it, or its JSON, would overwrite an input or any other JSON."""
    output = Path(arguments.output).resolve()
    for option, names in (("--src", [arguments.src]), ("--ref", arguments.ref)):
        for name in filter(None, names or []):
            if Path(name).resolve() in (output, output.with_suffix(".json")):
                parser.error(
                    f"--output {arguments.output} would overwrite {option} {name}: give another"
                )
    if ".reference" in output.name:
        parser.error(
            f"--output {arguments.output}: names with .reference are kept for the references "
            "that are written beside it; give another"
        )
    results = output.with_suffix(".json")
    if results.exists():
        # With torch, for which other usage errors do not wait.
        from mt.evaluation_files import read_results

        if read_results(results) is None:
            parser.error(
                f"--output {arguments.output} would overwrite {results}, which does not hold the "
                "results of an evaluation: give another"
            )


if __name__ == "__main__":
    sys.exit(main())
