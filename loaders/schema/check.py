"""Rules for the values of a column."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Number
from typing import Any

import pyarrow as pa

from loaders.errors import ConfigError
from loaders.schema.dtypes import is_text


@dataclass(frozen=True, kw_only=True)
class Check:
    """Rules for the values of a column; nulls are allowed or refused by nullability alone.

    `minimum` and `maximum` are inclusive; `allowed` lists every permitted value; `pattern` is a regular expression
    that the whole text matches.
    """

    minimum: Any = None
    maximum: Any = None
    allowed: tuple[Any, ...] = ()
    pattern: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.allowed, str) or not isinstance(self.allowed, Iterable):
            raise ConfigError(f"Check allowed must list the values, as allowed=('a', 'b'); found {self.allowed!r}.")
        object.__setattr__(self, "allowed", tuple(self.allowed))
        if _exceeds(self.minimum, self.maximum):
            raise ConfigError(f"Check minimum {self.minimum!r} is above its maximum {self.maximum!r}; no value fits.")
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except (re.error, TypeError) as error:
                raise ConfigError(f"Check pattern {self.pattern!r} is no regular expression: {error}.") from None

    def __str__(self) -> str:
        """Return the rules in words, as `show` lists them."""
        bounds = [("≥", self.minimum), ("≤", self.maximum)]
        rules = [f"{sign} {value}" for sign, value in bounds if value is not None]
        if self.allowed:
            rules.append(f"one of {', '.join(map(str, self.allowed))}")
        if self.pattern is not None:
            rules.append(f"matches {self.pattern}")
        return ", ".join(rules)


def misfit(check: Check, kind: pa.DataType) -> str | None:
    """Return the limits of a check that no value of a column's type can be compared with, in words; None if all fit."""
    expected, words = _comparable(kind)
    limits = [("minimum", check.minimum), ("maximum", check.maximum), *(("allowed", value) for value in check.allowed)]
    for name, value in limits:
        is_bool = isinstance(value, bool) and bool not in expected
        if value is not None and expected and (is_bool or not isinstance(value, expected)):
            return f"{name} of the check must be {words}, as the column is {kind}; found {value!r}"
    return None


def _comparable(kind: pa.DataType) -> tuple[tuple[type, ...], str]:
    """Return the Python types that values of an Arrow type compare with; none where any may do."""
    if isinstance(kind, pa.DictionaryType):
        kind = kind.value_type
    for belongs, expected, words in (
        (pa.types.is_boolean, (bool,), "true or false"),
        (_is_number, (Number,), "a number"),
        (is_text, (str,), "text"),
        (_is_moment, (datetime.date,), "a date or time stamp"),
        (pa.types.is_time, (datetime.time,), "a time of day"),
        (pa.types.is_duration, (datetime.timedelta,), "a duration"),
    ):
        if belongs(kind):
            return expected, words
    return (), ""


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_moment(kind: pa.DataType) -> bool:
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def _exceeds(minimum: Any, maximum: Any) -> bool:
    try:
        return minimum is not None and maximum is not None and bool(minimum > maximum)
    except TypeError:
        return False
