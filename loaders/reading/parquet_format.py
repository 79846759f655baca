"""Parquet: the footer says where the columns lie; only what is wanted is fetched and decoded."""

from __future__ import annotations

import io
import itertools
from bisect import bisect_right
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

# Not pyarrow.parquet.read_table: it imports pyarrow.dataset, which takes as long as pandas.
from pyarrow.parquet import ColumnChunkMetaData, FileMetaData, ParquetFile, read_metadata

from loaders.contract.dtypes import is_text
from loaders.errors import ReadError
from loaders.reading.request import Request
from loaders.reading.source import Source
from loaders.reading.workers import decoded_by_all

MAGIC = b"PAR1"
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
Range = tuple[int, int]


def parse_parquet(data: pa.Buffer, request: Request) -> pa.Table:
    """Return the wanted columns of a whole file by their node names, in the types of the file."""
    view = memoryview(data)
    if view.nbytes < 12 or view[:4] != MAGIC or view[-4:] != MAGIC:
        raise _not_parquet(view.nbytes, request.shown)
    return _read(lambda: pa.BufferReader(data), None, request)


def parse_parquet_ranges(source: Source, request: Request) -> pa.Table:
    """Return the wanted columns of a file of which only their bytes are fetched, or all where they are most of it."""
    size_bytes = source.size_bytes
    if size_bytes <= _TAIL_BYTES[1]:
        return parse_parquet(source.read(), request)
    start = size_bytes - min(max(int(_TAIL_SHARE * size_bytes), _TAIL_BYTES[0]), _TAIL_BYTES[1])
    tail = source.read_ranges([(start, size_bytes)])[0]
    view = memoryview(tail)
    footer_start = size_bytes - 8 - int.from_bytes(view[-8:-4], "little")
    if view[-4:] != MAGIC or footer_start < 0:
        raise _not_parquet(size_bytes, request.shown)
    if footer_start < start:
        tail = pa.py_buffer(source.read_ranges([(footer_start, start)])[0].to_pybytes() + tail.to_pybytes())
        start = footer_start
    metadata = _metadata(tail.slice(footer_start - start), request.shown)
    ranges = _needed(metadata, request, size_bytes, start, footer_start - start)
    if sum(end - begin for begin, end in ranges) > _MOST_OF_A_FILE * size_bytes:
        return parse_parquet(source.read(), request)
    fetched = _FetchedRanges(size_bytes)
    fetched.add(start, tail)
    for (begin, _), data in zip(ranges, source.read_ranges(ranges), strict=True):
        fetched.add(begin, data)
    return _read(lambda: pa.PythonFile(fetched.again(), mode="r"), metadata, request)


def _read(opened: Callable[[], Any], metadata: FileMetaData | None, request: Request) -> pa.Table:
    """Return the wanted columns from a file that `opened` opens once for each thread."""
    try:
        # Without pre-buffering: it would read across the gaps between columns, and everything is in memory already.
        options: dict[str, Any] = {"page_checksum_verification": True, "pre_buffer": False}
        file = ParquetFile(opened(), metadata=metadata, **options)
        fields = request.match(file.schema_arrow.names)
        stretches = _stretches(file.metadata, list(fields))
        if not stretches:
            table = file.read(list(fields))
            return table.rename_columns([fields[name].name for name in table.column_names])
        options |= {"metadata": file.metadata, "read_dictionary": _repetitive(file.metadata, fields)}

        def column(stretch: _Stretch) -> pa.ChunkedArray:
            table = ParquetFile(opened(), **options).read_row_groups(stretch.groups, [stretch.name], use_threads=False)
            # At once, while its texts are near the core.
            return _large(table[stretch.name], fields[stretch.name])

        decoded = dict(zip(stretches, decoded_by_all(column, stretches), strict=True))
        return pa.table({field.name: _joined(decoded, name) for name, field in fields.items()})
    except (pa.ArrowException, OSError) as error:
        raise ReadError(f"'{request.shown}' is damaged: {str(error).splitlines()[0][:300]}") from None


@dataclass(frozen=True)
class _Stretch:
    """Successive row groups of one column, which one thread decodes."""

    name: str
    groups: range
    size_bytes: int


def _stretches(metadata: FileMetaData, names: Sequence[str]) -> list[_Stretch]:
    """Return the columns in stretches of about one size, however large their parts of the file, the largest first."""
    sizes = {name: [0] * metadata.num_row_groups for name in names}
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for position in range(row_group.num_columns):
            chunk = row_group.column(position)
            if (name := _column_of(chunk, sizes)) is not None:
                sizes[name][group] += chunk.total_uncompressed_size
    most = sum(map(sum, sizes.values())) / (_STRETCHES_A_THREAD * pa.cpu_count())
    found = []
    for name, by_group in sizes.items():
        start = 0
        for end in range(1, len(by_group) + 1):
            if end == len(by_group) or sum(by_group[start : end + 1]) > most:
                found.append(_Stretch(name, range(start, end), sum(by_group[start:end])))
                start = end
    return sorted(found, key=lambda stretch: -stretch.size_bytes)


