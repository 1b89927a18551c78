"""A real model searched and scored: order, limits, batches, and scores that agree."""

import copy
import random
import threading
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from mt.choices import DecoderKind
from mt.config import ModelConfig, SearchConfig
from mt.data.batching import Batch, Pair, collate, collate_sources
from mt.data.tokenizer import BOS_ID, EOS_ID
from mt.decoding import score_ids, search_ids
from mt.models.loss import sentence_nll
from mt.models.seq2seq import SearchState, Seq2Seq, StepOutput, build_model
from mt.search import Hypothesis

VOCAB = 15
KINDS: dict[str, dict[str, object]] = {
    "feeding": {},
    "parallel": {"input_feeding": False, "decoder_layers": 2},
    "conditional": {"decoder": DecoderKind.conditional},
    "lexical": {"lexical": True},
    "baseline": {"decoder": DecoderKind.fixed_context},
}


def _model(kind: str) -> Seq2Seq:
    """Build an untrained model that is sure enough of itself for its answers to differ."""
    torch.manual_seed(4)
    config = ModelConfig(
        embedding_size=8,
        encoder_size=6,
        decoder_size=12,
        attention_size=6,
        **KINDS[kind],  # type: ignore[arg-type]
    )
    model = build_model(config, src_vocab_size=VOCAB, tgt_vocab_size=VOCAB).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.5)
    return model


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest) -> Seq2Seq:
    return _model(request.param)


def _sources(n: int, *, seed: int = 0) -> list[list[int]]:
    draw = random.Random(seed)
    return [[draw.randrange(4, VOCAB) for _ in range(draw.randint(1, 8))] for _ in range(n)]


@pytest.mark.parametrize("beam_size", [1, 4])
def test_found_log_probabilities_are_the_teacher_forced_ones(
    model: Seq2Seq, beam_size: int
) -> None:
    sources = _sources(12)
    search = SearchConfig(beam_size=beam_size, length_penalty=0.7)
    found = search_ids([model], sources, search, n_best=beam_size)
    for source, hypotheses in zip(sources, found, strict=True):
        scored = score_ids(model, [Pair(source, best.tokens) for best in hypotheses])
        assert [best.log_prob for best in hypotheses] == pytest.approx(scored, abs=1e-5)
        for best in hypotheses:
            divisor = ((5 + len(best.tokens) + 1) / 6) ** 0.7
            assert best.score == pytest.approx(best.log_prob / divisor)


def test_alignments_are_the_teacher_forced_weights_without_padding(model: Seq2Seq) -> None:
    sources = _sources(9)
    found = search_ids([model], sources, SearchConfig(beam_size=3, batch_size=4))
    for source, [best] in zip(sources, found, strict=True):
        src = torch.tensor([[*source, EOS_ID]])
        tgt_in = torch.tensor([[BOS_ID, *best.tokens]])
        with torch.no_grad():
            weights = model(src, torch.tensor([len(source) + 1]), tgt_in).weights
        if weights is None:
            assert best.alignment is None
        else:
            torch.testing.assert_close(best.alignment, weights[0], rtol=1e-4, atol=1e-5)


@pytest.fixture
def alone(model: Seq2Seq) -> Callable[[int], list[Hypothesis]]:
    """Return what finds the best of seven sources, one at a time, for a beam size."""

    @cache
    def search(beam_size: int) -> list[Hypothesis]:
        config = SearchConfig(beam_size=beam_size)
        return [search_ids([model], [source], config)[0][0] for source in _sources(7, seed=7)]

    return search


@pytest.mark.usefixtures("unchecked_shapes")
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 8), st.integers(1, 4), st.randoms(use_true_random=False))
def test_neither_batches_nor_order_change_an_answer(
    model: Seq2Seq,
    alone: Callable[[int], list[Hypothesis]],
    batch_size: int,
    beam_size: int,
    draw: random.Random,
) -> None:
    sources, expected = _sources(7, seed=7), alone(beam_size)
    order = draw.sample(range(7), 7)
    search = SearchConfig(beam_size=beam_size, batch_size=batch_size)
    found = search_ids([model], [sources[row] for row in order], search)
    for row, [best] in zip(order, found, strict=True):
        assert best.tokens == expected[row].tokens
        assert best.score == pytest.approx(expected[row].score, abs=1e-5)


