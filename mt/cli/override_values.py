"""Overrides as Hydra reads them, and whether their values are of the type of their options."""

import dataclasses
import typing
from collections.abc import Iterable
from enum import Enum
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, Override, QuotedString, Sweep
from hydra.errors import OverrideParseException
from omegaconf import OmegaConf, ValidationError
from omegaconf.errors import GrammarParseError

from mt.config import Config

_NAMES = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    list: "a list, [A, B]",
}


def is_override(argument: str) -> bool:
    """Say whether an argument sets a key, rather than being one of Hydra's own options."""
    return "=" in argument and not argument.startswith("-")


def parse(overrides: list[str]) -> list[Override] | None:
    """Parse overrides; None where one is not in Hydra's grammar."""
    try:
        return OverridesParser.create().parse_overrides(overrides)
    except OverrideParseException:
        return None


def readable_overrides(arguments: Iterable[str]) -> list[Override]:
    """Parse the overrides among the arguments; return none if Hydra cannot: it will report that."""
    return parse([one for one in arguments if is_override(one)]) or []


def option_kinds(schema: type = Config, prefix: str = "") -> dict[str, Any]:
    """Return the type of every option and section, by its dotted key."""
    kinds: dict[str, Any] = {}
    for name, kind in typing.get_type_hints(schema).items():
        kinds[f"{prefix}{name}"] = kind
        if dataclasses.is_dataclass(kind):
            kinds |= option_kinds(typing.cast(type, kind), f"{prefix}{name}.")
    return kinds


def choices(kind: Any) -> str:
    """Return what an option of this type can be, if it is one of a few names; else nothing."""
    few = isinstance(kind, type) and issubclass(kind, Enum)
    return ", ".join(member.name for member in kind) if few else ""


def check_values(arguments: Iterable[str]) -> None:
    """Check that values have the type of their options, each value of a sweep included.

    Files of groups, ranges to sweep and values that are tables themselves are left to Hydra.

    Raises:
        ValueError: One is not; the message says what is accepted.
    """
    kinds = option_kinds()
    for override in readable_overrides(arguments):
        key = override.key_or_group
        kind = kinds.get(key)
        if kind is None:
            table = kinds.get(key.rpartition(".")[0])
            kind = typing.get_args(table)[1] if typing.get_origin(table) is dict else None
        if kind is None or override.is_delete() or (_is_section(kind) and "." not in key):
            continue
        for shown, value in _values(override).items():
            if not isinstance(value, dict):
                _check_value(key, value, kind, shown)


def _is_section(kind: Any) -> bool:
    return dataclasses.is_dataclass(kind)


def _values(override: Override) -> dict[str, Any]:
    """Return the values of an override, by what a message shows of them."""
    value = override.value()
    if isinstance(value, ChoiceSweep):
        texts = (one.text if isinstance(one, QuotedString) else one for one in value.list)
        return {f"{override.key_or_group}={one}": one for one in texts if not isinstance(one, list)}
    shown = (override.input_line or "").lstrip("+")
    return {} if isinstance(value, Sweep | Glob) else {shown: value}


def _check_value(key: str, value: Any, kind: Any, shown: str) -> None:
    if _is_section(kind):
        first = dataclasses.fields(kind)[0].name
        raise ValueError(f"{shown}: {key} is a section, set its options: {key}.{first}=VALUE")
    if typing.get_origin(kind) is dict:
        raise ValueError(f"{shown}: {key} is a table, set its entries: {key}.KEY=VALUE")
    try:
        OmegaConf.update(OmegaConf.structured(Config), key, value, force_add=True)
    except ValidationError:
        raise ValueError(f"{shown}: expected {_accepted(kind)}") from None
    except GrammarParseError:
        return  # the fault is in `${`, and Hydra will report it


def _accepted(kind: Any) -> str:
    origin = typing.get_origin(kind)
    either = (kind,) if origin in (None, list) else typing.get_args(kind)
    names = [_NAMES.get(typing.get_origin(one) or one) or choices(one) for one in either]
    return " or ".join(name or "null" for name in names)
