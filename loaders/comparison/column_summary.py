"""Summarise a column: nulls, distinct values, range, quantiles, most frequent values, histogram."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
MAX_FREQUENT = 5
BINS = 24


@dataclass(frozen=True)
class Histogram:
    """Counts between edges that are the same for both sides."""

    low: str
    high: str
    counts: tuple[int, ...]


@dataclass(frozen=True)
class ColumnSummary:
    """The summary of one side of a column; None for properties that its type does not have.

    Attributes:
        quantiles: the values at `QUANTILES`, for numbers and times.
        frequent: the most frequent values and their counts, if any value occurs more than once.
    """

    nulls: int
    distinct: int | None
    minimum: Any
    maximum: Any
    quantiles: tuple[Any, ...]
    frequent: tuple[tuple[Any, int], ...]
    histogram: Histogram | None = field(default=None, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Return the summary as plain values, for JSON."""
        return {
            "nulls": self.nulls,
            "distinct": self.distinct,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "quantiles": dict(zip(map(str, QUANTILES), self.quantiles, strict=False)),
            "frequent": [{"value": value, "rows": count} for value, count in self.frequent],
        }


def arrow_values(series: pd.Series[Any]) -> pa.ChunkedArray:
    """Return a column's values as Arrow values; NaN and NaT are null, objects of mixed kinds are text."""
    try:
        values = pa.array(series, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        values = pa.array(
            [None if missing else str(value) for value, missing in zip(series, series.isna(), strict=True)]
        )
    values = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])
    return values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values


def summarize(values: pa.ChunkedArray, histogram: Histogram | None = None) -> ColumnSummary:
    """Return the summary of a column."""
    present = values.drop_null()
    distinct, frequent = _frequent(present)
    low, high = _range(present)
    return ColumnSummary(values.null_count, distinct, low, high, _quantiles(present), frequent, histogram)


def histograms(left: pa.ChunkedArray, right: pa.ChunkedArray) -> tuple[Histogram | None, Histogram | None]:
    """Return histograms of both sides over a common range; None for types that are not numeric."""
    numbers = [_numbers(side.drop_null()) for side in (left, right)]
    if numbers[0] is None or numbers[1] is None:
        return None, None
    sides = [array[np.isfinite(array)] for array in numbers if array is not None]
    together = [array for array in sides if len(array)]
    if not together:
        return None, None
    low, high = min(array.min() for array in together), max(array.max() for array in together)
    shown = [_from_number(edge, left.type) for edge in (low, high)]
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    counts = [np.histogram(array, edges)[0] for array in sides]
    made = [Histogram(str(shown[0]), str(shown[1]), tuple(int(count) for count in side)) for side in counts]
    return made[0], made[1]


def _range(values: pa.ChunkedArray) -> tuple[Any, Any]:
    try:
        found = pc.min_max(values).as_py()
    except pa.ArrowNotImplementedError:
        return None, None
    return found["min"], found["max"]


def _frequent(values: pa.ChunkedArray) -> tuple[int | None, tuple[tuple[Any, int], ...]]:
    """Return the number of distinct values, and the most frequent ones; ties are sorted by value."""
    try:
        found = values.value_counts()
    except pa.ArrowNotImplementedError:
        return None, ()
    counts = found.field("counts").to_numpy()
    if not len(counts) or counts.max() < 2:
        return len(counts), ()
    top = np.sort(counts)[::-1][:MAX_FREQUENT][-1]
    candidates = np.flatnonzero(counts >= max(2, top))[:1000]
    pairs = [(found.field("values")[int(n)].as_py(), int(counts[n])) for n in candidates]
    return len(counts), tuple(sorted(pairs, key=lambda pair: (-pair[1], str(pair[0])))[:MAX_FREQUENT])


def _quantiles(values: pa.ChunkedArray) -> tuple[Any, ...]:
    numbers = _numbers(values)
    if numbers is None or not len(numbers):
        return ()
    exact = pa.types.is_integer(values.type) or pa.types.is_floating(values.type)
    found = np.quantile(numbers, QUANTILES, method="linear" if exact else "nearest")
    return tuple(_from_number(number, values.type) for number in found)


def _numbers(values: pa.ChunkedArray) -> np.ndarray[Any, Any] | None:
    """Return the values as numbers; None if the type is not numeric."""
    kind = values.type
    if (
        pa.types.is_timestamp(kind)
        or pa.types.is_duration(kind)
        or pa.types.is_time64(kind)
        or pa.types.is_date64(kind)
    ):
        numbers = values.cast(pa.int64())
    elif pa.types.is_date32(kind) or pa.types.is_time32(kind):
        numbers = values.cast(pa.int32())
    elif pa.types.is_decimal(kind):
        numbers = values.cast(pa.float64())
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        numbers = values
    else:
        return None
    array: np.ndarray[Any, Any] = numbers.to_numpy().astype(np.float64)
    return array


def _from_number(number: float, kind: pa.DataType) -> Any:
    """Return a number as a value of the column's type."""
    if pa.types.is_temporal(kind):
        width = pa.int32() if pa.types.is_date32(kind) or pa.types.is_time32(kind) else pa.int64()
        return pa.scalar(round(number), width).cast(kind).as_py()
    return float(number)
