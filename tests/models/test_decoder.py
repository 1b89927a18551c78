"""The decoders: a whole sequence equals single steps, and both equal plain reference loops."""

import itertools

import pytest
import torch
from torch import Tensor, nn

from mt.choices import DecoderKind, ScoreKind, Tying
from mt.config import ModelConfig
from mt.models.attention import Memory
from mt.models.conditional import ConditionalDecoder
from mt.models.decoder import AttentionDecoder, Decoder, DecoderState
from mt.models.seq2seq import build_model

VOCAB, EMBEDDING, ENCODER, WIDTH = 13, 6, 4, 8
LENGTHS = [5, 2, 3]
STEPS = 4

KINDS = {
    **{
        f"{score.name}-conditional": {"score": score, "decoder": DecoderKind.conditional}
        for score in ScoreKind
    },
    **{
        f"{score.name}-{'feeding' if feeding else 'parallel'}": {
            "score": score,
            "input_feeding": feeding,
        }
        for score, feeding in itertools.product(ScoreKind, [True, False])
    },
    "baseline": {"decoder": DecoderKind.fixed_context},
}

# A conditional decoder has one layer.
DEPTHS = [(k, n) for k in KINDS for n in (1, 2) if n == 1 or not k.endswith("conditional")]


def _decoder(kind: str, *, layers: int = 1) -> Decoder:
    config = ModelConfig(
        embedding_size=EMBEDDING,
        encoder_size=ENCODER,
        decoder_size=WIDTH,
        decoder_layers=layers,
        attention_size=5,
        tying=Tying.none,
        **KINDS[kind],  # type: ignore[arg-type]
    )
    return build_model(config, src_vocab_size=VOCAB, tgt_vocab_size=VOCAB).decoder.double().eval()


def _memory(decoder: Decoder) -> Memory:
    states = torch.randn(len(LENGTHS), max(LENGTHS), 2 * ENCODER, dtype=torch.double)
    mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS).unsqueeze(-1)
    return Memory(states, decoder.project(states), mask)


def _summary() -> Tensor:
    return torch.randn(len(LENGTHS), 2 * ENCODER, dtype=torch.double)


def _tokens() -> Tensor:
    return torch.randint(4, VOCAB, (len(LENGTHS), STEPS))


@torch.no_grad()
@pytest.mark.parametrize(("kind", "layers"), DEPTHS)
def test_a_whole_target_equals_single_steps(kind: str, layers: int) -> None:
    """What training computes is what search computes."""
    decoder = _decoder(kind, layers=layers)
    memory, tokens = _memory(decoder), _tokens()
    state = decoder.initial_state(_summary())
    features, weights = decoder.forward(tokens, state, memory)
    assert features.shape == (len(LENGTHS), STEPS, EMBEDDING)
    assert (weights is None) == kind.startswith("baseline")
    for t in range(STEPS):
        step = decoder.step(tokens[:, t], state, memory)
        torch.testing.assert_close(step.features, features[:, t])
        if weights is None:
            assert step.weights is None
        else:
            torch.testing.assert_close(step.weights, weights[:, t])
        state = step.state


@torch.no_grad()
@pytest.mark.parametrize(("kind", "layers"), DEPTHS)
def test_rows_of_one_sentence_share_its_memory(kind: str, layers: int) -> None:
    """K rows a sentence with B memories give what K copies of every memory give."""
    k = 3
    decoder = _decoder(kind, layers=layers)
    memory = _memory(decoder)
    rows = torch.arange(len(LENGTHS)).repeat_interleave(k)
    state = decoder.initial_state(_summary()).select(rows)
    state = DecoderState(state.hidden + torch.randn_like(state.hidden), state.feed)
    tokens = torch.randint(4, VOCAB, (len(rows),))
    shared = decoder.step(tokens, state, memory)
    copied = decoder.step(tokens, state, memory.select(rows))
    torch.testing.assert_close(shared.features, copied.features)
    torch.testing.assert_close(shared.weights, copied.weights)
    torch.testing.assert_close(shared.state, copied.state)


