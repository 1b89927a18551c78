"""Gated recurrent units over a sequence: cuDNN's on CUDA, ours on a CPU.

On a CPU `nn.GRU` forms the gradient of its recurrent weight at each time step. Here the steps only
note what that gradient is made of, and one product over all of them forms it. `nn.GRU` still holds
the parameters, and on CUDA cuDNN runs it.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mt.models.dropout import dropout
from mt.models.precision import product_dtype
from mt.models.tanh import tanh_of_new_


class StepProduct:
    """y_t = W x_t + b at the steps of a time loop, with dW = Σ_t dy_tᵀ x_t formed in one product.

    Make a new one for every pass over a sequence: a backward pass that needs no gradient of the
    weight leaves its notes behind, and the next one would add them to its own.

    Args:
        weight: W, (O, I).
        bias: b, (O,), or None.
    """

    def __init__(
        self, weight: Float[Tensor, "O I"], bias: Float[Tensor, " O"] | None = None
    ) -> None:
        self._noted: list[tuple[Tensor, Tensor]] = []  # x_t and dy_t, as backward meets them
        self._parameters = _FormGradient.apply(weight, bias, self._noted)  # type: ignore[no-untyped-call]

    def __call__(self, x: Float[Tensor, "N I"]) -> Float[Tensor, "N O"]:
        """Return W x + b for every row."""
        y: Tensor = _NoteGradient.apply(x, *self._parameters, self._noted)  # type: ignore[no-untyped-call]
        return y


class _FormGradient(torch.autograd.Function):
    """Hand weight and bias to the steps; backward runs when that of every step has."""

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, bias: Tensor | None, noted: list[tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor | None]:
        ctx.set_materialize_grads(False)  # the steps return no gradient, they have noted it
        ctx.noted, ctx.dtype = noted, weight.dtype
        dtype = product_dtype(weight)
        return weight.to(dtype), None if bias is None else bias.to(dtype)

    @staticmethod
    def backward(ctx: Any, *_: None) -> tuple[Tensor | None, ...]:
        inputs, gradients = (torch.cat(parts) for parts in zip(*ctx.noted, strict=True))
        ctx.noted.clear()
        d_bias = gradients.sum(0).to(ctx.dtype) if ctx.needs_input_grad[1] else None
        return (gradients.T @ inputs).to(ctx.dtype), d_bias, None


class _NoteGradient(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        noted: list[tuple[Tensor, Tensor]],
    ) -> Tensor:
        ctx.dtype, ctx.noted = x.dtype, noted
        x = x.to(weight.dtype)
        ctx.save_for_backward(x, weight)
        return F.linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, d_y: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        # Not x itself, whose graph holds this list: where no weight wants its gradient, as in a
        # measurement of the sources', nothing would ever break that circle.
        ctx.noted.append((x.detach(), d_y))
        return (d_y @ weight).to(ctx.dtype), None, None, None


class _Gates(torch.autograd.Function):
    """The part of a GRU step that is no product, with its gradient written out.

    r, z = σ(a_r + u_r), σ(a_z + u_z), n = tanh(a_n + r ⊙ u_n), h' = (1 - z) ⊙ n + z ⊙ h, in the
    precision of h.
    """

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, recurrent: Tensor, hidden: Tensor) -> Tensor:
        width = hidden.shape[-1]
        a, u = inputs.to(hidden.dtype), recurrent.to(hidden.dtype)
        reset_update = torch.sigmoid_(a[:, : 2 * width] + u[:, : 2 * width])
        reset, update = reset_update.chunk(2, dim=-1)
        u_new = u[:, 2 * width :]
        new = tanh_of_new_(torch.addcmul(a[:, 2 * width :], reset, u_new))
        ctx.save_for_backward(reset_update, u_new, new, hidden)
        ctx.dtypes = inputs.dtype, recurrent.dtype
        return torch.lerp(new, hidden, update)

    @staticmethod
    def backward(ctx: Any, d_stepped: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        reset_update, u_new, new, hidden = ctx.saved_tensors
        width = hidden.shape[-1]
        reset, update = reset_update.chunk(2, dim=-1)
        d_hidden = d_stepped * update
        d_gates = d_stepped.new_empty(len(new), 3 * width)
        d_reset, d_update, d_new = d_gates.chunk(3, dim=-1)
        torch.mul(d_stepped - d_hidden, 1 - new * new, out=d_new)  # through tanh
        torch.mul(d_new, u_new, out=d_reset)
        torch.mul(d_stepped, hidden - new, out=d_update)
        d_gates[:, : 2 * width] *= reset_update * (1 - reset_update)  # through σ
        d_inputs = d_gates.to(ctx.dtypes[0], copy=True)
        d_new *= reset
        return d_inputs, d_gates.to(ctx.dtypes[1]), d_hidden


def gru_step(
    inputs: Float[Tensor, "N G"], hidden: Float[Tensor, "N H"], product: StepProduct
) -> Float[Tensor, "N H"]:
    """Advance a GRU by one step; Cho et al. 2014, eq. 5-8, in the variant of `nn.GRU`.

    Args:
        inputs: W x with its bias, for r, z and n side by side, (N, 3H).
        hidden: The state before, (N, H).
        product: Holds U with its bias.
    """
    stepped: Tensor = _Gates.apply(inputs, product(hidden), hidden)  # type: ignore[no-untyped-call]
    return stepped


class GRUStates(NamedTuple):
    """The last layer's states, directions side by side (T, N, D), and all final ones (L, N, H)."""

    states: Float[Tensor, "T N D"]
    final: Float[Tensor, "L N H"]


