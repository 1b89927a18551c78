"""The precision of products under autocast."""

import torch
from torch import Tensor


def product_dtype(tensor: Tensor) -> torch.dtype:
    """Return the type in which `torch.autocast` would multiply this tensor; else its own."""
    device = tensor.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else tensor.dtype


def at_least_fp32(dtype: torch.dtype) -> torch.dtype:
    """Return the type for what is no product, such as recurrent states: fp32, or fp64 if given."""
    return torch.promote_types(dtype, torch.float32)
