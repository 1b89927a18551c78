"""Names of files that say which runs they come from."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import count

_LONGEST = 100  # bytes; a file system takes 255, and more is to come before and after


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