def run_gru(
    recurrence: nn.GRU,
    inputs: Float[Tensor, "T N I"],
    hidden: Float[Tensor, "L N H"],
    *,
    lengths: Int[Tensor, " N"] | None = None,
) -> GRUStates:
    """Run every layer and direction over a whole sequence, as `recurrence` itself would.

    Args:
        recurrence: Parameters, sizes and dropout.
        inputs: Time first.
        hidden: Initial states, in the order of `nn.GRU`.
        lengths: The real steps of every row, on the CPU; nothing depends on what follows them, and
            the states there are zero. None: all are real.
    """
    if inputs.is_cuda:
        return _run_on_cuda(recurrence, inputs, hidden, lengths)
    times = torch.arange(len(inputs))
    real = None if lengths is None else (times.unsqueeze(-1) < lengths).unsqueeze(-1)  # (T, N, 1)
    final: list[Tensor] = []
    for layer in range(recurrence.num_layers):
        if layer > 0:
            inputs = dropout(inputs, recurrence.dropout, recurrence.training)
        outputs = []
        for suffix in ("", "_reverse") if recurrence.bidirectional else ("",):
            name, start = f"l{layer}{suffix}", hidden[len(final)]
            states = _run_direction(recurrence, name, inputs, start, real=real)
            outputs.append(torch.stack(states))
            final.append(states[0] if suffix else states[-1])
        inputs = torch.cat(outputs, dim=-1) if recurrence.bidirectional else outputs[0]
    return GRUStates(inputs if real is None else inputs * real, torch.stack(final))


def _run_direction(
    recurrence: nn.GRU, name: str, inputs: Tensor, hidden: Tensor, *, real: Tensor | None
) -> list[Tensor]:
    """Return the state after every step; at padding a row keeps the state that it has."""
    product = StepProduct(
        recurrence.get_parameter(f"weight_hh_{name}"), recurrence.get_parameter(f"bias_hh_{name}")
    )
    gates = F.linear(  # the input product of all steps at once
        inputs,
        recurrence.get_parameter(f"weight_ih_{name}"),
        recurrence.get_parameter(f"bias_ih_{name}"),
    ).unbind(0)
    n_steps = len(gates)
    n_full = n_steps if real is None else int(real.all(dim=1).sum())  # steps without padding
    states = [hidden] * n_steps
    for t in reversed(range(n_steps)) if name.endswith("_reverse") else range(n_steps):
        stepped = gru_step(gates[t], hidden, product)
        hidden = stepped if real is None or t < n_full else torch.where(real[t], stepped, hidden)
        states[t] = hidden
    return states


def _run_on_cuda(
    recurrence: nn.GRU, inputs: Tensor, hidden: Tensor, lengths: Tensor | None
) -> GRUStates:
    dtype = recurrence.get_parameter("weight_hh_l0").dtype
    # Not under autocast, which hands cuDNN's GRU fp16 where bf16 was asked for.
    with torch.autocast(inputs.device.type, enabled=False):
        x, start = (one.to(dtype) for one in (inputs, hidden))
        if lengths is None:
            states, final = recurrence(x, start)
        else:
            packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
            output, final = recurrence(packed, start)
            states, _ = pad_packed_sequence(output, total_length=len(x))
    return GRUStates(states.to(hidden.dtype), final.to(hidden.dtype))
