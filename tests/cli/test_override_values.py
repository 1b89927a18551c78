"""Values on the command line that are not of the type of their option."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from mt.choices import DecoderKind, ScoreKind
from mt.cli.override_values import check_values
from mt.cli.overrides import checked_overrides
from mt.cli.train import CONFIGS, compose_config


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("optim.lr=abc", "optim.lr=abc: expected a number"),
        ("seed=null", "seed=null: expected a whole number"),
        ("trainer.max_epochs=2.5", "trainer.max_epochs=2.5: expected a whole number"),
        ("trainer.threads=x", "trainer.threads=x: expected a whole number or null"),
        ("resume=maybe", "resume=maybe: expected true or false"),
        ("model.score=bahdanau", "model.score=bahdanau: expected additive, dot, scaled_dot, ge"),
        ("model.score=dot,foo", "model.score=foo: expected additive, dot, scaled_dot, general"),
        ("optim.lr='high','low'", "optim.lr=high: expected a number"),
        ("data.home=[a, b]", "data.home=[a, b]: expected a text"),
        ("data.holdout.by=[a]", "data.holdout.by=[a]: expected a text or null"),
        ("++optim.lr=abc", "optim.lr=abc: expected a number"),
        ("optim.lr=true", "optim.lr=true: expected a number"),
        ("trainer.max_steps=1e3", "trainer.max_steps=1e3: expected a whole number or null"),
        (
            "data.columns=3",
            "data.columns=3: data.columns is a table, set its entries: data.columns",
        ),
        ("data.columns.en=null", "data.columns.en=null: expected a text"),
        (
            "data.split_languages.train=en",
            "data.split_languages.train=en: expected a list, [A, B]",
        ),
        (
            "data.holdout=both",
            "data.holdout=both: data.holdout is a section, set its options: data.holdout.by=VALUE",
        ),
    ],
)
def test_a_value_of_another_type_is_refused(argument: str, message: str) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        check_values(["seed=1", argument, "--multirun"])


@pytest.mark.parametrize(
    ("argument", "option", "value"),
    [
        ("optim.lr=1", "optim.lr", 1.0),
        ("optim.lr='1e-3'", "optim.lr", 1e-3),
        ("++optim.lr=${seed}", "optim.lr", 1.0),
        ("trainer.threads=null", "trainer.threads", None),
        ("trainer.threads=2", "trainer.threads", 2),
        ("resume=yes", "resume", True),
        ("model.score=general", "model.score", ScoreKind.general),
        ("data.name=3", "data.name", "3"),
        ("data.root=null", "data.root", None),
        ("data.columns={en: 0}", "data.columns", {"en": "0"}),
        ("++data.columns.en=0", "data.columns", {"en": "0"}),
        ("data.split_languages.train=[en, de]", "data.split_languages", {"train": ["en", "de"]}),
        ("data.holdout={valid: 0.1}", "data.holdout.valid", 0.1),
        ("model=baseline", "model.decoder", DecoderKind.fixed_context),
    ],
)
def test_what_fits_passes_and_is_taken(argument: str, option: str, value: object) -> None:
    overrides = checked_overrides([argument, "run=x"], CONFIGS)
    check_values(overrides)
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        found: object = compose_config(compose("train", overrides))
    for name in option.split("."):
        found = getattr(found, name)
    assert found == value


@pytest.mark.parametrize(
    "argument",
    [
        "optim.lr=1e-3,2e-3",
        "optim.lr=interval(1e-4,1e-3)",
        "seed=range(1,4)",
        "model.score=dot,'general'",
        "model=attention,baseline",
        "model=glob(*)",
        "optim.lr=glob(*)",
        "data.split_languages={train: ['en','de']},{train: ['en']}",
        "optim.lr='${b'",
        "~debug",
        "~data.name=3",
        "hydra.launcher.timeout_min=600",
        "--config-dir=3",
    ],
)
def test_sweeps_and_what_is_not_an_options_value_are_left_to_hydra(argument: str) -> None:
    check_values([argument])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["optim.lr=abc"], "mt-train: optim.lr=abc: expected a number\n"),
        (["seed=1,2", "--help"], "mt-train: Ambiguous value for argument 'seed=1,2'\n"),
        (["data.holdout=3", "--help"], "mt-train: data.holdout=3: data.holdout is a section, set"),
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


def test_hydras_own_traceback_can_be_asked_for(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mt.cli.train", "seed=1,2", "--help"]
    asked = os.environ | {"HYDRA_FULL_ERROR": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=asked, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "Ambiguous value for argument 'seed=1,2'" in done.stderr
