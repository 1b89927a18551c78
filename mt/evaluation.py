"""Translate a split of a corpus, or a file, with a trained model, and score the result.

The hypotheses are written one line per source sentence, with the references beside them, so that
the `sacrebleu` command gives the same scores of raw text.
"""

import hashlib
import json
import logging
import shlex
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mt import metrics
from mt.alignment_quality import AlignmentQuality, measure_alignment
from mt.checkpoint import RunDirectory
from mt.config import Config
from mt.data.reading import CorpusFile, has_byte_order_mark
from mt.decoding import TeacherForced, score_ids
from mt.evaluation_set import EvaluationSet, encode_pairs
from mt.faults import Faults, count_faults
from mt.file_names import as_file_name, joined_names, numbered
from mt.loading import load_runs
from mt.metrics import Score
from mt.translator import Translator

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class System:
    """A trained model that is ready to translate, or several that do so together.

    Attributes:
        path: The run directory of the first model; the others' are in `others`.
        config: The first model's.
        precision: fp32 or bf16.
        checkpoint: The file that its parameters came from.
        step: The optimizer update that they are from.
    """

    path: Path
    others: tuple[Path, ...]
    config: Config
    translator: Translator
    precision: str
    checkpoint: Path
    step: int


@dataclass(frozen=True)
class Evaluation:
    """The result of one system on one evaluation set.

    Attributes:
        name: Of the evaluation set.
        others: Absolute paths of the runs whose models translated together with the checkpoint's.
        hypotheses: One translation per source sentence.
        scores: BLEU and chrF, TER where the language has one, and what else was asked for.
        faults: Of the hypotheses.
        reference_faults: Of the first references, to compare.
        unfinished: Percentage of the hypotheses that met the length limit.
        teacher_forced: The loss on all references; None if no pair has text on both sides, and
            of several models together.
        alignment: Attention against the gold alignment; None without either, and of several models
            together.
        seconds: Wall-clock time of the translation, without loading.
    """

    name: str
    checkpoint: Path
    others: tuple[Path, ...]
    step: int
    precision: str
    beam_size: int
    length_penalty: float
    hypotheses: list[str]
    scores: list[Score]
    faults: Faults
    reference_faults: Faults
    unfinished: float
    teacher_forced: TeacherForced | None
    alignment: AlignmentQuality | None
    seconds: float

    @property
    def bleu(self) -> Score:
        """Corpus BLEU, cased, on raw text."""
        return self.scores[0]

    @property
    def chrf(self) -> Score:
        """Corpus chrF2."""
        return self.scores[1]

    @property
    def sentences_per_second(self) -> float:
        """Translation speed, blank sentences counted."""
        return len(self.hypotheses) / self.seconds

    def as_json(self) -> dict[str, object]:
        """Return everything but the hypotheses as plain values."""
        forced = self.teacher_forced
        return {
            "name": self.name,
            "checkpoint": str(self.checkpoint),
            "others": list(map(str, self.others)),
            "step": self.step,
            "precision": self.precision,
            "beam_size": self.beam_size,
            "length_penalty": self.length_penalty,
            "sentences": len(self.hypotheses),
            "scores": [asdict(score) for score in self.scores],
            "faults": asdict(self.faults) | {"unfinished": self.unfinished},
            "reference_faults": asdict(self.reference_faults),
            "loss": forced.loss if forced else None,
            "perplexity": forced.perplexity if forced else None,
            "target_tokens": forced.n_tokens if forced else 0,
            "alignment": self.alignment._asdict() if self.alignment else None,
            "seconds": self.seconds,
            "sentences_per_s": self.sentences_per_second,
        }


@dataclass(frozen=True)
class Written:
    """Where an evaluation was written, and the command that scores it again."""

    hypotheses: Path
    references: tuple[Path, ...]
    results: Path
    command: str


