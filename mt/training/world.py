"""The processes that train one model together, on one machine or on several.

Every process holds the whole model and takes its share of every update's batches; gradients are
averaged by torch's DistributedDataParallel (Li et al. 2020, "PyTorch Distributed"). A process alone
is a world of one, on the same path.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

T = TypeVar("T")

# One process may prepare a large corpus while the others wait for it. A process that dies is
# noticed at once, whatever this says: gloo's connections close.
_TIMEOUT = timedelta(hours=3)


class ConnectionLostError(RuntimeError):
    """Another process of the training has ended."""


def _is_of_another(error: RuntimeError) -> bool:
    """Say whether an error comes from the end of another process; NCCL has faults of its own."""
    text = str(error)
    if "NCCL" in text:
        return "ncclRemoteError" in text
    return isinstance(error, dist.DistError) or "gloo" in text


class World:
    """The processes of one training, seen from one of them.

    Attributes:
        rank: The number of this process, from 0.
        size: The number of processes.
        local_rank: The number of this process among those of its machine.
        local_size: The number of processes on this machine.
    """

    def __init__(
        self, rank: int = 0, size: int = 1, *, local_rank: int = 0, local_size: int = 1
    ) -> None:
        self.rank, self.size = rank, size
        self.local_rank, self.local_size = local_rank, local_size

    @classmethod
    @contextmanager
    def join(cls) -> Iterator["World"]:
        """Meet the other processes that `launch` or torchrun started; without them, be alone.

        Raises:
            ConnectionLostError: Another process has ended.
        """
        if launched_size() == 1:
            yield cls()
            return
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        dist.init_process_group(backend, timeout=_TIMEOUT)
        ends_together = False
        try:
            yield cls(
                dist.get_rank(),
                dist.get_world_size(),
                local_rank=int(os.environ["LOCAL_RANK"]),
                local_size=int(os.environ["LOCAL_WORLD_SIZE"]),
            )
            ends_together = True
        except SystemExit:  # what the writer says of all
            ends_together = True
            raise
        except RuntimeError as error:
            if _is_of_another(error):
                raise ConnectionLostError(str(error).splitlines()[0]) from None
            raise
        finally:
            if ends_together:  # NCCL's waits for the others; after an error this process just ends
                dist.destroy_process_group()

    @property
    def is_writer(self) -> bool:
        """Whether this process writes files and the log; exactly one does."""
        return self.rank == 0

    def replicate(self, model: nn.Module) -> nn.Module:
        """Return the model such that a backward pass averages its gradients over all processes."""
        if self.size == 1:
            return model
        return DistributedDataParallel(model, gradient_as_bucket_view=True)

    def no_sync(self, replica: nn.Module) -> AbstractContextManager[None]:
        """Let backward passes add to this process's own gradients only."""
        if isinstance(replica, DistributedDataParallel):
            return cast(AbstractContextManager[None], replica.no_sync())
        return nullcontext()

    def sum(self, *values: float) -> list[float]:
        """Add numbers up over all processes, in double precision."""
        if self.size == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(total)
        return total.tolist()

    def any(self, flag: bool) -> bool:
        """Return whether the flag is set in any process."""
        return self.sum(flag)[0] > 0

    def deal(self, items: Sequence[T]) -> Sequence[T]:
        """Return this process's share of items that all processes hold: every `size`-th."""
        return items[self.rank :: self.size]

    def gather(self, share: Sequence[T]) -> list[T]:
        """Put the shares of `deal` together again, in the order of the items."""
        if self.size == 1:
            return list(share)
        shares: list[Sequence[T]] = [()] * self.size
        dist.all_gather_object(shares, share)
        whole = cast(list[T], [None] * sum(map(len, shares)))
        for rank, items in enumerate(shares):
            whole[rank :: self.size] = items
        return whole

    def broadcast(self, value: T | None) -> T:
        """Give the writer's value to all processes."""
        if self.size == 1:
            return cast(T, value)
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return cast(T, box[0])

    @contextmanager
    def local_main_first(self) -> Iterator[None]:
        """Let the first process of every machine go ahead; the others find what it has cached."""
        if self.local_rank > 0:
            self.wait()
        yield
        if self.local_rank == 0:
            self.wait()

    def wait(self) -> None:
        """Wait until every process is here."""
        self.sum(0)


def launched_size() -> int:
    """Return how many processes `launch` or torchrun started, this one included; else 1."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "MASTER_ADDR" in os.environ else 1


@contextmanager
def ends_process() -> Iterator[None]:
    """End this process with the block, at its end or at a SystemExit; other errors pass.

    It skips the interpreter's shutdown. DistributedDataParallel never releases gloo's threads (its
    reducer and its logger hold each other), and one of them that drops its last tensor during the
    shutdown aborts a process whose work is done. So nothing may be left that needs the shutdown.
    """
    from mt.training.tracking import keep_locks_in_process  # not where processes are launched

    keep_locks_in_process()
    status: str | int | None = 0
    try:
        yield
    except SystemExit as end:
        status = end.code
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else int(bool(status)))
