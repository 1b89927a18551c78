"""One step of a GRU against `nn.GRU`, in values and gradients."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from mt.models.recurrence import gru_step


@pytest.mark.parametrize("layer", [0, 1])
def test_a_step_equals_a_step_of_the_library(layer: int) -> None:
    recurrence = nn.GRU(5, 7, num_layers=2, batch_first=True).double()
    width = 5 if layer == 0 else 7
    single = nn.GRU(width, 7, batch_first=True).double()
    for name, parameter in single.named_parameters():
        parameter.data = recurrence.get_parameter(name.replace("l0", f"l{layer}")).data
    x = torch.randn(3, width, dtype=torch.double, requires_grad=True)
    hidden = torch.randn(3, 7, dtype=torch.double, requires_grad=True)
    gates = F.linear(
        x,
        recurrence.get_parameter(f"weight_ih_l{layer}"),
        recurrence.get_parameter(f"bias_ih_l{layer}"),
    )
    ours = gru_step(gates, hidden, recurrence, layer)
    theirs = single(x.unsqueeze(1), hidden.unsqueeze(0))[1].squeeze(0)
    torch.testing.assert_close(ours, theirs)
    direction = torch.randn_like(ours)
    ours_gradients = torch.autograd.grad((ours * direction).sum(), [x, hidden])
    theirs_gradients = torch.autograd.grad((theirs * direction).sum(), [x, hidden])
    torch.testing.assert_close(ours_gradients, theirs_gradients)
