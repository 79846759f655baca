"""Hypothesis strategies for frames that obey their contracts; they shrink to few rows of simple values.

Edge cases are more frequent than by chance: ends of the range, NaN where it is a value, empty and unusual texts, leap
days, the hours around a change to or from summer time.
"""

from __future__ import annotations

import datetime as dt
import functools
import math
import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import reject
from hypothesis import strategies as st

from loaders.conforming import conform
from loaders.errors import ConfigError
from loaders.generation.random_values import lists_of, obeying, offsets, taken
from loaders.generation.references import allowed_values, column_of_frame, node_name, split_reference
from loaders.generation.value_ranges import checked_range, from_integers
from loaders.schema import Check, DatasetSchema
from loaders.schema.dtypes import is_text

_CHARACTERS = st.characters(codec="utf-8")
_TEXTS = (
    *("", " ", " a ", "NA", "N/A", "null", "None", "nan", "NaN", "inf", "true", "0", "-0", "007", "1e5", "1,5"),
    *(
        "2024-02-29",
        "a,b",
        'say "x"',
        "'",
        "line\nbreak",
        "\r\n",
        "\t",
        "\\",
        "#",
        "=1+1",
        "\ufeff",
        "\u200b",
        "\u202e",
    ),
    *("ß", "é", "e\u0301", "İ", "日本語", "👩‍👩‍👧", "\U0010ffff"),
)
_DAYS = ("1900-02-28", "1969-12-31", "1970-01-01", "2000-02-29", "2023-12-31", "2024-02-29", "2038-01-19", "2100-03-01")
# Local times that the clocks of some zone skip or repeat.
_LOCAL_TIMES = ("2024-03-10T02:30", "2024-03-31T02:30", "2024-10-27T02:30", "2024-11-03T01:30")
_MOST_ITEMS = 3


def frame_of(
    contract: DatasetSchema,
    *,
    min_rows: int = 0,
    max_rows: int = 10,
    frames: Mapping[str, pd.DataFrame] | None = None,
) -> st.SearchStrategy[pd.DataFrame]:
    """Return a strategy for frames that obey the contract.

    Columns that refer to a dataset in `frames` take their values from it; references to other datasets are ignored.
    """
    if not 0 <= min_rows <= max_rows:
        raise ConfigError(f"A strategy has 0 <= min_rows <= max_rows; found {min_rows} and {max_rows}.")
    return frames_of([contract], min_rows=min_rows, max_rows=max_rows, frames=frames).map(
        lambda made: made[contract.name]
    )


@st.composite
def frames_of(
    draw: st.DrawFn,
    contracts: Iterable[DatasetSchema],
    *,
    min_rows: int = 0,
    max_rows: int = 10,
    frames: Mapping[str, pd.DataFrame] | None = None,
) -> dict[str, pd.DataFrame]:
    """Return a strategy for a frame of each dataset, by name, with valid references between them."""
    drawing = _Drawing(draw, {each.name: each for each in contracts}, (min_rows, max_rows), dict(frames or {}))
    return {name: drawing.frame(name) for name in drawing.contracts}


@dataclass(frozen=True)
class _Column:
    """A strategy for raw values of a column (None is null), and a function that builds arrays from them."""

    strategy: st.SearchStrategy[Any]
    array: Callable[[Sequence[Any]], pa.Array]

    def or_null(self) -> _Column:
        return _Column(self.strategy | st.none(), self.array)


