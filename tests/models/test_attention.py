"""Attention: each score function against plain loops, and the masked weighted sum."""

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import TypeCheckError
from torch import Tensor

from mt.choices import ScoreKind
from mt.models.attention import (
    AdditiveScore,
    Attention,
    DotScore,
    GeneralScore,
    Memory,
    build_score,
)

BATCH, QUERIES, POSITIONS, WIDTH = 3, 4, 5, 6


@torch.no_grad()
def test_under_autocast_tanh_and_sums_are_in_fp32() -> None:
    score = AdditiveScore(query_size=WIDTH, memory_size=WIDTH, attention_size=7)
    states, query = torch.randn(BATCH, POSITIONS, WIDTH), torch.randn(BATCH, QUERIES, WIDTH)
    with torch.autocast("cpu", torch.bfloat16):
        keys = score.project(states)
        mask = torch.ones(BATCH, POSITIONS, dtype=torch.bool)
        attended = Attention(score)(query, Memory(states, keys, mask))
        energies = score(query, keys)
    assert {keys.dtype, energies.dtype, *(each.dtype for each in attended)} == {torch.float32}


def _additive(score: AdditiveScore, query: Tensor, state: Tensor) -> float:
    total = 0.0
    for row in range(score.query.weight.shape[0]):
        inner = float(score.key.bias[row])
        for column in range(len(query)):
            inner += float(score.query.weight[row, column] * query[column])
        for column in range(len(state)):
            inner += float(score.key.weight[row, column] * state[column])
        total += float(score.energy.weight[0, row]) * math.tanh(inner)
    return total


def _dot(_: DotScore, query: Tensor, state: Tensor) -> float:
    return sum(float(query[i]) * float(state[i]) for i in range(len(query)))


def _scaled_dot(score: DotScore, query: Tensor, state: Tensor) -> float:
    return _dot(score, query, state) / math.sqrt(len(state))


def _tanh_dot(score: DotScore, query: Tensor, state: Tensor) -> float:
    return math.tanh(_dot(score, query, state))


def _general(score: GeneralScore, query: Tensor, state: Tensor) -> float:
    return sum(
        float(query[row]) * float(score.key.weight[row, column]) * float(state[column])
        for row in range(len(query))
        for column in range(len(state))
    )


LOOPS: dict[ScoreKind, Callable[..., float]] = {
    ScoreKind.additive: _additive,
    ScoreKind.dot: _dot,
    ScoreKind.scaled_dot: _scaled_dot,
    ScoreKind.general: _general,
    ScoreKind.tanh_dot: _tanh_dot,
}


def _attention(kind: ScoreKind, *, query_size: int = WIDTH) -> Attention:
    score = build_score(kind, query_size=query_size, memory_size=WIDTH, attention_size=7)
    return Attention(score).double()


def _memory(attention: Attention, lengths: list[int]) -> Memory:
    states = torch.randn(len(lengths), max(lengths), WIDTH, dtype=torch.double)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(-1)
    return Memory(states, attention.project(states), mask)


def test_every_kind_of_score_has_a_loop_to_compare_with() -> None:
    assert set(LOOPS) == set(ScoreKind)


@torch.no_grad()
@pytest.mark.parametrize("kind", ScoreKind)
def test_scores_equal_a_plain_loop(kind: ScoreKind) -> None:
    """Sums run over the features of one query and one state, never over positions or rows."""
    attention = _attention(kind)
    memory = _memory(attention, [POSITIONS] * BATCH)
    query = torch.randn(BATCH, QUERIES, WIDTH, dtype=torch.double)
    scores = attention.score(query, memory.keys)
    assert scores.shape == (BATCH, QUERIES, POSITIONS)
    for b in range(BATCH):
        for t in range(QUERIES):
            for s in range(POSITIONS):
                expected = LOOPS[kind](attention.score, query[b, t], memory.states[b, s])
                assert float(scores[b, t, s]) == pytest.approx(expected, abs=1e-10)


