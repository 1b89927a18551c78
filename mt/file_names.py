"""Names of files that say which runs they come from, and whether they can be written."""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

_LONGEST = 100  # bytes; a file system takes 255, and more is to come before and after


def as_file_name(name: str) -> str:
    """Return a split's name with a dash for what a file name or a Markdown link cannot hold."""
    return re.sub(r"[^\w.+-]+", "-", name)


def joined_names(names: Sequence[str], separator: str) -> str:
    """Join the names of runs; where that is too long for a file, count them and add a hash."""
    joined = separator.join(names)
    if len(joined.encode("utf-8")) <= _LONGEST:
        return joined
    digest = hashlib.blake2b(joined.encode("utf-8"), digest_size=4).hexdigest()
    return f"{len(names)}-runs-{digest}"


def numbered(name: str) -> Iterator[str]:
    """Yield NAME, NAME.2, NAME.3 and so on, for where the first is taken."""
    yield name
    for number in count(2):
        yield f"{name}.{number}"


def check_writable(folder: Path, *, option: str) -> None:
    """Check that results can be written into a folder, before time is spent on them.

    Args:
        folder: It need not exist yet.
        option: The option that names another folder, for the message.

    Raises:
        ValueError: The folder or one above it is a file, or nothing can be written there.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not there.is_dir():
        raise ValueError(f"{there} is a file, not a folder: name another by {option}")
    if not os.access(there, os.W_OK):
        raise ValueError(f"nothing can be written to {there}: name another place by {option}")
