"""Whether two values are the same to the last observable detail: stricter than any library's own equality."""

from __future__ import annotations

import struct
from collections import deque
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa


def assert_same(left: Any, right: Any, path: str = "value") -> None:
    """Fail with the path to the first difference."""
    assert type(left) is type(right), f"{path}: {type(left)} became {type(right)}"
    if isinstance(left, pd.DataFrame):
        _assert_same_frame(left, right, path)
    elif isinstance(left, pd.Series):
        _assert_same_series(left, right, path)
    elif isinstance(left, pd.Index):
        _assert_same_index(left, right, path)
    elif isinstance(left, pd.api.extensions.ExtensionArray):
        _assert_same_extension_array(left, right, path)
    elif isinstance(left, np.ndarray):
        _assert_same_array(left, right, path)
    elif isinstance(left, pa.Table | pa.RecordBatch | pa.ChunkedArray | pa.Array):
        _assert_same_arrow(left, right, path)
    elif isinstance(left, pa.Schema | pa.Field):
        assert left.equals(right, check_metadata=True), path
    elif isinstance(left, list | tuple | deque | pd.core.indexes.frozen.FrozenList):
        assert len(left) == len(right), path
        for number, (one, other) in enumerate(zip(left, right, strict=True)):
            assert_same(one, other, f"{path}[{number}]")
    elif isinstance(left, dict):
        assert_same(list(left), list(right), f"{path}.keys")
        assert_same(list(left.values()), list(right.values()), f"{path}.values")
    elif isinstance(left, set | frozenset):
        rest = list(right)
        for item in left:
            found = next((number for number, other in enumerate(rest) if _are_same(item, other)), None)
            assert found is not None, f"{path}: {item!r} is gone"
            del rest[found]
        assert not rest, f"{path}: {left!r} became {right!r}"
    else:
        _assert_same_scalar(left, right, path)


def _are_same(left: Any, right: Any) -> bool:
    try:
        assert_same(left, right)
    except AssertionError:
        return False
    return True


def _assert_same_scalar(left: Any, right: Any, path: str) -> None:
    if left is right or left is pd.NaT or left is pd.NA:
        assert left is right, path
    elif type(left) is int:
        assert left == right, path
    elif isinstance(left, float):
        assert struct.pack("<d", left) == struct.pack("<d", right), f"{path}: {left!r} became {right!r}"
    elif isinstance(left, complex):
        assert_same([left.real, left.imag], [right.real, right.imag], path)
    elif isinstance(left, np.generic):
        assert left.dtype == right.dtype, path
        assert left.tobytes() == right.tobytes(), f"{path}: {left!r} became {right!r}"
    elif isinstance(left, pd.Timestamp | pd.Timedelta):
        assert (left.unit, left.asm8) == (right.unit, right.asm8), path
        assert repr(left) == repr(right), path
        assert_same(getattr(left, "tzinfo", None), getattr(right, "tzinfo", None), path)
    elif isinstance(left, np.busdaycalendar):
        assert_same([left.weekmask, left.holidays], [right.weekmask, right.holidays], path)
    elif isinstance(left, pd.Interval):
        assert left.closed == right.closed, path
        assert_same([left.left, left.right], [right.left, right.right], path)
    else:
        assert repr(left) == repr(right), f"{path}: {left!r} became {right!r}"
        if not isinstance(left, slice) and not (hasattr(left, "is_nan") and left.is_nan()):
            assert left == right, f"{path}: {left!r} became {right!r}"
        for detail in ("fold", "tzinfo", "freq", "is_safe", "kwds"):
            assert_same(getattr(left, detail, None), getattr(right, detail, None), f"{path}.{detail}")


def _assert_same_array(left: Any, right: Any, path: str) -> None:
    assert left.dtype == right.dtype, path
    assert left.dtype.char == right.dtype.char, path
    assert left.shape == right.shape, path
    if left.flags.c_contiguous or left.flags.f_contiguous:
        assert left.flags.c_contiguous == right.flags.c_contiguous, path
        assert left.flags.f_contiguous == right.flags.f_contiguous, path
    if left.dtype == object:
        for number, (one, other) in enumerate(zip(left.ravel().tolist(), right.ravel().tolist(), strict=True)):
            assert_same(one, other, f"{path}[{number}]")
    elif left.dtype.names:
        for name in left.dtype.names:
            _assert_same_array(left[name], right[name], f"{path}[{name}]")
    else:
        assert left.tobytes() == right.tobytes(), path


