"""The decoder protocol, and two decoders: with attention, and with one fixed vector of the source.

The latter is the baseline. All follow the `Decoder` protocol, so that training and search need not
know which one they drive.
"""

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from mt.models.attention import Attention, Memory
from mt.models.dropout import Dropout, dropout
from mt.models.embedding import Embedding
from mt.models.precision import at_least_fp32
from mt.models.recurrence import StepProduct, gru_step, run_gru
from mt.models.tanh import tanh


class DecoderState(NamedTuple):
    """All that a decoder carries from one step to the next.

    Attributes:
        hidden: GRU states, (L, N, H).
        feed: What of the source enters the next step: the last context under input feeding, the
            fixed vector of the baseline, (N, M); (N, 0) where nothing enters.
    """

    hidden: Float[Tensor, "L N H"]
    feed: Float[Tensor, "N F"]

    def select(self, rows: Tensor) -> "DecoderState":
        """Return the state of the given rows, in that order."""
        return DecoderState(self.hidden[:, rows], self.feed[rows])


class Decoded(NamedTuple):
    """Features for the output layer (B, T, E) and weights (B, T, S), None without attention.

    The lexical model adds features of its own: (B, T, 2E) is what a `Seq2Seq` with one returns.
    """

    features: Float[Tensor, "B T E"]
    weights: Float[Tensor, "B T S"] | None


class DecoderStep(NamedTuple):
    """Features (N, E), weights (N, S) or None, and the state for the next step."""

    features: Float[Tensor, "N E"]
    weights: Float[Tensor, "N S"] | None
    state: DecoderState


@runtime_checkable
class Decoder(Protocol):
    """What training and search ask of a decoder."""

    def project(self, states: Tensor) -> Tensor:
        """Compute, once for each sentence, what every step needs: the keys (B, S, A)."""
        ...

    def initial_state(self, summary: Tensor) -> DecoderState:
        """Start from the encoder's summary (B, M)."""
        ...

    def __call__(self, tgt_in: Tensor, state: DecoderState, memory: Memory) -> Decoded:
        """Read a whole target (B, T), teacher-forced."""
        ...

    def step(self, token: Tensor, state: DecoderState, memory: Memory) -> DecoderStep:
        """Read one token per row (N,); N is a multiple of the memory's B."""
        ...


class Bridge(nn.Module):
    """Initial decoder states: tanh(W summary + b); Bahdanau et al. 2015, A.2.2.

    The paper writes no biases, and reads the first backward state alone; the summary holds the last
    forward one as well.
    """

    def __init__(self, memory_size: int, *, size: int, layers: int) -> None:
        super().__init__()
        self.layers = layers
        self.linear = nn.Linear(memory_size, layers * size)

    def forward(self, summary: Float[Tensor, "B M"]) -> Float[Tensor, "L B H"]:
        """Return one initial state a layer."""
        projected = self.linear(summary)  # (B, L * H)
        hidden = tanh(projected.to(at_least_fp32(projected.dtype)))
        return hidden.reshape(len(summary), self.layers, -1).transpose(0, 1).contiguous()


class Readout(nn.Module):
    """features = dropout(tanh(W [state; context; embedding] + b)).

    The deep output of Bahdanau et al. 2015, A.2.2, with tanh in the place of maxout and the new
    state in the place of the one before.
    """

    def __init__(self, input_size: int, size: int, *, dropout: float) -> None:
        super().__init__()
        self.linear = nn.Linear(input_size, size)
        self.dropout = Dropout(dropout)

    def forward(self, *inputs: Tensor) -> Tensor:
        """Combine vectors of equal leading shape into features of the output layer's width."""
        features: Tensor = self.dropout(tanh(self.linear(torch.cat(inputs, dim=-1))))
        return features


