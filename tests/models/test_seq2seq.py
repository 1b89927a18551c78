"""The whole model: what it is built of, what it shares, and that neighbours change nothing."""

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mt.choices import DecoderKind, ScoreKind, Tying
from mt.config import ModelConfig, SearchConfig
from mt.data.batching import Pair, collate
from mt.data.tokenizer import PAD_ID
from mt.decoding import search_ids
from mt.models.conditional import ConditionalDecoder
from mt.models.decoder import AttentionDecoder, FixedContextDecoder
from mt.models.loss import sequence_loss
from mt.models.seq2seq import Seq2Seq, build_model

VOCAB = 17
TINY = {"embedding_size": 6, "encoder_size": 4, "decoder_size": 8, "attention_size": 5}


def _model(vocab: int = VOCAB, **options: object) -> Seq2Seq:
    config = ModelConfig(**{**TINY, **options})  # type: ignore[arg-type]
    return build_model(config, src_vocab_size=VOCAB, tgt_vocab_size=vocab).eval()


def _pairs(n: int) -> list[Pair]:
    draw = random.Random(n)
    return [
        Pair(*([draw.randrange(4, VOCAB) for _ in range(draw.randint(1, 9))] for _ in range(2)))
        for _ in range(n)
    ]


KINDS: list[dict[str, object]] = [
    {"input_feeding": True, "encoder_layers": 2, "decoder_layers": 2},
    {"input_feeding": False, "score": ScoreKind.scaled_dot},
    {"input_feeding": True, "score": ScoreKind.general},
    {"decoder": DecoderKind.conditional, "encoder_layers": 2},
    {"decoder": DecoderKind.conditional, "lexical": True},
    {"input_feeding": False, "lexical": True},
    {"decoder": DecoderKind.fixed_context},
]


@torch.no_grad()
@pytest.mark.parametrize("options", KINDS)
def test_predictions_of_a_batch_of_64_equal_batches_of_one(options: dict[str, object]) -> None:
    model, pairs = _model(**options), _pairs(64)
    batch = collate(pairs)
    together = model(batch.src, batch.src_lengths, batch.tgt_in)
    for b, pair in enumerate(pairs):
        single = collate([pair])
        alone = model(single.src, single.src_lengths, single.tgt_in)
        n_tgt, n_src = len(pair.tgt) + 1, len(pair.src) + 1
        features = together.features[b, :n_tgt]
        torch.testing.assert_close(features, alone.features[0], rtol=1e-4, atol=1e-5)
        if alone.weights is not None:
            weights = together.weights[b, :n_tgt]
            torch.testing.assert_close(weights[:, :n_src], alone.weights[0], rtol=1e-4, atol=1e-5)
            assert not weights[:, n_src:].any()


