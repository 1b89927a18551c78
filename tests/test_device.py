"""Where to compute, in which precision, and what becomes of freed memory."""

import logging
import platform
import subprocess
import sys

import pytest
import torch

from mt import device
from mt.device import select_device, select_precision


@pytest.mark.parametrize(
    ("name", "available", "chosen"),
    [("auto", True, "cuda"), ("auto", False, "cpu"), ("cpu", True, "cpu"), ("cuda", True, "cuda")],
)
def test_the_device_of_a_name(
    monkeypatch: pytest.MonkeyPatch, name: str, available: bool, chosen: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    assert select_device(name) == torch.device(chosen)
    assert torch.backends.cudnn.allow_tf32 is (chosen == "cpu")  # its fp32 is fp32


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="device=cuda: there is no usable CUDA device here; take"):
        select_device("cuda")


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(ValueError, match="device=tpu: expected auto, cpu or cuda"):
        select_device("tpu")


@pytest.mark.parametrize(
    ("name", "capabilities", "chosen", "warned"),
    [
        ("auto", {"avx512_bf16": True, "amx_bf16": False}, "bf16", False),
        ("auto", {"avx512_bf16": False, "amx_bf16": True}, "bf16", False),
        ("auto", {"avx512_bf16": False, "amx_bf16": False, "avx512_f": True}, "fp32", False),
        ("auto", {"neon": True, "bf16": True}, "fp32", False),
        ("fp32", {"avx512_bf16": True}, "fp32", False),
        ("bf16", {"avx512_bf16": True}, "bf16", False),
        ("bf16", {"avx2": True}, "bf16", True),
    ],
)
def test_bf16_is_taken_where_the_processor_multiplies_it(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    name: str,
    capabilities: dict[str, bool],
    chosen: str,
    warned: bool,
) -> None:
    device._warn_of_emulation.cache_clear()
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    with caplog.at_level(logging.WARNING):
        assert select_precision(name, torch.device("cpu")) == chosen
        select_precision(name, torch.device("cpu"))  # a second model
    assert caplog.text.count("this processor is not known to support bf16") == int(warned)


@pytest.mark.parametrize("native", [True, False])
def test_emulated_bf16_of_a_gpu_does_not_count(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, native: bool
) -> None:
    device._warn_of_emulation.cache_clear()
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation: native or including_emulation
    )
    gpu = torch.device("cuda")
    assert select_precision("auto", gpu) == ("bf16" if native else "fp32")
    assert select_precision("bf16", gpu) == "bf16"
    assert ("this GPU is not known to support bf16" in caplog.text) is not native


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="precision=fp8: expected auto, fp32 or bf16"):
        select_precision("fp8", torch.device("cpu"))


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
