"""A configuration that trains for a second or two, with everything that is random switched on."""

import dataclasses
from pathlib import Path

import pytest
from tiny_run import tiny_config

from mt.config import Config


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
