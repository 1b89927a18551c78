"""What an update applies is what was asked for: loss, precision, rate, clipping, sampling."""

import dataclasses
import logging
from typing import Any, NamedTuple

import pytest
import torch

from mt.checkpoint import RunDirectory, load_checkpoint
from mt.choices import Precision, ScheduleKind
from mt.config import Config
from mt.models.loss import SequenceLoss, sequence_loss
from mt.training import trainer as trainer_module
from mt.training.optim import Schedule, build_optimizer
from mt.training.run import train

# Other tests train with the checks of shapes, which take half the time.
pytestmark = pytest.mark.usefixtures("unchecked_shapes")


class Applied(NamedTuple):
    """The learning rate and the length of the gradient with which the optimizer took a step."""

    lr: float
    norm: float


@pytest.fixture
def applied(monkeypatch: pytest.MonkeyPatch) -> list[Applied]:
    """Watch every step of the optimizer."""
    steps: list[Applied] = []

    def watch(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        [group] = optimizer.param_groups
        norms = torch.stack([p.grad.norm() for p in group["params"] if p.grad is not None])
        steps.append(Applied(group["lr"], float(norms.norm())))

    def build(*arguments: Any) -> torch.optim.Optimizer:
        optimizer = build_optimizer(*arguments)
        optimizer.register_step_pre_hook(watch)
        return optimizer

    monkeypatch.setattr(trainer_module, "build_optimizer", build)
    return steps


def with_optim(config: Config, **options: Any) -> Config:
    return dataclasses.replace(config, optim=dataclasses.replace(config.optim, **options))


def test_the_rate_is_that_of_the_schedule(config: Config, applied: list[Applied]) -> None:
    config = with_optim(config, warmup_steps=3, schedule=ScheduleKind.cosine)
    train(config)
    schedule = Schedule(config.optim, total_steps=12)
    assert [step.lr for step in applied] == [schedule.lr(step) for step in range(12)]


def test_plateau_lowers_the_rate_after_validations_without_progress(
    config: Config, applied: list[Applied], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        trainer_module.Trainer, "_is_better", lambda self, *_: self.progress.best_value is None
    )
    config = with_optim(
        config, lr=0.01, warmup_steps=0, schedule=ScheduleKind.plateau, plateau_patience=2
    )
    config = dataclasses.replace(
        config, trainer=dataclasses.replace(config.trainer, validate_every=2)
    )
    train(config)  # validated after 2 (the best), 4, 6, 8, 10, 12
    assert [step.lr for step in applied] == [0.01] * 6 + [0.005] * 4 + [0.0025] * 2


def test_gradients_are_clipped_and_their_own_length_is_recorded(
    config: Config, applied: list[Applied]
) -> None:
    config = with_optim(config, clip_norm=0.1)
    train(config)
    events = RunDirectory(config.run).read_metrics()
    norms = [event["grad_norm"] for event in events if event["event"] == "train"]
    assert max(norms) > 0.2
    for norm, step in zip(norms, applied, strict=True):
        assert step.norm == pytest.approx(min(norm, 0.1), rel=1e-4)


@pytest.mark.parametrize(
    ("precision", "native", "bf16"),
    [
        (Precision.fp32, True, False),
        (Precision.bf16, False, True),
        (Precision.auto, True, True),
        (Precision.auto, False, False),
    ],
)
def test_smoothing_and_precision_reach_the_loss(
    config: Config,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    precision: Precision,
    native: bool,
    bf16: bool,
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": native})
    caplog.set_level(logging.INFO, logger="mt")
    seen = set()

    def watch(*arguments: Any, label_smoothing: float) -> SequenceLoss:
        seen.add((label_smoothing, torch.is_autocast_enabled("cpu")))
        return sequence_loss(*arguments, label_smoothing=label_smoothing)

    monkeypatch.setattr(trainer_module, "sequence_loss", watch)
    config = with_optim(config, label_smoothing=0.3)
    trainer = dataclasses.replace(config.trainer, precision=precision, max_steps=2)
    train(dataclasses.replace(config, trainer=trainer))
    start, *_ = RunDirectory(config.run).read_metrics()
    assert (start["device"], start["precision"]) == ("cpu", "bf16" if bf16 else "fp32")
    assert seen == {(0.3, bf16)}
    assert f"), {'bf16' if bf16 else 'fp32'}\n" in caplog.text  # what was taken is said


def test_subword_regularisation_changes_what_is_learned(config: Config) -> None:
    models = []
    for alpha in (0.0, 0.1):
        tokenizer = dataclasses.replace(config.tokenizer, sample_alpha=alpha)
        run = f"{config.run}-{alpha}"
        train(dataclasses.replace(config, run=run, tokenizer=tokenizer))
        models.append(load_checkpoint(RunDirectory(run).checkpoints / "last.pt")["model"])
    assert any(not torch.equal(models[0][name], models[1][name]) for name in models[0])
