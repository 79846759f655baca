"""Convert input values to the types that functions declare."""

from __future__ import annotations

import datetime as dt
import decimal
import os
import pathlib
import types
import typing
from typing import Any

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from loaders.errors import ConfigError

_PLAIN = {bool, int, float, str, dt.date, dt.datetime, decimal.Decimal, pathlib.Path, type(None)}
_CONTAINERS = {list, tuple, dict, set, frozenset}


def typed_input(name: str, value: Any, declared: Any, where: str) -> Any:
    """Return an input's value in the type that a function declares for it.

    Text from a file, a variable or the command line becomes a number, date or list if one is declared; unsuitable text
    raises ConfigError. Hamilton checks types other than plain values and containers of them.

    >>> typed_input("window", "3", int, "--params")
    3
    """
    if not is_plain(declared):
        return value
    if isinstance(value, os.PathLike) and pathlib.Path not in _kinds(declared):
        value = os.fspath(value)
    if isinstance(value, str) and _outer(declared) in _CONTAINERS:
        value = yaml.safe_load(value)
    try:
        return TypeAdapter(declared, config=ConfigDict(coerce_numbers_to_str=True)).validate_python(value)
    except ValidationError as error:
        kind = getattr(declared, "__name__", None) if not typing.get_args(declared) else None
        raise ConfigError(
            f"{where}: input '{name}' must be {kind or declared}, found {value!r}: {error.errors()[0]['msg']}."
        ) from None


def _outer(declared: Any) -> Any:
    return typing.get_origin(declared) or declared


def _kinds(declared: Any) -> set[Any]:
    """Return a declared type, or the members of a union."""
    return {*typing.get_args(declared)} if _outer(declared) in (typing.Union, types.UnionType) else {declared}


def is_plain(declared: Any) -> bool:
    """Return whether values of a declared type can be written in a configuration file, unlike frames and objects."""
    outer = _outer(declared)
    if outer is typing.Literal:
        return True
    if outer in _CONTAINERS or outer in (typing.Union, types.UnionType):
        return all(is_plain(part) for part in typing.get_args(declared) if part is not Ellipsis)
    return outer in _PLAIN
