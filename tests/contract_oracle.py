"""What a contract says, checked value by value in plain Python, independent of the loaders' own checks."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
import pyarrow as pa

from loaders import Check, DatasetContract


def assert_obeys(frame: pd.DataFrame, contract: DatasetContract) -> None:
    assert list(frame.columns) == list(contract.columns)
    assert {name: frame[name].dtype for name in frame} == contract.dtypes
    for column in contract.schema:
        values = list(_values(frame[column.name], column.type))
        # In a float column that holds no nulls NaN is a value.
        nan_is_value = pa.types.is_floating(column.type) and column.name not in contract.key
        if not (column.nullable or nan_is_value) or column.name in contract.key:
            assert None not in values, column
        check = contract.checks.get(column.name, Check())
        for value in set(values) - {None}:
            _assert_value_obeys(value, check, column.type)
    if contract.key:
        keys = list(
            zip(*(_key_values(frame[name], contract.schema.field(name).type) for name in contract.key), strict=True)
        )
        assert len(set(keys)) == len(keys)


def assert_references_hold(frames: Mapping[str, pd.DataFrame], contracts: Iterable[DatasetContract]) -> None:
    targets = {contract.name: contract for contract in contracts}
    for contract in targets.values():
        for column, reference in contract.references.items():
            dataset, _, name = reference.partition(".")
            target = name if name in targets[dataset].columns else targets[dataset].prefix + name
            assert set(frames[contract.name][column].dropna()) <= set(frames[dataset][target])


def _values(series: pd.Series[Any], arrow_type: pa.DataType) -> Iterable[Any]:
    if pa.types.is_nested(arrow_type) or pa.types.is_interval(arrow_type):
        return []
    return [None if value is pd.NA or value is pd.NaT or value is None or value != value else value for value in series]


def _key_values(series: pd.Series[Any], arrow_type: pa.DataType) -> Iterable[Any]:
    # Python's times have no nanoseconds.
    return pa.array(series).cast(pa.int64()).to_pylist() if arrow_type == pa.time64("ns") else series


def _assert_value_obeys(value: Any, check: Check, arrow_type: pa.DataType) -> None:
    # Limits of floats are compared in the width of the column.
    limit = arrow_type.to_pandas_dtype() if pa.types.is_floating(arrow_type) else _same_kind(value)
    if check.minimum is not None:
        assert value >= limit(check.minimum)
    if check.maximum is not None:
        assert value <= limit(check.maximum)
    if check.allowed:
        assert value in check.allowed
    if check.pattern is not None:
        assert re.fullmatch(check.pattern, value)
    assert not (isinstance(value, float) and math.isnan(value))


def _same_kind(value: Any) -> Any:
    if isinstance(value, pd.Timestamp):
        return lambda limit: pd.Timestamp(limit).tz_convert(value.tz) if value.tz else pd.Timestamp(limit)
    return lambda limit: limit
