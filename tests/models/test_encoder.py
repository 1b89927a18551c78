"""The encoder: padding and neighbours change nothing, and the summary is where it should be."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mt.models.encoder import GRUEncoder

INPUT, SIZE = 4, 3


def _encoder(layers: int = 1) -> GRUEncoder:
    return GRUEncoder(input_size=INPUT, size=SIZE, layers=layers, dropout=0.0).double()


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=5),
    st.integers(0, 4),
    st.integers(1, 2),
)
def test_a_sentence_is_encoded_as_if_alone(lengths: list[int], padding: int, layers: int) -> None:
    """Neither what stands at padding nor how much of it there is has any influence."""
    encoder = _encoder(layers)
    width = max(lengths) + padding
    embedded = torch.randn(len(lengths), width, INPUT, dtype=torch.double)
    states, summary = encoder(embedded, torch.tensor(lengths))
    assert states.shape == (len(lengths), width, 2 * SIZE)
    for b, length in enumerate(lengths):
        alone = encoder(embedded[b : b + 1, :length], torch.tensor([length]))
        torch.testing.assert_close(states[b : b + 1, :length], alone.states)
        torch.testing.assert_close(summary[b : b + 1], alone.summary)


def test_dropout_falls_on_states_and_summary() -> None:
    encoder = GRUEncoder(input_size=INPUT, size=SIZE, layers=1, dropout=0.5).double()
    for part in encoder(torch.randn(4, 5, INPUT, dtype=torch.double), torch.tensor([5] * 4)):
        share = float((part == 0).double().mean())
        assert 0.2 < share < 0.8


def test_states_at_padding_are_zero() -> None:
    states, _ = _encoder()(torch.randn(2, 5, INPUT, dtype=torch.double), torch.tensor([5, 2]))
    assert torch.all(states[1, 2:] == 0)
    assert torch.all(states[0] != 0)


@pytest.mark.parametrize("layers", [1, 2])
def test_padding_changes_no_gradient(layers: int) -> None:
    encoder = _encoder(layers)
    real = torch.randn(1, 3, INPUT, dtype=torch.double)
    noise = torch.randn(1, 2, INPUT, dtype=torch.double)
    padded = torch.cat([real, noise], dim=1).requires_grad_()
    gradients = []
    for embedded in (real.requires_grad_(), padded):
        encoding = encoder(embedded, torch.tensor([3]))
        loss = encoding.states[:, :3].pow(2).sum() + encoding.summary.pow(3).sum()
        inputs = [embedded, *encoder.parameters()]
        gradients.append(torch.autograd.grad(loss, inputs))
    (at_real, *of_parameters), (at_padded, *of_parameters_padded) = gradients
    torch.testing.assert_close(at_padded[:, :3], at_real)
    assert torch.all(at_padded[:, 3:] == 0)
    torch.testing.assert_close(of_parameters_padded, of_parameters)


def test_the_order_of_the_rows_does_not_matter() -> None:
    encoder = _encoder(2)
    embedded = torch.randn(4, 6, INPUT, dtype=torch.double)
    lengths = torch.tensor([2, 6, 1, 4])
    order = torch.tensor([3, 0, 2, 1])
    states, summary = encoder(embedded, lengths)
    shuffled = encoder(embedded[order], lengths[order])
    torch.testing.assert_close(shuffled.states, states[order])
    torch.testing.assert_close(shuffled.summary, summary[order])


@pytest.mark.parametrize("layers", [1, 2])
def test_the_summary_is_the_last_forward_and_the_first_backward_state(layers: int) -> None:
    lengths = [5, 3, 1]
    embedded = torch.randn(3, 5, INPUT, dtype=torch.double)
    states, summary = _encoder(layers)(embedded, torch.tensor(lengths))
    for b, length in enumerate(lengths):
        torch.testing.assert_close(summary[b, :SIZE], states[b, length - 1, :SIZE])
        torch.testing.assert_close(summary[b, SIZE:], states[b, 0, SIZE:])


def test_each_direction_reads_its_own_way() -> None:
    """A forward state depends on what came before alone, a backward state on what comes after."""
    encoder = _encoder()
    embedded = torch.randn(1, 5, INPUT, dtype=torch.double)
    changed = embedded.clone()
    changed[0, 2] += 1.0
    before, after = (encoder(x, torch.tensor([5])).states[0] for x in (embedded, changed))
    same = (before == after).all(dim=-1), (before[:, :SIZE] == after[:, :SIZE]).all(dim=-1)
    assert not same[0].any()
    assert same[1].tolist() == [True, True, False, False, False]
    backward = (before[:, SIZE:] == after[:, SIZE:]).all(dim=-1)
    assert backward.tolist() == [False, False, False, True, True]
