"""Convert pandas columns to Arrow arrays and back without loss."""

from __future__ import annotations

import datetime as dt
import decimal
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from loaders.conforming.exact_cast import (
    InexactError,
    KindError,
    cast_violation,
    exact_cast,
    failing_rows,
    kind,
    type_name,
)
from loaders.conforming.violation import MAX_EXAMPLES, Violation
from loaders.schema.dtypes import PandasDtype

_SMALLEST_INT64 = np.iinfo(np.int64).min


class BrokenColumnError(Exception):
    """Raised for a column with values that the contract's type cannot represent."""

    def __init__(self, violation: Violation) -> None:
        super().__init__(violation.rule)
        self.violation = violation


def arrow_column(series: pd.Series[Any], field: pa.Field) -> pa.ChunkedArray:
    """Return a pandas column in the type of the field, each value unchanged; missing values are null.

    Raises:
        BrokenColumnError: a value would change, does not fit, or is of another kind.
    """
    dtype = series.dtype
    if dtype == np.dtype(object):
        return _objects_to_arrow(series, field)
    is_numpy = isinstance(dtype, np.dtype)
    try:
        array = pa.array(series, from_pandas=not is_numpy or dtype.kind in "mM")
    except (pa.ArrowException, TypeError, NotImplementedError):
        rule = f"expected {type_name(field.type)}, found pandas {dtype}"
        raise BrokenColumnError(Violation(field.name, rule)) from None
    values = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
    if is_numpy and pa.types.is_floating(values.type) and _holds_no_value(values):
        # pandas uses this dtype for every column that is empty or has only missing values.
        return pa.chunked_array([pa.nulls(len(values), field.type)])
    if field.nullable and is_numpy and pa.types.is_floating(values.type) and values.type != field.type:
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    try:
        return exact_cast(values, field.type)
    except InexactError as error:
        raise BrokenColumnError(cast_violation(field.name, values, field.type, error)) from None


def _objects_to_arrow(series: pd.Series[Any], field: pa.Field) -> pa.ChunkedArray:
    objects = [None if _is_null(value) else _unboxed(value) for value in series]
    meaning = kind(field.type.value_type if pa.types.is_dictionary(field.type) else field.type)
    accepts = _ACCEPTED.get(meaning, lambda value: True)
    refused = [row for row, value in enumerate(objects) if value is not None and not accepts(value)]
    if refused:
        names = ", ".join(
            sorted({_KIND_NAMES.get(name, name) for name in (type(objects[r]).__name__ for r in refused)})
        )
        raise BrokenColumnError(_violation(field, f"expected {type_name(field.type)}, found {names}", refused, objects))
    if plain := _PLAIN.get(meaning):
        objects = [None if value is None else plain(value) for value in objects]
    try:
        return _converted(objects, field.type, meaning)
    except KindError as error:
        raise BrokenColumnError(Violation(field.name, str(error))) from None
    except InexactError:
        rows, all_found = failing_rows(
            len(objects), lambda start, end: _converted(objects[start:end], field.type, meaning)
        )
        rule = f"values that are not exact {type_name(field.type)}"
        raise BrokenColumnError(_violation(field, rule, rows, objects, counted_all=all_found)) from None


def _converted(objects: list[Any], target: pa.DataType, meaning: str) -> pa.ChunkedArray:
    """Return the objects in the type, or raise InexactError if one of them would not convert back unchanged."""
    value_type = target.value_type if pa.types.is_dictionary(target) else target
    try:
        # Arrow chooses the type of decimals, because it chooses one that is wide enough.
        values = pa.chunked_array([pa.array(objects, type=None if meaning == "decimal" else value_type)])
        typed = exact_cast(values, target)
    except KindError:
        raise
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise InexactError(str(error)) from None
    # With a given type, Arrow silently drops fractions, nanoseconds and unknown keys.
    if meaning not in _TAKEN_EXACTLY and not all(map(_is_same, objects, values.to_pylist())):
        raise InexactError(f"a value is not an exact {type_name(target)}")
    return typed


def _is_same(given: Any, taken: Any) -> bool:
    """Return whether Arrow's value equals the object it was made from."""
    if taken is None:
        return _is_null(given)
    if isinstance(taken, dict):
        return set(given) <= set(taken) and all(_is_same(given.get(name), taken[name]) for name in taken)
    if isinstance(taken, list | tuple):
        items = list(given.items() if isinstance(given, Mapping) else given)
        return len(items) == len(taken) and all(map(_is_same, items, taken))
    if isinstance(taken, dt.datetime) and taken.tzinfo is not None:
        # Python's datetimes of different zones are never equal in an hour that a clock repeats.
        return given.tzinfo is not None and bool(given.astimezone(dt.UTC) == taken.astimezone(dt.UTC))
    return bool(given == taken) or (given != given and taken != taken)


def _unboxed(value: Any) -> Any:
    """Return numpy's times as pandas' scalars, which have date and time fields."""
    try:
        if isinstance(value, np.datetime64):
            return pd.Timestamp(value)
        return pd.Timedelta(value) if isinstance(value, np.timedelta64) else value
    except (ValueError, OverflowError):
        return value


