"""The optimizer, the learning rate of every update, and the moving average."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mt.choices import OptimizerKind, ScheduleKind
from mt.config import OptimConfig
from mt.training.optim import ExponentialMovingAverage, Schedule, build_optimizer

LR, MIN_LR, WARMUP, TOTAL = 0.01, 1e-5, 10, 100


def _schedule(kind: ScheduleKind, *, warmup: int = WARMUP) -> Schedule:
    config = OptimConfig(
        lr=LR,
        min_lr=MIN_LR,
        schedule=kind,
        warmup_steps=warmup,
        plateau_factor=0.4,
        plateau_patience=2,
    )
    return Schedule(config, total_steps=TOTAL)


@pytest.mark.parametrize("kind", ScheduleKind)
def test_the_rate_rises_in_a_line_to_its_peak(kind: ScheduleKind) -> None:
    schedule = _schedule(kind)
    rates = [schedule.lr(step) for step in range(WARMUP)]
    assert rates == pytest.approx([LR * (step + 1) / WARMUP for step in range(WARMUP)])
    assert schedule.lr(WARMUP) == pytest.approx(LR)


@given(st.sampled_from(list(ScheduleKind)), st.integers(0, 30), st.integers(0, 300))
def test_the_rate_stays_between_its_bounds_and_never_rises_again(
    kind: ScheduleKind, warmup: int, step: int
) -> None:
    schedule = _schedule(kind, warmup=warmup)
    assert 0 < schedule.lr(step) <= LR
    if step >= warmup:
        assert MIN_LR <= schedule.lr(step + 1) <= schedule.lr(step)


def test_constant_stays() -> None:
    assert _schedule(ScheduleKind.constant).lr(10_000) == LR


def test_cosine_falls_by_half_a_wave() -> None:
    schedule = _schedule(ScheduleKind.cosine)
    middle = (WARMUP + TOTAL) // 2
    assert schedule.lr(middle) == pytest.approx((LR + MIN_LR) / 2)
    quarter = WARMUP + (TOTAL - WARMUP) / 3
    assert schedule.lr(int(quarter)) == pytest.approx(MIN_LR + (LR - MIN_LR) * 0.75)
    assert schedule.lr(TOTAL) == schedule.lr(TOTAL + 50) == pytest.approx(MIN_LR)


@pytest.mark.parametrize("warmup", [0, WARMUP])
def test_inverse_sqrt_halves_over_four_times_the_updates(warmup: int) -> None:
    schedule = _schedule(ScheduleKind.inverse_sqrt, warmup=warmup)
    start = max(1, warmup)
    assert schedule.lr(start) == pytest.approx(LR)
    assert schedule.lr(4 * start) == pytest.approx(LR / 2)
    assert schedule.lr(16 * start) == pytest.approx(LR / 4)
    assert schedule.lr(10**9) == MIN_LR


def test_plateau_waits_for_progress_before_it_falls() -> None:
    schedule = _schedule(ScheduleKind.plateau)
    rates = []
    for improved in (True, False, True, False, False, False, False, True):
        schedule.observe(improved=improved)
        rates.append(schedule.lr(50) / LR)
    assert rates == pytest.approx([1, 1, 1, 1, 0.4, 0.4, 0.16, 0.16])
    for _ in range(100):
        schedule.observe(improved=False)
    assert schedule.lr(50) == MIN_LR


@pytest.mark.parametrize("kind", [k for k in ScheduleKind if k is not ScheduleKind.plateau])
def test_only_plateau_listens_to_validation(kind: ScheduleKind) -> None:
    schedule = _schedule(kind)
    before = schedule.lr(50)
    for _ in range(5):
        schedule.observe(improved=False)
    assert schedule.lr(50) == before


def test_plateau_goes_on_where_it_was() -> None:
    first, second = _schedule(ScheduleKind.plateau), _schedule(ScheduleKind.plateau)
    for _ in range(3):
        first.observe(improved=False)
    second.load_state_dict(first.state_dict())
    for schedule in (first, second):
        schedule.observe(improved=False)
    assert second.lr(50) == first.lr(50) == pytest.approx(LR * 0.16)


@pytest.mark.parametrize("kind", OptimizerKind)
def test_the_optimizer_is_the_one_asked_for(kind: OptimizerKind) -> None:
    """Adam adds the decay to the gradient, AdamW takes it off the parameter."""
    parameter = nn.Parameter(torch.tensor([4.0]))
    config = OptimConfig(kind=kind, lr=0.1, weight_decay=0.5)
    optimizer = build_optimizer([parameter], config)
    parameter.grad = torch.tensor([0.0])
    optimizer.step()
    expected = {OptimizerKind.adam: 4 - 0.1, OptimizerKind.adamw: 4 * (1 - 0.1 * 0.5)}
    assert float(parameter.detach()) == pytest.approx(expected[kind], rel=1e-5)


def _linear(value: float) -> nn.Linear:
    model = nn.Linear(2, 1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)
    return model


def test_the_average_moves_slowly_later_and_fast_at_first() -> None:
    model = _linear(0.0)
    ema = ExponentialMovingAverage(model, decay=0.9)
    expected = 0.0
    for step in range(200):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.fill_(math.sin(step))
        ema.update(model, step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * math.sin(step)
        for average in ema.average:
            assert average.flatten().tolist() == pytest.approx(
                [expected] * average.numel(), abs=1e-5
            )


def test_swapping_twice_changes_nothing() -> None:
    model = _linear(1.0)
    ema = ExponentialMovingAverage(model, decay=0.9)
    with torch.no_grad():
        model.weight.fill_(5.0)
    identity = model.weight
    ema.swap(model)
    assert model.weight is identity
    assert model.weight.flatten().tolist() == [1.0, 1.0]
    assert ema.average[0].flatten().tolist() == [5.0, 5.0]
    ema.swap(model)
    assert model.weight.flatten().tolist() == [5.0, 5.0]
    assert ema.average[0].flatten().tolist() == [1.0, 1.0]


def test_the_average_is_no_view_of_the_parameters() -> None:
    model = _linear(1.0)
    ema = ExponentialMovingAverage(model, decay=0.9)
    with torch.no_grad():
        model.weight.fill_(5.0)
    assert ema.average[0].flatten().tolist() == [1.0, 1.0]
    assert not any(average.requires_grad for average in ema.average)
