"""pandas' dtypes and the arrays that belong to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from pandas._libs.sparse import BlockIndex, IntIndex
from pandas.arrays import (
    ArrowExtensionArray,
    ArrowStringArray,
    BooleanArray,
    DatetimeArray,
    FloatingArray,
    IntegerArray,
    IntervalArray,
    NumpyExtensionArray,
    PeriodArray,
    SparseArray,
    StringArray,
    TimedeltaArray,
)

from caching.codec.arrays import read_array, read_dtype, write_array, write_dtype
from caching.codec.arrow import read_chunked, read_type, write_chunks, write_type
from caching.codec.coder import Damaged, Decoder, Encoder, Node, NotExact, reads, writes

_MASKED: dict[str, Any] = {
    kind.name: kind
    for kind in (
        pd.Int8Dtype(), pd.Int16Dtype(), pd.Int32Dtype(), pd.Int64Dtype(), pd.UInt8Dtype(), pd.UInt16Dtype(),
        pd.UInt32Dtype(), pd.UInt64Dtype(), pd.Float32Dtype(), pd.Float64Dtype(), pd.BooleanDtype(),
    )
}  # fmt: skip


@writes(*map(type, _MASKED.values()), immutable=True)
def _write_masked_dtype(encoder: Encoder, value: Any) -> Node:
    return ["pd.masked-dtype", value.name]


@reads("pd.masked-dtype")
def _read_masked_dtype(decoder: Decoder, name: str) -> Any:
    return _MASKED[name]


@writes(pd.StringDtype, immutable=True)
def _write_string_dtype(encoder: Encoder, value: pd.StringDtype) -> Node:
    missing: Any = value.na_value
    return ["pd.string-dtype", value.storage, "NA" if missing is pd.NA else "nan"]


@reads("pd.string-dtype")
def _read_string_dtype(decoder: Decoder, storage: Any, missing: str) -> Any:
    return pd.StringDtype(storage, na_value=pd.NA if missing == "NA" else np.nan)


@writes(pd.ArrowDtype, immutable=True)
def _write_arrow_dtype(encoder: Encoder, value: pd.ArrowDtype) -> Node:
    return ["pd.arrow-dtype", write_type(value.pyarrow_dtype)]


@reads("pd.arrow-dtype")
def _read_arrow_dtype(decoder: Decoder, node: Node) -> pd.ArrowDtype:
    return pd.ArrowDtype(read_type(node))


@writes(pd.DatetimeTZDtype, immutable=True)
def _write_datetime_dtype(encoder: Encoder, value: pd.DatetimeTZDtype) -> Node:
    return ["pd.datetime-dtype", value.unit, encoder.encode(value.tz)]


@reads("pd.datetime-dtype")
def _read_datetime_dtype(decoder: Decoder, unit: Any, zone: Node) -> pd.DatetimeTZDtype:
    return pd.DatetimeTZDtype(unit, decoder.decode(zone))


@writes(pd.PeriodDtype, immutable=True)
def _write_period_dtype(encoder: Encoder, value: pd.PeriodDtype) -> Node:
    return ["pd.period-dtype", encoder.encode(value.freq)]


@reads("pd.period-dtype")
def _read_period_dtype(decoder: Decoder, freq: Node) -> pd.PeriodDtype:
    return pd.PeriodDtype(decoder.decode(freq))


@writes(pd.IntervalDtype, immutable=True)
def _write_interval_dtype(encoder: Encoder, value: Any) -> Node:
    return ["pd.interval-dtype", encoder.encode(value.subtype), value.closed]


@reads("pd.interval-dtype")
def _read_interval_dtype(decoder: Decoder, subtype: Node, closed: Any) -> Any:
    return pd.IntervalDtype(decoder.decode(subtype), closed)


@writes(pd.SparseDtype, immutable=True)
def _write_sparse_dtype(encoder: Encoder, value: Any) -> Node:
    return ["pd.sparse-dtype", write_dtype(value.subtype), encoder.encode(value.fill_value)]


@reads("pd.sparse-dtype")
def _read_sparse_dtype(decoder: Decoder, subtype: Node, fill_value: Node) -> Any:
    return pd.SparseDtype(read_dtype(subtype), decoder.decode(fill_value))


@writes(pd.CategoricalDtype)
def _write_category_dtype(encoder: Encoder, value: pd.CategoricalDtype) -> Node:
    return ["pd.category-dtype", encoder.encode(value.categories), value.ordered]


@reads("pd.category-dtype")
def _read_category_dtype(decoder: Decoder, categories: Node, ordered: bool) -> pd.CategoricalDtype:
    return pd.CategoricalDtype(decoder.decode(categories), ordered)


@writes(IntegerArray, FloatingArray, BooleanArray)
def _write_masked(encoder: Encoder, value: Any) -> Node:
    return [
        "pd.masked",
        value.dtype.name,
        write_array(encoder, value._data),
        write_array(encoder, value._mask),
    ]


@reads("pd.masked")
def _read_masked(decoder: Decoder, name: str, data: Node, mask: Node) -> Any:
    kind = _MASKED[name]
    values, missing = read_array(decoder, data), read_array(decoder, mask)
    if values.dtype != kind.numpy_dtype or missing.dtype != bool:
        raise Damaged(f"the parts of a {name} array are of other types")
    return kind.construct_array_type()(values, missing)


@writes(DatetimeArray, TimedeltaArray, PeriodArray)
def _write_datelike(encoder: Encoder, value: Any) -> Node:
    # Until pandas 3.0 these arrays had a freq of their own; since 3.1 only their index has.
    freq = None if type(value) is PeriodArray else getattr(value, "_freq", None)
    dtype = None if type(value.dtype) is not pd.DatetimeTZDtype and freq is None else value.dtype
    if type(value) is PeriodArray:
        dtype = value.dtype
    kind = type(value).__name__
    return [
        f"pd.{kind}",
        write_array(encoder, value._ndarray),
        _write_any_dtype(encoder, dtype),
        encoder.encode(freq),
    ]


def _write_any_dtype(encoder: Encoder, dtype: Any) -> Node:
    return None if dtype is None else encoder.encode(dtype)


def _read_datelike(kind: Any, decoder: Decoder, array: Node, dtype: Node, freq: Node) -> Any:
    values = read_array(decoder, array)
    result = kind._simple_new(values, dtype=values.dtype if dtype is None else decoder.decode(dtype))
    if freq is not None:
        result._freq = decoder.decode(freq)
    return result


@reads("pd.DatetimeArray")
def _read_datetimes(decoder: Decoder, array: Node, dtype: Node, freq: Node) -> Any:
    return _read_datelike(DatetimeArray, decoder, array, dtype, freq)


@reads("pd.TimedeltaArray")
def _read_timedeltas(decoder: Decoder, array: Node, dtype: Node, freq: Node) -> Any:
    return _read_datelike(TimedeltaArray, decoder, array, dtype, freq)


@reads("pd.PeriodArray")
def _read_periods(decoder: Decoder, array: Node, dtype: Node, freq: Node) -> Any:
    return _read_datelike(PeriodArray, decoder, array, dtype, freq)


@writes(pd.Categorical)
def _write_categorical(encoder: Encoder, value: pd.Categorical) -> Node:
    return ["pd.categorical", write_array(encoder, value._codes), encoder.encode(value.dtype)]  # type: ignore[attr-defined]


@reads("pd.categorical")
def _read_categorical(decoder: Decoder, codes: Node, dtype: Node) -> pd.Categorical:
    # Validated: codes out of range would read foreign memory.
    return pd.Categorical.from_codes(read_array(decoder, codes), dtype=decoder.decode(dtype))


@writes(IntervalArray)
def _write_intervals(encoder: Encoder, value: Any) -> Node:
    return [
        "pd.intervals",
        encoder.encode(value._left),
        encoder.encode(value._right),
        encoder.encode(value.dtype),
    ]


@reads("pd.intervals")
def _read_intervals(decoder: Decoder, left: Node, right: Node, dtype: Node) -> Any:
    lower, upper, kind = decoder.decode(left), decoder.decode(right), decoder.decode(dtype)
    if type(kind) is not pd.IntervalDtype or len(lower) != len(upper):
        raise Damaged("the sides of an array of intervals do not match")
    return IntervalArray._simple_new(lower, upper, dtype=kind)  # type: ignore[attr-defined]


@writes(SparseArray)
def _write_sparse(encoder: Encoder, value: Any) -> Node:
    index: Any = value.sp_index
    parts: list[Any]
    if isinstance(value.sp_index, IntIndex):
        parts = [index.indices]
    elif isinstance(value.sp_index, BlockIndex):
        parts = [index.blocs, index.blengths]
    else:
        raise NotExact(f"it contains a sparse array with a {type(index).__name__}")
    nodes = [write_array(encoder, part) for part in parts]
    return [
        "pd.sparse",
        write_array(encoder, value.sp_values),
        index.length,
        nodes,
        encoder.encode(value.dtype),
    ]


@reads("pd.sparse")
def _read_sparse(decoder: Decoder, values: Node, length: int, parts: list[Node], dtype: Node) -> Any:
    make: Any = IntIndex if len(parts) == 1 else BlockIndex
    index = make(length, *(read_array(decoder, part) for part in parts))
    dense, kind = read_array(decoder, values), decoder.decode(dtype)
    if len(dense) != index.npoints or type(kind) is not pd.SparseDtype or kind.subtype != dense.dtype:
        raise Damaged("the values of a sparse array do not match its positions")
    return SparseArray._simple_new(dense, index, kind)  # type: ignore[attr-defined]


@writes(ArrowExtensionArray, ArrowStringArray)
def _write_arrow(encoder: Encoder, value: Any) -> Node:
    chunked = value._pa_array
    return ["pd.arrow", write_chunks(encoder, chunked.type, chunked.chunks), encoder.encode(value.dtype)]


@reads("pd.arrow")
def _read_arrow(decoder: Decoder, chunks: Node, dtype: Node) -> Any:
    chunked, kind = read_chunked(decoder, chunks), decoder.decode(dtype)
    if type(kind) is pd.StringDtype:
        return ArrowStringArray(chunked, dtype=kind)  # type: ignore[call-arg]
    return ArrowExtensionArray(chunked)


@writes(StringArray)
def _write_strings(encoder: Encoder, value: Any) -> Node:
    return ["pd.strings", write_array(encoder, value._ndarray), encoder.encode(value.dtype)]


@reads("pd.strings")
def _read_strings(decoder: Decoder, array: Node, dtype: Node) -> Any:
    return StringArray(read_array(decoder, array), dtype=decoder.decode(dtype))  # type: ignore[call-arg]


@writes(NumpyExtensionArray)
def _write_numpy(encoder: Encoder, value: Any) -> Node:
    return ["pd.numpy", write_array(encoder, value._ndarray)]


@reads("pd.numpy")
def _read_numpy(decoder: Decoder, array: Node) -> Any:
    return NumpyExtensionArray(read_array(decoder, array))
