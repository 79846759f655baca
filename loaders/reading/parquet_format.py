"""Parquet: the footer says where the columns lie; only what is wanted is fetched and decoded."""

from __future__ import annotations

import bisect
import io
import itertools
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# Not pyarrow.parquet.read_table: it imports pyarrow.dataset, which takes as long as pandas.
from pyarrow.parquet import FileMetaData, ParquetFile

from loaders.contract.dtypes import is_text
from loaders.reading.cancellation import results_of
from loaders.reading.parquet_footer import (
    MAGIC,
    Chunk,
    chunks_of,
    column_of,
    footer_metadata,
    refuse_other_formats,
    refusing_damage,
)
from loaders.reading.request import Request
from loaders.reading.source import Source
from loaders.reading.workers import decoder

# The end of a file that is fetched for its footer: a share of the file within bounds. Up to the larger one, a file is
# fetched whole: one request takes no longer than the two or three that its columns would need.
_TAIL_SHARE = 1 / 64
_TAIL_BYTES = (16 << 10, 64 << 10)
# Gaps between chunks are fetched with them, the smallest first: a request costs about what a hundred KiB do. Together
# with what the tail has beside the footer they are at most this share of the chunks. Where there would still be too
# many requests, all gaps up to a size are fetched.
_MOST_NOT_NEEDED = 0.08
_MANY_REQUESTS = 64
_GAP_BYTES = 32 << 10
# Above this share of the file, its one verified whole is worth more than what its parts save.
_MOST_OF_A_FILE = 0.75
# A code of a dictionary of up to 65,536 values; a column that takes more a value repeats little.
_MOST_BYTES_A_CODE = 2
# So that the last one to finish keeps the others waiting for little.
_STRETCHES_A_THREAD = 3
_LARGEST_ASCII = 0x7F
_LARGEST_FINE_MICROSECONDS = (2**63 - 1) // 1000
Range = tuple[int, int]


def parse_parquet(data: pa.Buffer, request: Request) -> pa.Table:
    """Return the wanted columns of a whole file by their node names, in the types of the file."""
    view = memoryview(data)
    refuse_other_formats(view[:4], view[-4:], view.nbytes, request.shown)
    with refusing_damage(request.shown):
        metadata = ParquetFile(pa.BufferReader(data)).metadata
    fields = _fields(metadata, request)
    chunks = chunks_of(metadata, fields, data.size, request.shown)
    columns = _Columns(lambda: pa.BufferReader(data), metadata, chunks, fields, request.shown)
    for stretch in columns.stretches:
        columns.begin(stretch)
    return columns.table()


def parse_parquet_ranges(source: Source, request: Request) -> pa.Table:
    """Return the wanted columns of a file of which only their bytes are fetched, or all where they are most of it."""
    size_bytes = source.size_bytes
    if size_bytes <= _TAIL_BYTES[1]:
        return parse_parquet(source.read(), request)
    start = size_bytes - min(max(int(_TAIL_SHARE * size_bytes), _TAIL_BYTES[0]), _TAIL_BYTES[1])
    tail = source.read_ranges([(start, size_bytes)])[0]
    view = memoryview(tail)
    refuse_other_formats(memoryview(MAGIC), view[-4:], size_bytes, request.shown)
    footer_start = max(0, size_bytes - 8 - int.from_bytes(view[-8:-4], "little"))
    if footer_start < start:
        tail = pa.py_buffer(source.read_ranges([(footer_start, start)])[0].to_pybytes() + tail.to_pybytes())
        start = footer_start
    metadata = footer_metadata(tail.slice(footer_start - start), request.shown)
    fields = _fields(metadata, request)
    chunks = chunks_of(metadata, fields, size_bytes, request.shown)
    ranges = _needed(chunks, start, footer_start - start)
    if sum(end - begin for begin, end in ranges) > _MOST_OF_A_FILE * size_bytes:
        return parse_parquet(source.read(), request)
    fetched = _FetchedRanges(size_bytes)
    fetched.add(start, tail)
    columns = _Columns(lambda: pa.PythonFile(fetched.again(), mode="r"), metadata, chunks, fields, request.shown)
    _fetch(source, ranges, start, fetched, columns)
    return columns.table()


