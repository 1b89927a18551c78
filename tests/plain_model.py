"""The model as the papers write it: `nn.GRU`, a loop over `nn.GRUCell`, `cross_entropy` at once.

Training must equal it in values and gradients, and its speed is measured against it.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mt.data.batching import Batch
from mt.data.tokenizer import PAD_ID
from mt.models.attention import Memory
from mt.models.decoder import AttentionDecoder
from mt.models.seq2seq import Seq2Seq


def plain_loss(model: Seq2Seq, batch: Batch, *, label_smoothing: float) -> Tensor:
    """Return the loss of a batch, computed with the library's parts and the model's parameters."""
    embedded = model.src_embedding.table(batch.src) * model.src_embedding.scale
    embedded = F.dropout(embedded, model.src_embedding.dropout.p, model.training)
    packed = pack_padded_sequence(
        embedded, batch.src_lengths, batch_first=True, enforce_sorted=False
    )
    encoder = _library_gru(model.encoder.recurrence)
    output, final = encoder(packed)
    states, _ = pad_packed_sequence(output, batch_first=True, total_length=batch.src.shape[1])
    p = model.encoder.dropout.p
    states = F.dropout(states, p, model.training)
    summary = F.dropout(torch.cat([final[-2], final[-1]], dim=-1), p, model.training)
    decoder = model.decoder
    assert isinstance(decoder, AttentionDecoder) and decoder.recurrence.num_layers == 1
    memory = Memory(states, decoder.project(states), batch.src != PAD_ID)
    features = _decode(decoder, batch.tgt_in, summary, memory)
    logits = model.output_layer(features).flatten(0, 1)
    return F.cross_entropy(
        logits, batch.tgt_out.flatten(), ignore_index=PAD_ID, label_smoothing=label_smoothing
    )


def _decode(decoder: AttentionDecoder, tgt_in: Tensor, summary: Tensor, memory: Memory) -> Tensor:
    """Decode with input feeding, or without, a step at a time."""
    recurrence = decoder.recurrence
    cell = nn.GRUCell(recurrence.input_size, recurrence.hidden_size)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        setattr(cell, name, recurrence.get_parameter(f"{name}_l0"))
    table, training = decoder.embedding, decoder.training
    embedded = F.dropout(table.table(tgt_in) * table.scale, table.dropout.p, training)
    hidden = decoder.bridge(summary)[0]
    context = torch.zeros_like(summary)
    features = []
    for x in embedded.unbind(1):
        inputs = torch.cat([x, context], dim=-1) if decoder.input_feeding else x
        hidden = cell(inputs, hidden)
        context = decoder.attention(hidden.unsqueeze(1), memory).context.squeeze(1)
        joined = decoder.readout.linear(torch.cat([hidden, context, x], dim=-1))
        features.append(F.dropout(torch.tanh(joined), decoder.readout.dropout.p, training))
    return torch.stack(features, dim=1)


def _library_gru(recurrence: nn.GRU) -> nn.GRU:
    """Return a batch-first `nn.GRU` with the same parameters."""
    twin = nn.GRU(
        recurrence.input_size,
        recurrence.hidden_size,
        recurrence.num_layers,
        batch_first=True,
        bidirectional=recurrence.bidirectional,
    )
    for name, parameter in recurrence.named_parameters():
        setattr(twin, name, parameter)
    return twin
