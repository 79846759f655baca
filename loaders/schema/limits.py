"""The values that a check's limits may have for each type of a column."""

from __future__ import annotations

import datetime as dt
import decimal
import numbers
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from loaders.schema.check import Check
from loaders.schema.dtypes import is_text

_NUMBERS = (numbers.Real, decimal.Decimal)
_KINDS: tuple[tuple[Callable[[pa.DataType], bool], tuple[type, ...]], ...] = (
    (pa.types.is_integer, _NUMBERS),
    (pa.types.is_floating, _NUMBERS),
    (pa.types.is_decimal, _NUMBERS),
    (pa.types.is_boolean, (bool, np.bool_)),
    (is_text, (str,)),
    (pa.types.is_date, (dt.datetime, dt.date)),
    (pa.types.is_timestamp, (dt.datetime, dt.date)),
    (pa.types.is_time, (dt.time,)),
    (pa.types.is_duration, (dt.timedelta,)),
    (pa.types.is_binary, (bytes,)),
    (pa.types.is_large_binary, (bytes,)),
    (pa.types.is_fixed_size_binary, (bytes,)),
    (pa.types.is_binary_view, (bytes,)),
)
_SAID = {
    np.bool_: "True or False",
    str: "text",
    dt.datetime: "a datetime",
    dt.date: "a date or datetime",
    dt.time: "a time of day",
    dt.timedelta: "a timedelta",
    bytes: "bytes",
}


def limit_problem(check: Check, arrow_type: pa.DataType) -> str | None:
    """Return why a rule of a check cannot hold for a column of this type; None if each can.

    >>> limit_problem(Check(minimum=3), pa.timestamp("us"))
    'has the minimum 3, but holds timestamp[us]: give a date or datetime'
    """
    if check.pattern is not None and not is_text(arrow_type):
        return f"has a pattern, but is no text: {arrow_type}"
    for rules, kinds in ((_bounds(check), _ordered(arrow_type)), (_allowed(check), _equal(arrow_type))):
        for rule, value in rules:
            if not _is_one(value, kinds):
                return f"has the {rule} {value!r}, but holds {arrow_type}: {_advice(kinds)}"
    return None


def _bounds(check: Check) -> Iterator[tuple[str, Any]]:
    bounds = (("minimum", check.minimum), ("maximum", check.maximum))
    return ((rule, value) for rule, value in bounds if value is not None)


def _allowed(check: Check) -> Iterator[tuple[str, Any]]:
    # A null is allowed or refused by nullability alone.
    return (("allowed value", value) for value in check.allowed if value is not None)


def _is_one(value: Any, kinds: tuple[type, ...]) -> bool:
    # A boolean is an int to Python, and a duration of numpy's calls itself an integer.
    if isinstance(value, bool | np.bool_ | np.timedelta64):
        return type(value) in kinds
    return isinstance(value, kinds) and (value == value or kinds == _NUMBERS)


def _equal(arrow_type: pa.DataType) -> tuple[type, ...]:
    """Return the types of Python that a value of an Arrow type can be equal to."""
    if pa.types.is_dictionary(arrow_type):
        return _equal(arrow_type.value_type)
    return (dt.datetime,) if pa.types.is_timestamp(arrow_type) else _ordered(arrow_type)


def _ordered(arrow_type: pa.DataType) -> tuple[type, ...]:
    """Return the types of Python that order the values of an Arrow type; none if nothing does."""
    if pa.types.is_dictionary(arrow_type):
        return _ordered(arrow_type.value_type)
    return next((kinds for is_of, kinds in _KINDS if is_of(arrow_type)), ())


def _advice(kinds: tuple[type, ...]) -> str:
    if not kinds:
        return "no limit applies to it"
    return "give a number" if kinds == _NUMBERS else f"give {_SAID[kinds[-1]]}"
