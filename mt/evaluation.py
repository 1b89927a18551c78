"""Translate a split of a corpus, or a file, with a trained model, and score the result."""

import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from mt import metrics
from mt.alignment_quality import AlignmentQuality, measure_alignment
from mt.config import Config
from mt.decoding import TeacherForced, score_ids
from mt.evaluation_set import EvaluationSet, encode_pairs
from mt.faults import Faults, count_faults
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
        unfinished: Percentage of the hypotheses that reached the length limit.
        teacher_forced: The loss on all references; None if no pair has text on both sides, and
            for several models together.
        alignment: Attention against the gold alignment; None if one of them is missing, and for
            several models together.
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
    hypotheses: list[str] = []
    n_unfinished = 0
    for translation in translator.stream(
        data.sources, beam_size=beam_size, length_penalty=length_penalty, batch_size=batch_size
    ):
        hypotheses.append(translation.text)
        n_unfinished += translator.is_unfinished(translation)
    seconds = time.perf_counter() - start
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
        unfinished=100 * n_unfinished / len(hypotheses),
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