def _fetch(source: Source, ranges: list[Range], before: int, fetched: _FetchedRanges, columns: _Columns) -> None:
    """Fetch the ranges up to a place, those of the first stretch first; decode a stretch as soon as it is there."""
    starts = [begin for begin, _ in ranges]
    waiting = {
        stretch: {bisect.bisect_right(starts, chunk.begin) - 1 for chunk in stretch.chunks if _is_before(chunk, before)}
        for stretch in columns.stretches
    }
    for stretch in [stretch for stretch, numbers in waiting.items() if not numbers]:
        columns.begin(stretch)
    order = list(dict.fromkeys(number for numbers in waiting.values() for number in sorted(numbers)))
    lock = threading.Lock()

    def arrived(place: int, data: pa.Buffer) -> None:
        number = order[place]
        with lock:
            fetched.add(ranges[number][0], data)
            complete = [stretch for stretch, numbers in waiting.items() if numbers == {number}]
            for numbers in waiting.values():
                numbers.discard(number)
        for stretch in complete:
            columns.begin(stretch)

    source.read_ranges([ranges[number] for number in order], arrived)


def _is_before(chunk: Chunk, place: int) -> bool:
    return chunk.begin < min(chunk.end, place)


def _needed(chunks: list[Chunk], before: int, wasted_bytes: int) -> list[Range]:
    """Return the stretches up to a place that hold the chunks; they are there from that place on."""
    spare_bytes = _MOST_NOT_NEEDED * sum(chunk.end - chunk.begin for chunk in chunks) - wasted_bytes
    ordered = sorted((chunk.begin, min(chunk.end, before)) for chunk in chunks if _is_before(chunk, before))
    joined = _coalesced(ordered, _affordable_gap(ordered, spare_bytes))
    return joined if len(joined) <= _MANY_REQUESTS else _coalesced(ordered, _GAP_BYTES)


def _fields(metadata: FileMetaData, request: Request) -> dict[str, pa.Field]:
    with refusing_damage(request.shown):
        names = metadata.schema.to_arrow_schema().names
    return request.match(names)


def _affordable_gap(chunks: list[Range], spare: float) -> int:
    """Return the largest gap that is fetched, where all that are no larger are and a number of bytes can be spared."""
    affordable = 0
    gaps = sorted(begin - end for (_, end), (begin, _) in itertools.pairwise(chunks))
    for gap, alike in itertools.groupby(gaps):
        spare -= sum(alike)
        if spare < 0:
            break
        affordable = gap
    return affordable


def _coalesced(chunks: list[Range], gap_bytes: int) -> list[Range]:
    joined: list[Range] = []
    for begin, end in chunks:
        if joined and begin - joined[-1][1] <= gap_bytes:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined


@dataclass(frozen=True, eq=False)
class _Stretch:
    """Successive row groups of one column, which one thread decodes."""

    name: str
    chunks: tuple[Chunk, ...]

    @property
    def groups(self) -> range:
        return range(self.chunks[0].group, self.chunks[-1].group + 1)

    @property
    def size_bytes(self) -> int:
        return sum(chunk.uncompressed_bytes for chunk in self.chunks)


class _Columns:
    """The wanted columns of a file that `opened` opens once for each thread, decoded stretch by stretch."""

    def __init__(
        self,
        opened: Callable[[], Any],
        metadata: FileMetaData,
        chunks: Sequence[Chunk],
        fields: Mapping[str, pa.Field],
        shown: str,
    ) -> None:
        self._opened = opened
        self._metadata = metadata
        self._fields = fields
        self._shown = shown
        # Without pre-buffering: it would read across the gaps between columns, and everything is in memory already.
        self._options = {"metadata": metadata, "page_checksum_verification": True, "pre_buffer": False}
        self._codes = _repetitive(chunks, fields)
        self._decoding: dict[_Stretch, Future[pa.ChunkedArray]] = {}
        self._decode = decoder(self._column)
        self.stretches = _stretches(chunks, fields)

    def begin(self, stretch: _Stretch) -> None:
        """Begin to decode a stretch, all of which is there; from any thread."""
        self._decoding[stretch] = self._decode(stretch)

    def table(self) -> pa.Table:
        """Return the columns by their node names, when all stretches are begun."""
        with refusing_damage(self._shown):
            if not self.stretches:
                table = ParquetFile(self._opened(), **self._options).read(list(self._fields))
                return table.rename_columns([self._fields[name].name for name in table.column_names])
            results_of(list(self._decoding.values()))
            columns = {name: self._joined(name) for name in self._fields}
            for name in _old_times(self._metadata, self._fields):
                columns[name] = _exact_old_times(self._opened, self._options, name)
            for name, values in columns.items():
                if len(values) != self._metadata.num_rows:
                    rows = f"the footer says {self._metadata.num_rows:,} rows"
                    raise OSError(f"column {name!r} has {len(values):,} values, {rows}")
        return pa.table({field.name: columns[name] for name, field in self._fields.items()})

    def _column(self, stretch: _Stretch) -> pa.ChunkedArray:
        file = ParquetFile(self._opened(), **self._options, read_dictionary=self._codes)
        values = file.read_row_groups(stretch.groups, [stretch.name], use_threads=False)[stretch.name]
        # At once, while its texts are near the core.
        return _text(values, stretch.name) if is_text(self._fields[stretch.name].type) else values

    def _joined(self, name: str) -> pa.ChunkedArray:
        stretches = sorted((each for each in self.stretches if each.name == name), key=lambda each: each.groups.start)
        if not stretches:
            raise OSError(f"column {name!r} has no values")
        decoded = [self._decoding[stretch].result() for stretch in stretches]
        return pa.chunked_array([chunk for values in decoded for chunk in values.chunks], decoded[0].type)


