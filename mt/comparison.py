"""Two or more runs side by side, on the same sentences: what one design buys over another."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from mt import metrics
from mt.checkpoint import RunDirectory
from mt.config import Config, DataConfig, to_plain
from mt.data.locating import real_root
from mt.evaluation import Evaluation, System, evaluate, load_system
from mt.evaluation_set import (
    EvaluationSet,
    default_split,
    encode_pairs,
    load_evaluation_set,
)
from mt.gradient_reach import GradientReach, measure_reach
from mt.metrics import PairedScores
from mt.sentence_views import (
    Example,
    LengthBucket,
    bleu_by_length,
    differing_examples,
    length_unit,
)

_log = logging.getLogger(__name__)

_WHICH_SENTENCES = (
    "name", "home", "root", "path", "member", "format", "columns", "subset", "splits", "holdout",
)  # fmt: skip
REACH_PAIRS = 1000  # the gradient is measured on this many pairs at most


@dataclass(frozen=True)
class Training:
    """What a system is and what its training took; None where the run does not say.

    Attributes:
        path: The run directory, absolute.
        seconds: Time spent in updates.
        tokens_per_second: Target tokens a second.
    """

    name: str
    path: Path
    parameters: int
    seconds: float | None
    tokens_per_second: float | None


@dataclass(frozen=True)
class SplitComparison:
    """All systems on one split; every list has one entry per system, in the order given."""

    data: EvaluationSet
    evaluations: list[Evaluation]
    paired: PairedScores
    buckets: list[LengthBucket]
    length_unit: str
    reach: list[GradientReach]
    examples: list[Example]


@dataclass(frozen=True)
class Comparison:
    """The whole comparison; the first system is the one that the others are compared to.

    Attributes:
        direction: From which language into which.
        corpus: The name of the corpus whose splits they are; None for other texts.
    """

    direction: str
    corpus: str | None
    systems: list[Training]
    same_vocabulary: bool
    splits: list[SplitComparison]


class _Measured(NamedTuple):
    training: Training
    vocabulary: str
    evaluations: list[Evaluation]
    reach: list[GradientReach]


def compare(
    paths: Sequence[Path],
    *,
    splits: Sequence[str] = (),
    texts: EvaluationSet | None = None,
    checkpoint: str = "best",
    beam_size: int | None = None,
    length_penalty: float | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    precision: str = "fp32",
    data_root: str | None = None,
) -> Comparison:
    """Evaluate runs on the same sentences, splits of the first run's corpus or others, and compare.

    Args:
        paths: Two run directories or more; the first is the one that the others are compared to.
        splits: Names of splits; none: the test split.
        texts: Sentences and references that are taken instead of splits.
        checkpoint: best, last or averaged, of each run.
        beam_size: None leaves each run its own.
        length_penalty: Likewise.
        batch_size: Sentences at once, likewise.
        device: cpu, cuda or auto.
        precision: fp32, bf16 or auto; gradients are of fp32 all the same.
        data_root: A folder with local copies of the corpus, in place of the run's `data.root`.

    Raises:
        FileNotFoundError: No run at a path, or no such checkpoint.
        ValueError: Fewer than two runs, the same one twice, different language pairs, an unknown
            split, a split without sentences, or a SACREBLEU_SEED that is no seed.
    """
    names = run_names(paths)
    configs = [RunDirectory.open(path).load_config() for path in paths]
    _check_direction(names, configs)
    corpus = configs[0].data
    if data_root is not None:
        corpus = replace(corpus, root=data_root)
    if texts is None:
        _warn_of_other_corpora(names, configs)
        chosen = list(dict.fromkeys(splits)) or [default_split(corpus)]
        sets = [load_evaluation_set(corpus, split) for split in chosen]
    else:
        sets = [texts]
    _check_complete(paths, checkpoint, sets)
    translate = partial(
        evaluate, beam_size=beam_size, length_penalty=length_penalty, batch_size=batch_size
    )
    measured = []
    for name, path in zip(names, paths, strict=True):
        _log.info("%s: loading %s", name, path)
        system = load_system(path, checkpoint=checkpoint, device=device, precision=precision)
        evaluations = [translate(system, data) for data in sets]
        if system.precision != "fp32":  # in which the gradient is measured
            system = load_system(path, checkpoint=checkpoint, device=device)
        measured.append(_measure(name, system, sets, evaluations))
    return Comparison(
        direction=corpus.direction,
        corpus=corpus.name if texts is None else None,
        systems=[one.training for one in measured],
        same_vocabulary=len({one.vocabulary for one in measured}) == 1,
        splits=[
            _compare_split(
                data,
                [one.evaluations[index] for one in measured],
                [one.reach[index] for one in measured],
                corpus=corpus,
            )
            for index, data in enumerate(sets)
        ],
    )


def run_names(paths: Sequence[Path]) -> list[str]:
    """Return a short, distinct name for each run: the last folder names that tell them apart.

    Raises:
        ValueError: For fewer than two runs, or the same one twice.
    """
    if len(paths) < 2:
        raise ValueError(f"{len(paths)} run to compare: give two run directories or more")
    resolved = [path.resolve() for path in paths]
    for first, second in combinations(resolved, 2):
        if first == second:
            raise ValueError(f"{first} is given twice: compare different runs")
    depth = 1
    while len({path.parts[-depth:] for path in resolved}) < len(resolved):
        depth += 1
    return ["/".join(path.parts[-depth:]) for path in resolved]


def _check_direction(names: Sequence[str], configs: Sequence[Config]) -> None:
    pairs = [config.data.direction for config in configs]
    if len(set(pairs)) > 1:
        listed = ", ".join(f"{name}: {pair}" for name, pair in zip(names, pairs, strict=True))
        raise ValueError(
            f"the runs translate different language pairs ({listed}): compare one pair"
        )


def _warn_of_other_corpora(names: Sequence[str], configs: Sequence[Config]) -> None:
    corpus = configs[0].data
    for name, config in zip(names, configs, strict=True):
        if others := _differences(config.data, corpus):
            _log.warning(
                "%s was trained with %s; it is compared on the splits of %s, parts of which it may "
                "have seen",
                name,
                ", ".join(others),
                names[0],
            )


def _check_complete(paths: Sequence[Path], checkpoint: str, sets: Sequence[EvaluationSet]) -> None:
    """Check checkpoints, logs, text and seed, to report a fault before any run translates.

    Raises:
        FileNotFoundError, ValueError: As in `compare`.
    """
    metrics.check_resampling_seed()
    for path in paths:
        run = RunDirectory.open(path)
        run.checkpoint_path(checkpoint)
        run.read_metrics()
    for data in sets:
        if not any(map(_has_text, data.sources, data.references)):
            raise ValueError(
                f"{data.name} has no pair with text on both sides: compare on others, or translate "
                "it with mt-evaluate"
            )


def _has_text(source: str, references: Sequence[str]) -> bool:
    return bool(source.strip()) and any(text.strip() for text in references)


def _differences(data: DataConfig, other: DataConfig) -> list[str]:
    """Return the options of a corpus that say which sentences are in it, where they differ."""
    own, others = (to_plain(each) | {"root": real_root(each.root)} for each in (data, other))
    return [
        f"data.{option}={own[option]}"
        for option in _WHICH_SENTENCES
        if own[option] != others[option]
    ]


def _measure(
    name: str, system: System, sets: Sequence[EvaluationSet], evaluations: list[Evaluation]
) -> _Measured:
    model, tokenizers = system.translator.models[0], system.translator.tokenizers
    reach = []
    for data in sets:
        _log.info("%s: measuring the gradient at the source of %s", name, data.name)
        pairs = encode_pairs(tokenizers, data)
        spread = pairs[:: math.ceil(len(pairs) / REACH_PAIRS)]  # a set may be sorted by length
        reach.append(measure_reach(model, spread, device=system.translator.device))
    events = RunDirectory.open(system.path).read_metrics()
    end: dict[str, Any] = next(
        (event for event in reversed(events) if event.get("event") == "end"), {}
    )
    training = Training(
        name=name,
        path=system.path.resolve(),
        parameters=model.n_parameters,
        seconds=_number(end.get("seconds")),
        tokens_per_second=_number(end.get("tokens_per_s")),
    )
    return _Measured(training, tokenizers.fingerprint, evaluations, reach)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _compare_split(
    data: EvaluationSet,
    evaluations: list[Evaluation],
    reach: list[GradientReach],
    *,
    corpus: DataConfig,
) -> SplitComparison:
    outputs = [evaluation.hypotheses for evaluation in evaluations]
    _log.info("%s: resampling for the confidence intervals", data.name)
    return SplitComparison(
        data=data,
        evaluations=evaluations,
        paired=metrics.paired_bootstrap(outputs, data.references, language=corpus.tgt),
        buckets=bleu_by_length(data, outputs, src=corpus.src, tgt=corpus.tgt),
        length_unit=length_unit(corpus.src),
        reach=reach,
        examples=differing_examples(data, outputs),
    )
