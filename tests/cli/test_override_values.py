"""Values on the command line that are not of the type of their option."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mt.cli.override_values import check_values


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("optim.lr=abc", "optim.lr=abc: accepted is a number"),
        ("seed=null", "seed=null: accepted is a whole number"),
        ("trainer.max_epochs=2.5", "trainer.max_epochs=2.5: accepted is a whole number"),
        ("trainer.threads=x", "trainer.threads=x: accepted is a whole number or null"),
        ("resume=maybe", "resume=maybe: accepted is true or false"),
        ("model.score=bahdanau", "model.score=bahdanau: accepted is additive, dot, scaled_dot, ge"),
        ("model.score=dot,foo", "model.score=foo: accepted is additive, dot, scaled_dot, general"),
        ("optim.lr='high','low'", "optim.lr=high: accepted is a number"),
        ("data.home={a: b}", "data.home={'a': 'b'}: accepted is a text"),
        ("data.holdout.by=[a]", "data.holdout.by=['a']: accepted is a text or null"),
        ("data.columns=3", "data.columns=3: accepted is a table, {KEY: VALUE, ...}"),
        ("++optim.lr=abc", "optim.lr=abc: accepted is a number"),
    ],
)
def test_a_value_of_another_type_is_refused(argument: str, message: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        check_values(["seed=1", argument, "--multirun"])


@pytest.mark.parametrize(
    "argument",
    [
        "optim.lr=1",
        "optim.lr='1e-3'",
        "optim.lr=1e-3,2e-3",
        "optim.lr=${seed}",
        "optim.lr=interval(1e-4,1e-3)",
        "seed=range(1,4)",
        "trainer.threads=null",
        "resume=yes",
        "model.score=dot,general",
        "model=attention,baseline",
        "model=glob(*)",
        "data=text",
        "data.name=3",
        "data.columns={en: 0}",
        "++data.columns.en=0",
        "data.holdout={by: both}",
        "~debug",
        "hydra.launcher.timeout_min=600",
        "--config-dir=3",
    ],
)
def test_what_fits_passes(argument: str) -> None:
    check_values([argument])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["optim.lr=abc"], "mt-train: optim.lr=abc: accepted is a number\n"),
        (["seed=1,2", "--help"], "mt-train: Ambiguous value for argument 'seed=1,2'\n"),
        (["data.holdout=3", "--help"], "mt-train: Error merging override data.holdout=3\n"),
    ],
)
def test_the_command_says_so_without_a_traceback(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    command = [sys.executable, "-m", "mt.cli.train", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said) and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