def _stretches(chunks: Sequence[Chunk], names: Collection[str]) -> list[_Stretch]:
    """Return the columns in stretches of about one size, however large their parts of the file, the largest first."""
    by_name: dict[str, list[Chunk]] = {name: [] for name in names}
    for chunk in chunks:
        if (name := column_of(chunk.path, names)) is not None:
            by_name[name].append(chunk)
    most = sum(chunk.uncompressed_bytes for chunk in chunks) / (_STRETCHES_A_THREAD * pa.cpu_count())
    found = []
    for name, own in by_name.items():
        size_bytes = 0
        for _, group in itertools.groupby(own, key=lambda chunk: chunk.group):
            some = _Stretch(name, tuple(group))
            size_bytes += some.size_bytes
            if size_bytes == some.size_bytes or size_bytes > most:
                found.append(some)
                size_bytes = some.size_bytes
            else:
                found[-1] = _Stretch(name, found[-1].chunks + some.chunks)
    return sorted(found, key=lambda stretch: -stretch.size_bytes)


def _repetitive(chunks: Sequence[Chunk], fields: Mapping[str, pa.Field]) -> list[str]:
    """Return the columns of text that hold few values again and again: read as codes, they take a third of the time."""
    found = []
    for name in (name for name, field in fields.items() if is_text(field.type)):
        own = [chunk for chunk in chunks if chunk.path == name]
        size_bytes = sum(chunk.uncompressed_bytes for chunk in own)
        if all(chunk.has_dictionary for chunk in own) and size_bytes < _MOST_BYTES_A_CODE * sum(c.values for c in own):
            found.append(name)
    return found


def _text(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Return text in the layout of pandas; the format guards none of its bytes, and Arrow does not look at them."""
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
    # What is ASCII is UTF-8, and most text is ASCII; telling takes a tenth of the time.
    if data is not None and data.size and np.frombuffer(data, np.uint8).max() > _LARGEST_ASCII:
        try:
            texts.validate(full=True)
        except pa.ArrowInvalid:
            raise OSError(f"column {name!r} holds text that is not UTF-8") from None


def _old_times(metadata: FileMetaData, fields: Mapping[str, pa.Field]) -> list[str]:
    """Return the wanted columns in Parquet's first layout of timestamps, INT96."""
    columns = [metadata.schema.column(position) for position in range(metadata.num_columns)]
    return [column.path for column in columns if column.physical_type == "INT96" and column.path in fields]


def _exact_old_times(opened: Callable[[], Any], options: Mapping[str, Any], name: str) -> pa.ChunkedArray:
    """Return a column of INT96, whose days reach further than nanoseconds do in 64 bits, where Arrow wraps around.

    In microseconds it does not, but drops what is finer.
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
        raise OSError(f"column {name!r} holds times both finer than microseconds and beyond what nanoseconds reach")
    return coarse


class _FetchedRanges(io.RawIOBase):
    """A file of which some ranges are there; whoever reads others is refused, not given zeros."""

    def __init__(self, size_bytes: int, pieces: Sequence[tuple[int, memoryview]] = ()) -> None:
        super().__init__()
        self._size_bytes = size_bytes
        self._position = 0
        self._pieces = list(pieces)

    def add(self, start: int, data: pa.Buffer) -> None:
        bisect.insort(self._pieces, (start, memoryview(data)), key=itemgetter(0))

    def again(self) -> _FetchedRanges:
        """Return the same file, as much as is there, with a position of its own."""
        return _FetchedRanges(self._size_bytes, self._pieces)

    def read(self, size: int = -1) -> Any:
        end = self._size_bytes if size < 0 else min(self._position + size, self._size_bytes)
        found = []
        while self._position < end:
            place = bisect.bisect_right(self._pieces, self._position, key=itemgetter(0)) - 1
            start, data = self._pieces[place] if place >= 0 else (0, memoryview(b""))
            offset = self._position - start
            if offset >= len(data):
                raise OSError(f"byte {self._position:,} belongs to no column that was asked for")
            found.append(data[offset : offset + end - self._position])
            self._position += len(found[-1])
        return found[0] if len(found) == 1 else b"".join(found)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size_bytes}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True
