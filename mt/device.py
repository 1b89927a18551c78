"""Where to compute."""

import torch


def select_device(name: str) -> torch.device:
    """Return the device of that name; `auto` takes CUDA where there is one.

    Raises:
        ValueError: An unknown name, or CUDA where there is none.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device={name}: accepted is auto, cpu or cuda")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ValueError("device=cuda: there is no usable CUDA device here; take auto or cpu")
    return torch.device("cuda" if available and name != "cpu" else "cpu")
