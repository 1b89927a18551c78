"""Validation: loss and perplexity under teacher forcing, BLEU of a real search."""

import dataclasses
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
    """Hold a validation set, and judge models on it together with the other processes."""

    def __init__(
        self,
        pairs: Sequence[Pair],
        references: Sequence[str],
        *,
        language: str,
        tokenizer: Tokenizer,
        search: SearchConfig,
        beam_size: int,
        device: torch.device,
        world: World,
    ) -> None:
        self.pairs = pairs
        self.references = references
        self.language = language
        self.tokenizer = tokenizer
        self.search = dataclasses.replace(search, beam_size=beam_size)
        self.device = device
        self.world = world

    def __call__(self, model: Seq2Seq) -> Validation:
        """Judge a model, which is left in evaluation mode; all processes find the same.

        Raises:
            DivergenceError: A search finds nothing, as all its scores are infinite or no numbers.
        """
        model.eval()
        share = self.world.deal(self.pairs)
        scores = self.world.gather(score_ids(model, share, device=self.device))
        forced = TeacherForced.of(scores, self.pairs)
        found = self.world.gather(
            search_ids([model], [pair.src for pair in share], self.search, device=self.device)
        )
        if not all(found):
            raise DivergenceError(
                "no translation of a validation sentence has a finite probability"
            )
        hypotheses = [answers[0] for answers in found]
        translations = [self.tokenizer.decode(hypothesis.tokens) for hypothesis in hypotheses]
        references = [[reference] for reference in self.references]
        score = bleu(translations, references, language=self.language)
        return Validation(forced, score, hypotheses, translations)
