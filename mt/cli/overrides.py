"""Checks of command-line overrides that Hydra makes late or without advice."""

import dataclasses
import difflib
import re
import typing
from collections.abc import Iterable, Sequence
from pathlib import Path

from mt.cli.override_values import is_override, option_kinds, parse, readable_overrides
from mt.config import Config

RESUMABLE = (
    "trainer.max_epochs",
    "trainer.max_steps",
    "trainer.patience",
    "trainer.processes",
    "trainer.threads",
    "trainer.device",
    "data.root",
)
"""What a resumed run may change: how long it goes on, and where."""

_BARE_BRACE = re.compile(r"(?<!\$)\{")
_FILE_NAMES = re.compile(r"[\w/-]+(,[\w/-]+)*")  # one file of a group, or several to sweep
_OWN_FILES = ("--config-dir", "-cd", "--config-path", "-cp", "hydra.searchpath")
_OTHER_NAMES = {  # of options, in other trainers
    "learning_rate": "optim.lr",
    "batch_size": "trainer.batch_tokens",
    "epochs": "trainer.max_epochs",
    "hidden_size": "model.decoder_size",
}


def checked_overrides(arguments: Iterable[str], configs: Path) -> list[str]:
    """Return the command line with its keys checked and its values as Hydra's grammar wants them.

    Keys are checked against the schema and the configuration groups. A value is quoted if it is a
    path pattern such as `{split}.{lang}`, whose braces Hydra would take for a dictionary; if it
    does not fit the grammar, as with `é`, `~` or `=`; or if Hydra would read text as a number, as
    in `run=2024_06`. An open table, or a new key of one (`data.columns.en=…`), gets the `++` that
    Hydra asks for.

    Raises:
        ValueError: A key, or a file of a group, does not exist (the message names the nearest that
            does), or an argument is not a setting.
    """
    arguments = list(arguments)
    kinds = option_kinds()
    options = list(kinds)
    open_ended = [key for key, kind in kinds.items() if typing.get_origin(kind) is dict]
    groups = [path.name for path in configs.iterdir() if path.is_dir()]
    own_files = any(argument.startswith(_OWN_FILES) for argument in arguments)
    checked = []
    for before, argument in zip(["", *arguments], arguments, strict=False):
        name, _, value = argument.partition("=")
        key = name.lstrip("+~").split("@")[0]
        if not is_override(argument):
            _check_bare(argument, options, follows_option=before.startswith("-"))
            checked.append(argument)
        elif key in groups and not own_files:
            _check_files(key, value, configs)
            checked.append(argument)
        elif table := next((one for one in open_ended if key.startswith(f"{one}.")), None):
            _check_entry(key, table)
            checked.append(_in_grammar(f"++{key}" if name == key else name, value, is_text=True))
        elif key in open_ended:
            checked.append(f"++{argument}" if name == key else argument)
        elif key in groups or key.startswith(("hydra.", "hydra/")):
            checked.append(argument)
        elif key in options:
            is_text = str in (kinds[key], *typing.get_args(kinds[key]))
            checked.append(_in_grammar(name, value, is_text=is_text))
        else:
            raise ValueError(_unknown(key, [*options, *groups]))
    return checked


def _check_bare(argument: str, options: list[str], *, follows_option: bool) -> None:
    """Refuse what a user may take for a setting, and Hydra would without advice."""
    if argument.startswith("--"):
        key = _by_last_name(argument[2:].partition("=")[0].replace("-", "_"), options)
        if key not in (None, "run"):  # --run is Hydra's
            raise ValueError(f"there is no {argument}: settings have no dashes, {key}=VALUE")
    elif not argument.startswith(("-", "~")) and not follows_option:
        raise ValueError(
            f"{argument!r} sets nothing: settings are written OPTION=VALUE, and the folder of a "
            f"run is run={argument}"
        )


