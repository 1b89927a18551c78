"""Start the processes of a training on this machine, and end them together."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from torch.distributed import TCPStore  # type: ignore[attr-defined]
from torch.multiprocessing.spawn import ProcessExitedException, start_processes

from mt.config import Config, TrainerConfig
from mt.device import available_cores, select_device
from mt.training.world import launched_size

# Memory in huge pages: the large buffers of an update then cost fewer page faults. The C library
# reads it when a process starts.
_HUGE_PAGES = "glibc.malloc.hugetlb=1"


class ProcessDiedError(RuntimeError):
    """A process of the training was killed."""


def processes_to_launch(config: TrainerConfig) -> int:
    """Return how many processes to start here; 1: train in this one.

    Raises:
        ValueError: More processes than CUDA devices, or other than the number torchrun started.
    """
    wanted, started = config.processes, launched_size()
    if started > 1:
        if wanted not in (None, started):
            raise ValueError(
                f"trainer.processes={wanted}, but torchrun started {started}: leave the option out"
            )
        return 1
    device = select_device(config.device.name)
    on_cuda = device.type == "cuda"
    places = torch.cuda.device_count() if on_cuda else available_cores() // (config.threads or 1)
    if wanted is None:
        divisors = [n for n in range(1, config.accumulate + 1) if config.accumulate % n == 0]
        return max(n for n in divisors if n <= max(1, places))
    if on_cuda and wanted > places:
        raise ValueError(
            f"trainer.processes={wanted}: accepted is up to {places}, the number of CUDA devices"
        )
    return wanted


def launch(work: Callable[[Config], None], config: Config, n_processes: int) -> int:
    """Do the work in so many new processes, and return the exit status of the writer.

    SIGINT and SIGTERM are passed on to them. If one ends with an error, the others are ended.

    Raises:
        ProcessDiedError: A process was killed by a signal.
        ProcessRaisedException: A process met an unexpected error; its traceback is the message.
    """
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    threads = config.trainer.threads or max(1, available_cores() // n_processes)
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # the store is here, not in the process of rank 0
        "WORLD_SIZE": str(n_processes),
        "LOCAL_WORLD_SIZE": str(n_processes),
        "OMP_NUM_THREADS": str(threads),
        "GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES", _HUGE_PAGES),
    }
    with _environment(shared):
        context = start_processes(  # type: ignore[no-untyped-call]
            _work, args=(work, config), nprocs=n_processes, join=False, start_method="spawn"
        )
    with _signals_passed_on(context):
        try:
            while not context.join():
                pass
        except ProcessExitedException as error:
            killed = _killed(context)
            if killed is not None:
                raise ProcessDiedError(killed) from None
            return error.exit_code if error.exit_code >= 0 else 128 - error.exit_code
    return 0


def _work(rank: int, work: Callable[[Config], None], config: Config) -> None:
    os.setpgid(0, 0)  # else a terminal's Ctrl-C would come twice: from it, and passed on
    os.environ["RANK"] = os.environ["LOCAL_RANK"] = str(rank)
    work(config)


def _killed(context: Any) -> str | None:
    """Return which process died of a signal, other than those that were ended for its sake."""
    for rank, process in enumerate(context.processes):
        code = process.exitcode
        if code < 0 and code != -signal.SIGTERM:
            name = signal.Signals(-code).name
            return f"process {rank + 1} of {len(context.processes)} was killed by {name}"
    return None


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set environment variables for processes started meanwhile."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _signals_passed_on(context: Any) -> Iterator[None]:
    """Pass SIGINT and SIGTERM on to the processes."""

    def pass_on(number: int, frame: FrameType | None) -> None:
        for process in context.processes:
            if process.is_alive():
                os.kill(process.pid, number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
