"""Processes that train together, driven by a benchmark: they stand still between its turns."""

import os
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch.distributed import TCPStore
from torch.multiprocessing.spawn import start_processes

from mt.data.batching import Batch
from mt.device import keep_freed_memory
from mt.training.launch import world_environment
from mt.training.world import World


class TrainingProcesses:
    """Processes of one thread each, as many as an update has batches; each does one of those.

    Args:
        make_update: Called in every process, returns what does an update there with its batch and
            the number of tokens in the batches of all.
        arguments: What `make_update` is called with, after the world.
        updates: The batches of each update, as many as there are processes.
    """

    def __init__(
        self,
        make_update: Callable[..., Callable[[Batch, int], Any]],
        arguments: tuple[Any, ...],
        updates: Sequence[Sequence[Batch]],
    ) -> None:
        size = len(updates[0])
        self._n_tokens = sum(batch.n_tokens for batches in updates for batch in batches)
        self._store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        pipes = [torch.multiprocessing.Pipe() for _ in range(size)]
        self._pipes = [near for near, _ in pipes]
        with world_environment(self._store, size, threads=1):
            self._context = start_processes(
                _work,
                args=([far for _, far in pipes], make_update, arguments, updates),
                nprocs=size,
                join=False,
                daemon=True,  # an error elsewhere must not leave them waiting for a word
                start_method="spawn",
            )

    def run(self) -> float:
        """Do all updates once; return real target tokens a second."""
        for pipe in self._pipes:
            pipe.send("go")
        for pipe in self._pipes:
            pipe.recv()
        started = time.perf_counter()
        for pipe in self._pipes:
            pipe.send("all are awake")
        for pipe in self._pipes:
            pipe.recv()
        return self._n_tokens / (time.perf_counter() - started)

    def end(self) -> None:
        """Let the processes go."""
        for pipe in self._pipes:
            pipe.send("end")
        while not self._context.join():
            pass


def _work(
    rank: int,
    pipes: list[Connection],
    make_update: Callable[..., Callable[[Batch, int], Any]],
    arguments: tuple[Any, ...],
    updates: Sequence[Sequence[Batch]],
) -> None:
    os.environ["RANK"] = os.environ["LOCAL_RANK"] = str(rank)
    pipe = pipes[rank]
    keep_freed_memory()
    with World.join() as world:
        update = make_update(world, *arguments)
        while pipe.recv() == "go":
            pipe.send("awake")
            pipe.recv()
            for batches in updates:
                update(batches[rank], sum(batch.n_tokens for batch in batches))
            pipe.send("done")
