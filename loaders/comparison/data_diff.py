"""Compare two frames of one dataset: rows, keys and columns, with a report of bounded size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from loaders.comparison.column_summary import ColumnSummary, arrow_values, histograms, summarize

MAX_EXAMPLES = 5
Codes = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class ColumnDiff:
    """One column on both sides; None for a side that lacks it.

    Attributes:
        types: the pandas dtypes.
        changed: number of rows with the same key and different values; None if rows cannot be paired.
        examples: key and both values of the first changed rows.
    """

    name: str
    left: ColumnSummary | None
    right: ColumnSummary | None
    types: tuple[str, str]
    changed: int | None = None
    examples: tuple[tuple[str, str, str], ...] = ()

    @property
    def differs(self) -> bool:
        """Whether types, values or summaries of the column differ."""
        return self.left != self.right or self.types[0] != self.types[1] or bool(self.changed)


@dataclass(frozen=True)
class DataDiff:
    """The difference of a dataset between two environments.

    Attributes:
        names: the environments.
        locations: the location of each side.
        key: the columns that pair rows; if empty, whole rows are compared.
        only: number of keys (or whole rows) that only one side has, by side; `only_examples` are the first of them.
        common: number of keys (or rows) that both sides have.
    """

    dataset: str
    names: tuple[str, str]
    rows: tuple[int, int]
    key: tuple[str, ...]
    only: tuple[int, int]
    only_examples: tuple[tuple[str, ...], tuple[str, ...]]
    common: int
    columns: tuple[ColumnDiff, ...]
    locations: tuple[str, str] = ("", "")
    notes: tuple[str, ...] = field(default=())

    @property
    def same(self) -> bool:
        """Whether both sides hold the same rows; their order does not matter."""
        return self.rows[0] == self.rows[1] and self.only == (0, 0) and not any(c.differs for c in self.columns)

    def as_dict(self) -> dict[str, Any]:
        """Return the difference as plain values, for JSON."""
        left, right = self.names
        return {
            "dataset": self.dataset,
            "same": self.same,
            "environments": list(self.names),
            "locations": dict(zip(self.names, self.locations, strict=True)) if left != right else list(self.locations),
            "rows": list(self.rows),
            "key": list(self.key),
            "only": list(self.only),
            "only_examples": [list(examples) for examples in self.only_examples],
            "common": self.common,
            "columns": [_column_dict(column) for column in self.columns],
            "notes": list(self.notes),
        }


def diff_frames(
    left: pd.DataFrame,
    right: pd.DataFrame,
    *,
    dataset: str,
    names: tuple[str, str],
    key: Sequence[str] = (),
    locations: tuple[str, str] = ("", ""),
) -> DataDiff:
    """Compare two frames of a dataset; rows are paired by `key`, or without a key by equality."""
    usable = tuple(name for name in key if name in left.columns and name in right.columns)
    paired_by = usable if len(usable) == len(key) else ()
    both = [name for name in left.columns if name in right.columns]
    by = paired_by or tuple(both)
    left_codes, right_codes = _codes(left, right, by)
    notes = [] if paired_by else ["Without a key rows cannot be paired: equal rows are counted."]
    only_left, only_right, pairs = _matched(left_codes, right_codes, unique=bool(paired_by))
    if paired_by and pairs is None:
        notes.append(f"The key {', '.join(key)} is not unique: values of the same key are not compared.")
    columns = []
    for name in dict.fromkeys([*left.columns, *right.columns]):
        columns.append(_column(str(name), left, right, paired_by, pairs))
    return DataDiff(
        dataset,
        names,
        (len(left), len(right)),
        paired_by,
        (len(only_left), len(only_right)),
        (_keys(left, by, only_left[:MAX_EXAMPLES]), _keys(right, by, only_right[:MAX_EXAMPLES])),
        len(left) - len(only_left),
        tuple(columns),
        locations,
        tuple(notes),
    )


def _codes(left: pd.DataFrame, right: pd.DataFrame, by: Sequence[str]) -> tuple[Codes, Codes]:
    """Return a number for each row of both frames, the same for rows that are equal in these columns."""
    rows = len(left) + len(right)
    codes = np.zeros(rows, np.int64)
    size = 1
    for name in by:
        column, distinct = _column_codes(left[name], right[name])
        if size * distinct > 2**62:
            # Renumber the codes: there are at most as many as rows.
            codes = np.unique(codes, return_inverse=True)[1].astype(np.int64)
            size = rows
        codes = codes * distinct + column
        size *= max(1, distinct)
    return codes[: len(left)], codes[len(left) :]


def _column_codes(left: pd.Series[Any], right: pd.Series[Any]) -> tuple[Codes, int]:
    first, second = _alike(arrow_values(left), arrow_values(right))
    values = pa.chunked_array([*first.chunks, *second.chunks], first.type)
    if pa.types.is_nested(values.type):
        values = pa.chunked_array([pa.array([str(value) for value in values.to_pylist()], pa.string())])
    encoded = values.combine_chunks().dictionary_encode(null_encoding="encode")
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    indices = encoded.indices.to_numpy(zero_copy_only=False)
    return indices.astype(np.int64), max(1, len(encoded.dictionary))


def _alike(left: pa.ChunkedArray, right: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Return both sides in one type, for comparison."""
    if left.type == right.type:
        return left, right
    try:
        return left, right.cast(left.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return left.cast(pa.string()), right.cast(pa.string())


def _matched(left: Codes, right: Codes, *, unique: bool) -> tuple[Codes, Codes, tuple[Codes, Codes] | None]:
    """Return the rows that only one side has, and the pairs of rows with the same unique code."""
    if unique and len(np.unique(left)) == len(left) and len(np.unique(right)) == len(right):
        _, in_left, in_right = np.intersect1d(left, right, assume_unique=True, return_indices=True)
        order = np.argsort(in_left, kind="stable")
        only_left = np.setdiff1d(np.arange(len(left)), in_left, assume_unique=True)
        only_right = np.setdiff1d(np.arange(len(right)), in_right, assume_unique=True)
        return only_left, only_right, (in_left[order], in_right[order])
    return _surplus(left, right), _surplus(right, left), None


def _surplus(these: Codes, those: Codes) -> Codes:
    """Return the rows that one side has more of, by code, than the other side."""
    order = np.argsort(these, kind="stable")
    ordered = these[order]
    starts = np.searchsorted(ordered, ordered, side="left")
    occurrence = np.arange(len(ordered)) - starts
    codes, counts = np.unique(those, return_counts=True)
    place = np.minimum(np.searchsorted(codes, ordered), max(0, len(codes) - 1))
    there = np.where(codes[place] == ordered, counts[place], 0) if len(codes) else np.zeros(len(ordered), np.int64)
    return np.sort(order[occurrence >= there])


def _column(
    name: str, left: pd.DataFrame, right: pd.DataFrame, key: Sequence[str], pairs: tuple[Codes, Codes] | None
) -> ColumnDiff:
    sides = [arrow_values(frame[name]) if name in frame.columns else None for frame in (left, right)]
    types = tuple(str(frame[name].dtype) if name in frame.columns else "" for frame in (left, right))
    bins = histograms(*sides) if sides[0] is not None and sides[1] is not None else (None, None)
    summaries = [summarize(side, bins[n]) if side is not None else None for n, side in enumerate(sides)]
    diff = ColumnDiff(name, summaries[0], summaries[1], (types[0], types[1]))
    if pairs is None or sides[0] is None or sides[1] is None or name in key:
        return diff
    rows = _changed(*_alike(sides[0].take(pa.array(pairs[0])), sides[1].take(pa.array(pairs[1]))))
    examples = tuple(
        (
            _keys(left, key, pairs[0][row : row + 1])[0],
            shown(sides[0][int(pairs[0][row])].as_py()),
            shown(sides[1][int(pairs[1][row])].as_py()),
        )
        for row in rows[:MAX_EXAMPLES]
    )
    return ColumnDiff(name, summaries[0], summaries[1], (types[0], types[1]), len(rows), examples)


def _changed(left: pa.ChunkedArray, right: pa.ChunkedArray) -> Codes:
    """Return the rows whose values differ; two nulls are the same."""
    try:
        same = pc.fill_null(pc.equal(left, right), False)
        both_null = pc.and_(pc.is_null(left), pc.is_null(right))
        return np.flatnonzero(~pc.or_(same, both_null).to_numpy())
    except pa.ArrowNotImplementedError:
        different = (a != b for a, b in zip(left.to_pylist(), right.to_pylist(), strict=True))
        return np.flatnonzero(np.fromiter(different, bool, len(left)))


def _keys(frame: pd.DataFrame, key: Sequence[str], rows: Codes) -> tuple[str, ...]:
    """Return the keys of rows as text."""
    part = frame.iloc[rows]
    columns = [[shown(value.as_py()) for value in arrow_values(part[name])] for name in key]
    return tuple(", ".join(values) for values in zip(*columns, strict=True))


def shown(value: Any, width: int = 40) -> str:
    """Return a value as text of bounded length."""
    text = "null" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _column_dict(column: ColumnDiff) -> Mapping[str, Any]:
    return {
        "name": column.name,
        "differs": column.differs,
        "types": list(column.types),
        "changed": column.changed,
        "examples": [dict(zip(("key", "left", "right"), example, strict=True)) for example in column.examples],
        "left": column.left.as_dict() if column.left else None,
        "right": column.right.as_dict() if column.right else None,
    }
