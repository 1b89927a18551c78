"""The choice of where to compute."""

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
