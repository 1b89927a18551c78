"""A comparison as text: a table for the terminal, and a Markdown report with its figures."""

import re
from collections.abc import Sequence
from pathlib import Path

from mt.comparison import REACH_PAIRS, Comparison, SplitComparison, Training
from mt.display import display_width
from mt.evaluation import Evaluation
from mt.file_names import as_file_name, numbered
from mt.metrics import SystemScore
from mt.plotting import bleu_by_length_figure, gradient_reach_figure, save_figure
from mt.sentence_views import FEWEST_SENTENCES, Example

_HEADINGS = (
    "system",
    "BLEU (95 %)",
    "chrF2",
    "perplexity",
    "AER",
    "parameters",
    "training",
    "tokens/s",
    "sentences/s",
)
_SIGNIFICANT = 0.025  # of a p that is in effect one-sided: 0.05 for a difference either way
_REPORT = "report.md"
_PICTURES = ("bleu_by_length", "gradient_reach")
_ORIGIN = "Runs: `"
_OTHER_VOCABULARIES = (
    "The systems have different vocabularies, so their per-token perplexities cannot be compared."
)


def report_folder(name: str, runs: Sequence[Path], files: Sequence[str]) -> Path:
    """Return `comparison/NAME`; a number follows where that holds a report on others.

    Args:
        name: Of the comparison.
        runs: What is compared.
        files: Absolute paths of what is translated, as in `EvaluationSet.files`.
    """
    own = _origin([run.resolve() for run in runs], files)
    folders = (Path("comparison", each) for each in numbered(name))
    return next(folder for folder in folders if not _is_of_others(folder / _REPORT, own))


