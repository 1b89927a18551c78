"""What `mt-train --help` says of the options."""

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum

from omegaconf import OmegaConf

from mt.cli.option_help import describe_groups, describe_options
from mt.cli.overrides import checked_overrides
from mt.cli.train import CONFIGS
from mt.config import MEANING, Config, DataConfig


def _options(config: object, prefix: str = "") -> Iterator[tuple[str, object, str | None]]:
    """Yield key, value and meaning of every option."""
    for field in fields(config):  # type: ignore[arg-type]
        value = getattr(config, field.name)
        if is_dataclass(value):
            yield from _options(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", value, field.metadata.get(MEANING)


def _help(*arguments: str) -> str:
    command = [sys.executable, "-m", "mt.cli.train", *arguments, "--help"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def _entry(text: str, option: str) -> str:
    """Return what the help says of an option, in one line."""
    [entry] = re.findall(rf"^  {re.escape(option)}=.*(?:\n {{34}}.*)*", text, re.MULTILINE)
    return " ".join(entry.split())


def test_every_option_is_there_with_what_it_means_and_what_it_can_be() -> None:
    text = describe_options(OmegaConf.structured(Config()))
    assert max(map(len, text.splitlines())) <= 100
    for option, value, meaning in _options(Config()):
        entry = _entry(text, option)
        assert meaning is not None and meaning in entry
        if isinstance(value, Enum):
            choices = ", ".join(member.name for member in type(value))
            assert entry == f"{option}={value.name} {meaning} ({choices})"


def test_values_are_written_as_the_command_line_takes_them() -> None:
    config = Config(data=DataConfig(split_languages={"test": ["de", "en"]}))
    text = describe_options(OmegaConf.structured(config))
    assert "  data.split_languages={test: [de, en]}\n" in text
    for setting in ("resume=false", "tokenizer.joint=true", "data.root=null", "seed=1"):
        assert _entry(text, setting.partition("=")[0]).startswith(f"{setting} ")
    assert "  data.splits={train: train, valid: valid, test: test}\n" in text
    assert "\ndata.holdout: Carve splits out" in text


def test_the_help_has_the_values_of_the_command_line() -> None:
    text = _help("data=text", "model=baseline", "optim.lr=5e-4", "data.path=$x.{lang}")
    assert _entry(text, "model.decoder").startswith("model.decoder=fixed_context ")
    assert _entry(text, "optim.lr").startswith("optim.lr=0.0005 ")
    assert _entry(text, "data.path").startswith("data.path=$x.{lang} ")
    assert _entry(text, "data.src").startswith("data.src=??? ")
    assert "run=runs/${data.name}-${data.src}-${data.tgt}-" in text
    assert "model: attention, baseline, conditional\n" in text
    assert "\n\n\n" not in text


def test_every_file_of_a_group_is_there_as_it_is_set() -> None:
    paragraphs = re.split(r"\n(?! )", describe_groups(CONFIGS))
    found = {one.split(": ")[0]: re.split(r",\s+", one.split(": ")[1]) for one in paragraphs}
    assert found["model"] == ["attention", "baseline", "conditional"]
    settings = [f"{group}={file}" for group, files in found.items() for file in files]
    assert checked_overrides(settings, CONFIGS) == settings
    assert len(settings) == len(list(CONFIGS.rglob("*/*.yaml")))
