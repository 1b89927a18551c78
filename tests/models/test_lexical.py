"""The lexical model: its equation against plain loops, and the two halves of its output layer."""

import math

import torch
from torch import Tensor, nn

from mt.choices import DecoderKind, Tying
from mt.config import ModelConfig
from mt.models.lexical import Lexical, LexicalOutput
from mt.models.loss import sequence_loss
from mt.models.seq2seq import build_model

BATCH, STEPS, POSITIONS, WIDTH, VOCAB = 2, 3, 4, 5, 7


def _plain(lexical: Lexical, weights: list[float], embedded: Tensor) -> list[float]:
    """Return hˡ of one step, a number at a time."""
    words = [
        math.tanh(sum(weights[j] * float(embedded[j, k]) for j in range(POSITIONS)))
        for k in range(WIDTH)
    ]
    matrix, bias = lexical.linear.weight, lexical.linear.bias
    return [
        math.tanh(sum(float(matrix[i, k]) * words[k] for k in range(WIDTH)) + float(bias[i]))
        + words[i]
        for i in range(WIDTH)
    ]


@torch.no_grad()
def test_it_is_its_equation() -> None:
    lexical = Lexical(WIDTH, dropout=0.5).double().eval()
    weights = torch.randn(BATCH, STEPS, POSITIONS, dtype=torch.double).softmax(dim=-1)
    embedded = torch.randn(BATCH, POSITIONS, WIDTH, dtype=torch.double)
    found = lexical(weights, embedded)
    for b in range(BATCH):
        for t in range(STEPS):
            expected = _plain(lexical, weights[b, t].tolist(), embedded[b])
            torch.testing.assert_close(found[b, t], torch.tensor(expected, dtype=torch.double))


def test_the_loss_and_its_gradients_are_those_of_the_logits() -> None:
    layer = LexicalOutput(nn.Linear(WIDTH, VOCAB)).double()
    features = torch.randn(BATCH, STEPS, 2 * WIDTH, dtype=torch.double, requires_grad=True)
    targets = torch.randint(3, VOCAB, (BATCH, STEPS))
    inputs = [features, *layer.parameters()]
    loss = sequence_loss(features, layer, targets).loss
    plain = nn.functional.cross_entropy(layer(features).flatten(0, 1), targets.flatten())
    torch.testing.assert_close(loss, plain)
    gradients = (torch.autograd.grad(value, inputs) for value in (loss, plain))
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected)


def test_a_tied_table_serves_the_recurrent_half_alone() -> None:
    config = ModelConfig(lexical=True, tying=Tying.all, embedding_size=WIDTH)
    model = build_model(config, src_vocab_size=VOCAB, tgt_vocab_size=VOCAB)
    layer = model.output_layer
    assert isinstance(layer, LexicalOutput)
    assert layer.recurrent.weight is model.src_embedding.table.weight
    assert layer.lexical.weight is not layer.recurrent.weight


def test_without_attention_there_is_none() -> None:
    config = ModelConfig(decoder=DecoderKind.fixed_context, lexical=True)
    model = build_model(config, src_vocab_size=VOCAB, tgt_vocab_size=VOCAB)
    assert model.lexical is None and isinstance(model.output_layer, nn.Linear)
