"""The pandas dtype of each Arrow type.

It depends on the field alone (type and nullability), never on the data, so that every format and source gives the same
frame. No column is `object`: types that numpy lacks stay in Arrow memory, because converting dates and decimals to
Python objects takes most of the time of `pandas.read_parquet`.

| Arrow | pandas, `nullable=False` | pandas, nullable |
|---|---|---|
| bool | bool | boolean |
| int8 … uint64 | int8 … uint64 | Int8 … UInt64 |
| float16, float32, float64 | the same, NaN is a value | the same, null is NaN |
| string, large_string, string_view | str | str |
| timestamp[unit, tz] | datetime64[unit, tz] | the same, null is NaT |
| duration[unit] | timedelta64[unit] | the same, null is NaT |
| date, time, decimal, binary, dictionary, list, struct, map | ArrowDtype | ArrowDtype |
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

PandasDtype = np.dtype[Any] | pd.api.extensions.ExtensionDtype

_MASKED: dict[pa.DataType, PandasDtype] = {
    pa.bool_(): pd.BooleanDtype(),
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
}


def is_text(arrow_type: pa.DataType) -> bool:
    """Return whether the type is text, in any layout."""
    return bool(
        pa.types.is_string(arrow_type) or pa.types.is_large_string(arrow_type) or pa.types.is_string_view(arrow_type)
    )


def is_supported(arrow_type: pa.DataType) -> bool:
    """Return whether a contract may use the type."""
    unsupported = (
        pa.types.is_null(arrow_type)
        or pa.types.is_union(arrow_type)
        or pa.types.is_run_end_encoded(arrow_type)
        or isinstance(arrow_type, pa.BaseExtensionType)
    )
    return not unsupported


def pandas_dtype(field: pa.Field) -> PandasDtype:
    """Return the pandas dtype of a field.

    >>> import pyarrow as pa
    >>> pandas_dtype(pa.field("signups", pa.int64()))
    Int64Dtype()
    >>> pandas_dtype(pa.field("signups", pa.int64(), nullable=False))
    dtype('int64')
    >>> pandas_dtype(pa.field("week", pa.date32()))
    date32[day][pyarrow]
    """
    arrow_type = field.type
    if arrow_type in _MASKED:
        return _MASKED[arrow_type] if field.nullable else _numpy_dtype(arrow_type)
    if pa.types.is_floating(arrow_type):
        return _numpy_dtype(arrow_type)
    if is_text(arrow_type):
        return pd.StringDtype("pyarrow", na_value=np.nan)
    if pa.types.is_timestamp(arrow_type):
        if arrow_type.tz is None:
            return np.dtype(f"datetime64[{arrow_type.unit}]")
        return pd.DatetimeTZDtype(arrow_type.unit, arrow_type.tz)
    if pa.types.is_duration(arrow_type):
        return np.dtype(f"timedelta64[{arrow_type.unit}]")
    return pd.ArrowDtype(arrow_type)


def storage_type(arrow_type: pa.DataType) -> pa.DataType:
    """Return the Arrow type that a column is cast to before it becomes its pandas dtype."""
    return pa.large_string() if is_text(arrow_type) else arrow_type


def _numpy_dtype(arrow_type: pa.DataType) -> np.dtype[Any]:
    dtype: np.dtype[Any] = np.dtype(arrow_type.to_pandas_dtype())
    return dtype