def _is_of_others(report: Path, own: str) -> bool:
    try:
        lines = report.read_text(encoding="utf-8", errors="replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return own not in lines


def check_replaceable(folder: Path) -> None:
    """Look whether a report may be written into a folder.

    Raises:
        ValueError: There is a `report.md` in it that is none of ours, or a picture without one.
    """
    report = folder / _REPORT
    if not report.exists():
        pictures = [path for name in _PICTURES for path in sorted(folder.glob(f"{name}*.png"))]
        if pictures:
            raise ValueError(
                f"{pictures[0]} is there already, without the report of a comparison: name another "
                "folder by --output"
            )
        return
    lines = report.read_text(encoding="utf-8", errors="replace").splitlines()
    if not any(line.startswith(_ORIGIN) for line in lines):
        raise ValueError(
            f"{report} is there already and is not the report of a comparison: name another folder "
            "by --output"
        )


def _origin(runs: Sequence[Path], files: Sequence[str]) -> str:
    """Return the line of a report that says what it is on."""
    line = f"{_ORIGIN}{'`, `'.join(map(str, runs))}`."
    return f"{line} Corpus: `{'`, `'.join(files)}`." if files else line


def write_report(comparison: Comparison, folder: Path) -> Path:
    """Write `report.md` and its figures into a folder, which is made; return the report's path.

    The figures of the first split are `bleu_by_length.png` and `gradient_reach.png`; further splits
    have their name in the file name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = [system.name for system in comparison.systems]
    sections, taken = [], set[str]()
    for index, split in enumerate(comparison.splits):
        suffixes = numbered(f"_{as_file_name(split.data.name)}" if index else "")
        suffix = next(each for each in suffixes if each not in taken)
        taken.add(suffix)
        sections.append((split, [f"{name}{suffix}.png" for name in _PICTURES]))
    parts = [_introduction(comparison)]
    parts += [_split_section(comparison, split, pictures) for split, pictures in sections]
    path = folder / _REPORT
    path.write_text("\n".join(parts), encoding="utf-8")  # first: it says that the pictures are ours
    for split, pictures in sections:
        where = [folder / picture for picture in pictures]
        _save_figures(split, names, where, title=f"{_what(comparison)}, {split.data.name}")
    return path


def plain_table(comparison: Comparison, split: SplitComparison) -> str:
    """Return the table of one split, and what its significance test says, for a terminal."""
    rows = [_HEADINGS, *_table_rows(comparison.systems, split)]
    widths = [max(display_width(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    lines = []
    for row in rows:
        gaps = [
            " " * (width - display_width(cell)) for cell, width in zip(row, widths, strict=True)
        ]
        values = (gap + cell for gap, cell in zip(gaps[1:], row[1:], strict=True))
        lines.append("  ".join([row[0] + gaps[0], *values]).rstrip())
    title = f"{split.data.name}: {len(split.data.sources)} sentences"
    signature = f"BLEU|{split.paired.signature}"
    notes = [
        *_how_translated(comparison.systems, split),
        *_significance(comparison.systems, split),
        *_alignment_note(split),
        signature,
    ]
    if not comparison.same_vocabulary:
        notes.append(_OTHER_VOCABULARIES)
    return "\n".join([title, "", *lines, "", *notes])


def _introduction(comparison: Comparison) -> str:
    names = [_escape(system.name) for system in comparison.systems]
    lines = [
        f"# {' / '.join(names)}",
        "",
        f"{_escape(_what(comparison))}. All systems translate the same sentences; differences are "
        f"tested against the first, {names[0]}.",
        "",
        _origin([one.path for one in comparison.systems], comparison.splits[0].data.files),
        "",
    ]
    if not comparison.same_vocabulary:
        lines += [_OTHER_VOCABULARIES, ""]
    return "\n".join(lines)


def _what(comparison: Comparison) -> str:
    corpus = comparison.corpus
    return comparison.direction if corpus is None else f"{corpus} {comparison.direction}"


def _split_section(comparison: Comparison, split: SplitComparison, pictures: Sequence[str]) -> str:
    by_length, reach = pictures
    systems = comparison.systems
    names = [_escape(system.name) for system in systems]
    unit = split.length_unit
    buckets = [
        (bucket.label, str(bucket.sentences), *(f"{value:.1f}" for value in bucket.bleu))
        for bucket in split.buckets
    ]
    weakest = [
        f"{name} {100 * one.weakest:.0f} %" for name, one in zip(names, split.reach, strict=True)
    ]
    return "\n".join(
        [
            f"## {_escape(split.data.name)}: {len(split.data.sources)} sentences",
            "",
            *_markdown_table(_HEADINGS, _table_rows(systems, split)),
            "",
            *(f"- {_escape(line)}" for line in _how_translated(systems, split)),
            *(f"- {_escape(line)}" for line in _significance(systems, split)),
            *(f"- {line}" for line in _alignment_note(split)),
            f"- BLEU signature: `{split.paired.signature}`",
            f"- chrF signature: `{split.evaluations[0].chrf.signature}`",
            "",
            "### BLEU by source length",
            "",
            f"![BLEU by source length]({by_length})",
            "",
            *_markdown_table((f"source {unit}", "sentences", *names), buckets),
            "",
            "### The gradient that reaches the source",
            "",
            "The L2 norm of the gradient of a sentence's teacher-forced loss (summed over its "
            f"target tokens) at the embedding of each source piece, in up to {REACH_PAIRS:,} "
            "sentences spread over the set. In the tenth of a sentence that the gradient reaches "
            f"least, its norm is this share of the sentence's mean: {', '.join(weakest)}. Compare "
            "the shapes of the curves rather than their levels, which also depend on the loss and "
            "on the size of the embeddings.",
            "",
            f"![Gradient norm by source position]({reach})",
            "",
            "### Where the translations differ most",
            "",
            *_example_lines(names, split.examples),
        ]
    )


def _table_rows(systems: Sequence[Training], split: SplitComparison) -> list[tuple[str, ...]]:
    return [
        _table_row(system, evaluation, _bleu(score, split))
        for system, evaluation, score in zip(
            systems, split.evaluations, split.paired.systems, strict=True
        )
    ]


def _bleu(score: SystemScore, split: SplitComparison) -> str:
    interval = f" ± {score.half_width:.2f}" if _can_resample(split) else ""
    return f"{score.value:.2f}{interval}"


def _can_resample(split: SplitComparison) -> bool:
    """Return whether there are enough sentences to resample: of one, all resamples are alike."""
    return len(split.data.sources) >= FEWEST_SENTENCES


def _table_row(system: Training, evaluation: Evaluation, bleu: str) -> tuple[str, ...]:
    forced, speed = evaluation.teacher_forced, system.tokens_per_second
    return (
        system.name,
        bleu,
        f"{evaluation.chrf.value:.2f}",
        "-" if forced is None else f"{forced.perplexity:.2f}",
        "-" if evaluation.alignment is None else f"{evaluation.alignment.error_rate:.3f}",
        f"{system.parameters:,}",
        "-" if system.seconds is None else duration(system.seconds),
        "-" if speed is None else f"{speed:,.0f}",
        f"{evaluation.sentences_per_second:.1f}",
    )


def duration(seconds: float) -> str:
    """Return a time as hours and minutes, or minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def _significance(systems: Sequence[Training], split: SplitComparison) -> list[str]:
    first, *others = split.paired.systems
    lines = []
    for system, score in zip(systems[1:], others, strict=True):
        if _can_resample(split):
            p_value = round(1.0 if score.p_value is None else score.p_value, 3)
            verdict = "significant" if p_value < _SIGNIFICANT else "not significant"
            test = (
                f"p = {p_value:.3f} ({verdict}: paired bootstrap, one-sided, threshold "
                f"{_SIGNIFICANT})"
            )
        else:
            test = f"not tested: {FEWEST_SENTENCES} sentences at least are needed"
        difference = f"{score.value - first.value:+.2f} BLEU"
        lines.append(f"{system.name} against {systems[0].name}: {difference}, {test}")
    return lines


def _how_translated(systems: Sequence[Training], split: SplitComparison) -> list[str]:
    return [
        f"{system.name}: {one.checkpoint.name} (update {one.step:,}), beam {one.beam_size}, length "
        f"penalty {one.length_penalty:g}, {one.precision}"
        for system, one in zip(systems, split.evaluations, strict=True)
    ]


def _alignment_note(split: SplitComparison) -> list[str]:
    measured = [one.alignment for one in split.evaluations if one.alignment is not None]
    if not measured:
        return []
    [yardstick, *_] = measured  # the same for all systems
    return [
        "AER: alignment error rate of attention against the gold word alignment; diagonal links "
        f"have {yardstick.diagonal:.3f}, and the best possible with one link per word is "
        f"{yardstick.least:.3f}"
    ]


def _example_lines(names: Sequence[str], examples: Sequence[Example]) -> list[str]:
    if not examples:
        return ["The systems differ on no sentence.", ""]
    lines = []
    for number, example in enumerate(examples, start=1):
        lines.append(f"{number}. Source: {_escape(example.source)}")
        lines += [f"   - reference: {_escape(text)}" for text in example.references]
        lines += [
            f"   - **{name}** (chrF {chrf:.1f}): {_escape(text)}"
            for name, text, chrf in zip(names, example.outputs, example.chrf, strict=True)
        ]
    return [*lines, ""]


def _save_figures(
    split: SplitComparison, names: Sequence[str], paths: Sequence[Path], *, title: str
) -> None:
    by_length = bleu_by_length_figure(
        [bucket.label for bucket in split.buckets],
        {name: [bucket.bleu[i] for bucket in split.buckets] for i, name in enumerate(names)},
        counts=[bucket.sentences for bucket in split.buckets],
        title=f"BLEU by source length, {title}",
        unit=split.length_unit,
    )
    reach = gradient_reach_figure(
        {name: one.absolute for name, one in zip(names, split.reach, strict=True)},
        {name: one.relative for name, one in zip(names, split.reach, strict=True)},
        title=f"Gradient of the loss at the source embeddings, {title}",
    )
    for figure, path in zip((by_length, reach), paths, strict=True):
        save_figure(figure, path)


def _markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [headings, [":--", *["--:"] * (len(headings) - 1)]]
    lines += [[_escape(cell) for cell in row] for row in rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _escape(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*_|<>\[\]#~&$])", r"\\\1", " ".join(text.split()))
