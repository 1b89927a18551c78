"""Where to compute, in which precision, and what becomes of freed memory."""

import ctypes
import logging
import sys
from functools import cache

import torch

# Thresholds of glibc's mallopt: above the first, free memory at the end of the heap is handed back;
# from the second on, a buffer is mapped by itself. Older versions cap it at _LARGEST_THRESHOLD.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_THRESHOLD = 2**25

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}

_log = logging.getLogger(__name__)


def select_precision(name: str, device: torch.device) -> str:
    """Return the key of `DTYPES` of that name; `auto` takes bf16 where the device multiplies it.

    bf16 on another device is warned of, once: emulated, it is several times as slow as fp32.

    Raises:
        ValueError: An unknown name.
    """
    if name not in ("auto", *DTYPES):
        raise ValueError(f"precision={name}: expected auto, {' or '.join(DTYPES)}")
    native = _multiplies_bf16(device)
    if name == "auto":
        return "bf16" if native else "fp32"
    if name == "bf16" and not native:
        _warn_of_emulation("GPU" if device.type == "cuda" else "processor")
    return name


@cache
def _warn_of_emulation(device: str) -> None:
    """Say it once in a process, however many models it loads."""
    _log.warning(
        "precision=bf16: this %s is not known to support bf16, and emulating it takes several "
        "times as long as fp32; give fp32, or auto, which chooses",
        device,
    )


def _multiplies_bf16(device: torch.device) -> bool:
    """Say whether the device is known to have instructions for it, and torch to use them."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))


def select_device(name: str) -> torch.device:
    """Return the device of that name; `auto` takes CUDA where there is one.

    Raises:
        ValueError: An unknown name, or CUDA where there is none.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device={name}: expected auto, cpu or cuda")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ValueError("device=cuda: there is no usable CUDA device here; take auto or cpu")
    if not available or name == "cpu":
        return torch.device("cpu")
    torch.backends.cudnn.allow_tf32 = False  # fp32 is fp32 in the GRUs as well
    return torch.device("cuda")


def keep_freed_memory() -> None:
    """Let glibc, where it is the C library, keep what is freed for the next large buffer.

    Otherwise it hands the buffers of a training update back to the system, and every page of the
    next ones costs a page fault. The setting lasts as long as this process.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGEST_THRESHOLD)
        mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