def _column_of(chunk: ColumnChunkMetaData, names: Collection[str]) -> str | None:
    """Return which of the columns a chunk belongs to: a nested column has several, named by their paths in it."""
    path: str = chunk.path_in_schema
    return next((name for name in (path, path.split(".")[0]) if name in names), None)


def _joined(decoded: Mapping[_Stretch, pa.ChunkedArray], name: str) -> pa.ChunkedArray:
    stretches = sorted((stretch for stretch in decoded if stretch.name == name), key=lambda each: each.groups.start)
    chunks = [chunk for stretch in stretches for chunk in decoded[stretch].chunks]
    return pa.chunked_array(chunks, decoded[stretches[0]].type)


def _repetitive(metadata: FileMetaData, fields: Mapping[str, pa.Field]) -> list[str]:
    """Return the columns of text that hold few values again and again: read as codes, they take a third of the time."""
    found = []
    for position in range(metadata.num_columns):
        chunks = [metadata.row_group(number).column(position) for number in range(metadata.num_row_groups)]
        name = metadata.schema.column(position).path
        if name in fields and is_text(fields[name].type) and all(chunk.has_dictionary_page for chunk in chunks):
            size_bytes = sum(chunk.total_uncompressed_size for chunk in chunks)
            if size_bytes < _MOST_BYTES_A_CODE * sum(chunk.num_values for chunk in chunks):
                found.append(name)
    return found


def _large(column: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    """Return text in the layout of pandas, for a column of text."""
    found = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return column.cast(pa.large_string()) if is_text(found) and is_text(field.type) else column


def _metadata(footer: pa.Buffer, shown: str) -> FileMetaData:
    try:
        return read_metadata(pa.BufferReader(footer))
    except (pa.ArrowException, OSError) as error:
        raise ReadError(f"'{shown}' has a damaged footer: {str(error).splitlines()[0][:300]}") from None


def _needed(metadata: FileMetaData, request: Request, size_bytes: int, before: int, wasted_bytes: int) -> list[Range]:
    """Return the stretches up to a place that hold the wanted columns' chunks; they are there from that place on."""
    names = set(request.match(metadata.schema.to_arrow_schema().names))
    chunks = []
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for position in range(row_group.num_columns):
            chunk = row_group.column(position)
            if _column_of(chunk, names) is not None:
                first = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
                begin = min(first, chunk.data_page_offset)
                end = begin + chunk.total_compressed_size
                if not 0 <= begin <= end <= size_bytes:
                    raise ReadError(f"'{request.shown}' has a damaged footer: a column lies outside of the file.")
                chunks.append((begin, end))
    spare_bytes = _MOST_NOT_NEEDED * sum(end - begin for begin, end in chunks) - wasted_bytes
    ordered = sorted((begin, min(end, before)) for begin, end in chunks if begin < before)
    joined = _coalesced(ordered, _affordable_gap(ordered, spare_bytes))
    return joined if len(joined) <= _MANY_REQUESTS else _coalesced(ordered, _GAP_BYTES)


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


class _FetchedRanges(io.RawIOBase):
    """A file of which some ranges are there; whoever reads others is refused, not given zeros."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__()
        self._size_bytes = size_bytes
        self._position = 0
        self._starts: list[int] = []
        self._ranges: list[memoryview] = []

    def add(self, start: int, data: pa.Buffer) -> None:
        place = bisect_right(self._starts, start)
        self._starts.insert(place, start)
        self._ranges.insert(place, memoryview(data))

    def again(self) -> _FetchedRanges:
        """Return the same file with a position of its own."""
        twin = _FetchedRanges(self._size_bytes)
        twin._starts, twin._ranges = self._starts, self._ranges
        return twin

    def read(self, size: int = -1) -> Any:
        end = self._size_bytes if size < 0 else min(self._position + size, self._size_bytes)
        pieces = []
        while self._position < end:
            place = bisect_right(self._starts, self._position) - 1
            offset = self._position - self._starts[place] if place >= 0 else 0
            if place < 0 or offset >= len(self._ranges[place]):
                raise OSError(f"byte {self._position:,} belongs to no column that was asked for")
            piece = self._ranges[place][offset : offset + end - self._position]
            pieces.append(piece)
            self._position += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

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


def _not_parquet(size_bytes: int, shown: str) -> ReadError:
    why = "its footer is missing, so it may be cut short" if size_bytes else "it is empty"
    return ReadError(f"'{shown}' is no whole Parquet file: {why}. Write or copy it again.")
