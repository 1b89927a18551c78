"""The quickstart, with commands that do nothing: what it starts ends with it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock
from waiting import wait_for

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
TRAIN = """#!/usr/bin/env bash
case "$*" in
    *baseline*) echo $$ > baseline.pid; exec sleep 100;;
    *) until [ -s baseline.pid ]; do sleep 0.05; done; echo $$ > attention.pid; %s
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Make a folder with the script, an environment that is ready and a training of that kind."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(SCRIPTS / "quickstart", tmp_path / "scripts")
    _write(tmp_path / "scripts" / "environment", "#!/bin/sh\n")
    python = f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'
    _write(tmp_path / ".venv" / "bin" / "python", python)
    return tmp_path


def _write(path: Path, script: str) -> None:
    path.write_text(script)
    path.chmod(0o755)


def _ended(checkout: Path) -> bool:
    pid = int((checkout / "baseline.pid").read_text())
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_a_failed_training_ends_the_other(checkout: Path) -> None:
    _write(checkout / ".venv" / "bin" / "mt-train", TRAIN % "exit 3")
    done = subprocess.run([checkout / "scripts" / "quickstart"], timeout=60, check=False)
    assert done.returncode == 3
    assert _ended(checkout)


def test_ctrl_c_ends_both(checkout: Path) -> None:
    _write(checkout / ".venv" / "bin" / "mt-train", TRAIN % "exec sleep 100")
    process = subprocess.Popen([checkout / "scripts" / "quickstart"], start_new_session=True)
    wait_for(checkout / "attention.pid")
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) != 0
    assert _ended(checkout)


def test_a_run_that_is_being_trained_is_left_alone(checkout: Path) -> None:
    run = checkout / "runs" / "quickstart-attention"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text("of the training")
    _write(checkout / ".venv" / "bin" / "mt-train", "#!/bin/sh\nexit 0\n")
    with FileLock(run / ".lock"):
        done = subprocess.run([checkout / "scripts" / "quickstart"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "runs/quickstart-attention is being trained by another process" in done.stderr
    assert (run / "config.yaml").read_text() == "of the training"


@pytest.mark.parametrize(
    ("checkpoint", "arguments"),
    [
        ("previous.pt", "run=runs/quickstart-baseline resume=true"),
        ("next.pt", "run=runs/quickstart-baseline resume=true"),
        # Killed between the first best.pt and the first last.pt: there is nothing to go on from.
        ("best.pt", "experiment=quickstart model=baseline run=runs/quickstart-baseline"),
    ],
)
def test_what_is_trained_is_kept_and_what_was_cut_off_goes_on(
    checkout: Path, checkpoint: str, arguments: str
) -> None:
    runs = checkout / "runs"
    (runs / "quickstart-attention").mkdir(parents=True)
    (runs / "quickstart-attention" / "metrics.jsonl").write_text('{"reason": "finished"}\n')
    (runs / "quickstart-baseline" / "checkpoints").mkdir(parents=True)
    (runs / "quickstart-baseline" / "checkpoints" / checkpoint).touch()
    for name in ("mt-train", "mt-evaluate", "mt-compare", "mt-translate"):
        _write(checkout / ".venv" / "bin" / name, f'#!/bin/sh\necho "{name} $*" >> called\n')
    done = subprocess.run(
        [checkout / "scripts" / "quickstart"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    called = (checkout / "called").read_text().splitlines()
    assert called[0] == f"mt-train {arguments}"
    assert [line.split()[0] for line in called[1:]] == [
        "mt-evaluate", "mt-evaluate", "mt-compare", "mt-translate",
    ]  # fmt: skip
    assert "quickstart-attention is trained already" in done.stdout