def _check_entry(key: str, table: str) -> None:
    """Refuse a name in an open table that Hydra's grammar has no place for."""
    name = key.removeprefix(f"{table}.")
    if "." in name or parse([f"{key}=x"]) is None:
        raise ValueError(
            f"{name!r} cannot be a name in {table} on the command line: expected letters from "
            "a to z, digits, _ and -"
        )


def _check_files(group: str, value: str, configs: Path) -> None:
    if not _FILE_NAMES.fullmatch(value):
        return  # a list or a function of Hydra's grammar
    files = group_files(configs, group)
    for name in value.split(","):
        if name not in (*files, "null"):
            near = difflib.get_close_matches(name, files, n=1)
            advice = f"did you mean {near[0]}? " if near else ""
            raise ValueError(f"there is no {group}={name}: {advice}expected {', '.join(files)}")


def group_files(configs: Path, group: str) -> list[str]:
    """Return the names of the files of a group, those in folders of it last."""
    folder = configs / group
    files = (str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.yaml"))
    return sorted(files, key=lambda file: ("/" in file, file))


def _in_grammar(name: str, value: str, *, is_text: bool) -> str:
    pattern = is_text and _BARE_BRACE.search(value) and not {"'", '"'} & set(value)
    if not pattern and (not value or "${" in value):
        return f"{name}={value}"
    as_read = None if pattern else parse([f"{name}={value}"])
    if as_read is not None and not (is_text and isinstance(as_read[0].value(), bool | int | float)):
        return f"{name}={value}"
    # Before a quote, and there only, a backslash has to be doubled.
    escaped = re.sub(r"(\\+)(?='|\Z)", r"\1\1", value).replace("'", r"\'")
    return f"{name}='{escaped}'"


def keys_not_swept(arguments: Iterable[str]) -> list[str]:
    """Return the keys that have one value in all jobs of a sweep; none if Hydra cannot read it."""
    return [
        one.key_or_group for one in readable_overrides(arguments) if not one.is_sweep_override()
    ]


def check_sweep_runs(arguments: Sequence[str]) -> None:
    """Look whether the jobs of a sweep have folders of their own.

    Raises:
        ValueError: `run` is the same in all of them.
    """
    if not {"-m", "--multirun"}.intersection(arguments):
        return
    overrides = readable_overrides(arguments)
    fixed = [one for one in overrides if not one.is_sweep_override()]
    names = [str(one.value()) for one in fixed if one.key_or_group == "run"]
    if len(fixed) < len(overrides) and names and "${" not in names[0]:
        raise ValueError(
            f"run={names[0]} is one folder for all jobs of the sweep: leave it out, and each "
            f"gets its own, or number them by run='{names[0]}-${{hydra:job.num}}'"
        )


def check_resume_overrides(overrides: Iterable[str]) -> list[str]:
    """Return the keys that a resumed run takes from the command line.

    Raises:
        ValueError: An override that would make another run of it.
    """
    kept = []
    for override in overrides:
        key = override.split("=", 1)[0].lstrip("+")
        if key in ("run", "resume"):
            continue
        if key not in RESUMABLE:
            raise ValueError(
                f"{override} cannot be combined with resume=true, which takes the run's own "
                f"config.yaml: change only {', '.join(RESUMABLE)}, or start a new run"
            )
        kept.append(key)
    return kept


def _unknown(key: str, accepted: list[str]) -> str:
    near = _by_last_name(key.split(".")[-1], accepted)
    near = near or next(iter(difflib.get_close_matches(key, accepted, n=1, cutoff=0.5)), None)
    sections = ", ".join(field.name for field in dataclasses.fields(Config))
    advice = f"did you mean {near}?" if near else f"sections are {sections}."
    return f"there is no option {key!r}: {advice} `mt-train --help` has them all"


def _by_last_name(name: str, options: list[str]) -> str | None:
    """Find the option meant by a name without its section, or by that of another trainer."""
    same = (option for option in options if option.split(".")[-1] == name)
    return _OTHER_NAMES.get(name) or next(same, None)
