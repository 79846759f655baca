"""Errors about contracts: raised for impossible examples, and whole after a trip to a worker."""

from __future__ import annotations

import datetime as dt
import pickle

import pyarrow as pa
import pytest

from loaders import Check, DatasetContract
from loaders.clients.source import MissingError
from loaders.errors import ConfigError, OptionError

DAY = dt.date(2024, 1, 2)


def contract(kind: pa.DataType, check: Check) -> DatasetContract:
    return DatasetContract("d", pa.schema([("a", kind)]), checks={"a": check})


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
