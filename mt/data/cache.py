"""The cache folder of mt, and files that are either whole or absent."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def cache_dir(kind: str) -> Path:
    """Return `$XDG_CACHE_HOME/mt/<kind>`, by default below `~/.cache`; it may not exist yet.

    Raises:
        OSError: There is no home directory.
    """
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mt" / kind
    except RuntimeError:
        raise OSError(
            "there is no home directory for caches: set XDG_CACHE_HOME, and HF_HOME for those of "
            "datasets, to folders"
        ) from None


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open a file for writing that appears under its name only when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
