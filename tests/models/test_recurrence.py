"""Our recurrence against `nn.GRU`, in values and gradients."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mt.models.recurrence import StepProduct, _run_on_cuda, gru_step, run_gru

INPUT, WIDTH = 5, 7


def _random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.double, requires_grad=True)


def test_a_step_equals_a_step_of_the_library() -> None:
    cell = nn.GRUCell(INPUT, WIDTH).double()
    x, hidden = _random(3, INPUT), _random(3, WIDTH)
    gates = F.linear(x, cell.weight_ih, cell.bias_ih)
    ours = gru_step(gates, hidden, StepProduct(cell.weight_hh, cell.bias_hh))
    theirs = cell(x, hidden)
    torch.testing.assert_close(ours, theirs)
    direction, inputs = torch.randn_like(ours), [x, hidden, *cell.parameters()]
    torch.testing.assert_close(
        torch.autograd.grad((ours * direction).sum(), inputs),
        torch.autograd.grad((theirs * direction).sum(), inputs),
    )


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=4),
    st.integers(1, 2),
    st.booleans(),
    st.booleans(),
)
def test_a_sequence_equals_the_library(
    lengths: list[int], layers: int, bidirectional: bool, padded: bool
) -> None:
    recurrence = nn.GRU(INPUT, WIDTH, layers, bidirectional=bidirectional).double()
    inputs = _random(max(lengths) + padded, len(lengths), INPUT)
    hidden = _random(layers * (1 + bidirectional), len(lengths), WIDTH)
    real = torch.tensor(lengths) if padded else None
    ours = run_gru(recurrence, inputs, hidden, lengths=real)
    if real is None:
        theirs, final = recurrence(inputs, hidden)
    else:
        packed, final = recurrence(pack_padded_sequence(inputs, real, enforce_sorted=False), hidden)
        theirs, _ = pad_packed_sequence(packed, total_length=len(inputs))
    torch.testing.assert_close(tuple(ours), (theirs, final))
    directions = torch.randn_like(theirs), torch.randn_like(final)
    wanted = [inputs, hidden, *recurrence.parameters()]
    torch.testing.assert_close(
        torch.autograd.grad(tuple(ours), wanted, directions),
        torch.autograd.grad((theirs, final), wanted, directions),
    )


def test_dropout_acts_between_layers_while_training() -> None:
    inputs, hidden = torch.randn(3, 2, INPUT), torch.zeros(2, 2, WIDTH)
    recurrence = nn.GRU(INPUT, WIDTH, 2, dropout=0.5)
    first, second = (run_gru(recurrence, inputs, hidden) for _ in range(2))
    torch.testing.assert_close(first.final[0], second.final[0])
    assert not torch.equal(first.final[1], second.final[1])
    recurrence.eval()
    assert torch.equal(*(run_gru(recurrence, inputs, hidden).states for _ in range(2)))


def test_a_step_product_forms_the_gradient_of_all_steps() -> None:
    layer, steps = nn.Linear(INPUT, WIDTH).double(), [_random(2, INPUT) for _ in range(3)]
    product = StepProduct(layer.weight, layer.bias)
    loss = sum(product(x).pow(2).sum() for x in steps)
    expected = sum(layer(x).pow(2).sum() for x in steps)
    inputs = [*steps, *layer.parameters()]
    for _ in range(2):  # a second backward pass over the same graph finds the same
        torch.testing.assert_close(
            torch.autograd.grad(loss, inputs, retain_graph=True),
            torch.autograd.grad(expected, inputs, retain_graph=True),
        )


@pytest.mark.parametrize("bias", [True, False])
def test_autocast_changes_the_precision_of_products_alone(bias: bool) -> None:
    layer, x = nn.Linear(INPUT, WIDTH, bias=bias), torch.randn(2, INPUT, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = StepProduct(layer.weight, layer.bias)(x)
        theirs = layer(x)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y, theirs)
    found = torch.autograd.grad(y.float().sum(), [x, *layer.parameters()])
    assert all(gradient.dtype == torch.float32 for gradient in found)
    torch.testing.assert_close(
        found, torch.autograd.grad(theirs.float().sum(), [x, *layer.parameters()])
    )


def test_autocast_stays_near_the_plain_path() -> None:
    """bf16 keeps 8 bits: states and gradients are off by little of their own size."""
    recurrence = nn.GRU(INPUT, WIDTH, bidirectional=True)
    inputs, hidden = torch.randn(4, 3, INPUT), torch.zeros(2, 3, WIDTH)
    with torch.autocast("cpu", torch.bfloat16):
        ours = run_gru(recurrence, inputs, hidden).states
    assert ours.dtype == torch.float32
    theirs, _ = recurrence(inputs, hidden)
    assert (ours - theirs).norm() < 0.01 * theirs.norm()
    for mine, plain in zip(
        torch.autograd.grad(ours.pow(2).sum(), [*recurrence.parameters()]),
        torch.autograd.grad(theirs.pow(2).sum(), [*recurrence.parameters()]),
        strict=True,
    ):
        assert (mine - plain).norm() < 0.03 * plain.norm()


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("lengths", [None, [3, 5, 1]])
def test_the_path_of_cuda_is_the_same_function(
    lengths: list[int] | None, bidirectional: bool
) -> None:
    recurrence = nn.GRU(INPUT, WIDTH, 2, bidirectional=bidirectional).double()
    inputs, hidden = _random(6, 3, INPUT), _random(2 * (1 + bidirectional), 3, WIDTH)
    real = None if lengths is None else torch.tensor(lengths)
    on_cuda = _run_on_cuda(recurrence, inputs, hidden, real)  # which the CPU can do as well
    torch.testing.assert_close(
        tuple(on_cuda), tuple(run_gru(recurrence, inputs, hidden, lengths=real))
    )


@pytest.mark.parametrize("lengths", [None, [3, 4, 1]])
@pytest.mark.parametrize("converted", [False, True])
def test_the_path_of_cuda_keeps_fp32_states_under_autocast(
    lengths: list[int] | None, converted: bool
) -> None:
    """Attention multiplies them, outside autocast, with weights in fp32."""
    recurrence = nn.GRU(INPUT, WIDTH, bidirectional=True)
    inputs, hidden = torch.randn(4, 3, INPUT), torch.zeros(2, 3, WIDTH)
    real = None if lengths is None else torch.tensor(lengths)
    plain = run_gru(recurrence, inputs, hidden, lengths=real)
    if converted:
        recurrence.to(torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        on_cuda = _run_on_cuda(recurrence, inputs, hidden, real)
    for mine, theirs in zip(on_cuda, plain, strict=True):
        assert mine.dtype == torch.float32
        assert (mine - theirs).norm() <= (0.02 if converted else 1e-6) * theirs.norm()
