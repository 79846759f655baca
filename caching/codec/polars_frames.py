"""polars' eager frames and series, through Arrow.

A LazyFrame is a plan, not data: what it gives depends on when it is collected, so it has no exact form.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from caching.codec.arrow import read_chunked, write_chunks
from caching.codec.coder import Damaged, Decoder, Encoder, Node, NotExact, reads, writes

_SIMPLE = {
    kind.__name__: kind
    for kind in (
        pl.Boolean, pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64,
        pl.Float32, pl.Float64, pl.String, pl.Binary, pl.Date, pl.Time, pl.Null,
    )
}  # fmt: skip


def _write_dtype(dtype: Any) -> Node:
    """Return a dtype of polars; types that Arrow has no exact counterpart of are refused."""
    kind = type(dtype)
    if _SIMPLE.get(kind.__name__) is kind:
        return kind.__name__
    if kind is pl.Datetime:
        return ["Datetime", dtype.time_unit, dtype.time_zone]
    if kind is pl.Duration:
        return ["Duration", dtype.time_unit]
    if kind is pl.Decimal:
        return ["Decimal", dtype.precision, dtype.scale]
    if kind is pl.List:
        return ["List", _write_dtype(dtype.inner)]
    if kind is pl.Array:
        return ["Array", _write_dtype(dtype.inner), dtype.size]
    if kind is pl.Struct:
        return ["Struct", [[field.name, _write_dtype(field.dtype)] for field in dtype.fields]]
    raise NotExact(f"it contains a polars column of type {dtype}")


def _read_dtype(node: Node) -> Any:
    if type(node) is str:
        return _SIMPLE[node]()
    kind, *parts = node
    if kind == "Datetime":
        return pl.Datetime(*parts)
    if kind == "Duration":
        return pl.Duration(*parts)
    if kind == "Decimal":
        return pl.Decimal(*parts)
    if kind == "List":
        return pl.List(_read_dtype(parts[0]))
    if kind == "Array":
        return pl.Array(_read_dtype(parts[0]), parts[1])
    if kind == "Struct":
        return pl.Struct([pl.Field(name, _read_dtype(dtype)) for name, dtype in parts[0]])
    if kind == "Enum":
        return pl.Enum(parts[0])
    raise Damaged(f"there is no polars type {kind!r}")


def _write_column(encoder: Encoder, series: pl.Series) -> Node:
    if isinstance(series.dtype, pl.Enum):
        # As texts, the one form that casts back in every version; within lists and structs there is none.
        dtype, series = ["Enum", series.dtype.categories.to_list()], series.cast(pl.String)
    else:
        dtype = _write_dtype(series.dtype)
    array = series.to_arrow(compat_level=pl.CompatLevel.newest())
    return [series.name, dtype, write_chunks(encoder, array.type, [array])]


def _read_column(decoder: Decoder, node: Node) -> pl.Series:
    name, kind, chunks = node
    dtype = _read_dtype(kind)
    series: Any = pl.from_arrow(read_chunked(decoder, chunks))
    series = series.alias(name)
    if series.dtype != dtype:
        series = series.cast(dtype)
    return series  # type: ignore[no-any-return]


@writes(pl.Series)
def _write_series(encoder: Encoder, value: pl.Series) -> Node:
    return ["pl.series", _write_column(encoder, value)]


@reads("pl.series")
def _read_series(decoder: Decoder, node: Node) -> pl.Series:
    return _read_column(decoder, node)


@writes(pl.DataFrame)
def _write_frame(encoder: Encoder, value: pl.DataFrame) -> Node:
    return ["pl.frame", [_write_column(encoder, column) for column in value.get_columns()], value.height]


@reads("pl.frame")
def _read_frame(decoder: Decoder, columns: list[Node], height: int) -> pl.DataFrame:
    frame = pl.DataFrame([_read_column(decoder, column) for column in columns])
    if frame.height != height:
        raise Damaged("a frame has another number of rows than announced")
    return frame
