"""Dropout drops at its rate, scales what it keeps, and leaves evaluation alone."""

import pytest
import torch

from mt.models.dropout import Dropout, dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_drops_at_its_rate_and_keeps_the_mean(p: float, dtype: torch.dtype) -> None:
    x = torch.ones(50_001, dtype=dtype, requires_grad=True)  # no multiple of 4
    y = dropout(x, p, training=True)
    dropped = (y == 0).float().mean().item()
    assert dropped == pytest.approx(p, abs=0.01)  # more than 4 deviations
    assert set(y.detach().unique().tolist()) == {0.0, torch.tensor(1 / (1 - p), dtype=dtype).item()}
    [gradient] = torch.autograd.grad(y.sum(), x)
    assert torch.equal(gradient, y)


def test_a_probability_next_to_one_drops_nearly_all() -> None:
    assert (dropout(torch.ones(1000), 1 - 2**-20, training=True) == 0).sum() >= 990


def test_draws_depend_on_the_seed_alone() -> None:
    x = torch.ones(3, 5, 7)
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(dropout(x, 0.5, training=True))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_neighbours_are_independent() -> None:
    """Four elements share a random number; how many of them fall is still binomial."""
    kept = (dropout(torch.ones(40_000), 0.5, training=True) > 0).view(-1, 4).sum(dim=1)
    shares = torch.bincount(kept, minlength=5) / len(kept)
    expected = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    torch.testing.assert_close(shares, expected, atol=0.02, rtol=0.0)


def test_evaluation_and_a_rate_of_zero_change_nothing() -> None:
    x = torch.randn(3, 4)
    assert Dropout(0.5).eval()(x) is x
    assert dropout(x, 0.0, training=True) is x
