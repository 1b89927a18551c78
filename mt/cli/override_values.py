"""Overrides as Hydra reads them, and whether their values are of the type of their options."""

import dataclasses
import typing
from collections.abc import Iterable
from enum import Enum
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, QuotedString, Sweep
from hydra.errors import OverrideParseException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mt.config import Config

_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}


def is_override(argument: str) -> bool:
    """Say whether an argument sets a key, rather than being one of Hydra's own options."""
    return "=" in argument and not argument.startswith("-")


def parse(overrides: list[str]) -> list[Override] | None:
    """Parse overrides; None where one is not in Hydra's grammar."""
    try:
        return OverridesParser.create().parse_overrides(overrides)
    except OverrideParseException:
        return None


def parsed(arguments: Iterable[str]) -> list[Override]:
    """Parse the overrides among the arguments; none where Hydra cannot, which it will say."""
    return parse([one for one in arguments if is_override(one)]) or []


def check_values(arguments: Iterable[str]) -> None:
    """Look whether every value, also each of a sweep, is of the type of its option.

    Raises:
        ValueError: One is not; the message says what is accepted.
    """
    for override in parsed(arguments):
        kind = _kind(override.key_or_group)
        if kind is not None and not dataclasses.is_dataclass(kind):
            for value in _values(override):
                _check_value(override.key_or_group, value, kind)


def _values(override: Override) -> list[Any]:
    value = override.value()
    if isinstance(value, ChoiceSweep):
        return [one.text if isinstance(one, QuotedString) else one for one in value.list]
    return [] if isinstance(value, Sweep) else [value]  # a range of numbers is left to Hydra


def _check_value(key: str, value: Any, kind: Any) -> None:
    try:
        OmegaConf.update(OmegaConf.structured(Config), key, value)
    except OmegaConfBaseException:
        shown = "null" if value is None else value
        raise ValueError(f"{key}={shown}: accepted is {_accepted(kind)}") from None


def _kind(key: str) -> Any:
    """Return the type of an option; None for what is no option, such as a group's file."""
    kind: Any = Config
    for name in key.split("."):
        kind = typing.get_type_hints(kind).get(name) if isinstance(kind, type) else None
    return kind


def _accepted(kind: Any) -> str:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(member.name for member in kind)
    if typing.get_origin(kind) is dict:
        return "a table, {KEY: VALUE, ...}"
    either = typing.get_args(kind) or (kind,)
    return " or ".join("null" if one is type(None) else _NAMES[one] for one in either)
