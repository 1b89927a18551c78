"""How often Python looks for cycles of garbage."""

import atexit
import gc

_THRESHOLD = 10_000  # new containers between two looks; Python's own is 700 or 2,000


def spare_garbage_collector() -> None:
    """Let Python look for cycles of garbage more seldom, and not at the end of the process.

    What a command imports is half a million objects that live as long as it does. On a slow
    processor, looking through them over and over takes a second of its start, and another at its
    end. For our own commands only: a program that imports mt keeps its settings.
    """
    gc.set_threshold(_THRESHOLD)
    atexit.register(gc.freeze)  # whatever is left goes with the process
