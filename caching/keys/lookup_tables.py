"""Encode arrays and tables by dtype, shape, order, index, names and attributes, not by memory layout.

Nothing is imported here before a value of its library is met: by then the library is loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from caching.keys.values import Encoder, UnhashableError, buffer, frame, type_name

# Where pyarrow keeps its data sets, file systems and open files.
_HANDLES = tuple(f"pyarrow._{name}" for name in ("dataset", "fs", "s3fs", "gcsfs", "azurefs", "hdfs", "parquet"))
# The stubs of these libraries lack what is asked here, so nothing is narrowed.
_is: Callable[[Any, Any], bool] = isinstance


def is_known(value: object) -> bool:
    """Return whether a value is of one of the libraries of arrays and tables."""
    return _encode_kind(value) is not None


def _encode_kind(value: object) -> Callable[[Encoder, Any], bytes | None] | None:
    module = type(value).__module__
    return _BY_PACKAGE.get(module.partition(".")[0]) if isinstance(module, str) else None


def encode(encoder: Encoder, value: Any) -> bytes | None:
    """Return a value of numpy, pandas, pyarrow or polars; None where it is none of the kinds known here."""
    encode_kind = _encode_kind(value)
    encoded = None if encode_kind is None else encode_kind(encoder, value)
    return None if encoded is None else frame(b"V", type_name(type(value)).encode()) + encoded


def _numpy(encoder: Encoder, value: Any) -> bytes | None:
    import numpy as np

    if _is(value, np.ma.MaskedArray):
        parts = (np.asarray(value.filled()), np.ma.getmaskarray(value), value.fill_value)
        return encoder.encode(parts)
    if _is(value, np.ndarray):
        return encoder.nested(value, lambda: _array(encoder, np.asarray(value)))
    if _is(value, np.dtype):
        return encoder.encode((value.str, repr(value)))
    if _is(value, np.generic):
        return encoder.encode(value.dtype) + _array(encoder, np.asarray(value))
    if _is(value, np.random.Generator):
        return encoder.encode(value.bit_generator.state)
    if _is(value, np.random.RandomState):
        return encoder.encode(value.get_state(legacy=False))
    if _is(value, np.ufunc):
        return frame(b"", value.__name__.encode())
    return None


def _array(encoder: Encoder, value: Any) -> bytes:
    head = encoder.encode((value.dtype.str, repr(value.dtype) if value.dtype.names else "", value.shape))
    if value.dtype.hasobject or value.dtype.kind == "T":
        return head + encoder.encode_all(b"o", value.ravel().tolist())
    import numpy as np

    if value.dtype.kind in "fc":
        # All NaN are one; every other bit counts, also the sign of zero.
        missing = np.isnan(value)
        if missing.any():
            value = np.where(missing, value.dtype.type("nan"), value)
    flat = np.ascontiguousarray(value).reshape(-1)
    return head + buffer(b"", flat.view(np.uint8).data if flat.size and flat.itemsize else b"")


def _pandas(encoder: Encoder, value: Any) -> bytes | None:
    import pandas as pd

    if _is(value, pd.DataFrame):
        columns = [_column(encoder, value._ixs(i, axis=1).array) for i in range(value.shape[1])]
        head = encoder.encode((value.attrs, value.flags.allows_duplicate_labels, value.index, value.columns))
        return head + b"".join(columns)
    if _is(value, pd.Series):
        head = encoder.encode((value.name, value.attrs, value.flags.allows_duplicate_labels, value.index))
        return head + _column(encoder, value.array)
    if _is(value, pd.RangeIndex):
        return encoder.encode((value.start, value.stop, value.step, value.name))
    if _is(value, pd.MultiIndex):
        return encoder.encode((list(value.names), list(value.levels), list(value.codes)))
    if _is(value, pd.Index):
        return encoder.encode((value.name, getattr(value, "freqstr", None))) + _column(encoder, value.array)
    if _is(value, pd.api.extensions.ExtensionArray):
        return _column(encoder, value)
    if _is(value, pd.api.extensions.ExtensionDtype):
        return _dtype(encoder, value)
    if value is pd.NaT or value is pd.NA:
        return b""
    if _is(value, pd.Timestamp):
        return encoder.encode(
            (value.as_unit("ns").value if _fits(value) else str(value), value.unit, value.tz, value.fold)
        )
    if _is(value, pd.Timedelta):
        return encoder.encode((value.unit, str(value.asm8)))
    if _is(value, pd.Period):
        return encoder.encode((value.ordinal, value.freqstr))
    if _is(value, pd.Interval):
        return encoder.encode((value.left, value.right, value.closed))
    if _is(value, pd.offsets.BaseOffset):
        return encoder.encode(
            (value.freqstr, value.n, value.normalize, sorted(value.kwds.items(), key=lambda item: item[0]))
        )
    return None


def _fits(value: Any) -> bool:
    try:
        value.as_unit("ns")
    except Exception:  # noqa: BLE001 - OutOfBoundsDatetime, wherever the release keeps it
        return False
    return True


def _dtype(encoder: Encoder, dtype: Any) -> bytes:
    import pandas as pd

    if _is(dtype, pd.CategoricalDtype):
        return encoder.encode(("category", dtype.ordered, dtype.categories))
    # The storage of a string dtype and the missing value it shows are not in its name.
    extra = [getattr(dtype, name, None) for name in ("storage", "fill_value", "subtype", "closed")]
    missing = repr(getattr(dtype, "na_value", None))
    return encoder.encode((type_name(type(dtype)), str(dtype), missing, *(repr(item) for item in extra)))


def _column(encoder: Encoder, array: Any) -> bytes:
    """Return the array of one column, of any frame library."""
    import numpy as np
    import pandas as pd

    head = _dtype(encoder, array.dtype)
    if _is(array, pd.arrays.NumpyExtensionArray):
        return head + encoder.encode(array.to_numpy())
    if _is(array, pd.Categorical):
        return head + encoder.encode(array.codes)
    if _is(array, pd.arrays.DatetimeArray | pd.arrays.TimedeltaArray | pd.arrays.PeriodArray):
        return head + encoder.encode((array.asi8, getattr(array, "freqstr", None)))
    if _is(array, pd.arrays.IntervalArray):
        return head + encoder.encode((array.left, array.right))
    if _is(array, pd.arrays.SparseArray):
        return head + encoder.encode((array.sp_values, array.sp_index.indices, array.fill_value, len(array)))
    if hasattr(array, "_pa_array"):
        return head + _arrow_array(array._pa_array)
    if hasattr(array, "_mask"):
        mask = np.asarray(array._mask)
        # What lies under the mask cannot be seen.
        return head + encoder.encode((np.where(mask, array._data.dtype.type(0), array._data), mask))
    return head + encoder.encode(np.asarray(array, dtype=object))


def _arrow_array(value: Any) -> bytes:
    import pyarrow as pa

    chunked = value if _is(value, pa.ChunkedArray) else pa.chunked_array([value])
    return _arrow_table(pa.table({"": chunked}))


def _arrow_table(table: Any) -> bytes:
    """Encode schema and content as an Arrow stream, independent of its chunks."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    table = table.combine_chunks()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return frame(b"", str(table.schema.to_string(show_schema_metadata=False)).encode()) + buffer(b"", sink.getvalue())


