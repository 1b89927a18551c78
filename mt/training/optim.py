"""The optimizer, the learning-rate schedule, and the moving average of the parameters."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from mt.choices import OptimizerKind, ScheduleKind
from mt.config import OptimConfig


def build_optimizer(
    parameters: Iterable[nn.Parameter], config: OptimConfig
) -> torch.optim.Optimizer:
    """Build Adam (Kingma & Ba 2015) or AdamW (Loshchilov & Hutter 2019)."""
    kind = torch.optim.AdamW if config.kind is OptimizerKind.adamw else torch.optim.Adam
    return kind(
        parameters,
        lr=config.lr,
        weight_decay=config.weight_decay,
        fused=True,
    )


class Schedule:
    """The learning rate of every update: linear warm-up, then constant, falling or stepped.

    Cosine falls from `lr` to `min_lr` over all updates after warm-up (Loshchilov & Hutter 2017, eq.
    5); inverse_sqrt falls with 1/√step (Vaswani et al. 2017, 5.3, who count steps from 1 and so are
    one update ahead); plateau multiplies the rate by `plateau_factor` after `plateau_patience`
    validations without progress.
    """

    def __init__(self, config: OptimConfig, *, total_steps: int) -> None:
        self.config = config
        self.total_steps = total_steps
        self._factor = 1.0  # what plateau has made of it
        self._waited = 0

    def lr(self, step: int) -> float:
        """Return the learning rate of update number `step`, counted from 0."""
        config, warmup = self.config, self.config.warmup_steps
        if step < warmup:
            return config.lr * (step + 1) / warmup
        if config.schedule is ScheduleKind.cosine:
            progress = min(1.0, (step - warmup) / max(1, self.total_steps - warmup))
            return (
                config.min_lr + (config.lr - config.min_lr) * (1 + math.cos(math.pi * progress)) / 2
            )
        if config.schedule is ScheduleKind.inverse_sqrt:
            return max(config.min_lr, config.lr * math.sqrt(max(1, warmup) / max(1, step)))
        return max(config.min_lr, config.lr * self._factor)

    def observe(self, *, improved: bool) -> None:
        """Take note of a validation; only plateau listens."""
        if self.config.schedule is not ScheduleKind.plateau:
            return
        self._waited = 0 if improved else self._waited + 1
        if self._waited >= self.config.plateau_patience:
            self._factor *= self.config.plateau_factor
            self._waited = 0

    def state_dict(self) -> dict[str, Any]:
        """Return what resuming needs."""
        return {"factor": self._factor, "waited": self._waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
        self._factor, self._waited = state["factor"], state["waited"]


class ExponentialMovingAverage:
    """average ← d · average + (1 - d) · parameter after every update.

    Averaging is after Polyak & Juditsky 1992, who weigh all updates alike.
    d is (1 + step) / (10 + step) while that is less than the decay: up to update 4,490 for 0.998
    and 8,990 for 0.999. Until then about the last ninth of the updates is in the average, so that
    the first, random parameters are soon forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.average: list[Tensor] = [p.detach().clone() for p in model.parameters()]

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the parameters after update number `step`."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.average, list(model.parameters()), 1 - decay)

    @torch.no_grad()
    def swap(self, model: nn.Module) -> None:
        """Exchange the average and the model's parameters; a second call exchanges them back."""
        for parameter, average in zip(model.parameters(), self.average, strict=True):
            kept = parameter.detach().clone()
            parameter.copy_(average)
            average.copy_(kept)