@torch.no_grad()
@pytest.mark.parametrize("kind", [ScoreKind.additive, ScoreKind.general])
def test_scores_with_parameters_join_unequal_widths(kind: ScoreKind) -> None:
    attention = _attention(kind, query_size=4)
    memory = _memory(attention, [POSITIONS])
    query = torch.randn(1, 2, 4, dtype=torch.double)
    scores = attention.score(query, memory.keys)
    expected = LOOPS[kind](attention.score, query[0, 1], memory.states[0, 3])
    assert float(scores[0, 1, 3]) == pytest.approx(expected, abs=1e-10)


@torch.no_grad()
@pytest.mark.parametrize("kind", ScoreKind)
def test_weights_are_a_softmax_over_real_positions_alone(kind: ScoreKind) -> None:
    attention = _attention(kind)
    lengths = [5, 1, 3]
    memory = _memory(attention, lengths)
    query = torch.randn(3, QUERIES, WIDTH, dtype=torch.double)
    context, weights = attention(query, memory)
    scores = attention.score(query, memory.keys)
    for b, length in enumerate(lengths):
        assert not weights[b, :, length:].any()
        expected = torch.softmax(scores[b, :, :length], dim=-1)
        torch.testing.assert_close(weights[b, :, :length], expected)
        for t in range(QUERIES):
            by_hand = sum(weights[b, t, s] * memory.states[b, s] for s in range(length))
            torch.testing.assert_close(context[b, t], by_hand)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones_like(weights[..., 0]))


@given(st.lists(st.integers(1, 7), min_size=1, max_size=4), st.sampled_from(list(ScoreKind)))
@torch.no_grad()
def test_padding_gets_no_weight_and_changes_nothing(lengths: list[int], kind: ScoreKind) -> None:
    attention = _attention(kind)
    memory = _memory(attention, lengths)
    query = torch.randn(len(lengths), 2, WIDTH, dtype=torch.double)
    context, weights = attention(query, memory)
    assert torch.all(weights.masked_select(~memory.mask.unsqueeze(1)) == 0)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(len(lengths), 2, dtype=torch.double))
    for b, length in enumerate(lengths):
        alone = Memory(*(part[b : b + 1, :length] for part in memory))
        torch.testing.assert_close(attention(query[b : b + 1], alone).context, context[b : b + 1])


@torch.no_grad()
@pytest.mark.parametrize("kind", ScoreKind)
def test_many_queries_at_once_equal_one_after_another(kind: ScoreKind) -> None:
    attention = _attention(kind)
    memory = _memory(attention, [5, 2, 4])
    query = torch.randn(3, QUERIES, WIDTH, dtype=torch.double)
    together = attention(query, memory)
    for t in range(QUERIES):
        single = attention(query[:, t : t + 1], memory)
        torch.testing.assert_close(single.context[:, 0], together.context[:, t])
        torch.testing.assert_close(single.weights[:, 0], together.weights[:, t])


@pytest.mark.parametrize("kind", ScoreKind)
def test_no_gradient_reaches_padding(kind: ScoreKind) -> None:
    attention = _attention(kind)
    states = torch.randn(2, 4, WIDTH, dtype=torch.double, requires_grad=True)
    mask = torch.tensor([[True, True, False, False], [True, True, True, True]])
    query = torch.randn(2, 3, WIDTH, dtype=torch.double)
    attention(query, Memory(states, attention.project(states), mask)).context.sum().backward()
    assert states.grad is not None
    assert torch.all(states.grad[0, 2:] == 0)
    assert torch.all(states.grad[1] != 0)


def test_select_takes_sentences_in_the_order_asked_for() -> None:
    memory = _memory(_attention(ScoreKind.general), [5, 2, 4])
    chosen = memory.select(torch.tensor([2, 0]))
    for part, whole in zip(chosen, memory, strict=True):
        assert torch.equal(part, torch.stack([whole[2], whole[0]]))


def test_annotated_shapes_are_checked_while_tests_run() -> None:
    attention = _attention(ScoreKind.dot)
    memory = _memory(attention, [5, 2])
    with pytest.raises(TypeCheckError):
        attention(torch.randn(2, WIDTH, dtype=torch.double), memory)
    for mask in (memory.mask[:, 1:], memory.mask.float()):
        with pytest.raises(TypeCheckError):
            Memory(memory.states, memory.keys, mask)
