"""What an evaluation needs: sentences and their references, from a split or from files."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import is_zipfile

from mt.alignment import read_pharaoh
from mt.config import DataConfig
from mt.data.batching import Pair, cut_pairs
from mt.data.corpus import group_references, load_split, split_names
from mt.data.locating import locate_alignment, real_root
from mt.data.reading import CorpusFile, read_lines
from mt.data.tokenizer import TokenizerPair

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluationSet:
    """Sentences to translate, each with one reference or more.

    Attributes:
        name: The split, or the name of the source file without `.gz`.
        sources: Raw source sentences; blank ones are kept, so that lines stay aligned.
        references: For each source, its raw reference translations; a blank one only if alone.
        origin: The absolute path of the file of sources or, of a split, of the folder `data.root`;
            None for a split from the corpus's own home.
        reference_files: Plain files that hold the references, where there are such.
        alignments: Gold links (source word, target word) of each source and its first reference,
            where the corpus has them.
    """

    name: str
    sources: list[str]
    references: list[list[str]]
    origin: str | None = None
    reference_files: tuple[Path, ...] = ()
    alignments: list[list[tuple[int, int]]] | None = None

    @property
    def files(self) -> list[str]:
        """The absolute paths of what it was read from; none for a split from its own home."""
        origin = [] if self.origin is None else [self.origin]
        return origin + [str(path.resolve()) for path in self.reference_files]


def default_split(config: DataConfig) -> str:
    """Return `test`, or the first split whose name starts so, or the last one that there is."""
    names = split_names(config)
    name = next((name for name in names if name.startswith("test")), names[-1])
    if name in ("train", "valid"):
        _log.warning(
            "%s has no test split: taking the split %s, which training has seen or has used to "
            "choose the checkpoint",
            config.name,
            name,
        )
    return name


def load_evaluation_set(config: DataConfig, split: str) -> EvaluationSet:
    """Load a split, its references grouped where `data.multi_reference` says so.

    Raises:
        ValueError: For an unknown split, or what else `load_split` finds wrong.
    """
    dataset = load_split(config, split)
    origin = real_root(config.root)
    if config.multi_reference:
        if config.alignment is not None:
            _log.warning(
                "no alignment error rate of the split %s: data.multi_reference=true puts pairs of "
                "one source together, and the links are of single pairs",
                split,
            )
        grouped = group_references(dataset)
        references = list(map(_with_text, grouped.references))
        return EvaluationSet(split, grouped.sources, references, origin=origin)
    sources, targets = dataset["src"][:], dataset["tgt"][:]
    alignments = _read_alignments(config, split, sources, targets)
    references = [[text] for text in targets]
    return EvaluationSet(split, sources, references, origin=origin, alignments=alignments)


def _with_text(references: list[str]) -> list[str]:
    """Leave out blank references, which scores would take for translations without words."""
    return [text for text in references if text.strip()] or references[:1]


def _read_alignments(
    config: DataConfig, split: str, sources: list[str], targets: list[str]
) -> list[list[tuple[int, int]]] | None:
    try:
        file = locate_alignment(config, config.splits.get(split, split))
    except FileNotFoundError as error:  # often a test set alone has them
        _log.warning("no alignment error rate of the split %s: %s", split, error)
        return None
    if file is None:
        return None
    lines = list(read_lines(file))
    if len(lines) != len(sources):
        raise ValueError(
            f"{file} has {len(lines)} lines, but the split {split} has {len(sources)} pairs: "
            "line N of each must be the same sentence"
        )
    alignments = []
    for number, (line, source, target) in enumerate(zip(lines, sources, targets, strict=True), 1):
        try:
            links = read_pharaoh(line)
        except ValueError as error:
            raise ValueError(f"{file}, line {number}: {error}") from None
        if config.alignment_src != config.src:
            links = [(j, i) for i, j in links]
        n_source, n_target = len(source.split()), len(target.split())
        outside = [(i, j) for i, j in links if i >= n_source or j >= n_target]
        if outside:
            i, j = outside[0]
            advice = "words are counted from 0"
            if all(j < n_source and i < n_target for i, j in links):
                advice += (
                    f", and data.alignment_src={config.alignment_src} must be the language whose "
                    "words the links name first"
                )
            raise ValueError(
                f"{file}, line {number}: {config.src} word {i} and {config.tgt} word {j} are "
                f"linked, but the sentences have {n_source} and {n_target} words: {advice}"
            )
        alignments.append(links)
    return alignments


def read_evaluation_set(source: Path, references: Sequence[Path]) -> EvaluationSet:
    """Read sentences and their references from text files, plain or gzip, one sentence per line.

    Raises:
        FileNotFoundError: For a file that is not there.
        ValueError: For unequal line counts, an empty file, a folder, a pipe or an archive, or
            invalid UTF-8.
    """
    sources = _lines(source)
    columns = [_lines(path) for path in references]
    for path, column in zip(references, columns, strict=True):
        if len(column) != len(sources):
            raise ValueError(
                f"{source} has {len(sources)} lines but {path} has {len(column)}: "
                "line N of each must be the same sentence"
            )
    groups = [_with_text(list(group)) for group in zip(*columns, strict=True)]
    return EvaluationSet(
        source.name.removesuffix(".gz"),
        sources,
        groups,
        origin=str(source.resolve()),
        reference_files=tuple(references),
    )


def _lines(path: Path) -> list[str]:
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    if not path.is_file() or is_zipfile(path):
        raise ValueError(f"{path}: expected a file of lines, plain or gzip, which this is not")
    lines = list(read_lines(CorpusFile(path)))
    if not lines:
        raise ValueError(f"{path}: the file is empty")
    return lines


def encode_pairs(tokenizers: TokenizerPair, data: EvaluationSet) -> list[Pair]:
    """Encode each source with each of its references; pairs with a blank side are left out.

    A side of more than `MAX_PIECES` pieces is cut there, with a logged warning.
    """
    rows = [
        (source, reference)
        for source, group in zip(data.sources, data.references, strict=True)
        for reference in group
    ]
    sources = tokenizers.src.encode([source for source, _ in rows])
    targets = tokenizers.tgt.encode([reference for _, reference in rows])
    pairs = [Pair(src, tgt) for src, tgt in zip(sources, targets, strict=True)]
    return cut_pairs([pair for pair in pairs if pair.src and pair.tgt], where=data.name)
