"""Embeddings: scale, padding, and the two kinds of dropout."""

import math

import pytest
import torch

from mt.data.tokenizer import PAD_ID
from mt.models.embedding import Embedding


def test_vectors_are_rows_of_the_table_times_the_root_of_their_size() -> None:
    embedding = Embedding(11, 16, dropout=0.0, word_dropout=0.0)
    tokens = torch.tensor([[5, 7], [7, PAD_ID]])
    vectors = embedding(tokens)
    torch.testing.assert_close(vectors[0, 1], embedding.table.weight[7] * math.sqrt(16))
    assert torch.equal(vectors[0, 1], vectors[1, 0])


def test_vectors_start_with_elements_of_size_one() -> None:
    embedding = Embedding(2000, 64, dropout=0.0, word_dropout=0.0)
    deviation = embedding(torch.arange(1, 2000).unsqueeze(0)).std()
    assert float(deviation.detach()) == pytest.approx(1, rel=0.02)


def test_padding_is_zero_and_stays_so() -> None:
    embedding = Embedding(11, 8, dropout=0.0, word_dropout=0.0)
    vectors = embedding(torch.tensor([[PAD_ID, 4]]))
    assert torch.all(vectors[0, 0] == 0)
    vectors.sum().backward()
    gradient = embedding.table.weight.grad
    assert gradient is not None
    assert torch.all(gradient[PAD_ID] == 0)
    assert torch.all(gradient[4] != 0)


def test_word_dropout_zeroes_whole_vectors_and_scales_the_rest() -> None:
    embedding = Embedding(11, 8, dropout=0.0, word_dropout=0.3)
    tokens = torch.full((50, 40), 5)
    vectors = embedding(tokens)
    dropped = (vectors == 0).all(dim=-1)
    assert torch.equal(dropped, (vectors == 0).any(dim=-1))
    assert float(dropped.float().mean()) == pytest.approx(0.3, abs=0.04)
    embedding.eval()
    expected = (embedding(tokens) / 0.7)[~dropped]
    torch.testing.assert_close(vectors[~dropped], expected)


def test_ordinary_dropout_zeroes_single_elements() -> None:
    embedding = Embedding(11, 8, dropout=0.5, word_dropout=0.0)
    zero = embedding(torch.full((20, 20), 5)) == 0
    assert float(zero.float().mean()) == pytest.approx(0.5, abs=0.05)
    assert not torch.equal(zero.all(dim=-1), zero.any(dim=-1))


def test_nothing_is_dropped_outside_training() -> None:
    embedding = Embedding(11, 8, dropout=0.5, word_dropout=0.5).eval()
    tokens = torch.full((4, 9), 5)
    torch.testing.assert_close(embedding(tokens), embedding.table(tokens) * math.sqrt(8))
