"""The whole fast path against the plain one, in values and gradients; bf16 against fp32."""

import pytest
import torch
from plain_model import plain_loss

from mt.choices import ScoreKind, Tying
from mt.config import ModelConfig, OptimConfig
from mt.data.batching import Batch, Pair, collate
from mt.models.loss import sequence_loss
from mt.models.seq2seq import Seq2Seq, build_model
from mt.training.optim import build_optimizer

VOCAB = 30


def _model(score: ScoreKind, *, input_feeding: bool, tying: Tying = Tying.all) -> Seq2Seq:
    torch.manual_seed(3)
    config = ModelConfig(
        embedding_size=8, encoder_size=6, decoder_size=12, attention_size=5, score=score,
        input_feeding=input_feeding, tying=tying,
        embedding_dropout=0.0, state_dropout=0.0, output_dropout=0.0,
    )  # fmt: skip
    return build_model(config, src_vocab_size=VOCAB, tgt_vocab_size=VOCAB)


def _batch() -> Batch:
    return collate([Pair([4, 5, 6, 7], [8, 9]), Pair([10], [11, 12, 13]), Pair([14, 15], [4])])


def _fast_loss(model: Seq2Seq, batch: Batch) -> torch.Tensor:
    features, _ = model(batch.src, batch.src_lengths, batch.tgt_in)
    return sequence_loss(features, model.output_layer, batch.tgt_out, label_smoothing=0.1).loss


@pytest.mark.parametrize("input_feeding", [True, False])
@pytest.mark.parametrize("score", [ScoreKind.additive, ScoreKind.general])
@pytest.mark.parametrize("tying", Tying)
def test_the_fast_path_equals_the_plain_one(
    score: ScoreKind, input_feeding: bool, tying: Tying
) -> None:
    model = _model(score, input_feeding=input_feeding, tying=tying)
    found, expected = _fast_loss(model, _batch()), plain_loss(model, _batch(), label_smoothing=0.1)
    torch.testing.assert_close(found, expected)
    parameters = list(model.parameters())
    torch.testing.assert_close(
        torch.autograd.grad(found, parameters),
        torch.autograd.grad(expected, parameters),
        atol=1e-6,
        rtol=1e-4,
    )


def test_bf16_learns_as_the_plain_path_does() -> None:
    """The same loss after the same updates, but for the rounding of bf16."""
    losses = []
    for fast in (True, False):
        model = _model(ScoreKind.additive, input_feeding=True)
        optimizer = build_optimizer(model.parameters(), OptimConfig(lr=3e-3))
        for _ in range(40):
            optimizer.zero_grad()
            if fast:
                with torch.autocast("cpu", torch.bfloat16):
                    loss = _fast_loss(model, _batch())
            else:
                loss = plain_loss(model, _batch(), label_smoothing=0.1)
            loss.backward()
            optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[1] < 2.0  # of 3.4 at the start
    assert losses[0] == pytest.approx(losses[1], rel=0.03)
