"""pandas' Index, Series and DataFrame."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.internals import create_dataframe_from_blocks  # type: ignore[import-not-found] # no stub

# Importing them registers how what is inside a frame is written and read.
from caching.codec import extension_arrays as _extension_arrays  # noqa: F401
from caching.codec.arrays import read_array, write_array
from caching.codec.coder import Damaged, Decoder, Encoder, Node, Writer, reads, writes, writes_special
from caching.codec.pandas_scalars import find_offset_writer

_INDEXES: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        pd.Index, pd.DatetimeIndex, pd.TimedeltaIndex, pd.PeriodIndex, pd.IntervalIndex, pd.CategoricalIndex,
    )
}  # fmt: skip


@writes_special("pandas")
def _find_writer(kind: type) -> Writer | None:
    return find_offset_writer(kind)


def _write_values(encoder: Encoder, values: Any) -> Node:
    """Return a column's or an index's values: a numpy array, or one of pandas' own."""
    return ["np", write_array(encoder, values)] if type(values) is np.ndarray else encoder.encode(values)


def _read_values(decoder: Decoder, node: Node) -> Any:
    return read_array(decoder, node[1]) if node[0] == "np" else decoder.decode(node)


@writes(*_INDEXES.values())
def _write_index(encoder: Encoder, value: Any) -> Node:
    values = _write_values(encoder, value._data)
    freq = getattr(value, "_freq", None) if type(value) in (pd.DatetimeIndex, pd.TimedeltaIndex) else None
    return ["pd.index", type(value).__name__, values, encoder.encode(value.name), encoder.encode(freq)]


@reads("pd.index")
def _read_index(decoder: Decoder, kind: str, values: Node, name: Node, freq: Node) -> pd.Index:
    data = _read_values(decoder, values)
    if getattr(data, "ndim", None) != 1:
        raise Damaged("an index is not one-dimensional")
    index = _INDEXES[kind]._simple_new(data, name=_hashable(decoder.decode(name)))
    if freq is not None and getattr(index, "_freq", None) is None:
        index._freq = decoder.decode(freq)
    return index  # type: ignore[no-any-return]


def _hashable(name: Any) -> Hashable:
    hash(name)
    return name  # type: ignore[no-any-return]


@writes(pd.RangeIndex)
def _write_range(encoder: Encoder, value: pd.RangeIndex) -> Node:
    return ["pd.range", value.start, value.stop, value.step, encoder.encode(value.name)]


@reads("pd.range")
def _read_range(decoder: Decoder, start: int, stop: int, step: int, name: Node) -> pd.RangeIndex:
    return pd.RangeIndex(start, stop, step, name=decoder.decode(name))


@writes(pd.MultiIndex)
def _write_multi_index(encoder: Encoder, value: Any) -> Node:
    levels = [encoder.encode(level) for level in value.levels]
    codes = [write_array(encoder, code) for code in value.codes]
    return ["pd.multi", levels, codes, value.sortorder, [encoder.encode(name) for name in value.names]]


@reads("pd.multi")
def _read_multi_index(decoder: Decoder, levels: Node, codes: Node, sortorder: int | None, names: Node) -> pd.MultiIndex:
    return pd.MultiIndex(
        levels=[decoder.decode(level) for level in levels],
        codes=[read_array(decoder, code) for code in codes],  # type: ignore[misc] # arrays are fine
        sortorder=sortorder,
        names=[decoder.decode(name) for name in names],
    )


@writes(pd.Series)
def _write_series(encoder: Encoder, value: pd.Series[Any]) -> Node:
    values = _write_values(encoder, value._values)
    return [
        "pd.series",
        values,
        encoder.encode(value.index),
        encoder.encode(value.name),
        _write_extras(encoder, value),
    ]


@reads("pd.series")
def _read_series(decoder: Decoder, values: Node, index: Node, name: Node, extras: Node) -> pd.Series[Any]:
    data, labels = _read_values(decoder, values), decoder.decode(index)
    if len(data) != len(labels):
        raise Damaged("a series and its index differ in length")
    series = pd.Series(data, index=labels, dtype=data.dtype, name=decoder.decode(name), copy=False)
    return _read_extras(decoder, series, extras)  # type: ignore[no-any-return]


@writes(pd.DataFrame)
def _write_frame(encoder: Encoder, value: pd.DataFrame) -> Node:
    blocks = [
        [_write_values(encoder, block.values), _write_places(block.mgr_locs.as_array.tolist())]
        for block in value._mgr.blocks
    ]
    return [
        "pd.frame",
        encoder.encode(value.columns),
        encoder.encode(value.index),
        blocks,
        _write_extras(encoder, value),
    ]


def _write_places(places: list[int]) -> list[int]:
    """Write the positions of a block's rows among the columns; neighbours as start and end."""
    return (
        places if len(places) < 3 or places != list(range(places[0], places[-1] + 1)) else [places[0], places[-1], -1]
    )


def _read_places(places: list[int]) -> list[int]:
    return list(range(places[0], places[1] + 1)) if len(places) == 3 and places[2] == -1 else places


@reads("pd.frame")
def _read_frame(decoder: Decoder, columns: Node, index: Node, blocks: list[Node], extras: Node) -> pd.DataFrame:
    names, labels = decoder.decode(columns), decoder.decode(index)
    placed: list[int] = []
    arrays = []
    for values, short in blocks:
        places = _read_places(short)
        placed += places
        arrays.append((_read_values(decoder, values), np.array(places, np.intp)))
    # Unchecked by pandas: a column without a block, or with two, would read foreign memory.
    if sorted(placed) != list(range(len(names))):
        raise Damaged("the blocks of a frame do not cover its columns")
    for array, columns_of in arrays:
        flat = array.ndim == 1 and len(columns_of) == 1
        if array.shape != ((len(labels),) if flat else (len(columns_of), len(labels))):
            raise Damaged("a block of a frame has another shape than its labels")
    return _read_extras(decoder, create_dataframe_from_blocks(arrays, labels, names), extras)  # type: ignore[no-any-return]


def _write_extras(encoder: Encoder, value: Any) -> Node:
    """Write `attrs` and flags, if there are any."""
    unique = not value.flags.allows_duplicate_labels
    return [encoder.encode(value.attrs), unique] if value.attrs or unique else None


def _read_extras(decoder: Decoder, value: Any, extras: Node) -> Any:
    if extras is not None:
        attrs, unique = extras
        value.attrs = decoder.decode(attrs)
        if unique:
            value.flags.allows_duplicate_labels = False
    return value
