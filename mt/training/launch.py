"""Start the processes of a training on this machine, and end them together."""

import os
import pickle
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch.distributed import TCPStore  # type: ignore[attr-defined]
from torch.multiprocessing.spawn import ProcessException, start_processes

from mt.config import Config, TrainerConfig
from mt.cores import available_cores
from mt.device import select_device
from mt.garbage import spare_garbage_collector
from mt.training.world import ConnectionLostError, ends_process, launched_size

# Memory in huge pages: the large buffers of an update then cost fewer page faults. The C library
# reads it when a process starts.
_HUGE_PAGES = "glibc.malloc.hugetlb=1"


# Exit status of a process that ended because another one had.
_LOST = 75

# Seconds in which the others end by themselves when one has.
_GRACE = 5.0


class ProcessKilledError(RuntimeError):
    """A process of the training was killed by a signal."""


class ProcessFailedError(RuntimeError):
    """A process of the training met an error of ours; the message is its traceback."""


def processes_to_launch(config: TrainerConfig) -> int:
    """Return how many processes to start here; 1: train in this one.

    Raises:
        ValueError: More processes than CUDA devices, or other than the number torchrun started.
    """
    wanted, started = config.processes, launched_size()
    if started > 1:
        if wanted not in (None, started):
            raise ValueError(
                f"trainer.processes={wanted}, but torchrun started {started}: set "
                "trainer.processes=null"
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
            f"trainer.processes={wanted}: expected up to {places}, the number of CUDA devices"
        )
    return wanted


def launch(work: Callable[[Config], None], config: Config, n_processes: int) -> int:
    """Do the work in this many new processes; return 0, or the exit status of one that failed.

    SIGINT and SIGTERM are passed on to them. If one ends with an error, the others are ended.

    Raises:
        ProcessKilledError: A process was killed by a signal.
        ProcessFailedError: A process met an unexpected error; its traceback is the message.
    """
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    threads = config.trainer.threads or max(1, available_cores() // n_processes)
    with _interrupt_blocked(), world_environment(store, n_processes, threads=threads):
        context = start_processes(  # type: ignore[no-untyped-call]
            _work, args=(work, config), nprocs=n_processes, join=False, start_method="spawn"
        )
    with _signals_passed_on(context):
        try:
            while not context.join(grace_period=_GRACE):
                pass
        except ProcessException as error:
            return _status_of_failure(context, first=error.error_index)
    return 0


def _work(rank: int, work: Callable[[Config], None], config: Config) -> None:
    spare_garbage_collector()
    os.setpgid(0, 0)  # else a terminal's Ctrl-C would come twice: from it, and passed on
    os.environ["RANK"] = os.environ["LOCAL_RANK"] = str(rank)
    with ends_process():
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            work(config)
        except KeyboardInterrupt:  # before training began
            raise SystemExit(128 + signal.SIGINT) from None
        except ConnectionLostError:  # the launching process reports the other one's error
            raise SystemExit(_LOST) from None


def _status_of_failure(context: Any, *, first: int) -> int:
    """Return the exit status of the process that failed, not of those that ended because of it.

    That is the first one seen to fail, unless it had lost another process or been terminated.
    """
    codes = [process.exitcode for process in context.processes]
    ranks = sorted(range(len(codes)), key=lambda rank: rank != first)
    failed = [rank for rank in ranks if codes[rank] not in (0, _LOST, -signal.SIGTERM)]
    rank = failed[0] if failed else next(rank for rank, code in enumerate(codes) if code != 0)
    code, traceback = codes[rank], Path(context.error_files[rank])
    if traceback.is_file():
        raise ProcessFailedError(str(pickle.loads(traceback.read_bytes())))
    if code in (_LOST, -signal.SIGINT, -signal.SIGTERM) or code > 0:
        return int(code) if code > 0 else 128 - int(code)
    name = signal.Signals(-code).name
    raise ProcessKilledError(f"process {rank + 1} of {len(codes)} was killed by {name}")


@contextmanager
def _interrupt_blocked() -> Iterator[None]:
    """Hold SIGINT back here and in processes started meanwhile, which import torch first."""
    resource_tracker.ensure_running()  # would be started meanwhile, and let SIGINT through again
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@contextmanager
def world_environment(store: TCPStore, n_processes: int, *, threads: int) -> Iterator[None]:
    """Set what processes started meanwhile need to find each other, but for their ranks."""
    before = dict(os.environ)
    os.environ.update(
        {
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(store.port),
            "TORCHELASTIC_USE_AGENT_STORE": "True",  # it is here, not in the process of rank 0
            "WORLD_SIZE": str(n_processes),
            "LOCAL_WORLD_SIZE": str(n_processes),
            "OMP_NUM_THREADS": str(threads),
            "GLIBC_TUNABLES": os.environ.get("GLIBC_TUNABLES", _HUGE_PAGES),
        }
    )
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
