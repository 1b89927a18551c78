"""Validation: loss and perplexity under teacher forcing, BLEU of a real search."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from mt.choices import Metric
from mt.config import SearchConfig
from mt.data.batching import Pair
from mt.data.tokenizer import Tokenizer
from mt.decoding import TeacherForced, score_ids, search_ids
from mt.metrics import Score, bleu
from mt.models.seq2seq import Seq2Seq
from mt.search import Hypothesis
from mt.training.progress import DivergenceError
from mt.training.world import World

_BLANK = Hypothesis([], 0.0, 0.0, None)


class Validation(NamedTuple):
    """What one validation found.

    Attributes:
        teacher_forced: Loss and perplexity a target token, without label smoothing.
        bleu: sacreBLEU of the search's output against the raw references.
        hypotheses: The search's output, in the order of the validation set.
        translations: The same as text.
    """

    teacher_forced: TeacherForced
    bleu: Score
    hypotheses: list[Hypothesis]
    translations: list[str]

    def value(self, metric: Metric) -> float:
        """Return the number that a metric names."""
        return self.bleu.value if metric is Metric.bleu else self.teacher_forced.loss


class Validator:
    """Hold a validation set, and judge models on it together with the other processes.

    As in an evaluation, a blank source gets an empty translation, and a pair with a blank side has
    no part in the loss.

    Raises:
        ValueError: Every pair has a blank side.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        references: Sequence[str],
        *,
        language: str,
        tokenizer: Tokenizer,
        search: SearchConfig,
        device: torch.device,
        world: World,
    ) -> None:
        self.pairs = pairs
        self._whole_pairs = [pair for pair in pairs if pair.src and pair.tgt]
        if not self._whole_pairs:
            raise ValueError(
                f"none of {len(pairs)} validation pairs has text on both sides: look at data.splits"
            )
        self.references = references
        self.language = language
        self.tokenizer = tokenizer
        self.search = search
        self.device = device
        self.world = world

    def __call__(self, model: Seq2Seq) -> Validation:
        """Judge a model, which is left in evaluation mode; all processes find the same.

        Raises:
            DivergenceError: A search finds nothing, because all its scores are infinite or NaN.
        """
        model.eval()
        deal, gather = self.world.deal, self.world.gather
        scores = gather(score_ids(model, deal(self._whole_pairs), device=self.device))
        sources = deal([pair.src for pair in self.pairs if pair.src])
        found = gather(search_ids([model], sources, self.search, device=self.device))
        if not all(found):
            raise DivergenceError(
                "no translation of a validation sentence has a finite probability"
            )
        answers = iter(found)
        hypotheses = [next(answers)[0] if pair.src else _BLANK for pair in self.pairs]
        translations = [self.tokenizer.decode(hypothesis.tokens) for hypothesis in hypotheses]
        references = [[reference] for reference in self.references]
        score = bleu(translations, references, language=self.language)
        forced = TeacherForced.of(scores, self._whole_pairs)
        return Validation(forced, score, hypotheses, translations)
