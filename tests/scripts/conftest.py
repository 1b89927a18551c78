"""The scripts, run in the process of the tests: a new one takes seconds to start."""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def run_here(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Return what runs a script with arguments and returns its exit status."""

    def run(script: Path, *arguments: str | Path) -> int:
        monkeypatch.setattr(sys, "argv", [str(script), *map(str, arguments)])
        status: int = runpy.run_path(str(script))["main"]()
        return status

    return run
