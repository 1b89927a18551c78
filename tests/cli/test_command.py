"""What all commands share: how they end when standard output fails."""

import os
import subprocess
import sys

import pytest

_BODY = """
import sys
from mt.cli.command import run_command
def body():
    print("a table", flush={flush})
    return 0
sys.exit(run_command("mt-some", body))
"""


def _run(stdout: int, *, flush: bool) -> tuple[int, str]:
    # As a user has it: output that is no terminal waits in a buffer until the end.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-c", _BODY.format(flush=flush)]
    done = subprocess.run(
        command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=environment, check=False
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("flush", [True, False])
def test_a_reader_who_has_left_is_no_failure(flush: bool) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert _run(writer, flush=flush) == (141, "")
    finally:
        os.close(writer)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
@pytest.mark.parametrize("flush", [True, False])
def test_a_full_disk_is_one_line(flush: bool) -> None:
    with open("/dev/full", "w") as full:
        code, error = _run(full.fileno(), flush=flush)
    assert (code, error) == (1, "mt-some: error: [Errno 28] No space left on device\n")


def test_without_a_fault_the_output_is_there() -> None:
    command = [sys.executable, "-c", _BODY.format(flush=False)]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"a table\n"
