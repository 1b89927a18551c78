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
def tell_of_faults() -> Iterator[None]:
    """Say which folder it is when the cache of `datasets` cannot be read or written.

    Raises:
        OSError: It cannot.
    """
    import datasets  # translating, which needs the other functions, does not wait for these
    import pyarrow as pa  # type: ignore[import-untyped]

    try:
        yield
    except (OSError, pa.ArrowInvalid) as error:
        raise _cache_fault(error) from error
    except datasets.exceptions.DatasetGenerationError as error:
        # The system's errors have a number; pyarrow's of a damaged file, which it reads, have none.
        if isinstance(error.__cause__, OSError) and error.__cause__.errno is not None:
            raise _cache_fault(error.__cause__) from error
        raise


def _cache_fault(error: Exception) -> OSError:
    import datasets

    reason = " ".join(str(error).split())
    named = "HF_DATASETS_CACHE" if "HF_DATASETS_CACHE" in os.environ else "HF_HOME"
    return OSError(
        f"the cache in {datasets.config.HF_DATASETS_CACHE} cannot be read or written ({reason}): "
        f"name another by {named}, or delete the folder, which all programs with `datasets` share, "
        "and what is needed of it is made anew"
    )


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