def _assert_same_dtype(left: Any, right: Any, path: str) -> None:
    assert type(left) is type(right), path
    assert left == right, f"{path}: {left!r} became {right!r}"
    assert repr(left) == repr(right), path
    if isinstance(left, pd.CategoricalDtype):
        assert left.ordered is right.ordered, path
        assert_same(left.categories, right.categories, f"{path}.categories")
    if isinstance(left, pd.StringDtype):
        assert left.storage == right.storage, path
        assert (left.na_value is pd.NA) == (right.na_value is pd.NA), path
    if isinstance(left, pd.SparseDtype):
        assert_same(left.fill_value, right.fill_value, path)
    if isinstance(left, pd.DatetimeTZDtype):
        assert_same(left.tz, right.tz, path)


def _assert_same_extension_array(left: Any, right: Any, path: str) -> None:
    _assert_same_dtype(left.dtype, right.dtype, f"{path}.dtype")
    assert len(left) == len(right), path
    if isinstance(left, pd.arrays.SparseArray):
        assert left.sp_index.equals(right.sp_index), path
        assert type(left.sp_index) is type(right.sp_index), path
        assert_same(left.sp_values, right.sp_values, path)
    elif hasattr(left, "_pa_array"):
        _assert_same_arrow(left._pa_array, right._pa_array, path)
    else:
        assert_same(list(left), list(right), path)


def _assert_same_arrow(left: Any, right: Any, path: str) -> None:
    if isinstance(left, pa.Table | pa.RecordBatch):
        assert left.schema.equals(right.schema, check_metadata=True), path
        assert left.num_rows == right.num_rows, path
        for name, one, other in zip(left.schema.names, left.columns, right.columns, strict=True):
            _assert_same_arrow(one, other, f"{path}[{name}]")
        return
    assert left.type == right.type, path
    if isinstance(left, pa.ChunkedArray):
        assert list(map(len, left.chunks)) == list(map(len, right.chunks)), path
    right.validate(full=True)
    assert_same(left.to_pylist(), right.to_pylist(), path)


def _assert_same_index(left: Any, right: Any, path: str) -> None:
    assert_same(list(left.names), list(right.names), f"{path}.names")
    assert_same(getattr(left, "freq", None), getattr(right, "freq", None), f"{path}.freq")
    if isinstance(left, pd.MultiIndex):
        assert left.sortorder == right.sortorder, path
        assert_same(list(left.levels), list(right.levels), f"{path}.levels")
        assert_same(list(left.codes), list(right.codes), f"{path}.codes")
    elif isinstance(left, pd.RangeIndex):
        assert (left.start, left.stop, left.step) == (right.start, right.stop, right.step), path
    else:
        _assert_same_dtype(left.dtype, right.dtype, f"{path}.dtype")
        assert_same(left.array, right.array, path)


def _assert_same_series(left: Any, right: Any, path: str) -> None:
    _assert_same_dtype(left.dtype, right.dtype, f"{path}.dtype")
    assert_same(left.name, right.name, f"{path}.name")
    assert_same(left.index, right.index, f"{path}.index")
    assert_same(left.array, right.array, path)
    _assert_same_extras(left, right, path)


def _assert_same_frame(left: Any, right: Any, path: str) -> None:
    assert left.shape == right.shape, path
    assert_same(left.columns, right.columns, f"{path}.columns")
    assert_same(left.index, right.index, f"{path}.index")
    for number in range(left.shape[1]):
        assert_same(left.iloc[:, number].array, right.iloc[:, number].array, f"{path}.iloc[:, {number}]")
    _assert_same_extras(left, right, path)


def _assert_same_extras(left: Any, right: Any, path: str) -> None:
    assert_same(left.attrs, right.attrs, f"{path}.attrs")
    assert left.flags.allows_duplicate_labels == right.flags.allows_duplicate_labels, path
