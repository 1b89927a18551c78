"""The conditional decoder: attention between two transitions of one step."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from mt.models.attention import Attention, Memory
from mt.models.decoder import Bridge, Decoded, DecoderState, DecoderStep, Readout
from mt.models.embedding import Embedding
from mt.models.recurrence import StepProduct, gru_step


class _Products(NamedTuple):
    """The products of one step: U of either transition, and W of the second for its context."""

    before: StepProduct
    context: StepProduct
    after: StepProduct


class ConditionalDecoder(nn.Module):
    """s'_t = GRU₁(s_{t-1}, y_{t-1}), c_t = attention(s'_t), s_t = GRU₂(s'_t, c_t).

    The features are made of [s_t; c_t; y_{t-1}]. The conditional GRU of Sennrich et al. 2017,
    "Nematus", 2: the state that attends already knows the last token, and the state that predicts
    has taken up what attention found. The initial state is that of `Bridge`; theirs is made of the
    mean of the encoder's states.
    """

    def __init__(
        self,
        embedding: Embedding,
        attention: Attention,
        *,
        embedding_size: int,
        memory_size: int,
        size: int,
        output_dropout: float,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.attention = attention
        self.before = nn.GRUCell(embedding_size, size)
        self.after = nn.GRUCell(memory_size, size)
        self.bridge = Bridge(memory_size, size=size, layers=1)
        self.readout = Readout(
            size + memory_size + embedding_size,
            embedding_size,
            dropout=output_dropout,
        )

    def project(self, states: Float[Tensor, "B S M"]) -> Float[Tensor, "B S A"]:
        """Compute the attention keys, once a sentence."""
        return self.attention.project(states)

    def initial_state(self, summary: Float[Tensor, "B M"]) -> DecoderState:
        """Start from the bridge; nothing but the states enters the next step."""
        return DecoderState(self.bridge(summary), summary[:, :0])

    def forward(self, tgt_in: Int[Tensor, "B T"], state: DecoderState, memory: Memory) -> Decoded:
        """Read a whole target, teacher-forced."""
        embedded = self.embedding(tgt_in.T)  # (T, B, E)
        products, hidden = self._products(), state.hidden[0]
        states, contexts, weights = [], [], []
        for gates in self._gates(embedded).unbind(0):
            hidden, context, looked = self._advance(gates, hidden, memory, products)
            states.append(hidden)
            contexts.append(context)
            weights.append(looked)
        features = self.readout(torch.stack(states), torch.stack(contexts), embedded)
        return Decoded(features.transpose(0, 1), torch.stack(weights, dim=1))

    def step(self, token: Int[Tensor, " N"], state: DecoderState, memory: Memory) -> DecoderStep:
        """Read one token per row; rows of one sentence stand together and share its memory."""
        embedded = self.embedding(token.unsqueeze(1)).squeeze(1)
        hidden, context, weights = self._advance(
            self._gates(embedded), state.hidden[0], memory, self._products()
        )
        features = self.readout(hidden, context, embedded)
        return DecoderStep(features, weights, DecoderState(hidden.unsqueeze(0), state.feed))

    def _gates(self, embedded: Tensor) -> Tensor:
        """Return W y with its bias, which waits for nothing: of all steps at once, or of one."""
        return F.linear(embedded, self.before.weight_ih, self.before.bias_ih)

    def _products(self) -> _Products:
        return _Products(
            StepProduct(self.before.weight_hh, self.before.bias_hh),
            StepProduct(self.after.weight_ih, self.after.bias_ih),
            StepProduct(self.after.weight_hh, self.after.bias_hh),
        )

    def _advance(
        self, gates: Tensor, hidden: Tensor, memory: Memory, products: _Products
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return state (N, H), context (N, M) and weights (N, S) of one step."""
        asking = gru_step(gates, hidden, products.before)
        query = asking.reshape(len(memory.states), -1, asking.shape[-1])  # (B, N/B, H)
        attended = self.attention(query, memory)
        context = attended.context.reshape(len(asking), -1)
        hidden = gru_step(products.context(context), asking, products.after)
        return hidden, context, attended.weights.reshape(len(asking), -1)
