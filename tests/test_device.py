"""Where to compute, in which precision, and what becomes of freed memory."""

import platform
import subprocess
import sys

import pytest
import torch

from mt.device import select_device, select_dtype


@pytest.mark.parametrize(
    ("name", "available", "chosen"),
    [("auto", True, "cuda"), ("auto", False, "cpu"), ("cpu", True, "cpu"), ("cuda", True, "cuda")],
)
def test_the_device_of_a_name(
    monkeypatch: pytest.MonkeyPatch, name: str, available: bool, chosen: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    assert select_device(name) == torch.device(chosen)


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="device=cuda: there is no usable CUDA device here; take"):
        select_device("cuda")


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(ValueError, match="device=tpu: accepted is auto, cpu or cuda"):
        select_device("tpu")


def test_the_type_of_a_precision() -> None:
    assert select_dtype("fp32") == torch.float32
    assert select_dtype("bf16") == torch.bfloat16
    with pytest.raises(ValueError, match="precision=fp8: accepted is fp32 or bf16"):
        select_dtype("fp8")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="asks for something of glibc's")
def test_freed_memory_serves_the_next_buffer_without_page_faults() -> None:
    """In a process of its own: the setting is for good."""
    program = """
import resource
import torch
from mt.device import keep_freed_memory

def faults() -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    buffers = [torch.ones(20, 2**18) for _ in range(5)]  # MiB
    del buffers
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

keep_freed_memory()
print(*[faults() for _ in range(8)])  # aligned buffers find their places in up to five rounds
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    first, *_, last = map(int, done.stdout.split())
    assert last < first / 10