def _reference(
    decoder: AttentionDecoder, tokens: Tensor, summary: Tensor, memory: Memory
) -> Tensor:
    """Decode with `nn.GRUCell` a step at a time, as the papers write it."""
    layers = decoder.recurrence.num_layers
    cells = []
    for layer in range(layers):
        cell = nn.GRUCell(decoder.recurrence.input_size if layer == 0 else WIDTH, WIDTH)
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            setattr(cell, name, decoder.recurrence.get_parameter(f"{name}_l{layer}"))
        cells.append(cell)
    hidden = list(decoder.bridge(summary).unbind(0))
    context = torch.zeros_like(summary)
    features = []
    for t in range(tokens.shape[1]):
        embedded = decoder.embedding(tokens[:, t : t + 1]).squeeze(1)
        below = torch.cat([embedded, context], dim=-1)
        for layer, cell in enumerate(cells):
            below = hidden[layer] = cell(below, hidden[layer])
        context = decoder.attention(below.unsqueeze(1), memory).context.squeeze(1)
        joined = torch.cat([below, context, embedded], dim=-1)
        features.append(torch.tanh(decoder.readout.linear(joined)))
    return torch.stack(features, dim=1)


def _conditional_reference(
    decoder: ConditionalDecoder, tokens: Tensor, summary: Tensor, memory: Memory
) -> Tensor:
    """Decode with the library's cells a step at a time, as the paper writes it."""
    [hidden] = decoder.bridge(summary)
    features = []
    for t in range(tokens.shape[1]):
        embedded = decoder.embedding(tokens[:, t : t + 1]).squeeze(1)
        asking = decoder.before(embedded, hidden)
        context = decoder.attention(asking.unsqueeze(1), memory).context.squeeze(1)
        hidden = decoder.after(context, asking)
        joined = torch.cat([hidden, context, embedded], dim=-1)
        features.append(torch.tanh(decoder.readout.linear(joined)))
    return torch.stack(features, dim=1)


@pytest.mark.parametrize(
    ("kind", "layers"), [(k, n) for k, n in DEPTHS if k.endswith(("feeding", "conditional"))]
)
def test_unrolled_recurrences_equal_cells_of_the_library(kind: str, layers: int) -> None:
    """Their shortcuts change neither values nor gradients."""
    decoder = _decoder(kind, layers=layers)
    tokens, summary = _tokens(), _summary().requires_grad_()
    states = torch.randn(len(LENGTHS), max(LENGTHS), 2 * ENCODER, dtype=torch.double)
    states.requires_grad_()
    mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS).unsqueeze(-1)
    memory = Memory(states, decoder.project(states), mask)
    ours = decoder(tokens, decoder.initial_state(summary), memory).features
    if isinstance(decoder, ConditionalDecoder):
        theirs = _conditional_reference(decoder, tokens, summary, memory)
    else:
        theirs = _reference(decoder, tokens, summary, memory)
    torch.testing.assert_close(ours, theirs)
    direction = torch.randn_like(ours)
    inputs = [states, summary, *decoder.parameters()]
    found, expected = (
        torch.autograd.grad((features * direction).sum(), inputs, retain_graph=True)
        for features in (ours, theirs)
    )
    torch.testing.assert_close(found, expected)
    assert all(bool(gradient.any()) for gradient in found)


@torch.no_grad()
@pytest.mark.parametrize("layers", [1, 2])
def test_the_baseline_equals_the_recurrence_of_the_library(layers: int) -> None:
    decoder, tokens, summary = _decoder("baseline", layers=layers), _tokens(), _summary()
    ours = decoder.forward(tokens, decoder.initial_state(summary), _memory(decoder)).features
    embedded = decoder.embedding(tokens)
    context = summary.unsqueeze(1).expand(-1, STEPS, -1)
    gru = nn.GRU(EMBEDDING + 2 * ENCODER, WIDTH, layers, batch_first=True).double()
    gru.load_state_dict(decoder.recurrence.state_dict())
    states, _ = gru(torch.cat([embedded, context], dim=-1), decoder.bridge(summary))
    joined = torch.cat([states, context, embedded], dim=-1)
    torch.testing.assert_close(ours, torch.tanh(decoder.readout.linear(joined)))


