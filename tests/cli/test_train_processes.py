"""mt-train on several processes and machines: the same model, no hang, one voice."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from waiting import wait_for

from mt.checkpoint import RunDirectory, load_checkpoint

pytestmark = pytest.mark.slow

OPTIONS = [
    "data=text", "data.src=xx", "data.tgt=yy", "tokenizer.vocab_size=313", "debug=smoke",
    "trainer.batch_tokens=200", "trainer.max_steps=16", "trainer.validate_every=4",
    "trainer.threads=1", "trainer.ema_decay=0.9", "trainer.accumulate=4", "trainer.max_epochs=100",
    "model.word_dropout=0.1", "trainer.samples=0",
]  # fmt: skip


@pytest.fixture(scope="module")
def alone(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """Return the run of one process that the others must equal."""
    directory = tmp_path_factory.mktemp("alone")
    done = finish(start(directory, *overrides(corpus), "trainer.processes=1"))
    assert done.returncode == 0, done.stderr
    assert "processes" not in done.stderr
    return RunDirectory.open(directory / "run")


@pytest.fixture(scope="module")
def together(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """Return the same run of two processes."""
    directory = tmp_path_factory.mktemp("together")
    done = finish(start(directory, *overrides(corpus), "trainer.processes=2"))
    assert done.returncode == 0, done.stderr
    return RunDirectory.open(directory / "run")


def overrides(corpus: Path) -> list[str]:
    return [*OPTIONS, f"data.root={corpus}", "run=run"]


def start(directory: Path, *arguments: str, under: list[str] | None = None) -> subprocess.Popen:
    """Start mt-train, by itself or under torchrun."""
    command = under or [sys.executable]
    return subprocess.Popen(
        [*command, "-m", "mt.cli.train", *arguments], cwd=directory, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(process: subprocess.Popen) -> subprocess.CompletedProcess[str]:
    stdout, stderr = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def children(pid: int) -> list[int]:
    """Return the training processes that a launching one has started."""
    found = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, listed.read_text().split()):
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return found


def assert_same_run(run: Path, expected: RunDirectory) -> None:
    """Compare parameters, optimizer and record; two processes' sums may be rounded otherwise."""
    mine, theirs = (load_checkpoint(r / "checkpoints" / "last.pt") for r in (run, expected.path))
    for name in ("model", "ema", "optimizer"):
        torch.testing.assert_close(mine[name], theirs[name], rtol=1e-4, atol=1e-5)
    assert mine["sampler"] == theirs["sampler"]
    records = [
        [event for event in r.read_metrics() if "loss" in event]
        for r in (RunDirectory(run), expected)
    ]
    for event, same in zip(*records, strict=True):
        assert [event.get(name) for name in ("event", "step", "bleu", "lr")] == [
            same.get(name) for name in ("event", "step", "bleu", "lr")
        ]
        for name in {"loss", "nll", "ppl", "grad_norm"} & same.keys():
            assert event[name] == pytest.approx(same[name], rel=1e-3)
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == sorted(
        path.name for path in expected.checkpoints.iterdir()
    )


def test_a_killed_process_ends_the_job_and_the_run_resumes_exactly(
    corpus: Path, alone: RunDirectory, together: RunDirectory, tmp_path: Path
) -> None:
    process = start(tmp_path, *overrides(corpus), "trainer.processes=2")
    wait_for(tmp_path / "run" / "checkpoints" / "last.pt")
    workers = children(process.pid)
    assert len(workers) == 2
    os.kill(workers[1], signal.SIGKILL)
    killed = finish(process)
    assert killed.returncode == 1
    assert "process 2 of 2 was killed by SIGKILL; the others were ended" in killed.stderr
    assert "mt-train run=run resume=true" in killed.stderr
    assert "Traceback" not in killed.stderr
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)

    resumed = finish(start(tmp_path, "run=run", "resume=true"))
    assert resumed.returncode == 0, resumed.stderr
    assert "processes: 2, threads: 1 each" in resumed.stderr
    assert "Warning" not in resumed.stderr
    assert resumed.stdout.count("Done (finished)") == resumed.stderr.count("device ") == 1
    mine, theirs = (
        load_checkpoint(r / "checkpoints/last.pt")["model"]
        for r in (tmp_path / "run", together.path)
    )
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    assert_same_run(together.path, alone)


