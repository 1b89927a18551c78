"""The whole model: embeddings, encoder, decoder, output layer."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mt.choices import DecoderKind, Tying
from mt.config import ModelConfig
from mt.data.tokenizer import PAD_ID
from mt.models.attention import Attention, Memory, build_score
from mt.models.conditional import ConditionalDecoder
from mt.models.decoder import (
    AttentionDecoder,
    Decoded,
    Decoder,
    DecoderState,
    FixedContextDecoder,
)
from mt.models.embedding import Embedding
from mt.models.encoder import GRUEncoder
from mt.models.lexical import Lexical, LexicalOutput


class SearchState(NamedTuple):
    """What search carries: a decoder state of N rows, a memory of B sentences, N/B rows each.

    Attributes:
        decoder: What changes from step to step.
        memory: The encoded sources.
        embedded: The embedded sources, (B, S, E); None where no lexical model asks for them.
    """

    decoder: DecoderState
    memory: Memory
    embedded: Float[Tensor, "B S E"] | None

    def select(self, rows: Tensor, sentences: Tensor | None) -> "SearchState":
        """Keep these rows, and the memory of these sentences; None keeps every sentence."""
        decoder = self.decoder.select(rows)
        if sentences is None:
            return self._replace(decoder=decoder)
        embedded = None if self.embedded is None else self.embedded[sentences]
        return SearchState(decoder, self.memory.select(sentences), embedded)


class StepOutput(NamedTuple):
    """A step's log-probabilities (N, V), attention weights (N, S) or None, and the state after."""

    log_probs: Float[Tensor, "N V"]
    weights: Float[Tensor, "N S"] | None
    state: SearchState


class Seq2Seq(nn.Module):
    """p(y | x) = Π_t softmax(output_layer(features_t))[y_t]; Sutskever et al. 2014, eq. 1."""

    def __init__(
        self,
        *,
        src_embedding: Embedding,
        encoder: GRUEncoder,
        decoder: Decoder,
        output_layer: nn.Linear | LexicalOutput,
        lexical: Lexical | None = None,
    ) -> None:
        super().__init__()
        self.src_embedding = src_embedding
        self.encoder = encoder
        self.decoder = decoder
        self.output_layer = output_layer
        self.lexical = lexical

    @property
    def n_parameters(self) -> int:
        """The number of trained parameters, shared ones counted once."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def has_attention(self) -> bool:
        """Whether the decoder looks at positions of the source."""
        return not isinstance(self.decoder, FixedContextDecoder)

    def start(self, src: Int[Tensor, "B S"], src_lengths: Int[Tensor, " B"]) -> SearchState:
        """Encode sources; `src_lengths` count the EOS and stay on the CPU."""
        embedded = self.src_embedding(src)
        encoding = self.encoder(embedded, src_lengths)
        memory = Memory(encoding.states, self.decoder.project(encoding.states), src != PAD_ID)
        decoder = self.decoder.initial_state(encoding.summary)
        if self.lexical is None:
            return SearchState(decoder, memory, None)
        return SearchState(decoder, memory, embedded.to(encoding.states.dtype))

    def forward(
        self,
        src: Int[Tensor, "B S"],
        src_lengths: Int[Tensor, " B"],
        tgt_in: Int[Tensor, "B T"],
    ) -> Decoded:
        """Read source and target, teacher-forced; the output layer is left to `sequence_loss`."""
        start = self.start(src, src_lengths)
        features, weights = self.decoder(tgt_in, start.decoder, start.memory)
        return Decoded(self._with_lexical(features, weights, start.embedded), weights)

    def step(self, tokens: Int[Tensor, " N"], state: SearchState) -> StepOutput:
        """Predict the next token of every row."""
        features, weights, decoder = self.decoder.step(tokens, state.decoder, state.memory)
        features = self._with_lexical(features, weights, state.embedded)
        log_probs = torch.log_softmax(self.output_layer(features), dim=-1)
        return StepOutput(log_probs, weights, state._replace(decoder=decoder))

    def _with_lexical(
        self, features: Tensor, weights: Tensor | None, embedded: Tensor | None
    ) -> Tensor:
        """Return [f; hˡ] (…, 2E) for features f; f alone where there is no lexical model.

        Rows of the features may be several per sentence, one after another, as in search.
        """
        if self.lexical is None or weights is None or embedded is None:
            return features
        weights = weights.reshape(len(embedded), -1, embedded.shape[1])  # (B, T or N/B, S)
        lexical = self.lexical(weights, embedded).reshape(features.shape)
        return torch.cat([features, lexical.to(features.dtype)], dim=-1)


def build_model(config: ModelConfig, *, src_vocab_size: int, tgt_vocab_size: int) -> Seq2Seq:
    """Build the model that a configuration describes.

    Raises:
        ValueError: One embedding for two vocabularies.
    """
    if config.tying is Tying.all and src_vocab_size != tgt_vocab_size:
        raise ValueError(
            f"model.tying=all needs one joint vocabulary, but the source has {src_vocab_size} "
            f"pieces and the target {tgt_vocab_size}: set tokenizer.joint=true or "
            "model.tying=output"
        )
    memory_size = 2 * config.encoder_size

    def embedding(vocab_size: int) -> Embedding:
        return Embedding(
            vocab_size,
            config.embedding_size,
            dropout=config.embedding_dropout,
            word_dropout=config.word_dropout,
        )

    tgt_embedding = embedding(tgt_vocab_size)
    src_embedding = tgt_embedding if config.tying is Tying.all else embedding(src_vocab_size)
    encoder = GRUEncoder(
        input_size=config.embedding_size,
        size=config.encoder_size,
        layers=config.encoder_layers,
        dropout=config.state_dropout,
    )
    output_layer = nn.Linear(config.embedding_size, tgt_vocab_size)
    nn.init.zeros_(output_layer.bias)
    if config.tying is not Tying.none:
        output_layer.weight = tgt_embedding.table.weight
    lexical = config.lexical and config.decoder is not DecoderKind.fixed_context
    return Seq2Seq(
        src_embedding=src_embedding,
        encoder=encoder,
        decoder=_build_decoder(config, tgt_embedding, memory_size),
        output_layer=LexicalOutput(output_layer) if lexical else output_layer,
        lexical=Lexical(config.embedding_size, dropout=config.output_dropout) if lexical else None,
    )


def _build_decoder(config: ModelConfig, embedding: Embedding, memory_size: int) -> Decoder:
    if config.decoder is DecoderKind.fixed_context:
        return FixedContextDecoder(
            embedding,
            embedding_size=config.embedding_size,
            memory_size=memory_size,
            size=config.decoder_size,
            layers=config.decoder_layers,
            state_dropout=config.state_dropout,
            output_dropout=config.output_dropout,
        )
    score = build_score(
        config.score,
        query_size=config.decoder_size,
        memory_size=memory_size,
        attention_size=config.attention_size,
    )
    if config.decoder is DecoderKind.conditional:
        return ConditionalDecoder(
            embedding,
            Attention(score),
            embedding_size=config.embedding_size,
            memory_size=memory_size,
            size=config.decoder_size,
            output_dropout=config.output_dropout,
        )
    return AttentionDecoder(
        embedding,
        Attention(score),
        embedding_size=config.embedding_size,
        memory_size=memory_size,
        size=config.decoder_size,
        layers=config.decoder_layers,
        input_feeding=config.input_feeding,
        state_dropout=config.state_dropout,
        output_dropout=config.output_dropout,
    )