class AttentionDecoder(nn.Module):
    """s_t = GRU(s_{t-1}, [y_{t-1}; c_{t-1}]), c_t = attention(s_t).

    The features are made of [s_t; c_t; y_{t-1}]. Luong et al. 2015, 3.1 and 3.3, with the readout
    of Bahdanau et al. 2015. What feeds the next step is the context itself, where Luong et al. mix
    it with the state first. Without input feeding c_{t-1} does not enter the recurrence, which then
    runs over the whole target at once and attends at all steps in parallel.
    """

    def __init__(
        self,
        embedding: Embedding,
        attention: Attention,
        *,
        embedding_size: int,
        memory_size: int,
        size: int,
        layers: int,
        input_feeding: bool,
        state_dropout: float,
        output_dropout: float,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.attention = attention
        self.input_feeding = input_feeding
        self.feed_size = memory_size if input_feeding else 0
        self.recurrence = nn.GRU(
            embedding_size + self.feed_size,
            size,
            layers,
            dropout=state_dropout if layers > 1 else 0.0,
        )
        self.bridge = Bridge(memory_size, size=size, layers=layers)
        self.readout = Readout(
            size + memory_size + embedding_size,
            embedding_size,
            dropout=output_dropout,
        )

    def project(self, states: Float[Tensor, "B S M"]) -> Float[Tensor, "B S A"]:
        """Compute the attention keys, once a sentence."""
        return self.attention.project(states)

    def initial_state(self, summary: Float[Tensor, "B M"]) -> DecoderState:
        """Start from the bridge; nothing has been attended to yet."""
        feed = summary.new_zeros(len(summary), self.feed_size)
        return DecoderState(self.bridge(summary), feed)

    def forward(self, tgt_in: Int[Tensor, "B T"], state: DecoderState, memory: Memory) -> Decoded:
        """Read a whole target, teacher-forced."""
        embedded = self.embedding(tgt_in.T)  # (T, B, E)
        if self.input_feeding:
            states, contexts, weights = self._unroll(embedded, state.hidden, state.feed, memory)
        else:
            states, _ = run_gru(self.recurrence, embedded, state.hidden)
            attended = self.attention(states.transpose(0, 1), memory)
            contexts, weights = attended.context.transpose(0, 1), attended.weights
        return Decoded(self.readout(states, contexts, embedded).transpose(0, 1), weights)

    def _unroll(
        self, embedded: Tensor, hidden: Tensor, feed: Tensor, memory: Memory
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run the recurrence a step at a time: each step needs the context of the one before."""
        width, get = embedded.shape[-1], self.recurrence.get_parameter
        # The part of the input product that needs no attention is formed for all steps at once.
        known = F.linear(embedded, get("weight_ih_l0")[:, :width], get("bias_ih_l0"))  # (T, B, 3H)
        from_feed = StepProduct(get("weight_ih_l0")[:, width:])
        layers = range(self.recurrence.num_layers)
        from_below = [StepProduct(get(f"weight_ih_l{i}"), get(f"bias_ih_l{i}")) for i in layers[1:]]
        recurrent = [StepProduct(get(f"weight_hh_l{i}"), get(f"bias_hh_l{i}")) for i in layers]
        hiddens = list(hidden.unbind(0))
        states, contexts, weights = [], [], []
        for gates in known.unbind(0):
            gates = gates + from_feed(feed)
            hiddens[0] = gru_step(gates, hiddens[0], recurrent[0])
            for i in layers[1:]:
                below = dropout(hiddens[i - 1], self.recurrence.dropout, self.training)
                hiddens[i] = gru_step(from_below[i - 1](below), hiddens[i], recurrent[i])
            attended = self.attention(hiddens[-1].unsqueeze(1), memory)
            feed = attended.context.squeeze(1)
            states.append(hiddens[-1])
            contexts.append(feed)
            weights.append(attended.weights.squeeze(1))
        return torch.stack(states), torch.stack(contexts), torch.stack(weights, dim=1)

    def step(self, token: Int[Tensor, " N"], state: DecoderState, memory: Memory) -> DecoderStep:
        """Read one token per row; rows of one sentence stand together and share its memory."""
        embedded = self.embedding(token.unsqueeze(1)).squeeze(1)
        inputs = torch.cat([embedded, state.feed], dim=-1)
        [output], hidden = run_gru(self.recurrence, inputs.unsqueeze(0), state.hidden)  # (N, H)
        query = output.reshape(len(memory.states), -1, output.shape[-1])  # (B, N/B, H)
        context, weights = self.attention(query, memory)
        context = context.reshape(len(token), -1)
        features = self.readout(output, context, embedded)
        feed = context if self.input_feeding else state.feed
        return DecoderStep(features, weights.reshape(len(token), -1), DecoderState(hidden, feed))


class FixedContextDecoder(nn.Module):
    """The baseline: s_t = GRU(s_{t-1}, [y_{t-1}; c]) with one c for the whole source.

    Cho et al. 2014, 2.2: c enters every step, and the features are made of [s_t; c; y_{t-1}]. Here
    c is the encoder's summary, the last state of each direction; theirs is tanh(V h_S), from an
    encoder of one direction.
    """

    def __init__(
        self,
        embedding: Embedding,
        *,
        embedding_size: int,
        memory_size: int,
        size: int,
        layers: int,
        state_dropout: float,
        output_dropout: float,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.recurrence = nn.GRU(
            embedding_size + memory_size,
            size,
            layers,
            dropout=state_dropout if layers > 1 else 0.0,
        )
        self.bridge = Bridge(memory_size, size=size, layers=layers)
        self.readout = Readout(
            size + memory_size + embedding_size,
            embedding_size,
            dropout=output_dropout,
        )

    def project(self, states: Float[Tensor, "B S M"]) -> Float[Tensor, "B S 0"]:
        """Return empty keys: nothing looks at the positions of the source."""
        return states[..., :0]

    def initial_state(self, summary: Float[Tensor, "B M"]) -> DecoderState:
        """Start from the bridge, and carry the summary as the fixed vector."""
        return DecoderState(self.bridge(summary), summary)

    def forward(self, tgt_in: Int[Tensor, "B T"], state: DecoderState, memory: Memory) -> Decoded:
        """Read a whole target, teacher-forced; the memory is not looked at."""
        features, _ = self._read(tgt_in, state)
        return Decoded(features, None)

    def step(self, token: Int[Tensor, " N"], state: DecoderState, memory: Memory) -> DecoderStep:
        """Read one token per row; the memory is not looked at."""
        features, hidden = self._read(token.unsqueeze(1), state)
        return DecoderStep(features.squeeze(1), None, DecoderState(hidden, state.feed))

    def _read(self, tokens: Tensor, state: DecoderState) -> tuple[Tensor, Tensor]:
        embedded = self.embedding(tokens.T)  # (T, N, E)
        context = state.feed.expand(len(embedded), -1, -1)
        inputs = torch.cat([embedded, context], dim=-1)
        states, hidden = run_gru(self.recurrence, inputs, state.hidden)
        return self.readout(states, context, embedded).transpose(0, 1), hidden