def _whole(number: Any) -> Any:
    """Return the integer value of a float or decimal; one with a fraction is returned unchanged."""
    return int(number) if not isinstance(number, int) and math.isfinite(number) and number == int(number) else number


def _floating(number: Any) -> Any:
    """Return the float whose text equals a decimal's; return other values unchanged."""
    if not isinstance(number, decimal.Decimal):
        return number
    written = float(number)
    return written if _decimal(written) == number else number


def _decimal(number: Any) -> decimal.Decimal:
    """Return a number as a decimal; a float becomes the decimal of its shortest text."""
    is_float = isinstance(number, float | np.floating)
    return decimal.Decimal(str(number) if is_float else int(number) if isinstance(number, np.integer) else number)


_TAKEN_EXACTLY = ("text", "bool", "binary")


def _holds_no_value(values: pa.ChunkedArray) -> bool:
    return bool(pc.all(pc.is_null(values, nan_is_null=True), min_count=0).as_py())


def _violation(
    field: pa.Field, rule: str, rows: list[int], objects: list[Any], *, counted_all: bool = True
) -> Violation:
    examples = tuple((row, objects[row]) for row in rows[:MAX_EXAMPLES])
    return Violation(field.name, rule, len(rows), examples, counted_all)


def _plain_date(value: Any) -> Any:
    """Return midnights as dates; other times are returned unchanged."""
    if isinstance(value, dt.datetime) and value.tzinfo is None and value == dt.datetime.combine(value, dt.time()):
        return value.date()
    return _NotADate(value) if isinstance(value, dt.datetime) else value


def _with_time(value: Any) -> Any:
    is_date = isinstance(value, dt.date) and not isinstance(value, dt.datetime)
    return dt.datetime.combine(value, dt.time()) if is_date else value


class _NotADate:
    """Hides a datetime from Arrow, which would take its date and drop the time of day."""

    def __init__(self, value: dt.datetime) -> None:
        self._value = value

    def __repr__(self) -> str:
        return repr(self._value)


def _is_instance(*types: type, without: tuple[type, ...] = ()) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, types) and not isinstance(value, without)


def _is_local_time(value: Any) -> bool:
    return isinstance(value, dt.date) and getattr(value, "tzinfo", None) is None


_KIND_NAMES = {"str": "text", "bool": "bool", "bool_": "bool"}
_PLAIN: dict[str, Callable[[Any], Any]] = {
    "integer": _whole,
    "float": _floating,
    "decimal": _decimal,
    "date": _plain_date,
    "local time": _with_time,
}
_is_number = _is_instance(int, np.integer, float, np.floating, decimal.Decimal, without=(bool,))
_ACCEPTED: dict[str, Callable[[Any], bool]] = {
    "bool": _is_instance(bool, np.bool_),
    "integer": _is_number,
    "float": _is_number,
    "decimal": _is_number,
    "text": _is_instance(str),
    "binary": _is_instance(bytes),
    "date": _is_instance(dt.date),
    "time": _is_instance(dt.time),
    "duration": _is_instance(dt.timedelta),
    "local time": _is_local_time,
    "instant": lambda value: isinstance(value, dt.datetime) and value.tzinfo is not None,
}


def _is_null(value: Any) -> bool:
    if isinstance(value, decimal.Decimal):
        return value.is_nan()
    if isinstance(value, float | np.floating | np.datetime64 | np.timedelta64):
        return bool(value != value)
    return value is None or value is pd.NA or value is pd.NaT


def pandas_column(values: pa.ChunkedArray, dtype: PandasDtype) -> Any:
    """Return Arrow values of a contract's type as an array of the contract's dtype, which the caller may write to.

    The array never shares memory with the source: numpy dtypes are copied, and Arrow memory is immutable.
    """
    if isinstance(dtype, np.dtype):
        return _numpy_column(values, dtype)
    if isinstance(dtype, pd.DatetimeTZDtype):
        local = _numpy_column(values, np.dtype(f"datetime64[{dtype.unit}]"))
        return pd.DatetimeIndex(local).tz_localize("UTC").tz_convert(dtype.tz).array
    if isinstance(dtype, pd.ArrowDtype):
        return pd.arrays.ArrowExtensionArray(values)
    return dtype.__from_arrow__(values)  # type: ignore[attr-defined]  # masked and string dtypes have it


def _numpy_column(values: pa.ChunkedArray, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Return the values in one writable numpy array; a null is NaN or NaT."""
    array = np.empty(len(values), dtype)
    start = 0
    for chunk in values.chunks:
        part = array[start : start + len(chunk)]
        start += len(chunk)
        if dtype.kind in "mM":
            part.view(np.int64)[:] = chunk.view(pa.int64()).fill_null(_SMALLEST_INT64).to_numpy(zero_copy_only=False)
        elif chunk.null_count or dtype.kind == "b":
            part[:] = chunk.to_numpy(zero_copy_only=False)
        else:
            # The first call of `to_numpy` is slow, because Arrow then looks for pandas.
            part[:] = np.from_dlpack(chunk)
    return array
