"""What is said where the cache of `datasets` cannot be read or written."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import datasets
import pyarrow as pa  # type: ignore[import-untyped]


@contextmanager
def tell_of_faults() -> Iterator[None]:
    """Say which folder it is when the cache of `datasets` cannot be read or written.

    Raises:
        OSError: It cannot.
    """
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
    reason = " ".join(str(error).split())
    named = "HF_DATASETS_CACHE" if "HF_DATASETS_CACHE" in os.environ else "HF_HOME"
    return OSError(
        f"the cache in {datasets.config.HF_DATASETS_CACHE} cannot be read or written ({reason}): "
        f"name another by {named}, or delete this one, which all programs with `datasets` share; "
        "what is needed is then made again"
    )