class _Drawing:
    """The frames of one example: first independent columns, then columns that refer to another dataset."""

    def __init__(
        self,
        draw: st.DrawFn,
        contracts: Mapping[str, DatasetSchema],
        rows: tuple[int, int],
        frames: Mapping[str, pd.DataFrame],
    ) -> None:
        self.contracts = contracts
        self._draw = draw
        self._limits = rows
        self._frames = frames
        self._own: dict[str, tuple[int, dict[str, pa.Array]]] = {}
        self._under_way: list[str] = []

    def frame(self, name: str) -> pd.DataFrame:
        contract = self.contracts[name]
        rows, arrays = self._own_columns(name)
        late = {column: self._late(contract, column, rows) for column in contract.columns if column not in arrays}
        arrays = {**arrays, **late}
        table = pa.table(
            [arrays[column] for column in contract.columns],
            names=[contract.source_name(column) for column in contract.columns],
        )
        return conform(table, contract, location=f"generated for '{name}'")

    def _own_columns(self, name: str) -> tuple[int, dict[str, pa.Array]]:
        if name not in self._own:
            if name in self._under_way:
                raise ConfigError(f"Keys refer to each other in a circle: {', '.join(self._under_way)}.")
            self._under_way.append(name)
            self._own[name] = self._drawn_columns(self.contracts[name])
            self._under_way.pop()
        return self._own[name]

    def _drawn_columns(self, contract: DatasetSchema) -> tuple[int, dict[str, pa.Array]]:
        least, most = self._limits
        if any(self._lacks_values(contract, column) for column in contract.columns):
            most = 0
        names = [c for c in contract.columns if c in contract.key or not self._refers(contract, c)]
        columns = {name: self._column(contract, name) for name in names} if most else {}
        if not columns:  # only references, or no row at all
            rows = self._draw(st.integers(min(least, most), most))
            empty = {name: pa.nulls(0, contract.schema.field(name).type) for name in names} if not most else {}
            return rows, empty
        positions = [names.index(name) for name in contract.key]
        drawn = self._draw(
            st.lists(
                st.tuples(*(column.strategy for column in columns.values())),
                min_size=least,
                max_size=most,
                unique_by=(lambda row: tuple(_plain(row[p]) for p in positions)) if positions else None,
            )
        )
        return len(drawn), {
            name: column.array([row[position] for row in drawn])
            for position, (name, column) in enumerate(columns.items())
        }

    def _column(self, contract: DatasetSchema, name: str) -> _Column:
        field = contract.schema.field(name)
        if self._refers(contract, name):
            column = _of_pool(self._pool(contract, name))
        else:
            check = contract.checks.get(name, Check())
            free = not field.nullable and name not in contract.key
            column = _column(field.type, check, nan=free and check == Check())
        return column.or_null() if field.nullable and name not in contract.key else column

    def _late(self, contract: DatasetSchema, name: str, rows: int) -> pa.Array:
        field = contract.schema.field(name)
        pool = self._pool(contract, name)
        if not len(pool) and rows:
            if not field.nullable:
                reject()
            return pa.nulls(rows, field.type)
        column = _of_pool(pool)
        strategy = column.or_null().strategy if field.nullable else column.strategy
        return column.array(self._draw(st.lists(strategy, min_size=rows, max_size=rows)) if rows else [])

    def _refers(self, contract: DatasetSchema, column: str) -> bool:
        if column not in contract.references:
            return False
        dataset, _ = split_reference(contract, column)
        return dataset in self._frames or dataset in self.contracts

    def _lacks_values(self, contract: DatasetSchema, column: str) -> bool:
        """Return whether a column can have no value because the column it refers to is empty."""
        if contract.schema.field(column).nullable and column not in contract.key:
            return False
        if not self._refers(contract, column):
            return False
        dataset, _ = split_reference(contract, column)
        return dataset not in self._under_way and not len(self._pool(contract, column))

    def _pool(self, contract: DatasetSchema, column: str) -> pa.Array:
        dataset, name = split_reference(contract, column)
        if dataset in self._frames:
            values = column_of_frame(self._frames, dataset, name, contract.schema.field(column).type)
        else:
            target = self.contracts[dataset]
            own = self._own_columns(dataset)[1]
            found = node_name(target, name)
            if found not in own:
                raise ConfigError(
                    f"'{contract.name}.{column}' refers to '{dataset}.{name}', a reference itself. Refer to its key."
                )
            values = own[found]
        return allowed_values(values, contract, column)


def _plain(raw: Any) -> Hashable:
    """Return a raw key value in a form that is equal if the dataset's values are equal."""
    return raw + 0.0 if isinstance(raw, float) else raw  # -0.0 is 0.0


def _of_pool(pool: pa.Array) -> _Column:
    return _Column(
        st.integers(0, len(pool) - 1) if len(pool) else st.nothing(),
        lambda positions: taken(pool, pa.array(positions, type=pa.int64())),
    )


