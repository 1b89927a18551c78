"""Gradient norms are those of finite differences, whatever the batch; the model stays."""

import gc

import numpy as np
import pytest
import torch

from mt.choices import DecoderKind, Tying
from mt.config import ModelConfig
from mt.data.batching import Pair, collate
from mt.decoding import score_ids
from mt.gradient_reach import (
    STRETCHES,
    measure_reach,
    source_gradient_norms,
    summarize_norms,
)
from mt.models.seq2seq import Seq2Seq, build_model

PAIRS = [
    Pair([5, 6, 7, 8, 9], [10, 11, 12]),
    Pair([13], [14, 15, 16, 17]),
    Pair([6, 18, 19], [4]),
    Pair([5, 6, 7, 8, 9, 10, 11, 12], [5, 6, 7, 8, 9]),
]


def tiny_model(
    decoder: DecoderKind = DecoderKind.attention,
    tying: Tying = Tying.all,
) -> Seq2Seq:
    torch.manual_seed(3)
    config = ModelConfig(
        decoder=decoder,
        tying=tying,
        embedding_size=8,
        encoder_size=8,
        decoder_size=8,
        attention_size=8,
    )
    return build_model(config, src_vocab_size=20, tgt_vocab_size=20).eval()


def log_probability(model: Seq2Seq, pair: Pair) -> float:
    """Score one pair in the model's own precision."""
    batch = collate([pair])
    with torch.no_grad():
        features, _ = model(batch.src, batch.src_lengths, batch.tgt_in)
        log_probs = torch.log_softmax(model.output_layer(features), dim=-1)
    return float(log_probs[0].gather(1, batch.tgt_out[0, :, None]).sum())


@pytest.mark.parametrize("decoder", list(DecoderKind))
@pytest.mark.parametrize("tying", [Tying.all, Tying.none])
def test_the_norm_is_that_of_finite_differences(decoder, tying):
    """Move one source vector only, by a hook, and watch the log-probability of the target."""
    model = tiny_model(decoder, tying).double()
    pair, position, width = PAIRS[0], 2, 8
    (norms,) = source_gradient_norms(model, [pair])
    assert norms.shape == (5,)  # the EOS is no source piece
    slopes, epsilon = [], 1e-3
    for unit in range(width):
        values = []
        for sign in (1, -1):
            calls = []

            def shift(module, inputs, output, *, calls=calls, unit=unit, sign=sign):
                calls.append(1)
                if len(calls) > 1:  # a shared embedding reads the target second
                    return output
                moved = output.clone()
                moved[0, position, unit] += sign * epsilon
                return moved

            handle = model.src_embedding.register_forward_hook(shift)
            values.append(log_probability(model, pair))
            handle.remove()
        slopes.append((values[0] - values[1]) / (2 * epsilon))
    assert norms[position] == pytest.approx(np.linalg.norm(slopes), rel=1e-3)


def test_norms_do_not_depend_on_the_other_sentences():
    model = tiny_model()
    together = source_gradient_norms(model, PAIRS)
    for pair, expected in zip(PAIRS, together, strict=True):
        (alone,) = source_gradient_norms(model, [pair])
        np.testing.assert_allclose(alone, expected, rtol=1e-4)
        assert len(expected) == len(pair.src)


def test_the_model_stays_as_it_was():
    model = tiny_model()
    before = score_ids(model, PAIRS)
    with torch.no_grad():  # a caller's mode does not matter
        measure_reach(model, PAIRS)
    assert score_ids(model, PAIRS) == before
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.src_embedding._forward_hooks


@pytest.mark.parametrize("decoder", list(DecoderKind))
def test_nothing_is_kept_of_a_measurement(decoder):
    model = tiny_model(decoder)

    def n_tensors():
        source_gradient_norms(model, PAIRS)
        gc.collect()
        return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())

    assert n_tensors() == n_tensors()


def test_a_long_way_to_the_only_vector_weakens_the_gradient():
    """The vector that the untrained baseline starts from lies at the ends of the sentence."""
    pairs = [Pair([4 + i % 16 for i in range(60)], [7, 8, 9])]
    model = tiny_model(DecoderKind.fixed_context)
    (norms,) = source_gradient_norms(model, pairs)
    assert norms[25:35].max() < 0.01 * norms[[0, -1]].max()


def test_averages_by_position_and_by_place():
    norms = [np.array([1.0, 3.0]), np.array([4.0, 4.0])]
    reach = summarize_norms(norms)
    assert reach.absolute == [2.5, 3.5]
    assert len(reach.relative) == STRETCHES
    # Two pieces lie in the middles of the halves: parts 2 and 7.
    assert reach.relative[2] == pytest.approx((0.5 + 1) / 2)
    assert reach.relative[7] == pytest.approx((1.5 + 1) / 2)
    assert np.isnan([reach.relative[index] for index in (0, 1, 3, 9)]).all()
    assert reach.weakest == pytest.approx(0.75)


def test_positions_that_few_sentences_have_are_left_out():
    norms = [np.ones(3)] * 19 + [np.ones(50)]
    assert len(summarize_norms(norms).absolute) == 3
    assert len(summarize_norms(norms[-1:]).absolute) == 50


def test_equal_gradient_everywhere_is_one_everywhere():
    reach = summarize_norms([np.full(30, 0.2), np.full(45, 7.0)])
    assert reach.relative == pytest.approx([1.0] * STRETCHES)


def test_a_sentence_that_no_gradient_reaches_has_no_shares():
    reach = summarize_norms([np.full(30, 0.2), np.zeros(30)])
    assert reach.relative == pytest.approx([1.0] * STRETCHES)
    assert reach.absolute == pytest.approx([0.1] * 30)


def test_no_pairs_is_an_error():
    with pytest.raises(ValueError, match="no sentence pairs to measure"):
        measure_reach(tiny_model(), [])
