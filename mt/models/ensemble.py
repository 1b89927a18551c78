"""Several models that translate together: they read the same tokens and share every decision."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mt.models.seq2seq import SearchState, Seq2Seq


class EnsembleState(NamedTuple):
    """The search state of every model."""

    states: list[SearchState]

    def select(self, rows: Tensor, sentences: Tensor | None) -> "EnsembleState":
        """Keep these rows, and the memory of these sentences; None keeps every sentence."""
        return EnsembleState([state.select(rows, sentences) for state in self.states])


class EnsembleStep(NamedTuple):
    """Mean log-probabilities (N, V), mean weights (N, S) or None, and the state after."""

    log_probs: Float[Tensor, "N V"]
    weights: Float[Tensor, "N S"] | None
    state: EnsembleState


class Ensemble:
    """score(y_t) = mean over models of log p(y_t | y_<t, x).

    Ensembles as in Sutskever et al. 2014, 3.6, which gives no formula. This is the usual geometric
    mean of the probabilities, not normalised: over the vocabulary it sums to 1 or less.

    Attention is the mean over the models that have it.

    Args:
        models: One or more, over the same vocabularies.
    """

    def __init__(self, models: Sequence[Seq2Seq]) -> None:
        self.models = models

    def start(self, src: Int[Tensor, "B S"], src_lengths: Int[Tensor, " B"]) -> EnsembleState:
        """Let every model encode the sources; `src_lengths` count the EOS and stay on the CPU."""
        return EnsembleState([model.start(src, src_lengths) for model in self.models])

    def step(self, tokens: Int[Tensor, " N"], state: EnsembleState) -> EnsembleStep:
        """Predict the next token of every row."""
        steps = [
            model.step(tokens, own) for model, own in zip(self.models, state.states, strict=True)
        ]
        weights = [step.weights for step in steps if step.weights is not None]
        return EnsembleStep(
            _mean([step.log_probs for step in steps]),
            _mean(weights) if weights else None,
            EnsembleState([step.state for step in steps]),
        )


def _mean(tensors: list[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.stack(tensors).mean(dim=0)
