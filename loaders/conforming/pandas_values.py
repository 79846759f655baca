"""Between pandas columns and Arrow arrays, both ways without loss."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from loaders.conforming.exact_cast import InexactError, cast_violation, exact_cast, failing_rows, kind, type_name
from loaders.conforming.violation import MAX_EXAMPLES, Violation
from loaders.contract.dtypes import PandasDtype

_SMALLEST_INT64 = np.iinfo(np.int64).min


class BrokenColumnError(Exception):
    """A column holds what the contract's type cannot mean."""

    def __init__(self, violation: Violation) -> None:
        super().__init__(violation.rule)
        self.violation = violation


def arrow_column(series: pd.Series[Any], field: pa.Field) -> pa.ChunkedArray:
    """Return the values of a pandas column in the type of the field, each unaltered; pandas' missing values are null.

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
    if field.nullable and is_numpy and pa.types.is_floating(values.type) and values.type != field.type:
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    try:
        return exact_cast(values, field.type)
    except InexactError as error:
        raise BrokenColumnError(cast_violation(field.name, values, field.type, error)) from None


def _objects_to_arrow(series: pd.Series[Any], field: pa.Field) -> pa.ChunkedArray:
    objects = [None if _is_null(value) else value for value in series]
    meaning = kind(field.type.value_type if pa.types.is_dictionary(field.type) else field.type)
    accepts = _ACCEPTED.get(meaning, lambda value: True)
    refused = [row for row, value in enumerate(objects) if value is not None and not accepts(value)]
    if refused:
        names = ", ".join(
            sorted({_KIND_NAMES.get(name, name) for name in (type(objects[r]).__name__ for r in refused)})
        )
        raise BrokenColumnError(_violation(field, f"expected {type_name(field.type)}, found {names}", refused, objects))
    if meaning == "date":
        objects = [_plain_date(value) for value in objects]
    elif meaning == "local time":
        objects = [_with_time(value) for value in objects]
    try:
        return _converted(objects, field.type, meaning)
    except InexactError:
        rows, all_found = failing_rows(
            len(objects), lambda start, end: _converted(objects[start:end], field.type, meaning)
        )
        rule = f"values that are no exact {type_name(field.type)}"
        raise BrokenColumnError(_violation(field, rule, rows, objects, counted_all=all_found)) from None


def _converted(objects: list[Any], target: pa.DataType, meaning: str) -> pa.ChunkedArray:
    """Return the objects in the type; Arrow's inference may lose something, so that it is left to decimals alone."""
    value_type = target.value_type if pa.types.is_dictionary(target) else target
    through = value_type
    if meaning == "decimal":
        through = None
        objects = [None if value is None else decimal.Decimal(value) for value in objects]
    elif meaning == "integer" and any(isinstance(value, float) for value in objects):
        objects = [int(value) if isinstance(value, float) and value.is_integer() else value for value in objects]
    try:
        return exact_cast(pa.chunked_array([pa.array(objects, type=through)]), target)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise InexactError(str(error)) from None


def _violation(
    field: pa.Field, rule: str, rows: list[int], objects: list[Any], *, counted_all: bool = True
) -> Violation:
    examples = tuple((row, objects[row]) for row in rows[:MAX_EXAMPLES])
    return Violation(field.name, rule, len(rows), examples, counted_all)


def _plain_date(value: Any) -> Any:
    """Return midnights as dates; another time of day stays, to be refused."""
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


_KIND_NAMES = {"str": "text", "bool": "bool", "bool_": "bool"}
_ACCEPTED: dict[str, Callable[[Any], bool]] = {
    "bool": _is_instance(bool, np.bool_),
    "integer": _is_instance(int, np.integer, float, np.floating, without=(bool,)),
    "float": _is_instance(int, np.integer, float, np.floating, without=(bool,)),
    "decimal": _is_instance(decimal.Decimal, int, without=(bool,)),
    "text": _is_instance(str),
    "binary": _is_instance(bytes),
    "date": _is_instance(dt.date),
    "time": _is_instance(dt.time),
    "duration": _is_instance(dt.timedelta, np.timedelta64),
    "local time": lambda value: isinstance(value, np.datetime64) or _is_local_time(value),
    "instant": lambda value: isinstance(value, dt.datetime) and value.tzinfo is not None,
}


def _is_local_time(value: Any) -> bool:
    return isinstance(value, dt.date) and getattr(value, "tzinfo", None) is None


def _is_null(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)


def pandas_column(values: pa.ChunkedArray, dtype: PandasDtype) -> Any:
    """Return Arrow values of a contract's type as an array of the contract's dtype, which the caller may write to.

    The memory is never shared with the source: numpy dtypes are copied, what stays in Arrow is immutable.
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
        else:
            part[:] = chunk.to_numpy(zero_copy_only=False)
    return array
