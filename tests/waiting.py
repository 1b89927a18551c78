"""Wait for what another process does."""

import time
from pathlib import Path


def wait_for(path: Path) -> None:
    """Wait until a file is there; fail if it does not come."""
    deadline = time.monotonic() + 90
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert path.exists()