def test_interrupt_stops_all_and_another_number_of_processes_goes_on(
    corpus: Path, alone: RunDirectory, tmp_path: Path
) -> None:
    process = start(tmp_path, *overrides(corpus), "trainer.processes=2")
    wait_for(tmp_path / "run" / "checkpoints" / "last.pt")
    process.send_signal(signal.SIGINT)
    stopped = finish(process)
    assert stopped.returncode == 130, stopped.stderr
    assert stopped.stdout.count("mt-train run=run resume=true") == 1
    assert "Traceback" not in stopped.stderr and "Warning" not in stopped.stderr
    resumed = finish(start(tmp_path, "run=run", "resume=true", "trainer.processes=1"))
    assert resumed.returncode == 0, resumed.stderr
    assert "saved by 2 processes and resumed by 1" in resumed.stderr
    assert_same_run(tmp_path / "run", alone)
    again = finish(start(tmp_path, "run=run", "resume=true", "++trainer.processes=2"))
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("saved by 1 processes and resumed by 2") == 1


def test_interrupt_while_processes_start_is_quiet(corpus: Path, tmp_path: Path) -> None:
    process = start(tmp_path, *overrides(corpus), "trainer.processes=2")
    deadline = time.monotonic() + 60
    while len(children(process.pid)) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(children(process.pid)) == 2
    for pid in (process.pid, *children(process.pid)):  # as a terminal does
        os.kill(pid, signal.SIGINT)
    stopped = finish(process)
    assert stopped.returncode == 130, stopped.stderr
    assert "Traceback" not in stopped.stderr and not (tmp_path / "run").exists()


def test_mistakes_are_told_once(tmp_path: Path) -> None:
    done = finish(start(tmp_path, *overrides(Path("nowhere")), "trainer.processes=2"))
    assert done.returncode == 1
    assert done.stderr.count("mt-train: ") == 1 and "nowhere" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_divergence_is_told_once(corpus: Path, tmp_path: Path) -> None:
    done = finish(
        start(tmp_path, *overrides(corpus), "trainer.processes=2", "optim.lr=1e38",
              "optim.warmup_steps=0")
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("mt-train: training diverged at update") == 1
    assert "Traceback" not in done.stderr


def torchrun(*options: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nnodes=2",
        "--nproc-per-node=1",
        *options,
    ]


def test_two_agents_of_torchrun_equal_one_process(
    corpus: Path, alone: RunDirectory, tmp_path: Path
) -> None:
    meeting = [
        "--rdzv-backend=c10d",
        "--rdzv-conf=store_type=file",  # a port might be taken before they meet there
        f"--rdzv-endpoint={tmp_path / 'meeting'}",
        "--local-addr=127.0.0.1",
    ]
    agents = [start(tmp_path, *overrides(corpus), under=torchrun(*meeting)) for _ in range(2)]
    done = [finish(agent) for agent in agents]
    assert [agent.returncode for agent in done] == [0, 0], done[0].stderr + done[1].stderr
    assert sum(agent.stdout.count("Done (finished)") for agent in done) == 1
    assert_same_run(tmp_path / "run", alone)


@pytest.fixture
def hosts() -> Iterator[list[list[str]]]:
    """Return the commands that run something on each of two hosts, which only a cable connects."""
    if shutil.which("ip") is None:
        pytest.skip("network namespaces cannot be made here: there is no command ip (iproute2)")
    names = [f"mt-{os.getpid()}-{number}" for number in range(2)]
    setup = [f"ip netns add {name}" for name in names]
    setup.append(f"ip link add mt0 netns {names[0]} type veth peer name mt0 netns {names[1]}")
    for number, name in enumerate(names):
        setup.append(f"ip -n {name} addr add 10.213.7.{number + 1}/24 dev mt0")
        setup += [f"ip -n {name} link set {device} up" for device in ("lo", "mt0")]
    try:
        for command in setup:
            try:
                subprocess.run(command.split(), check=True, capture_output=True)
            except subprocess.CalledProcessError as error:
                pytest.skip(f"network namespaces cannot be made here: {error}")
        yield [["ip", "netns", "exec", name, "env", "GLOO_SOCKET_IFNAME=mt0"] for name in names]
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def test_two_hosts_equal_one_process(
    corpus: Path, alone: RunDirectory, tmp_path: Path, hosts: list[list[str]]
) -> None:
    processes = [
        start(
            tmp_path, *overrides(corpus),
            under=[*host, *torchrun(f"--node-rank={number}", "--master-addr=10.213.7.1",
                                    "--master-port=29400")],
        )
        for number, host in enumerate(hosts)
    ]  # fmt: skip
    done = [finish(process) for process in processes]
    assert [host.returncode for host in done] == [0, 0], done[0].stderr + done[1].stderr
    assert_same_run(tmp_path / "run", alone)
