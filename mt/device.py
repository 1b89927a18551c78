"""Where to compute, in which precision, and what becomes of freed memory."""

import ctypes
import os
import sys

import torch

# Parameters of glibc's mallopt: sizes from which a buffer is mapped alone, and above which free
# memory at the end of the heap is handed back. Older versions refuse a larger first one.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_THRESHOLD = 2**25

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def select_dtype(precision: str) -> torch.dtype:
    """Return the type of the parameters that `fp32` or `bf16` names.

    Raises:
        ValueError: Another name.
    """
    if precision not in DTYPES:
        raise ValueError(f"precision={precision}: accepted is {' or '.join(DTYPES)}")
    return DTYPES[precision]


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


def available_cores() -> int:
    """Return the number of processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not everywhere
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def keep_freed_memory() -> None:
    """Let glibc, where it is the C library, keep what is freed for the next large buffer.

    Else it hands the buffers of a training update back to the system, and every page of the next
    ones costs a fault. It is for good in this process.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_THRESHOLD)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
