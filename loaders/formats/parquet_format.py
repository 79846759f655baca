"""Parse Parquet, fetching and decoding only the needed columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# Not pyarrow.parquet.read_table: it imports pyarrow.dataset, which takes as long as pandas.
from pyarrow.parquet import FileMetaData, ParquetFile

from loaders.clients.source import Source
from loaders.formats.parquet_footer import (
    Chunk,
    chunks_of,
    column_of,
    refuse_other_formats,
    refusing_damage,
)
from loaders.formats.parquet_ranges import TAIL_BYTES, fetch, fetch_tail, needed_ranges
from loaders.formats.request import Request
from loaders.formats.workers import decoded_by_all
from loaders.schema.dtypes import is_text

# Above this share of the file it is fetched whole: its verification is worth more than the bytes saved.
_MOST_OF_A_FILE = 0.75
# The bytes of a dictionary code for up to 65,536 values; a column with more bytes per value has few repeated values.
_MOST_BYTES_A_CODE = 2
# Several stretches per thread, so that threads finish at about the same time.
_STRETCHES_A_THREAD = 3
# Row groups are decoded together up to this size, when a file is read in pieces.
_PIECE_BYTES = 32 << 20
_LARGEST_ASCII = 0x7F
_LARGEST_FINE_MICROSECONDS = (2**63 - 1) // 1000


def parse_parquet(data: pa.Buffer, request: Request) -> pa.Table:
    """Return the wanted columns of a whole file by their node names, in the types of the file."""
    view = memoryview(data)
    refuse_other_formats(view[:4], view[-4:], view.nbytes, request.shown)
    with refusing_damage(request.shown):
        metadata = ParquetFile(pa.BufferReader(data)).metadata
    fields = _fields(metadata, request)
    chunks = chunks_of(metadata, fields, data.size, request.shown)
    return _decoded(lambda: pa.BufferReader(data), metadata, chunks, fields, request.shown)


def parse_parquet_ranges(source: Source, request: Request) -> pa.Table:
    """Return the wanted columns of a file, fetching only their bytes, or all if they are most of it."""
    if source.size_bytes <= TAIL_BYTES[1]:
        return parse_parquet(source.read(), request)
    tail = fetch_tail(source, request)
    fields = _fields(tail.metadata, request)
    chunks = chunks_of(tail.metadata, fields, source.size_bytes, request.shown)
    ranges = needed_ranges(chunks, tail.start, tail.wasted_bytes)
    if sum(end - begin for begin, end in ranges) > _MOST_OF_A_FILE * source.size_bytes:
        return parse_parquet(source.read(), request)
    fetched = fetch(source, tail, ranges)
    return _decoded(lambda: pa.PythonFile(fetched.again(), mode="r"), tail.metadata, chunks, fields, request.shown)


def parquet_pieces(source: Source, request: Request, piece_bytes: int | None = None) -> Iterator[pa.Table]:
    """Yield the wanted columns of a file in pieces of whole row groups, which decode to about `piece_bytes`.

    Only the bytes of each piece are fetched, if ranges can be verified as the settings require; else the file is read
    to disk and verified first. A file with INT96 timestamps is one piece.
    """
    if source.prefers_whole or source.size_bytes <= TAIL_BYTES[1]:
        data, tail = source.read(to_disk=True), None
        view = memoryview(data)
        refuse_other_formats(view[:4], view[-4:], view.nbytes, request.shown)
        with refusing_damage(request.shown):
            metadata = ParquetFile(pa.BufferReader(data)).metadata
    else:
        tail = fetch_tail(source, request)
        metadata = tail.metadata
    fields = _fields(metadata, request)
    if _old_times(metadata, fields) or _nested_old_times(metadata, fields):
        yield parse_parquet(source.read(), request)
        return
    chunks = chunks_of(metadata, fields, source.size_bytes, request.shown)
    for groups in _runs_of_groups(metadata, chunks, _PIECE_BYTES if piece_bytes is None else piece_bytes):
        own = [chunk for chunk in chunks if chunk.group in groups]
        if tail is None:
            opened: Any = pa.BufferReader(data)
        else:
            opened = pa.PythonFile(fetch(source, tail, needed_ranges(own, tail.start, 0)), mode="r")
        with refusing_damage(request.shown):
            file = ParquetFile(opened, metadata=metadata, page_checksum_verification=True, pre_buffer=False)
            table = file.read_row_groups(list(groups), list(fields))
            columns = [_text(table[name], name) if is_text(fields[name].type) else table[name] for name in fields]
            rows = sum(metadata.row_group(group).num_rows for group in groups)
            if table.num_rows != rows:
                raise OSError(f"its row groups have {table.num_rows:,} rows, the footer says {rows:,}")
        names = [field.name for field in fields.values()]
        yield pa.table(dict(zip(names, columns, strict=True))) if names else pa.table({"": pa.nulls(rows)})


def _runs_of_groups(metadata: FileMetaData, chunks: Sequence[Chunk], piece_bytes: int) -> Iterator[range]:
    """Yield consecutive row groups that together decode to about a piece."""
    sizes = [0] * metadata.num_row_groups
    for chunk in chunks:
        sizes[chunk.group] += chunk.uncompressed_bytes
    start = 0
    for end in range(1, len(sizes) + 1):
        if end == len(sizes) or sum(sizes[start : end + 1]) > piece_bytes:
            yield range(start, end)
            start = end


def _fields(metadata: FileMetaData, request: Request) -> dict[str, pa.Field]:
    with refusing_damage(request.shown):
        names = metadata.schema.to_arrow_schema().names
    return request.match(names)


def _decoded(
    opened: Callable[[], Any],
    metadata: FileMetaData,
    chunks: Sequence[Chunk],
    fields: Mapping[str, pa.Field],
    shown: str,
) -> pa.Table:
    """Return the wanted columns of a file; `opened` opens the file for each thread."""
    stretches = _stretches(chunks, list(fields))
    # Without pre-buffering: it would read the gaps between columns, and all data is already in memory.
    options = {"metadata": metadata, "page_checksum_verification": True, "pre_buffer": False}
    if not stretches:
        with refusing_damage(shown):
            table = ParquetFile(opened(), **options).read(list(fields))
        return table.rename_columns([fields[name].name for name in table.column_names])
    codes = _repetitive(chunks, fields)

    def column(stretch: _Stretch) -> pa.ChunkedArray:
        file = ParquetFile(opened(), **options, read_dictionary=codes)
        values = file.read_row_groups(stretch.groups, [stretch.name], use_threads=False)[stretch.name]
        # Immediately, while the texts are in the core's cache.
        return _text(values, stretch.name) if is_text(fields[stretch.name].type) else values

    old_times = _old_times(metadata, fields)
    with refusing_damage(shown):
        decoded = dict(zip(stretches, decoded_by_all(column, stretches), strict=True))
        columns = {name: _joined(decoded, name) for name in fields}
        for name in old_times:
            columns[name] = _exact_old_times(opened, options, name)
        for name in _nested_old_times(metadata, fields):
            _refuse_wrapped_times(opened, options, name, columns[name].type)
        for name, values in columns.items():
            if len(values) != metadata.num_rows:
                raise OSError(f"column {name!r} has {len(values):,} values, the footer says {metadata.num_rows:,} rows")
    return pa.table({field.name: columns[name] for name, field in fields.items()})


@dataclass(frozen=True)
class _Stretch:
    """Consecutive row groups of one column, decoded by one thread."""

    name: str
    groups: range
    size_bytes: int


def _stretches(chunks: Sequence[Chunk], names: Sequence[str]) -> list[_Stretch]:
    """Return the columns in stretches of about equal size, the largest first."""
    groups = 1 + max((chunk.group for chunk in chunks), default=-1)
    sizes = {name: [0] * groups for name in names}
    for chunk in chunks:
        if (name := column_of(chunk.path, sizes)) is not None:
            sizes[name][chunk.group] += chunk.uncompressed_bytes
    most = sum(map(sum, sizes.values())) / (_STRETCHES_A_THREAD * pa.cpu_count())
    found = []
    for name, by_group in sizes.items():
        start = 0
        for end in range(1, groups + 1):
            if end == groups or sum(by_group[start : end + 1]) > most:
                found.append(_Stretch(name, range(start, end), sum(by_group[start:end])))
                start = end
    return sorted(found, key=lambda stretch: -stretch.size_bytes)


def _joined(decoded: Mapping[_Stretch, pa.ChunkedArray], name: str) -> pa.ChunkedArray:
    stretches = sorted((stretch for stretch in decoded if stretch.name == name), key=lambda each: each.groups.start)
    chunks = [chunk for stretch in stretches for chunk in decoded[stretch].chunks]
    return pa.chunked_array(chunks, decoded[stretches[0]].type)


def _repetitive(chunks: Sequence[Chunk], fields: Mapping[str, pa.Field]) -> list[str]:
    """Return the text columns with few distinct values, which decode faster as dictionaries."""
    found = []
    for name in (name for name, field in fields.items() if is_text(field.type)):
        own = [chunk for chunk in chunks if chunk.path == name]
        size_bytes = sum(chunk.uncompressed_bytes for chunk in own)
        if all(chunk.has_dictionary for chunk in own) and size_bytes < _MOST_BYTES_A_CODE * sum(c.values for c in own):
            found.append(name)
    return found


def _text(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Return text in the layout of pandas, after checking that it is UTF-8."""
    if pa.types.is_dictionary(column.type) and is_text(column.type.value_type):
        for chunk in column.chunks:
            _refuse_no_text(chunk.dictionary.cast(pa.large_string()), name)
        return column.cast(pa.large_string())
    if not is_text(column.type):
        return column
    large = column.cast(pa.large_string())
    for chunk in large.chunks:
        _refuse_no_text(chunk, name)
    return large


