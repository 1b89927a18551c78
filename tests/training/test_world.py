"""The processes of a training: what they tell each other, alone and together."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
import unittest.mock
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.distributed import TCPStore
from torch.multiprocessing.spawn import start_processes
from waiting import wait_for

from mt.choices import Device
from mt.config import Config, TrainerConfig
from mt.training import launch as launch_module
from mt.training.launch import ProcessFailedError, launch, processes_to_launch
from mt.training.world import World, _is_of_another, ends_process


def in_world(rank: int, check: Callable[[World], None], size: int, port: int) -> None:
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(rank),
        "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_WORLD_SIZE": str(size),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
    }  # fmt: skip
    with World.join() as world:
        check(world)


def check_everything(world: World) -> None:
    assert (world.rank, world.size) == (int(os.environ["RANK"]), 3)
    assert world.is_writer == (world.rank == 0)
    assert world.sum(world.rank, 0.1) == [3.0, pytest.approx(0.3, rel=1e-15)]
    assert world.any(world.rank == 2) and not world.any(False)
    for count in (0, 1, 2, 3, 7):
        items = [f"item {number}" for number in range(count)]
        assert world.gather(world.deal(items)) == items
    assert world.broadcast({"of": "the writer"} if world.is_writer else None) == {
        "of": "the writer"
    }
    trace = Path(os.environ["TRACE"])
    with world.local_main_first():
        assert trace.exists() != (world.rank == 0)
        trace.touch()
    model = torch.nn.Linear(2, 1, bias=False)
    replica = world.replicate(model)
    x = torch.tensor([[1.0, world.rank]])
    with world.no_sync(replica):
        replica(x).sum().backward()
    assert model.weight.grad.tolist() == [[1.0, world.rank]]  # its own
    replica(x).sum().backward()
    assert model.weight.grad.tolist() == [[2.0, 2.0]]  # the mean over all of both passes
    world.wait()


def test_three_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACE", str(tmp_path / "trace"))
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    multiprocessing.set_forkserver_preload([__name__, "torch._dynamo"])  # imported once, not thrice
    context = start_processes(
        in_world, args=(check_everything, 3, store.port), nprocs=3, join=False, daemon=True,
        start_method="forkserver",
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not context.join(timeout=1):
        assert time.monotonic() < deadline, "a process waits for a word that no other says"


def test_alone() -> None:
    with World.join() as world:
        assert (world.rank, world.size, world.is_writer) == (0, 1, True)
        assert world.sum(1, 2.5) == [1, 2.5]
        assert world.any(True) and not world.any(False)
        assert world.gather(world.deal([1, 2, 3])) == [1, 2, 3]
        assert world.broadcast("value") == "value"
        model = torch.nn.Linear(1, 1)
        assert world.replicate(model) is model
        with world.local_main_first(), world.no_sync(model):
            world.wait()


def chosen(monkeypatch: pytest.MonkeyPatch, cores: int, *, accumulate: int, **options: int) -> int:
    monkeypatch.setattr(launch_module, "available_cores", lambda: cores)
    config = TrainerConfig(accumulate=accumulate, device=Device.cpu, **options)
    return processes_to_launch(config)


@pytest.mark.parametrize(
    ("cores", "accumulate", "expected"),
    [(1, 4, 1), (2, 1, 1), (2, 2, 2), (2, 3, 1), (4, 6, 3), (8, 6, 6), (64, 6, 6)],
)
def test_the_number_of_processes_follows_from_cores_and_batches(
    monkeypatch: pytest.MonkeyPatch, cores: int, accumulate: int, expected: int
) -> None:
    assert chosen(monkeypatch, cores, accumulate=accumulate) == expected


def test_threads_take_cores_from_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen(monkeypatch, 8, accumulate=8, threads=2) == 4
    assert chosen(monkeypatch, 2, accumulate=8, threads=4) == 1


@pytest.mark.parametrize(("cores", "threads", "each"), [(8, None, 2), (2, None, 1), (2, 5, 5)])
def test_the_processes_share_the_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int, threads: int | None, each: int
) -> None:
    monkeypatch.setattr(launch_module, "available_cores", lambda: cores)
    config = Config(run="run", trainer=TrainerConfig(accumulate=3, threads=threads))
    with (
        unittest.mock.patch.object(launch_module, "world_environment", side_effect=OSError) as spy,
        pytest.raises(OSError),
    ):
        launch(print, config, 3)
    assert spy.call_args.kwargs == {"threads": each}


def test_a_number_that_is_asked_for_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen(monkeypatch, 2, accumulate=4, processes=4) == 4
    assert chosen(monkeypatch, 2, accumulate=4, processes=1) == 1


def test_batches_that_do_not_go_round_are_an_error() -> None:
    with pytest.raises(
        ValueError,
        match=r"trainer\.processes=2: expected a divisor of trainer\.accumulate \(3\)",
    ):
        TrainerConfig(accumulate=3, processes=2)


def test_under_torchrun_nothing_is_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert chosen(monkeypatch, 8, accumulate=4) == 1
    assert chosen(monkeypatch, 8, accumulate=4, processes=4) == 1
    with pytest.raises(ValueError, match=r"trainer\.processes=2, but torchrun started 4"):
        chosen(monkeypatch, 8, accumulate=4, processes=2)


def test_more_processes_than_cuda_devices_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch_module, "select_device", lambda name: torch.device("cuda"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert processes_to_launch(TrainerConfig(accumulate=4)) == 2
    with pytest.raises(ValueError, match=r"trainer\.processes=4: expected up to 2"):
        processes_to_launch(TrainerConfig(accumulate=4, processes=4))


def test_a_process_ends_with_its_work_and_without_winding_up() -> None:
    script = """
import atexit, os
from mt.training.world import ends_process

for end in (None, SystemExit(), SystemExit(75), SystemExit('why')):
    if (pid := os.fork()) == 0:
        atexit.register(print, "wound up")
        with ends_process():
            print("worked")
            if end is not None:
                raise end
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    ends = "".join(f"worked\n{status}\n" for status in (0, 0, 75, 1))
    assert (done.returncode, done.stdout) == (0, ends), done.stderr


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (RuntimeError("[../gloo/transport/tcp/pair.cc:553] Connection closed by peer"), True),
        (dist.DistNetworkError("the server socket has failed"), True),
        (dist.DistBackendError("NCCL error: remote process exited\nncclRemoteError: A call"), True),
        (
            dist.DistBackendError("NCCL error: unhandled system error\nncclSystemError: /dev/shm"),
            False,
        ),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_the_end_of_another_process_is_told_from_an_error_of_its_own(
    error: RuntimeError, lost: bool
) -> None:
    assert _is_of_another(error) is lost


def test_an_error_in_the_work_is_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError), ends_process():
        raise ZeroDivisionError


def fail(config: Config) -> None:
    raise ZeroDivisionError("ours")


def fail_beside_a_busy_one(config: Config) -> None:
    if os.environ["RANK"] == "1":
        wait_for(Path(config.run))
        raise ZeroDivisionError("ours")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as while a training takes it for a request
    Path(config.run).touch()
    time.sleep(60)


def test_the_error_is_told_though_a_busy_process_has_to_be_killed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(launch_module, "_GRACE", 0.5)
    with pytest.raises(ProcessFailedError, match="ZeroDivisionError: ours"):
        launch(fail_beside_a_busy_one, Config(run=str(tmp_path / "busy")), 2)


def test_an_error_of_ours_in_a_process_is_told_with_its_traceback() -> None:
    with pytest.raises(ProcessFailedError, match="ZeroDivisionError: ours"):
        launch(fail, Config(run="run"), 2)