@pytest.mark.parametrize("options", KINDS)
def test_the_gradient_of_a_batch_is_the_mean_over_tokens_of_its_sentences(
    options: dict[str, object],
) -> None:
    model, pairs = _model(**options), _pairs(6)

    def gradient(pairs: list[Pair]) -> tuple[int, list[Tensor]]:
        batch = collate(pairs)
        features = model(batch.src, batch.src_lengths, batch.tgt_in).features
        result = sequence_loss(features, model.output_layer, batch.tgt_out, label_smoothing=0.1)
        return result.n_tokens, list(torch.autograd.grad(result.loss, list(model.parameters())))

    n_tokens, together = gradient(pairs)
    singles = [gradient([pair]) for pair in pairs]
    for position, found in enumerate(together):
        mean = sum(n * gradients[position] for n, gradients in singles) / n_tokens
        torch.testing.assert_close(found, mean, rtol=1e-3, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("options", KINDS)
def test_under_autocast_what_is_handed_on_stays_in_fp32(options: dict[str, object]) -> None:
    model, batch = _model(**options), collate(_pairs(3))
    with torch.autocast("cpu", torch.bfloat16):
        state = model.start(batch.src, batch.src_lengths)
        step = model.step(batch.tgt_in[:, 0], state)
    kept = [*state.decoder, state.memory.states, *step.state.decoder]
    assert {tensor.dtype for tensor in kept} == {torch.float32}


DROPOUTS = ("embedding_dropout", "state_dropout", "output_dropout", "word_dropout")


@torch.no_grad()
@pytest.mark.parametrize("dropout", [None, *DROPOUTS])
@pytest.mark.parametrize("options", KINDS)
def test_each_dropout_changes_the_features_in_training_alone(
    options: dict[str, object], dropout: str | None
) -> None:
    rates = dict.fromkeys(DROPOUTS, 0.0) | ({} if dropout is None else {dropout: 0.5})
    model, batch = _model(**options, **rates), collate(_pairs(3))

    def features() -> Tensor:
        found: Tensor = model(batch.src, batch.src_lengths, batch.tgt_in).features
        return found

    assert torch.equal(features(), features())
    model.train()
    assert torch.equal(features(), features()) == (dropout is None)


@given(st.integers(0, 5), st.sampled_from(KINDS))
@torch.no_grad()
def test_more_padding_changes_no_prediction(padding: int, options: dict[str, object]) -> None:
    model, batch = _model(**options), collate(_pairs(3))
    wide = torch.nn.functional.pad(batch.src, (0, padding), value=PAD_ID)
    narrow = model(batch.src, batch.src_lengths, batch.tgt_in).features
    padded = model(wide, batch.src_lengths, batch.tgt_in).features
    torch.testing.assert_close(padded, narrow, rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("options", KINDS)
def test_a_step_gives_normalised_log_probabilities_of_the_features(
    options: dict[str, object],
) -> None:
    model, batch = _model(**options), collate(_pairs(3))
    features = model(batch.src, batch.src_lengths, batch.tgt_in).features
    state = model.start(batch.src, batch.src_lengths)
    for t in range(batch.tgt_in.shape[1]):
        log_probs, _, state = model.step(batch.tgt_in[:, t], state)
        expected = torch.log_softmax(model.output_layer(features[:, t]), dim=-1)
        torch.testing.assert_close(log_probs, expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(log_probs.exp().sum(dim=-1), torch.ones(3))


def test_each_kind_of_decoder_is_built() -> None:
    assert isinstance(_model().decoder, AttentionDecoder)
    assert isinstance(_model(decoder=DecoderKind.conditional).decoder, ConditionalDecoder)
    assert isinstance(_model(decoder=DecoderKind.fixed_context).decoder, FixedContextDecoder)


def test_the_parts_are_built_as_configured() -> None:
    options: dict[str, object] = {
        "encoder_layers": 3, "state_dropout": 0.2, "output_dropout": 0.4, "lexical": True,
    }  # fmt: skip
    model = _model(**options)
    assert model.encoder.recurrence.num_layers == 3
    assert model.encoder.recurrence.dropout == 0.2
    assert _model(state_dropout=0.2).encoder.recurrence.dropout == 0  # which torch warns of
    assert model.lexical is not None
    assert model.lexical.dropout.p == 0.4
    general = _model(score=ScoreKind.general).decoder.attention.score
    assert type(general) is not type(model.decoder.attention.score)
    sizes = {tuple(p.shape) for p in model.decoder.attention.score.parameters()}
    assert any(TINY["attention_size"] in shape for shape in sizes)


def _size(model: Seq2Seq) -> int:
    """Count distinct numbers in memory, however many names they have."""
    storages = {p.data_ptr(): p.numel() for p in model.state_dict(keep_vars=True).values()}
    return sum(storages.values())


def test_tying_shares_storage_and_shared_parameters_count_once() -> None:
    none, output, everything = (_model(tying=tying) for tying in Tying)
    source, target, layer = (
        [model.src_embedding.table.weight for model in (none, output, everything)],
        [model.decoder.embedding.table.weight for model in (none, output, everything)],
        [model.output_layer.weight for model in (none, output, everything)],
    )
    assert none.n_parameters == _size(none)
    assert [len({id(source[i]), id(target[i]), id(layer[i])}) for i in range(3)] == [3, 2, 1]
    assert source[1] is not target[1] and target[1] is layer[1]
    table = VOCAB * TINY["embedding_size"]
    for model, fewer in ((output, table), (everything, 2 * table)):
        assert model.n_parameters == _size(model) == none.n_parameters - fewer


def test_one_embedding_for_two_vocabularies_is_refused() -> None:
    message = (
        "model.tying=all needs one joint vocabulary, but the source has 17 pieces and the target "
        "23: set tokenizer.joint=true or model.tying=output"
    )
    with pytest.raises(ValueError, match=message):
        _model(23, tying=Tying.all)
    assert _model(23, tying=Tying.output).output_layer.weight.shape == (23, 6)


def test_predictions_start_near_the_uniform_distribution() -> None:
    """The untrained loss is near log V, which a wrong scale of the shared embedding would spoil."""
    model = _model(embedding_size=64, encoder_size=32, decoder_size=64)
    batch = collate(_pairs(64))
    features = model(batch.src, batch.src_lengths, batch.tgt_in).features
    loss = sequence_loss(features, model.output_layer, batch.tgt_out).loss
    assert float(loss.detach()) == pytest.approx(torch.log(torch.tensor(VOCAB)).item(), abs=0.4)


def _reversal(n: int, draw: random.Random) -> list[Pair]:
    sources = [[draw.randrange(4, VOCAB) for _ in range(draw.randint(4, 7))] for _ in range(n)]
    return [Pair(source, source[::-1]) for source in sources]


def _exact_matches(**options: object) -> float:
    """Train to reverse random sequences for some seconds; return the share of unseen ones right."""
    torch.manual_seed(1)
    draw = random.Random(1)
    sizes = {"embedding_size": 32, "encoder_size": 32, "decoder_size": 64, "attention_size": 32}
    dropouts = {"embedding_dropout": 0.0, "state_dropout": 0.0, "output_dropout": 0.0}
    model = _model(**sizes, **dropouts, **options).train()
    updates = 150
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=updates)
    for _ in range(updates):
        batch = collate(_reversal(64, draw))
        features = model(batch.src, batch.src_lengths, batch.tgt_in).features
        optimizer.zero_grad()
        sequence_loss(features, model.output_layer, batch.tgt_out).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    unseen = _reversal(200, draw)
    found = search_ids([model.eval()], [pair.src for pair in unseen], SearchConfig(beam_size=1))
    right = [best.tokens == pair.tgt for [best], pair in zip(found, unseen, strict=True)]
    return sum(right) / len(right)


@pytest.mark.usefixtures("unchecked_shapes")
def test_attention_learns_to_reverse_and_one_fixed_vector_stays_behind() -> None:
    attention = _exact_matches()
    baseline = _exact_matches(decoder=DecoderKind.fixed_context)
    assert attention > 0.95
    assert baseline < 0.7
