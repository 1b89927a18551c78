"""Fixtures that more than one test module uses."""

from pathlib import Path

import pytest
from tiny_run import make_tiny_run


@pytest.fixture(scope="session")
def attention_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a run directory with a tiny trained attention model."""
    return make_tiny_run(tmp_path_factory.mktemp("runs") / "attention")


@pytest.fixture(scope="session")
def baseline_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a run directory with a tiny trained model without attention."""
    return make_tiny_run(tmp_path_factory.mktemp("runs") / "baseline", decoder="fixed_context")
