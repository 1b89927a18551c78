"""How far a run has come, and how it ended."""

import math
from dataclasses import dataclass
from typing import NamedTuple


class DivergenceError(RuntimeError):
    """The loss, the gradient or all scores of a search are no longer finite numbers."""


@dataclass
class Progress:
    """How far a run has come: plain values, saved in every full checkpoint."""

    step: int = 0  # updates done
    seconds: float = 0.0  # spent in updates, validation not counted
    tokens: int = 0  # real target tokens seen
    epoch: int = 0  # of the last update, from 0
    validated: int = 0  # the update of the last validation
    best_value: float | None = None
    best_loss: float = math.inf  # of that validation
    best_step: int = 0
    waited: int = 0  # validations without progress


class Outcome(NamedTuple):
    """How training ended.

    Attributes:
        reason: `finished`, `early stop` or `interrupted`.
        step: Updates done.
        best_step: The update that best.pt is from.
        best_value: Its value of the metric that chose it; None before the first validation.
        tokens_per_s: Target tokens a second in updates.
        seconds: Time spent in updates.
    """

    reason: str
    step: int
    best_step: int
    best_value: float | None
    tokens_per_s: float
    seconds: float
