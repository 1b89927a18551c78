"""What an update applies is what was asked for: loss, precision, rate, clipping, sampling."""

import dataclasses
import logging
from collections.abc import Iterable
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
        config, lr=0.01, warmup_steps=0, schedule=ScheduleKind.plateau, plateau_patience=1
    )
    config = dataclasses.replace(
        config, trainer=dataclasses.replace(config.trainer, validate_every=2)
    )
    train(config)  # validated after 2 (the best), 4, 6, 8, 10, 12
    expected = [0.01] * 4 + [0.005] * 2 + [0.0025] * 2 + [0.00125] * 2 + [0.000625] * 2
    assert [step.lr for step in applied] == expected


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


def test_the_gradient_is_that_of_the_mean_over_the_tokens_of_an_update(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Adam would hide another scale, and clipping would mean something else."""
    parameters: list[torch.Tensor] = []
    batches: list[tuple[int, tuple[torch.Tensor, ...]]] = []

    def build(given: Iterable[torch.Tensor], *rest: Any) -> torch.optim.Optimizer:
        parameters.extend(given)
        return build_optimizer(parameters, *rest)

    def watch(*arguments: Any, **options: Any) -> SequenceLoss:
        result = sequence_loss(*arguments, **options)
        gradients = torch.autograd.grad(result.loss, parameters, retain_graph=True)
        batches.append((result.n_tokens, gradients))
        return result

    monkeypatch.setattr(trainer_module, "build_optimizer", build)
    monkeypatch.setattr(trainer_module, "sequence_loss", watch)
    trainer = dataclasses.replace(config.trainer, accumulate=3, max_steps=2)
    train(dataclasses.replace(config, trainer=trainer))
    events = RunDirectory(config.run).read_metrics()
    for number, event in enumerate(e for e in events if e["event"] == "train"):
        mine = batches[3 * number : 3 * number + 3]
        n_tokens = sum(n for n, _ in mine)
        means = [
            sum(n / n_tokens * gradients[index] for n, gradients in mine)
            for index in range(len(parameters))
        ]
        norm = torch.stack([mean.norm() for mean in means]).norm()
        assert event["grad_norm"] == pytest.approx(float(norm), rel=1e-4)
    assert len(batches) == 6


def test_the_seed_decides_the_parameters(config: Config) -> None:
    models = []
    for seed in (1, 2):
        run = f"{config.run}-{seed}"
        still = with_optim(config, lr=1e-9, min_lr=0.0)
        trainer = dataclasses.replace(still.trainer, max_steps=1, ema_decay=0.0)
        train(dataclasses.replace(still, run=run, seed=seed, trainer=trainer))
        models.append(load_checkpoint(RunDirectory(run).checkpoints / "last.pt")["model"])
    first, second = models
    assert max(float((first[name] - second[name]).abs().max()) for name in first) > 1e-3


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
