"""The chunked loss against `cross_entropy` of PyTorch, in values and gradients."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from mt.data.tokenizer import PAD_ID
from mt.models import loss as loss_module
from mt.models.loss import CHUNK, sentence_nll, sequence_loss

WIDTH, VOCAB = 5, 11


def _targets(lengths: list[int]) -> Tensor:
    real = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(-1)
    return torch.randint(1, VOCAB, real.shape).masked_fill(~real, PAD_ID)


def _reference(features: Tensor, layer: nn.Linear, targets: Tensor, smoothing: float) -> Tensor:
    logits = layer(features).flatten(0, 1)
    return F.cross_entropy(
        logits, targets.flatten(), ignore_index=PAD_ID, label_smoothing=smoothing
    )


def _check(lengths: list[int], smoothing: float) -> None:
    layer = nn.Linear(WIDTH, VOCAB)
    nn.init.normal_(layer.bias)
    targets = _targets(lengths)
    features = torch.randn(*targets.shape, WIDTH, requires_grad=True)
    ours = sequence_loss(features, layer, targets, label_smoothing=smoothing)
    theirs = _reference(features, layer, targets, smoothing)
    torch.testing.assert_close(ours.loss, theirs)
    assert ours.n_tokens == sum(lengths)
    plain = _reference(features, layer, targets, 0.0) * sum(lengths)
    torch.testing.assert_close(ours.nll, plain.detach(), rtol=1e-5, atol=1e-4)
    inputs = [features, layer.weight, layer.bias]
    # Scaled, as by an accumulated batch.
    found = torch.autograd.grad(3 * ours.loss, inputs)
    torch.testing.assert_close(found, torch.autograd.grad(3 * theirs, inputs))
    assert torch.all(found[0][targets == PAD_ID] == 0)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.sampled_from([0.0, 0.1, 0.5]))
def test_equals_the_library(lengths: list[int], smoothing: float) -> None:
    _check(lengths, smoothing)


@pytest.mark.parametrize("n_tokens", [CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7])
def test_equals_the_library_across_chunks(n_tokens: int) -> None:
    _check([n_tokens, 1, n_tokens // 2], 0.1)


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4))
def test_that_of_a_sentence_is_the_sum_over_its_tokens(lengths: list[int]) -> None:
    layer, targets = nn.Linear(WIDTH, VOCAB), _targets(lengths)
    features = torch.randn(*targets.shape, WIDTH)
    alone = [
        sequence_loss(features[b : b + 1], layer, targets[b : b + 1]).nll
        for b in range(len(lengths))
    ]
    torch.testing.assert_close(sentence_nll(features, layer, targets), torch.stack(alone))


def test_gradients_equal_difference_quotients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss_module, "CHUNK", 2)
    layer = nn.Linear(WIDTH, VOCAB).double()
    targets = _targets([3, 2])
    features = torch.randn(2, 3, WIDTH, requires_grad=True, dtype=torch.double)

    def loss(features: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        changed = nn.Linear(WIDTH, VOCAB)
        del changed.weight, changed.bias
        changed.weight, changed.bias = weight, bias
        return sequence_loss(features, changed, targets, label_smoothing=0.1).loss

    inputs = [features, layer.weight, layer.bias]
    assert torch.autograd.gradcheck(loss, inputs)


def test_a_weight_shared_with_the_embedding_gets_both_gradients() -> None:
    table = nn.Embedding(VOCAB, WIDTH)
    layer = nn.Linear(WIDTH, VOCAB)
    layer.weight = table.weight
    targets = _targets([4, 2])
    gradients = []
    for chunked in (True, False):
        features = torch.tanh(table(targets.roll(1, dims=1)))
        if chunked:
            loss = sequence_loss(features, layer, targets, label_smoothing=0.1).loss
        else:
            loss = _reference(features, layer, targets, 0.1)
        gradients.append(torch.autograd.grad(loss, [table.weight, layer.bias]))
    torch.testing.assert_close(*gradients)


def test_what_stands_at_padding_does_not_count() -> None:
    layer = nn.Linear(WIDTH, VOCAB)
    targets = _targets([4, 1])
    features = torch.randn(2, 4, WIDTH)
    noisy = features.masked_fill((targets == PAD_ID).unsqueeze(-1), 1e6)
    first, second = (
        sequence_loss(x, layer, targets, label_smoothing=0.1) for x in (features, noisy)
    )
    assert torch.equal(first.loss, second.loss)
    assert torch.equal(first.nll, second.nll)
    assert first.n_tokens == second.n_tokens == 5


def test_a_batch_without_real_tokens_has_gradients_of_zero() -> None:
    layer = nn.Linear(WIDTH, VOCAB)
    features = torch.randn(2, 3, WIDTH, requires_grad=True)
    targets = torch.full((2, 3), PAD_ID)
    found = sequence_loss(features, layer, targets, label_smoothing=0.1)
    assert (found.loss.item(), found.nll.item(), found.n_tokens) == (0.0, 0.0, 0)
    inputs = [features, layer.weight, layer.bias]
    for gradient, x in zip(torch.autograd.grad(found.loss, inputs), inputs, strict=True):
        assert torch.equal(gradient, torch.zeros_like(x))


def test_the_nll_knows_no_smoothing_and_carries_no_gradient() -> None:
    layer = nn.Linear(WIDTH, VOCAB)
    targets = _targets([4, 3])
    features = torch.randn(2, 4, WIDTH, requires_grad=True)
    smooth, plain = (sequence_loss(features, layer, targets, label_smoothing=e) for e in (0.3, 0.0))
    assert torch.equal(smooth.nll, plain.nll)
    assert not smooth.nll.requires_grad
    assert not torch.isclose(smooth.loss, plain.loss)
    assert float(plain.loss.detach()) == pytest.approx(float(plain.nll) / 7, rel=1e-6)


def test_a_token_of_no_probability_has_a_finite_nll() -> None:
    layer = nn.Linear(WIDTH, VOCAB)
    with torch.no_grad():
        layer.bias[3] = 1000.0
    found = sequence_loss(torch.randn(1, 2, WIDTH), layer, torch.tensor([[2, 3]]))
    assert 80 < float(found.nll) < 1000
    assert float(found.loss.detach()) == pytest.approx(float(found.nll) / 2)


@pytest.mark.parametrize("silence", [torch.no_grad, torch.inference_mode])
def test_without_gradients_the_value_is_the_same_and_none_is_computed(
    silence: Callable[[], AbstractContextManager[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = nn.Linear(WIDTH, VOCAB)
    targets, features = _targets([4, 3]), torch.randn(2, 4, WIDTH)
    loud = sequence_loss(features, layer, targets, label_smoothing=0.1)
    products, mm = [], torch.mm
    monkeypatch.setattr(torch, "mm", lambda *a, **k: products.append(a) or mm(*a, **k))
    with silence():
        silent = sequence_loss(features, layer, targets, label_smoothing=0.1)
    assert torch.equal(silent.loss, loud.loss)
    assert len(products) == 1  # the logits


def test_the_sum_over_a_sentence_is_fp32_for_a_bf16_model_too() -> None:
    layer, targets = nn.Linear(WIDTH, VOCAB).bfloat16(), _targets([200])
    features = torch.randn(1, 200, WIDTH).bfloat16()
    [nll] = sentence_nll(features, layer, targets)
    expected = F.cross_entropy(layer(features)[0].float(), targets[0], reduction="sum")
    assert nll.dtype is torch.float32
    assert float(nll) == pytest.approx(float(expected.detach()), rel=1e-3)


def test_bf16_gradients_stay_close_to_fp32() -> None:
    layer = nn.Linear(WIDTH, VOCAB)
    targets = _targets([40, 30])
    features = torch.randn(2, 40, WIDTH, requires_grad=True)
    gradients, losses = [], []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            loss = sequence_loss(features, layer, targets, label_smoothing=0.1).loss
        assert loss.dtype is torch.float32
        losses.append(float(loss.detach()))
        gradients.append(torch.autograd.grad(loss, [features, layer.weight, layer.bias]))
    assert losses[1] == pytest.approx(losses[0], rel=5e-3)
    for plain, mine in zip(*gradients, strict=True):
        assert (mine - plain).norm() < 0.02 * plain.norm()