def _column(arrow_type: pa.DataType, check: Check, *, nan: bool = True) -> _Column:
    types = pa.types
    if types.is_dictionary(arrow_type):
        return _dictionary(arrow_type, check, nan=nan)
    if check.allowed:
        allowed = obeying(pa.array(list(dict.fromkeys(check.allowed)), type=arrow_type), check)
        return _of_pool(allowed)
    if (limits := checked_range(arrow_type, check)) is not None:
        return _Column(
            _integers(arrow_type, *limits), _filled(arrow_type, lambda raws: from_integers(raws, arrow_type))
        )
    if types.is_floating(arrow_type):
        return _floats(arrow_type, check, nan=nan)
    if is_text(arrow_type):
        return _Column(_texts(check), lambda raws: pa.array(raws, type=arrow_type))
    if types.is_map(arrow_type):
        return _maps(arrow_type)
    if types.is_struct(arrow_type):
        return _structs(arrow_type)
    if types.is_nested(arrow_type):
        return _lists(arrow_type)
    if types.is_interval(arrow_type):
        return _intervals(arrow_type)
    size = arrow_type.byte_width if types.is_fixed_size_binary(arrow_type) else None
    least, most = (0, 20) if size is None else (size, size)
    return _Column(st.binary(min_size=least, max_size=most), lambda raws: pa.array(raws, type=arrow_type))


def _filled(arrow_type: pa.DataType, build: Callable[[Sequence[Any]], pa.Array]) -> Callable[[Sequence[Any]], pa.Array]:
    """Return an array builder that accepts None as null, made from a builder of arrays without nulls."""

    def array(raws: Sequence[Any]) -> pa.Array:
        present = [raw for raw in raws if raw is not None]
        values = build(present).cast(arrow_type)
        if len(present) == len(raws):
            return values
        positions = iter(range(len(present)))
        return taken(values, pa.array([None if raw is None else next(positions) for raw in raws], type=pa.int64()))

    return array


def _integers(arrow_type: pa.DataType, low: int, high: int) -> st.SearchStrategy[int]:
    near = [low, low + 1, -1, 0, 1, 2**53 + 1, high - 1, high, *_edges(arrow_type)]
    return st.integers(low, high) | st.sampled_from(sorted({edge for edge in near if low <= edge <= high}, key=abs))


def _edges(arrow_type: pa.DataType) -> list[int]:
    """Return edge moments, in the units of a date or time type."""
    types = pa.types
    if types.is_date(arrow_type):
        return [int(each) for each in np.array(_DAYS, dtype="datetime64[D]").astype(int)]
    if not types.is_timestamp(arrow_type):
        return []
    moments = np.array([*_DAYS, *_LOCAL_TIMES], dtype="datetime64[s]").astype(int).tolist()
    if arrow_type.tz is not None:
        moments += [change + offset for change in _clock_changes(arrow_type.tz) for offset in (-3600, -1, 0, 1, 3600)]
    factor = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[arrow_type.unit]
    return [moment * factor + part for moment in moments for part in {0, factor - 1}]


@functools.lru_cache
def _clock_changes(zone: str) -> tuple[int, ...]:
    """Return when a zone's clocks changed in 2024, in seconds since the epoch."""
    tz = pd.DatetimeTZDtype("s", zone).tz
    start = int(dt.datetime(2024, 1, 1, tzinfo=dt.UTC).timestamp())

    def offset(second: int) -> dt.timedelta | None:
        return dt.datetime.fromtimestamp(second, dt.UTC).astimezone(tz).utcoffset()

    # Zones change at quarters of an hour.
    seconds = range(start, start + 366 * 86_400, 900)
    days = range(0, len(seconds), 96)
    changed = [day for day in days if offset(seconds[day]) != offset(seconds[min(day + 96, len(seconds) - 1)])]
    return tuple(
        next(seconds[step] for step in range(day, day + 97) if offset(seconds[step]) != offset(seconds[day]))
        for day in changed
    )


def _floats(arrow_type: pa.DataType, check: Check, *, nan: bool) -> _Column:
    dtype = np.dtype(arrow_type.to_pandas_dtype()).type
    low = None if check.minimum is None else _inward(check.minimum, dtype, math.inf)
    high = None if check.maximum is None else _inward(check.maximum, dtype, -math.inf)
    strategy = st.floats(low, high, width=arrow_type.bit_width, allow_nan=nan)
    return _Column(strategy, _filled(arrow_type, lambda raws: pa.array(np.array(raws, dtype=dtype))))


