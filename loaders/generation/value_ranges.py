"""The range of values that a column's type and check allow, as integers in the type's unit.

Dates, times, timestamps, durations, decimals and booleans are stored as integers. Integers keep nanoseconds and the
ends of the range, which Python's own objects lose.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa

from loaders.errors import ConfigError
from loaders.schema import Check

Range = tuple[int, int]
Integers = Sequence[int] | np.ndarray[Any, Any]

_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_DAY_SECONDS = 86_400
_EPOCH = dt.date(1970, 1, 1)
# Python's calendar minus one day, because a time zone can differ from UTC by almost a day.
_FIRST_DAY = (dt.date.min - _EPOCH).days + 1
_LAST_DAY = (dt.date.max - _EPOCH).days - 1


def full_range(arrow_type: pa.DataType) -> Range | None:
    """Return the smallest and largest integer of the type that pandas and Python can represent.

    None for types that are not stored as integers.
    """
    types = pa.types
    if types.is_boolean(arrow_type):
        return 0, 1
    if types.is_integer(arrow_type):
        bits = arrow_type.bit_width
        return (0, 2**bits - 1) if types.is_unsigned_integer(arrow_type) else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if types.is_decimal(arrow_type):
        return 1 - 10**arrow_type.precision, 10**arrow_type.precision - 1
    if types.is_date(arrow_type):
        return _FIRST_DAY, _LAST_DAY
    if types.is_time(arrow_type):
        return 0, _DAY_SECONDS * _PER_SECOND[arrow_type.unit] - 1
    if types.is_timestamp(arrow_type):
        seconds = (_FIRST_DAY * _DAY_SECONDS, (_LAST_DAY + 1) * _DAY_SECONDS)
        low, high = _within_int64(*(second * _PER_SECOND[arrow_type.unit] for second in seconds))
        # pandas converts to local time, which must be within the range too.
        margin = 0 if arrow_type.tz is None else _DAY_SECONDS * _PER_SECOND[arrow_type.unit]
        return low + margin, high - 1 - margin
    if types.is_duration(arrow_type):
        # Python's timedelta is limited to a thousand million days.
        most = 10**9 * _DAY_SECONDS * _PER_SECOND[arrow_type.unit] - 1
        return _within_int64(-most, most)
    return None


def usual_range(arrow_type: pa.DataType) -> Range:
    """Return a range of everyday values for a type that is stored as integers."""
    full = full_range(arrow_type)
    assert full is not None
    types = pa.types
    usual = full
    if types.is_integer(arrow_type):
        usual = (-1000, 1000)
    elif types.is_decimal(arrow_type):
        usual = (-1000 * 10**arrow_type.scale, 1000 * 10**arrow_type.scale) if arrow_type.scale >= 0 else full
    elif types.is_date(arrow_type):
        usual = _days(dt.date(2000, 1, 1), dt.date(2029, 12, 31))
    elif types.is_timestamp(arrow_type):
        first, last = _days(dt.date(2000, 1, 1), dt.date(2029, 12, 31))
        factor = _DAY_SECONDS * _PER_SECOND[arrow_type.unit]
        usual = (first * factor, last * factor)
    elif types.is_duration(arrow_type):
        usual = (0, 10 * _DAY_SECONDS * _PER_SECOND[arrow_type.unit])
    return max(usual[0], full[0]), min(usual[1], full[1])


def checked_range(arrow_type: pa.DataType, check: Check) -> Range | None:
    """Return the full range within a check; None for types that are not stored as integers."""
    full = full_range(arrow_type)
    if full is None:
        return None
    low, high = full
    if check.minimum is not None:
        low = max(low, math.ceil(_as_number(check.minimum, arrow_type)))
    if check.maximum is not None:
        high = min(high, math.floor(_as_number(check.maximum, arrow_type)))
    if low > high:
        raise ConfigError(f"No {arrow_type} lies between {check.minimum!r} and {check.maximum!r}.")
    return low, high


def from_integers(integers: Integers, arrow_type: pa.DataType) -> pa.Array:
    """Return the values of the type for integers in its unit."""
    types = pa.types
    if types.is_boolean(arrow_type):
        return pa.array(np.asarray(integers, dtype=np.bool_))
    if types.is_integer(arrow_type):
        return pa.array(np.asarray(integers, dtype=arrow_type.to_pandas_dtype()))
    if types.is_decimal(arrow_type):
        return _decimals(integers, arrow_type)
    stored = np.asarray(integers, dtype=np.int64)
    if types.is_date64(arrow_type):
        stored = stored * (_DAY_SECONDS * 1000)
    return pa.array(stored.astype(f"i{arrow_type.bit_width // 8}")).view(arrow_type)


def _within_int64(low: int, high: int) -> Range:
    # The smallest int64 is pandas' NaT.
    return max(low, 1 - 2**63), min(high, 2**63 - 1)


def _days(first: dt.date, last: dt.date) -> Range:
    return (first - _EPOCH).days, (last - _EPOCH).days


def _as_number(limit: Any, arrow_type: pa.DataType) -> Fraction:
    """Return a limit of a check in the integers of the type; it may be a fraction."""
    types = pa.types
    if types.is_decimal(arrow_type):
        return Fraction(limit) * Fraction(10) ** int(arrow_type.scale)
    if types.is_integer(arrow_type) or types.is_boolean(arrow_type):
        return Fraction(limit)
    unit, finest = _finest(arrow_type)
    if isinstance(limit, dt.date) and not isinstance(limit, dt.datetime):
        limit = dt.datetime.combine(limit, dt.time())
    value = int(pa.array([limit], type=finest).view(pa.int64())[0].as_py())
    return Fraction(value, unit)


def _finest(arrow_type: pa.DataType) -> tuple[int, pa.DataType]:
    """Return a type that can hold any Python limit, and the ratio of its unit to the type's."""
    types = pa.types
    if types.is_date(arrow_type):
        return _DAY_SECONDS * 10**6, pa.timestamp("us")
    # Python's objects have microseconds. Only limits of nanosecond types, as pandas scalars, need more.
    unit = "ns" if arrow_type.unit == "ns" else "us"
    if types.is_timestamp(arrow_type):
        finest: pa.DataType = pa.timestamp(unit, arrow_type.tz)
    else:
        finest = pa.time64(unit) if types.is_time(arrow_type) else pa.duration(unit)
    return _PER_SECOND[unit] // _PER_SECOND[arrow_type.unit], finest


def _decimals(integers: Integers, arrow_type: pa.DataType) -> pa.Array:
    size = arrow_type.bit_width // 8
    if isinstance(integers, np.ndarray) and integers.dtype == np.int64 and size >= 8:
        words = np.empty((len(integers), size // 8), dtype="<i8")
        words[:, 0] = integers
        words[:, 1:] = (integers >> 63)[:, None]  # the sign, in every higher word
        stored = words.tobytes()
    else:
        stored = b"".join(int(number).to_bytes(size, "little", signed=True) for number in integers)
    return pa.Array.from_buffers(arrow_type, len(integers), [None, pa.py_buffer(stored)])
