"""What `mt-train --help` says of groups and options: files, values, meanings, choices."""

import dataclasses
import textwrap
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from mt.cli.override_values import choices
from mt.cli.overrides import group_files
from mt.config import MEANING, Config

_WIDTH = 100  # characters of a line
_COLUMN = 34  # where meanings begin


def describe_groups(configs: Path) -> str:
    """Return a paragraph for each configuration group: its name and its files."""
    groups = sorted(path.name for path in configs.iterdir() if path.is_dir())
    named = (f"{group}: {', '.join(group_files(configs, group))}" for group in groups)
    return "\n".join(textwrap.fill(one, _WIDTH, subsequent_indent="  ") for one in named)


def describe_options(composed: DictConfig) -> str:
    """Return a paragraph for each configuration section: OPTION=VALUE and what it means, by line.

    Args:
        composed: What Hydra made of files and overrides. Interpolations are shown as they are.
    """
    return "\n\n".join(_sections(Config, OmegaConf.to_container(composed, enum_to_str=True), ""))


def _sections(schema: type, values: Any, prefix: str) -> Iterator[str]:
    """Yield the paragraph of a dataclass, then those of the dataclasses in it."""
    hints = typing.get_type_hints(schema)
    nested = [f for f in dataclasses.fields(schema) if dataclasses.is_dataclass(hints[f.name])]
    title = (schema.__doc__ or "").splitlines()[0]
    lines = [f"{prefix.removesuffix('.') or 'run'}: {title}"]
    for field in dataclasses.fields(schema):
        if field not in nested:
            setting = f"{prefix}{field.name}={_shown(values[field.name])}"
            named = choices(hints[field.name])
            meaning = field.metadata[MEANING]
            lines += _described(setting, f"{meaning} ({named})" if named else meaning)
    yield "\n".join(lines)
    for field in nested:
        yield from _sections(hints[field.name], values[field.name], f"{prefix}{field.name}.")


def _described(setting: str, meaning: str) -> list[str]:
    indent = " " * _COLUMN
    lines = textwrap.wrap(meaning, _WIDTH, initial_indent=indent, subsequent_indent=indent)
    start = f"  {setting}"
    if len(start) + 2 > _COLUMN:
        return [start, *lines]
    return [start.ljust(_COLUMN) + lines[0][_COLUMN:], *lines[1:]]


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_shown(one)}' for key, one in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)
