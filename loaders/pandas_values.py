"""Between pandas columns and Arrow arrays, both ways without loss."""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from loaders.dtypes import PandasDtype
from loaders.exact_cast import InexactError, KindError, exact_cast, kind
from loaders.violation import MAX_EXAMPLES, Violation

_SMALLEST_INT64 = np.iinfo(np.int64).min


class MixedError(KindError):
    """Some of the Python objects in a column are of another kind than the contract's."""

    def __init__(self, violation: Violation) -> None:
        super().__init__(violation.rule)
        self.violation = violation


def arrow_column(series: pd.Series[Any], field: pa.Field) -> pa.ChunkedArray:
    """Return the values of a pandas column in the type of the field, each unaltered; pandas' missing values are null.

    Raises:
        InexactError: a value would change, does not fit, or is of another kind.
    """
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        series = series.astype(dtype.categories.dtype)
        dtype = series.dtype
    if dtype == np.dtype(object):
        return _objects_to_arrow(series, field)
    try:
        values = pa.array(series, from_pandas=not isinstance(dtype, np.dtype) or dtype.kind in "mM")
    except (pa.ArrowException, TypeError, NotImplementedError):
        raise KindError(f"expected {field.type}, found pandas {dtype}") from None
    except UnicodeError as error:
        raise InexactError(f"text that is not valid Unicode: {error}") from None
    chunked = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])
    if field.nullable and isinstance(dtype, np.dtype) and not field.type.equals(chunked.type) and dtype.kind == "f":
        chunked = pc.if_else(pc.is_nan(chunked), pa.scalar(None, chunked.type), chunked)
    return exact_cast(chunked, field.type)


def _objects_to_arrow(series: pd.Series[Any], field: pa.Field) -> pa.ChunkedArray:
    objects = series.to_numpy()
    missing = pd.isna(objects) if not pa.types.is_nested(field.type) else np.array([_is_null(o) for o in objects])
    accepted = _ACCEPTED.get(kind(_value_type(field.type)))
    if accepted is not None:
        _refuse_others(field, objects, missing, accepted)
    present = objects.copy()
    present[missing] = None
    try:
        # Inference may narrow (a datetime among dates loses its time of day), so the type is always given.
        values = pa.array(present, type=_object_type(field.type, present))
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise InexactError(f"objects that are no exact {field.type}: {_first_line(error)}") from None
    return exact_cast(pa.chunked_array([values]), field.type)


def _value_type(arrow_type: pa.DataType) -> pa.DataType:
    return arrow_type.value_type if pa.types.is_dictionary(arrow_type) else arrow_type


def _object_type(arrow_type: pa.DataType, objects: Iterable[Any]) -> pa.DataType | None:
    """Return the Arrow type that holds the objects before the exact cast; it must not lose anything itself."""
    value_type = _value_type(arrow_type)
    name = kind(value_type)
    if name == "decimal":
        return None  # inferred: digits and scale of the Decimals themselves
    if name == "integer" and any(isinstance(value, float) for value in objects):
        return pa.float64()
    if name == "date" and any(isinstance(value, dt.datetime) for value in objects):
        return pa.timestamp("ns")
    return value_type


def _refuse_others(
    field: pa.Field, objects: np.ndarray[Any, Any], missing: np.ndarray[Any, Any], accepted: Callable[[Any], bool]
) -> None:
    refused = [row for row in np.flatnonzero(~missing) if not accepted(objects[row])]
    if refused:
        kinds = sorted({type(objects[row]).__name__ for row in refused})[:MAX_EXAMPLES]
        examples = tuple((int(row), objects[row]) for row in refused[:MAX_EXAMPLES])
        rule = f"expected {field.type}, found {', '.join(kinds)}"
        raise MixedError(Violation(field.name, rule, len(refused), examples))


def _is_instance(*types: type, without: tuple[type, ...] = ()) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, types) and not isinstance(value, without)


_ACCEPTED: dict[str, Callable[[Any], bool]] = {
    "bool": _is_instance(bool, np.bool_),
    "integer": _is_instance(int, np.integer, float, np.floating, without=(bool,)),
    "float": _is_instance(int, np.integer, float, np.floating, without=(bool,)),
    "decimal": _is_instance(decimal.Decimal, int, np.integer, without=(bool,)),
    "text": _is_instance(str),
    "binary": _is_instance(bytes),
    "date": _is_instance(dt.date),
    "time": _is_instance(dt.time),
    "duration": _is_instance(dt.timedelta, np.timedelta64),
    "local time": lambda value: isinstance(value, np.datetime64) or _is_datetime(value, aware=False),
    "instant": lambda value: _is_datetime(value, aware=True),
}


def _is_datetime(value: Any, *, aware: bool) -> bool:
    return isinstance(value, dt.datetime) and (value.tzinfo is not None) == aware


def _is_null(value: Any) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and value != value)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


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