def _never_ending(model: Seq2Seq) -> None:
    def step(tokens: Tensor, state: SearchState) -> StepOutput:
        log_probs, weights, after = Seq2Seq.step(model, tokens, state)
        log_probs[:, EOS_ID] = -1e4
        return StepOutput(log_probs, weights, after)

    model.step = step  # type: ignore[method-assign]


@pytest.mark.parametrize("batch_size", [1, 3, 10])
def test_every_sentence_has_the_limit_of_its_own_length(batch_size: int) -> None:
    model = _model("feeding")
    _never_ending(model)
    sources = [[5] * length for length in (1, 8, 3, 6)]
    search = SearchConfig(
        beam_size=2, batch_size=batch_size, max_length_ratio=1.5, max_length_offset=2
    )
    found = search_ids([model], sources, search)
    # int(1.5 * length) + 2 with the EOS, which is the last of them.
    assert [len(best.tokens) for [best] in found] == [2, 13, 5, 10]


def test_scores_stand_in_the_order_of_the_pairs(model: Seq2Seq) -> None:
    pairs = [Pair(*sides) for sides in zip(_sources(10), _sources(10, seed=1), strict=True)]
    scores = score_ids(model, pairs, batch_size=3)
    assert len(set(scores)) == 10
    assert scores == pytest.approx([score_ids(model, [pair])[0] for pair in pairs], abs=1e-9)