def _inward(limit: Any, dtype: Any, towards: float) -> float:
    """Return the limit, or the next value inside it that the float width can represent."""
    nearest = dtype(limit)
    outside = float(nearest) < float(limit) if towards > 0 else float(nearest) > float(limit)
    return float(np.nextafter(nearest, dtype(towards))) if outside else float(nearest)


def _texts(check: Check) -> st.SearchStrategy[str]:
    if check.pattern is not None:
        expression = re.compile(check.pattern)
        strategy = st.from_regex(expression, fullmatch=True, alphabet=_CHARACTERS)
        strategy = strategy.filter(lambda text: expression.fullmatch(text) is not None)
    else:
        strategy = st.text(_CHARACTERS, max_size=20) | st.sampled_from(_TEXTS)
    if check.minimum is None and check.maximum is None:
        return strategy
    limits = [limit for limit in (check.minimum, check.maximum) if limit is not None]
    low, high = check.minimum, check.maximum
    return (strategy | st.sampled_from(limits)).filter(
        lambda text: (low is None or low <= text) and (high is None or text <= high)
    )


def _dictionary(arrow_type: pa.DataType, check: Check, *, nan: bool) -> _Column:
    values = _column(arrow_type.value_type, check, nan=nan)

    def array(raws: Sequence[Any]) -> pa.Array:
        encoded = values.array(raws).dictionary_encode()
        codes = encoded.indices.cast(arrow_type.index_type)
        return pa.DictionaryArray.from_arrays(codes, encoded.dictionary, ordered=arrow_type.ordered)

    return _Column(values.strategy, array)


def _item(field: pa.Field) -> _Column:
    column = _column(field.type, Check())
    return column.or_null() if field.nullable else column


def _structs(arrow_type: pa.DataType) -> _Column:
    fields = [arrow_type.field(position) for position in range(arrow_type.num_fields)]
    columns = [_item(field) for field in fields]

    def build(raws: Sequence[Any]) -> pa.Array:
        if not fields:
            return pa.array([{} for _ in raws], type=arrow_type)
        children = [column.array([raw[position] for raw in raws]) for position, column in enumerate(columns)]
        return pa.StructArray.from_arrays(children, fields=fields)

    return _Column(st.tuples(*(column.strategy for column in columns)), _filled(arrow_type, build))


def _lists(arrow_type: pa.DataType) -> _Column:
    item = _item(arrow_type.value_field)
    fixed = pa.types.is_fixed_size_list(arrow_type)
    least, most = (arrow_type.list_size, arrow_type.list_size) if fixed else (0, _MOST_ITEMS)

    def build(raws: Sequence[Any]) -> pa.Array:
        items = item.array([value for raw in raws for value in raw])
        if fixed:
            return pa.FixedSizeListArray.from_arrays(items, type=arrow_type)
        return lists_of(items, np.array([len(raw) for raw in raws], dtype=np.int64), arrow_type)

    strategy = st.lists(item.strategy, min_size=least, max_size=most).map(tuple)
    return _Column(strategy, _filled(arrow_type, build))


def _maps(arrow_type: pa.DataType) -> _Column:
    key, item = _column(arrow_type.key_type, Check(), nan=False), _item(arrow_type.item_field)

    def build(raws: Sequence[Any]) -> pa.Array:
        pairs = [pair for raw in raws for pair in raw]
        keys, items = key.array([pair[0] for pair in pairs]), item.array([pair[1] for pair in pairs])
        return pa.MapArray.from_arrays(
            offsets(np.array([len(raw) for raw in raws], dtype=np.int64)), keys, items, type=arrow_type
        )

    pairs = st.tuples(key.strategy, item.strategy)
    strategy = st.lists(pairs, max_size=_MOST_ITEMS, unique_by=lambda pair: _plain(pair[0])).map(tuple)
    return _Column(strategy, _filled(arrow_type, build))


def _intervals(arrow_type: pa.DataType) -> _Column:
    strategy = st.tuples(st.integers(-1000, 1000), st.integers(-1000, 1000), st.integers(-(10**12), 10**12))
    build = _filled(arrow_type, lambda raws: pa.array([pa.MonthDayNano(raw) for raw in raws], type=arrow_type))
    return _Column(strategy, build)
