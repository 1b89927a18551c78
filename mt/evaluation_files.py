"""The files of an evaluation: hypotheses, references beside them, and results as JSON.

Hypotheses and references stand one line per source sentence, so that the `sacrebleu` command gives
the same scores of raw text.
"""

import hashlib
import json
import shlex
from collections.abc import Sequence
from pathlib import Path

from mt import metrics
from mt.checkpoint import RunDirectory
from mt.data.reading import CorpusFile, has_byte_order_mark, is_gzip
from mt.evaluation import Evaluation, System
from mt.evaluation_set import EvaluationSet
from mt.file_names import as_file_name, joined_names, numbered


def hypotheses_path(
    system: System, evaluation: Evaluation, data: EvaluationSet, folder: Path
) -> Path:
    """Return a file that no other evaluation uses, named by set, update and non-default options.

    The last, the best and an averaged model may be of the same update, so a name other than best is
    added; a checkpoint from elsewhere adds a hash of its path. A number follows if the name is
    taken by another file or split, or by an ensemble with other runs of the same names.
    """
    run, own = RunDirectory(system.path), system.config.search
    parts = [as_file_name(evaluation.name), str(system.step)]
    if system.checkpoint.stem != "best":
        parts.append(system.checkpoint.stem)
    if (place := system.checkpoint.resolve()).parent != run.checkpoints.resolve():
        parts.append(hashlib.blake2b(bytes(place), digest_size=4).hexdigest())
    if system.others:
        parts.append(f"with-{joined_names([other.name for other in system.others], '+')}")
    if evaluation.beam_size != own.beam_size:
        parts.append(f"beam-{evaluation.beam_size}")
    if evaluation.length_penalty != own.length_penalty:
        parts.append(f"penalty-{evaluation.length_penalty:g}")
    if system.precision != "fp32":
        parts.append(system.precision)
    if any(score.name == metrics.PAPER_BLEU for score in evaluation.scores):
        parts.append("paper-style")
    paths = (folder / f"{name}.txt" for name in numbered(".".join(parts)))
    return next(path for path in paths if not _holds_another(path, evaluation, data))


def _holds_another(path: Path, evaluation: Evaluation, data: EvaluationSet) -> bool:
    """Return whether the results beside these hypotheses are of other texts or other runs."""
    if not path.with_suffix(".json").exists():
        return False
    results = read_results(path.with_suffix(".json"))
    if results is None:
        return True
    own = {
        "name": evaluation.name,
        "origin": data.origin,
        "others": list(map(str, evaluation.others)),
        "references": _reference_paths(data),
    }
    return any(results.get(key) != value for key, value in own.items())


def _reference_paths(data: EvaluationSet) -> list[str]:
    return [str(path.resolve()) for path in data.reference_files]


def read_results(path: Path) -> dict[str, object] | None:
    """Return what `write_evaluation` wrote to a file of results; None if it is none of those."""
    try:
        results = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    ours = isinstance(results, dict) and "hypotheses" in results and "sacrebleu" in results
    return results if ours else None


def write_evaluation(
    evaluation: Evaluation, data: EvaluationSet, path: Path, *, language: str
) -> str:
    """Write hypotheses to `path`; beside it the results as JSON and, from a corpus, the references.

    Returns the `sacrebleu` command that scores them again.

    Args:
        evaluation: What to write.
        data: What it was computed on.
        path: A file that ends in `.txt`; its folder is made.
        language: The target language, which chooses sacreBLEU's tokenizer.

    Raises:
        ValueError: For another suffix.
    """
    if path.suffix != ".txt":
        raise ValueError(f"{path}: hypotheses are written to a file that ends in .txt")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_text(evaluation.hypotheses))
    references = data.reference_files
    # sacrebleu would score against blank lines and take a byte order mark for part of the first
    # word, and it tells gzip by the file's name.
    has_blanks = any(len(group) < len(references) for group in data.references)
    has_marks = any(has_byte_order_mark(CorpusFile(file)) for file in references)
    are_misnamed = any(is_gzip(file) != (file.suffix == ".gz") for file in references)
    if not references or has_blanks or has_marks or are_misnamed:
        references = _write_references(data, path)
    results = path.with_suffix(".json")
    command = sacrebleu_command(path, references, data, language=language)
    plain = evaluation.as_json() | {
        "origin": data.origin,
        "references": _reference_paths(data),
        "hypotheses": str(path),
        "sacrebleu": command,
    }
    text = json.dumps(plain, ensure_ascii=False, indent=2)
    results.write_text(text + "\n", encoding="utf-8")
    return command


def sacrebleu_command(
    hypotheses: Path, references: Sequence[Path], data: EvaluationSet, *, language: str
) -> str:
    """Return the shell command whose BLEU and chrF, and TER where it can, are the evaluation's."""
    counts = {len(group) for group in data.references}
    # TER divides by the mean reference length, which the repeated references of the files change.
    ter = len(counts) == 1 and metrics.has_ter(language)
    names = ["bleu", "chrf", *(["ter"] if ter else [])]
    tokenizer = metrics.bleu_tokenizer(language)
    words = ["sacrebleu", *map(str, references), "-i", str(hypotheses), "-m", *names, "-w", "2"]
    if tokenizer != "13a":
        words += ["--tokenize", tokenizer]
    if ter and not metrics.sets_spaces(language):
        words += ["--ter-normalized", "--ter-asian-support"]
    return shlex.join(words)


def _write_references(data: EvaluationSet, path: Path) -> tuple[Path, ...]:
    """Write one file for each reference; sentences with fewer repeat the first: BLEU ignores that.

    Evaluations with the same references share the files; those with others get a number.
    """
    width = max(len(group) for group in data.references)
    paths = []
    for rank in range(width):
        content = _text([g[rank] if rank < len(g) else g[0] for g in data.references])
        names = numbered(f"{as_file_name(data.name)}.reference{rank + 1 if width > 1 else ''}")
        targets = (path.parent / f"{name}.txt" for name in names)
        target = next(one for one in targets if not one.exists() or one.read_bytes() == content)
        target.write_bytes(content)
        paths.append(target)
    return tuple(paths)


def _text(lines: Sequence[str]) -> bytes:
    return "".join(metrics.single_line(line) + "\n" for line in lines).encode("utf-8")
