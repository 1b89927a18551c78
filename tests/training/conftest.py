"""A configuration that trains for a second or two, with everything that is random switched on."""

import dataclasses
from pathlib import Path

import pytest
from tiny_run import tiny_config, write_tiny_corpus

from mt.config import Config


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the tiny corpus."""
    return write_tiny_corpus(tmp_path_factory.mktemp("corpora") / "tiny")


@pytest.fixture
def config(corpus: Path, tmp_path: Path) -> Config:
    """Return a configuration of 12 small updates, validated every 4."""
    whole = tiny_config(tmp_path / "run", corpus)
    return dataclasses.replace(
        whole,
        model=dataclasses.replace(
            whole.model, embedding_dropout=0.2, state_dropout=0.2, output_dropout=0.2,
            word_dropout=0.1,
        ),
        trainer=dataclasses.replace(
            whole.trainer, max_steps=12, batch_tokens=200, validate_every=4, ema_decay=0.9, keep=3
        ),
    )  # fmt: skip