def _pyarrow(encoder: Encoder, value: Any) -> bytes | None:
    import pyarrow as pa

    if _is(value, pa.Table):
        return _arrow_table(value)
    if _is(value, pa.RecordBatch):
        return _arrow_table(pa.Table.from_batches([value]))
    if _is(value, pa.Array | pa.ChunkedArray):
        return encoder.encode(str(value.type)) + _arrow_array(value)
    if _is(value, pa.Scalar):
        return encoder.encode(str(value.type)) + _arrow_array(pa.array([value.as_py()], value.type))
    if _is(value, pa.Schema):
        return frame(b"", bytes(value.serialize()))
    if _is(value, pa.Field):
        return frame(b"", bytes(pa.schema([value]).serialize()))
    if _is(value, pa.DataType):
        return frame(b"", bytes(pa.schema([pa.field("", value)]).serialize()))
    if _is(value, pa.Buffer):
        return buffer(b"", memoryview(value))
    if type(value).__module__.startswith(_HANDLES):
        raise UnhashableError(value, "names files, not what they hold; pass their path and open it in the function")
    return None


def _handle(encoder: Encoder, value: Any) -> bytes | None:
    raise UnhashableError(value, "names a store, not what it holds; pass a URL and open it in the function")


def _polars(encoder: Encoder, value: Any) -> bytes | None:
    import io

    import polars as pl

    if _is(value, pl.Series):
        return encoder.encode((value.name, value.to_frame()))
    if _is(value, pl.DataFrame):
        sink = io.BytesIO()
        value.rechunk().write_ipc_stream(sink)
        return frame(b"", repr(value.schema).encode()) + buffer(b"", sink.getbuffer())
    if _is(value, pl.DataType) or (_is(value, type) and issubclass(value, pl.DataType)):
        return frame(b"", repr(value).encode())
    if _is(value, pl.LazyFrame):
        raise UnhashableError(value, "names a computation, not data; collect() it")
    return None


_BY_PACKAGE = {"numpy": _numpy, "pandas": _pandas, "pyarrow": _pyarrow, "polars": _polars, "obstore": _handle}