def test_very_long_pairs_are_not_padded_into_one_batch(
    model: Seq2Seq, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = ((2, 2), (40, 1), (3, 3), (1, 12), (9, 9), (2, 2))
    pairs = [Pair([5] * n_source, [6] * n_target) for n_source, n_target in lengths]
    expected = score_ids(model, pairs)
    sizes = []

    def count(batch: list[Pair]) -> Batch:
        sizes.append((len(batch), max(max(map(len, pair)) for pair in batch)))
        return collate(batch)

    monkeypatch.setattr("mt.decoding.collate", count)
    monkeypatch.setattr("mt.decoding._WEIGHTS_AT_ONCE", 140)
    assert score_ids(model, pairs, batch_size=3) == pytest.approx(expected, abs=1e-9)
    assert sizes == [(1, 40), (1, 12), (1, 9), (3, 3)]


@pytest.mark.usefixtures("unchecked_shapes")
def test_very_long_sources_are_not_padded_into_one_search(
    model: Seq2Seq, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [[5] * length for length in (2, 40, 3, 12, 9, 2)]
    search = SearchConfig(beam_size=2, batch_size=3)
    expected = [best.tokens for [best] in search_ids([model], sources, search)]
    sizes = []

    def count(batch: list[list[int]]) -> tuple[Tensor, Tensor]:
        sizes.append((len(batch), max(len(source) for source in batch)))
        return collate_sources(batch)

    monkeypatch.setattr("mt.decoding.collate_sources", count)
    monkeypatch.setattr("mt.decoding._WEIGHTS_AT_ONCE", 140)
    assert [best.tokens for [best] in search_ids([model], sources, search)] == expected
    assert sorted(sizes) == [(1, 9), (1, 12), (1, 40), (3, 3)]


def test_a_score_is_the_sum_over_the_target_and_its_end(model: Seq2Seq) -> None:
    pair = Pair([5, 6, 7], [8, 9])
    src, length = torch.tensor([[5, 6, 7, EOS_ID]]), torch.tensor([4])
    total = 0.0
    with torch.no_grad():
        state = model.start(src, length)
        for read, wanted in ((BOS_ID, 8), (8, 9), (9, EOS_ID)):
            log_probs, _, state = model.step(torch.tensor([read]), state)
            total += float(log_probs[0, wanted])
    assert score_ids(model, [pair])[0] == pytest.approx(total, abs=1e-9)


def test_an_empty_target_can_be_scored(model: Seq2Seq) -> None:
    """Its probability is that of ending at once."""
    [score] = score_ids(model, [Pair([5], [])])
    with torch.no_grad():
        state = model.start(torch.tensor([[5, EOS_ID]]), torch.tensor([2]))
        log_probs = model.step(torch.tensor([BOS_ID]), state).log_probs
    assert score == pytest.approx(float(log_probs[0, EOS_ID]), abs=1e-9)


def test_nothing_gives_nothing(model: Seq2Seq) -> None:
    assert search_ids([model], [], SearchConfig()) == []
    assert score_ids(model, []) == []


def test_no_graph_is_kept(model: Seq2Seq, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def watch_step(tokens: Tensor, state: SearchState) -> StepOutput:
        output = Seq2Seq.step(model, tokens, state)
        seen.append(output.log_probs.requires_grad)
        return output

    def watch_nll(features: Tensor, *rest: Any) -> Tensor:
        seen.append(features.requires_grad)
        return sentence_nll(features, *rest)

    monkeypatch.setattr(model, "step", watch_step)
    monkeypatch.setattr("mt.decoding.sentence_nll", watch_nll)
    search_ids([model], [[5, 6]], SearchConfig(beam_size=2))
    searched = len(seen)
    score_ids(model, [Pair([5], [6])])
    assert len(seen) == searched + 1 > 1
    assert not any(seen)


@pytest.fixture
def restored_threads() -> Iterator[None]:
    n_threads = torch.get_num_threads()
    yield
    torch.set_num_threads(n_threads)


@pytest.mark.usefixtures("restored_threads", "unchecked_shapes")
def test_threads_search_batches_side_by_side_and_change_nothing(
    model: Seq2Seq, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [[4 + (row * 7 + place) % 11 for place in range(1 + row % 5)] for row in range(24)]
    search, found = SearchConfig(beam_size=2, batch_size=4), []
    step, workers, together = model.step, dict[int, int](), [threading.Barrier(1)]

    def watched(*arguments: Any) -> Any:
        if threading.get_ident() not in workers:
            workers[threading.get_ident()] = torch.get_num_threads()
            together[0].wait(timeout=60)  # for a worker that would never come
        return step(*arguments)

    monkeypatch.setattr(model, "step", watched)
    for n_threads in (1, 2):
        workers.clear()
        together[0] = threading.Barrier(n_threads)
        torch.set_num_threads(n_threads)
        answers = search_ids([model], sources, search)
        assert torch.get_num_threads() == n_threads
        assert list(workers.values()) == [1] * n_threads
        assert (threading.get_ident() in workers) == (n_threads == 1)
        found.append([(h.tokens, h.log_prob) for [h] in answers])
    assert found[0] == found[1]


@pytest.mark.usefixtures("restored_threads")
def test_what_a_batch_raises_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    model = _model("feeding")
    monkeypatch.setattr(model, "step", fail)
    torch.set_num_threads(2)
    with pytest.raises(RuntimeError, match="out of memory"):
        search_ids([model], [[4, 5]] * 10, SearchConfig(batch_size=2))
    assert torch.get_num_threads() == 2


def test_a_model_in_bf16_keeps_near_the_same_log_probabilities(model: Seq2Seq) -> None:
    pairs = [Pair([4, 5, 6, 7], [8, 9]), Pair([10], [11, 12, 13])]
    exact = score_ids(model, pairs)
    rounded = score_ids(copy.deepcopy(model).to(torch.bfloat16), pairs)
    assert rounded == pytest.approx(exact, rel=0.05)
    assert rounded != exact
    [[found], _] = search_ids(
        [copy.deepcopy(model).to(torch.bfloat16)], [pair.src for pair in pairs], SearchConfig()
    )
    [expected] = score_ids(model, [Pair(pairs[0].src, found.tokens)])
    assert found.log_prob == pytest.approx(expected, rel=0.05)