@torch.no_grad()
@pytest.mark.parametrize(("kind", "layers"), DEPTHS)
def test_a_step_sees_no_later_token(kind: str, layers: int) -> None:
    decoder = _decoder(kind, layers=layers)
    memory, state, tokens = _memory(decoder), decoder.initial_state(_summary()), _tokens()
    changed = tokens.clone()
    changed[:, 2] = (changed[:, 2] - 3) % (VOCAB - 4) + 4
    before, after = (decoder.forward(t, state, memory).features for t in (tokens, changed))
    assert torch.equal(before[:, :2], after[:, :2])
    assert not torch.isclose(before[:, 2:], after[:, 2:]).all(dim=-1).any()


@torch.no_grad()
def test_input_feeding_hands_the_last_context_on() -> None:
    decoder = _decoder("general-feeding")
    memory, state = _memory(decoder), decoder.initial_state(_summary())
    assert state.feed.shape[-1] == 2 * ENCODER and not state.feed.any()
    step = decoder.step(_tokens()[:, 0], state, memory)
    assert step.weights is not None
    context = torch.einsum("bs,bsm->bm", step.weights.double(), memory.states)
    torch.testing.assert_close(step.state.feed, context)
    assert _decoder("general-parallel").initial_state(_summary()).feed.shape[-1] == 0


@torch.no_grad()
def test_the_baseline_never_looks_at_source_positions() -> None:
    """What it knows of the source is the summary, fixed from the first step to the last."""
    decoder = _decoder("baseline")
    memory, summary, tokens = _memory(decoder), _summary(), _tokens()
    assert memory.keys.shape[-1] == 0
    state = decoder.initial_state(summary)
    elsewhere = memory._replace(states=torch.randn_like(memory.states))
    features = decoder.forward(tokens, state, memory).features
    assert torch.equal(decoder.forward(tokens, state, elsewhere).features, features)
    after = decoder.step(tokens[:, 0], state, memory).state
    assert state.feed is summary and after.feed is summary


@torch.no_grad()
def test_the_baseline_reads_the_vector_in_every_step() -> None:
    decoder = _decoder("baseline")
    memory, summary, tokens = _memory(decoder), _summary(), _tokens()
    state = decoder.initial_state(summary)
    other = DecoderState(state.hidden, state.feed + 1.0)
    before = decoder.step(tokens[:, 0], state, memory)
    after = decoder.step(tokens[:, 0], other, memory)
    assert not torch.isclose(before.state.hidden, after.state.hidden).all(dim=-1).any()


def test_the_bridge_gives_every_layer_its_own_start() -> None:
    decoder = _decoder("general-feeding", layers=2)
    summary = _summary()
    hidden = decoder.initial_state(summary).hidden
    by_hand = torch.tanh(summary @ decoder.bridge.linear.weight.T + decoder.bridge.linear.bias)
    torch.testing.assert_close(torch.cat([hidden[0], hidden[1]], dim=-1), by_hand)


@pytest.mark.parametrize("kind", ["general-feeding", "general-parallel", "baseline"])
def test_dropout_acts_between_the_layers(kind: str) -> None:
    """As `nn.GRU` does it: on what an upper layer reads, while training, and nowhere else."""
    for layers, acts in ((1, False), (2, True)):
        decoder = _decoder(kind, layers=layers).train()
        decoder.embedding.eval()
        decoder.readout.eval()
        memory, state, tokens = _memory(decoder), decoder.initial_state(_summary()), _tokens()
        draws = [decoder.forward(tokens, state, memory).features for _ in range(2)]
        assert torch.equal(*draws) != acts
