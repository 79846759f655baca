"""A check's limits are of the column's type, or the contract cannot be made."""

from __future__ import annotations

import datetime as dt
import itertools
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from loaders import Check, ConfigError, DatasetContract
from loaders.conforming.rules import broken_rules

TYPES = [
    *(pa.int8(), pa.uint64(), pa.float16(), pa.float64(), pa.decimal32(5, 2), pa.decimal256(40, 2), pa.bool_()),
    *(pa.string(), pa.large_string(), pa.string_view(), pa.binary(), pa.binary(3), pa.large_binary()),
    *(pa.date32(), pa.date64(), pa.timestamp("s"), pa.timestamp("ns", "Europe/Berlin"), pa.time32("s")),
    *(pa.time64("us"), pa.duration("us"), pa.dictionary(pa.int8(), pa.string()), pa.list_(pa.int64())),
    *(pa.dictionary(pa.int16(), pa.int64()), pa.struct([("a", pa.int64())]), pa.map_(pa.string(), pa.int64())),
]
VALUES: list[Any] = [
    *(7, True, 2.5, float("inf"), 10**30, Decimal("1.5"), np.int64(3), np.float32(1.5), np.bool_(True), 1j),
    *("q", "2024-01-01", b"abc", dt.date(2020, 1, 1), dt.datetime(2020, 1, 1, 5), pd.Timestamp("2020-01-01")),
    *(dt.datetime(2020, 1, 1, tzinfo=dt.UTC), pd.NaT, np.datetime64("2020-01-01"), dt.time(3), dt.timedelta(1)),
    *(pd.Timedelta(1, "s"), np.timedelta64(1, "s"), [1], {"a": 1}, object),
]


def made(arrow_type: pa.DataType, **rules: Any) -> DatasetContract:
    return DatasetContract("one", pa.schema([("value", arrow_type)]), checks={"value": Check(**rules)})


@pytest.mark.parametrize("arrow_type", TYPES, ids=str)
def test_what_a_contract_accepts_can_be_held_against_its_column(arrow_type: pa.DataType) -> None:
    values = pa.chunked_array([pa.nulls(1, arrow_type)])
    for value, rule in itertools.product(VALUES, ("minimum", "maximum", "allowed")):
        try:
            contract = made(arrow_type, **{rule: (value,) if rule == "allowed" else value})
        except ConfigError:
            continue
        if rule == "allowed" and pa.types.is_string_view(arrow_type):
            continue  # Arrow's own gap: it cannot look up values of this layout.
        if isinstance(value, int) and abs(value) > 2**63 and not pa.types.is_integer(arrow_type):
            continue
        assert list(broken_rules({"value": values}, contract)) == [], f"{rule} {value!r}"


@pytest.mark.parametrize(
    ("arrow_type", "rules", "advice"),
    [
        (pa.timestamp("us"), {"minimum": 3}, "date or datetime"),
        (pa.timestamp("us", "UTC"), {"maximum": "2024-01-01"}, "date or datetime"),
        (pa.timestamp("ns"), {"allowed": (dt.date(2024, 1, 1),)}, "give a datetime"),
        (pa.int64(), {"maximum": "q"}, "give a number"),
        (pa.int64(), {"allowed": (1, True)}, "give a number"),
        (pa.float32(), {"minimum": dt.timedelta(1)}, "give a number"),
        (pa.decimal128(9, 2), {"allowed": ("1.50",)}, "give a number"),
        (pa.date32(), {"minimum": 20240101}, "date or datetime"),
        (pa.time64("us"), {"maximum": "17:00"}, "time of day"),
        (pa.duration("s"), {"maximum": 60}, "timedelta"),
        (pa.bool_(), {"allowed": ("yes",)}, "True or False"),
        (pa.string(), {"minimum": 1}, "give text"),
        (pa.dictionary(pa.int8(), pa.string()), {"allowed": ("a", 2)}, "give text"),
        (pa.list_(pa.int64()), {"minimum": 1}, "no limit"),
        (pa.int64(), {"pattern": "[0-9]+"}, "is no text"),
    ],
)
def test_limit_of_another_type_is_refused_at_construction(
    arrow_type: pa.DataType, rules: dict[str, Any], advice: str
) -> None:
    with pytest.raises(ConfigError, match=rf"Contract 'one': column 'value' has .*{advice}"):
        made(arrow_type, **rules)


@pytest.mark.parametrize(
    ("arrow_type", "rules"),
    [
        (pa.timestamp("us", "UTC"), {"minimum": dt.date(2020, 1, 1)}),
        (pa.date32(), {"maximum": dt.datetime(2030, 1, 1, 12)}),
        (pa.float64(), {"minimum": Decimal("0.5"), "maximum": 3}),
        (pa.decimal128(12, 2), {"minimum": 0, "maximum": 9.5}),
        (pa.int8(), {"minimum": 0.5, "maximum": np.int64(300)}),
        (pa.string(), {"allowed": ("a", None)}),
        (pa.binary(), {"minimum": b"\x00"}),
        (pa.duration("ms"), {"maximum": pd.Timedelta(3, "s")}),
    ],
)
def test_limit_that_orders_the_values_is_allowed(arrow_type: pa.DataType, rules: dict[str, Any]) -> None:
    assert made(arrow_type, **rules).checks["value"] == Check(**rules)


def test_yaml_names_the_column_of_a_limit_of_another_type() -> None:
    with pytest.raises(ConfigError, match="column 'at' has the minimum 3"):
        DatasetContract.from_yaml("dataset: one\ncolumns: {at: {type: 'timestamp[us]', minimum: 3}}\n")
