"""Limits of a check are of a kind that the column's values compare with, or the contract is refused."""

from __future__ import annotations

import datetime as dt
import decimal
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from loaders import Check, DatasetContract
from loaders.clients.source import MissingError
from loaders.errors import ConfigError, OptionError

DAY = dt.date(2024, 1, 2)


def contract(kind: pa.DataType, check: Check) -> DatasetContract:
    return DatasetContract("d", pa.schema([("a", kind)]), checks={"a": check})


@pytest.mark.parametrize(
    ("kind", "limit"),
    [
        (pa.timestamp("us"), 3),
        (pa.timestamp("ns", "UTC"), "2024-01-02"),
        (pa.date32(), 20240102),
        (pa.int64(), "q"),
        (pa.int64(), True),
        (pa.float64(), DAY),
        (pa.decimal128(9, 2), "1.50"),
        (pa.string(), 7),
        (pa.dictionary(pa.int32(), pa.string()), 7),
        (pa.bool_(), 1),
        (pa.time64("us"), dt.timedelta(1)),
        (pa.duration("s"), 5),
    ],
    ids=str,
)
@pytest.mark.parametrize("rule", ["minimum", "maximum", "allowed"])
def test_a_limit_of_another_type_than_the_column_is_refused(kind: pa.DataType, limit: Any, rule: str) -> None:
    check = Check(**{rule: (limit,) if rule == "allowed" else limit})
    with pytest.raises(ConfigError) as caught:
        contract(kind, check)
    for part in ("column 'a'", rule, repr(limit), str(kind)):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "limit"),
    [
        (pa.timestamp("us"), DAY),
        (pa.timestamp("us"), pd.Timestamp("2024-01-02 03:04")),
        (pa.date32(), DAY),
        (pa.int64(), np.int32(3)),
        (pa.int64(), 0.5),
        (pa.float64(), decimal.Decimal("1.5")),
        (pa.decimal128(9, 2), 1),
        (pa.large_string(), "a"),
        (pa.bool_(), False),
    ],
    ids=str,
)
def test_a_limit_that_compares_with_the_column_is_accepted(kind: pa.DataType, limit: Any) -> None:
    assert contract(kind, Check(minimum=limit)).checks["a"].minimum == limit


def test_examples_of_fewer_than_no_rows_are_refused() -> None:
    with pytest.raises(ConfigError, match="rows=-1"):
        contract(pa.int64(), Check()).example(rows=-1)


def test_errors_survive_pickling_to_a_worker() -> None:
    option = OptionError("FormatOptions", "delimiter", "must be one character", "'ab'")
    again = pickle.loads(pickle.dumps(option))
    assert (str(again), again.option, again.shown) == (str(option), "delimiter", "'ab'")
    missing = MissingError("nothing at 's3://b/k'")
    missing.deadline = object()  # type: ignore[assignment]
    again = pickle.loads(pickle.dumps(missing))
    assert (str(again), again.deadline) == (str(missing), None)
