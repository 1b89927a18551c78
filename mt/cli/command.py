"""How mt-evaluate, mt-compare and mt-translate run: exit codes, failures in one line, threads."""

import logging
import os
import signal
import sys
from collections.abc import Callable

from mt.garbage import spare_garbage_collector

_FAILURE = 1


def run_command(prog: str, body: Callable[[], int], *, log_level: int = logging.INFO) -> int:
    """Run the body of a command and return its exit code; report a failure in one line.

    The code is 1 after a failure that the user can mend, and 128 plus the signal's number after
    Ctrl-C or when the reader of a pipe has gone.
    """
    spare_garbage_collector()
    logging.basicConfig(stream=sys.stderr, format=f"{prog}: %(message)s")
    logging.getLogger("mt").setLevel(log_level)
    try:
        code = body()
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        code, message = 128 + signal.SIGINT, None
    except BrokenPipeError:
        code, message = 128 + signal.SIGPIPE, None
    except (ValueError, OSError) as error:
        code, message = _FAILURE, str(error)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        code, message = _FAILURE, "out of memory: lower the batch size or the beam size"
    drop_unwritten_output()
    if message is not None:
        print(f"{prog}: error: {' '.join(message.split())}", file=sys.stderr)
    return code


def drop_unwritten_output() -> None:
    """Discard what cannot be written: at exit Python would try again, and print an error."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def is_out_of_memory(error: RuntimeError) -> bool:
    """Say whether torch ran out of memory; only on a GPU has it an exception for that."""
    phrases = ("out of memory", "can't allocate memory", "STATUS_ALLOC_FAILED")
    return any(phrase in str(error) for phrase in phrases)


def set_threads(threads: int | None) -> None:
    """Use so many CPU threads; None leaves the choice to torch."""
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