def _refuse_no_text(texts: pa.LargeStringArray, name: str) -> None:
    data = texts.buffers()[2]
    # ASCII is UTF-8, and most text is ASCII; the check for ASCII takes a tenth of the time.
    if data is not None and data.size and np.frombuffer(data, np.uint8).max() > _LARGEST_ASCII:
        try:
            texts.validate(full=True)
        except pa.ArrowInvalid:
            raise OSError(f"column {name!r} holds text that is not UTF-8") from None


def _old_times(metadata: FileMetaData, fields: Mapping[str, pa.Field]) -> list[str]:
    """Return the wanted columns that are INT96 timestamps."""
    columns = [metadata.schema.column(position) for position in range(metadata.num_columns)]
    return [column.path for column in columns if column.physical_type == "INT96" and column.path in fields]


def _nested_old_times(metadata: FileMetaData, fields: Mapping[str, pa.Field]) -> set[str]:
    """Return the wanted columns with INT96 timestamps inside lists or structs."""
    columns = [metadata.schema.column(position) for position in range(metadata.num_columns)]
    old = [column.path for column in columns if column.physical_type == "INT96" and column.path not in fields]
    return {name for path in old if (name := column_of(path, fields)) is not None}


def _refuse_wrapped_times(
    opened: Callable[[], Any], options: Mapping[str, Any], name: str, decoded_type: pa.DataType
) -> None:
    coarse = ParquetFile(opened(), **options, coerce_int96_timestamp_unit="us").read([name])[name]
    try:
        coarse.cast(decoded_type)
    except pa.ArrowInvalid:
        raise OSError(f"column {name!r} has nested times outside the range of nanoseconds") from None


def _exact_old_times(opened: Callable[[], Any], options: Mapping[str, Any], name: str) -> pa.ChunkedArray:
    """Return a column of INT96 exactly, even outside the range of Arrow's nanoseconds.

    Microseconds do not overflow, but Arrow drops finer digits.
    """
    coarse, fine = (
        ParquetFile(opened(), **options, coerce_int96_timestamp_unit=unit).read([name])[name] for unit in ("us", "ns")
    )
    counts = coarse.cast(pa.int64())
    outside = pc.greater(pc.abs(counts), _LARGEST_FINE_MICROSECONDS)
    if not pc.any(outside, min_count=0).as_py():
        return fine
    finer = pc.not_equal(
        pc.multiply(pc.if_else(outside, 0, counts), 1000), pc.if_else(outside, 0, fine.cast(pa.int64()))
    )
    if pc.any(finer, min_count=0).as_py():
        raise OSError(
            f"column {name!r} has times that are both finer than microseconds and outside the range of nanoseconds"
        )
    return coarse
