"""The quick tanh against PyTorch's."""

import pytest
import torch

from mt.models.tanh import tanh

ENDS = torch.tensor([0.0, -0.0, 1e-7, -20.0, 200.0, float("inf"), float("-inf")])


@pytest.mark.parametrize(
    ("dtype", "atol"), [(torch.float32, 2e-7), (torch.float64, 1e-15), (torch.bfloat16, 2e-3)]
)
def test_equals_the_library(dtype: torch.dtype, atol: float) -> None:
    x = torch.cat([torch.linspace(-9, 9, 10_001), ENDS]).to(dtype).requires_grad_()
    assert tanh(x).dtype is dtype
    torch.testing.assert_close(tanh(x), torch.tanh(x), rtol=0, atol=atol)
    d_y = torch.randn_like(x)
    found, wanted = (torch.autograd.grad(f(x), x, d_y)[0] for f in (tanh, torch.tanh))
    torch.testing.assert_close(found, wanted, rtol=0, atol=20 * atol)


def test_gradients_equal_difference_quotients() -> None:
    x = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(tanh, x)


def test_leaves_its_input_alone() -> None:
    x = torch.randn(5)
    before = x.clone()
    tanh(x)
    assert torch.equal(x, before)
