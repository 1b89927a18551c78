"""The sentences that TensorBoard shows: which ones, and that all three lines are of one of them."""

from types import SimpleNamespace
from typing import Any

import torch

from mt.data.batching import Pair
from mt.search import Hypothesis
from mt.training.samples import draw_samples
from mt.training.tracking import Sample


class _Words:
    """A tokenizer whose piece number i is `wi`."""

    def decode(self, ids: list[int]) -> str:
        return " ".join(self.pieces(ids))

    def pieces(self, ids: list[int]) -> list[str]:
        return [f"w{i}" for i in ids]


def _draw(n_samples: int, *, attention: bool = True) -> list[Sample]:
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
    words: Any = _Words()
    return list(draw_samples(validation, validator, source_tokenizer=words, n_samples=n_samples))


def test_they_are_evenly_spaced_and_whole() -> None:
    samples = _draw(2)
    assert [sample.text for sample in samples] == [
        f"- source: w{10 + row}\n- reference: reference {row}\n- translation: translation {row}"
        for row in (0, 2)
    ]
    for sample, row in zip(samples, (0, 2), strict=True):
        assert sample.attention is not None
        [axes] = sample.attention.axes[:1]
        assert [tick.get_text() for tick in axes.get_xticklabels()] == [f"w{10 + row}", "</s>"]
        assert [tick.get_text() for tick in axes.get_yticklabels()] == [f"w{20 + row}", "</s>"]


def test_as_many_as_there_are() -> None:
    assert len(_draw(9)) == 4
    assert _draw(0) == []


def test_without_attention_there_is_no_picture() -> None:
    assert [sample.attention for sample in _draw(2, attention=False)] == [None, None]