def load_system(
    path: Path,
    *others: Path,
    checkpoint: str = "best",
    device: str = "auto",
    precision: str = "fp32",
) -> System:
    """Load a run for evaluation.

    Args:
        path: The run directory; its configuration counts.
        others: More runs over the same vocabulary, whose models translate together with it.
        checkpoint: best, last, another name in the run's `checkpoints`, or a file.
        device: cpu, cuda or auto.
        precision: fp32, bf16, or auto, which takes bf16 where the device multiplies it.

    Raises:
        FileNotFoundError: No run or no such checkpoint there.
        ValueError: A damaged file, runs of different vocabularies, a device that this machine does
            not have, or another precision.
    """
    loaded = load_runs((path, *others), checkpoint=checkpoint, device=device, precision=precision)
    models, tokenizers, config, place, precision, file, step = loaded
    translator = Translator(models, tokenizers, search=config.search, device=place)
    return System(path, others, config, translator, precision, file, step)


def evaluate(
    system: System,
    data: EvaluationSet,
    *,
    beam_size: int | None = None,
    length_penalty: float | None = None,
    batch_size: int | None = None,
    paper_style: bool = False,
) -> Evaluation:
    """Translate and score an evaluation set; options left at None are the run's own."""
    translator, search = system.translator, system.config.search
    language = system.config.data.tgt
    spaced = metrics.sets_spaces(language)
    _log.info("translating %s: %d sentences", data.name, len(data.sources))
    start = time.perf_counter()
    translations = translator.translate(
        data.sources, beam_size=beam_size, length_penalty=length_penalty, batch_size=batch_size
    )
    seconds = time.perf_counter() - start
    hypotheses = [translation.text for translation in translations]
    scores = [
        metrics.bleu(hypotheses, data.references, language=language),
        metrics.chrf(hypotheses, data.references),
    ]
    if metrics.has_ter(language):
        scores.append(metrics.ter(hypotheses, data.references, language=language))
    if paper_style:
        scores.append(metrics.paper_bleu(hypotheses, data.references, language=language))
    pairs = encode_pairs(translator.tokenizers, data)
    forced = None
    if pairs and not system.others:
        [model] = translator.models
        found = score_ids(model, pairs, batch_size=batch_size, device=translator.device)
        forced = TeacherForced.of(found, pairs)
    return Evaluation(
        name=data.name,
        checkpoint=system.checkpoint,
        others=tuple(other.resolve() for other in system.others),
        step=system.step,
        precision=system.precision,
        beam_size=search.beam_size if beam_size is None else beam_size,
        length_penalty=search.length_penalty if length_penalty is None else length_penalty,
        hypotheses=hypotheses,
        scores=scores,
        faults=count_faults(hypotheses, data.sources, data.references, spaced=spaced),
        reference_faults=count_faults(
            [group[0] for group in data.references], data.sources, data.references, spaced=spaced
        ),
        unfinished=100 * sum(map(translator.is_unfinished, translations)) / len(translations),
        teacher_forced=forced,
        alignment=None if system.others else _measure_alignment(translator, data, batch_size),
        seconds=seconds,
    )


def _measure_alignment(
    translator: Translator, data: EvaluationSet, batch_size: int | None
) -> AlignmentQuality | None:
    if data.alignments is None:
        return None
    [model] = translator.models
    return measure_alignment(
        model,
        translator.tokenizers,
        data.sources,
        [group[0] for group in data.references],
        data.alignments,
        batch_size=batch_size,
        device=translator.device,
    )


def hypotheses_path(
    system: System, evaluation: Evaluation, data: EvaluationSet, folder: Path
) -> Path:
    """Return a file that no other evaluation has: named by set, update and what is not usual.

    The last, the best and an averaged model may be of the same update, and a checkpoint may be a
    file from elsewhere, whose path is hashed. Where another file or split of the same name has been
    translated, or together with other runs of the same names, a number follows.
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
) -> Written:
    """Write hypotheses to `path`; beside it the results as JSON and, from a corpus, the references.

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
    # sacrebleu would score by blank lines, and take a mark for a part of the first word.
    has_blanks = any(len(group) < len(references) for group in data.references)
    has_marks = any(has_byte_order_mark(CorpusFile(file)) for file in references)
    if not references or has_blanks or has_marks:
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
    return Written(path, references, results, command)


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
    """Write one file a reference; sentences with fewer repeat their first, which BLEU ignores.

    Evaluations of the same references share the files; of others, a number follows.
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
