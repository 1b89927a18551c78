"""The sentences that TensorBoard shows: which ones, and that all three lines are of one of them."""

from types import SimpleNamespace
from typing import Any

import torch

from mt.data.batching import Pair
from mt.search import Hypothesis
from mt.training.samples import show_samples


class _Words:
    """A tokenizer whose piece number i is `wi`."""

    def decode(self, ids: list[int]) -> str:
        return " ".join(self.pieces(ids))

    def pieces(self, ids: list[int]) -> list[str]:
        return [f"w{i}" for i in ids]


class _Record:
    """A tracker that remembers what it is told."""

    def __init__(self) -> None:
        self.texts: dict[str, tuple[str, int]] = {}
        self.figures: list[tuple[str, int]] = []

    def text(self, name: str, text: str, step: int) -> None:
        self.texts[name] = (text, step)

    def figure(self, name: str, figure: Any, step: int) -> None:
        self.figures.append((name, step))


def _show(n_samples: int, *, attention: bool = True) -> _Record:
    rows = range(4)
    weights = torch.ones(2, 2) if attention else None
    validation: Any = SimpleNamespace(
        translations=[f"translation {row}" for row in rows],
        hypotheses=[Hypothesis([20 + row], -1.0, -1.0, weights) for row in rows],
    )
    validator: Any = SimpleNamespace(
        pairs=[Pair([10 + row], [20 + row]) for row in rows],
        references=[f"reference {row}" for row in rows],
        tokenizer=_Words(),
    )
    record: Any = _Record()
    words: Any = _Words()
    show_samples(record, validation, validator, source_tokenizer=words, n_samples=n_samples, step=9)
    return record  # type: ignore[no-any-return]


def test_they_are_evenly_spaced_and_whole() -> None:
    record = _show(2)
    assert record.texts == {
        f"sample_{number}/translation": (
            f"- source: w{10 + row}\n- reference: reference {row}\n"
            f"- translation: translation {row}",
            9,
        )
        for number, row in ((0, 0), (1, 2))
    }
    assert record.figures == [("sample_0/attention", 9), ("sample_1/attention", 9)]


def test_as_many_as_there_are() -> None:
    assert len(_show(9).texts) == 4
    assert _show(0).texts == {}


def test_without_attention_there_is_no_picture() -> None:
    record = _show(2, attention=False)
    assert (len(record.texts), record.figures) == (2, [])
