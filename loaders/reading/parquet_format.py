"""Parquet: the footer says where the columns lie; only what is wanted is fetched and decoded."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from loaders.contract.dtypes import is_text
from loaders.errors import ReadError
from loaders.reading.request import Request
from loaders.reading.source import Source

if TYPE_CHECKING:
    from pyarrow.parquet import FileMetaData

MAGIC = b"PAR1"
_TAIL_BYTES = 64 << 10
# A gap between two chunks that is fetched with them; the larger one where there would be too many requests.
_GAP_BYTES = (1 << 10, 32 << 10)
_MANY_REQUESTS = 64
# Above this share of the file, its one verified whole is worth more than what its parts save.
_MOST_OF_A_FILE = 0.75
Range = tuple[int, int]


def parse_parquet(data: pa.Buffer, request: Request) -> pa.Table:
    """Return the wanted columns of a whole file by their node names, in the types of the file."""
    view = memoryview(data)
    if view.nbytes < 12 or view[:4] != MAGIC or view[-4:] != MAGIC:
        raise _not_parquet(view.nbytes, request.shown)
    return _read(lambda: pa.BufferReader(data), None, request)


def parse_parquet_ranges(source: Source, request: Request) -> pa.Table:
    """Return the wanted columns of a file of which only their bytes are fetched, or all where they are most of it."""
    start = max(0, source.size_bytes - _TAIL_BYTES)
    tail = source.read_ranges([(start, source.size_bytes)])[0]
    if start == 0:
        return parse_parquet(tail, request)
    view = memoryview(tail)
    footer_bytes = int.from_bytes(view[-8:-4], "little") + 8
    if view[-4:] != MAGIC or footer_bytes > source.size_bytes:
        raise _not_parquet(source.size_bytes, request.shown)
    fetched = _FetchedRanges(source.size_bytes)
    fetched.add(start, tail)
    if footer_bytes > view.nbytes:
        first = source.size_bytes - footer_bytes
        fetched.add(first, source.read_ranges([(first, start)])[0])
    metadata = _metadata(fetched, request.shown)
    ranges = _needed(metadata, request)
    if sum(end - begin for begin, end in ranges) > _MOST_OF_A_FILE * source.size_bytes:
        return parse_parquet(source.read(), request)
    for (begin, _), data in zip(ranges, source.read_ranges(ranges), strict=True):
        fetched.add(begin, data)
    return _read(lambda: pa.PythonFile(fetched.again(), mode="r"), metadata, request)


def _read(opened: Callable[[], Any], metadata: FileMetaData | None, request: Request) -> pa.Table:
    """Return the wanted columns from a file that `opened` opens once for each thread."""
    # Not pyarrow.parquet.read_table: it imports pyarrow.dataset, which takes as long as pandas.
    from pyarrow.parquet import ParquetFile

    try:
        # Without pre-buffering: it would read across the gaps between columns, and everything is in memory already.
        options: dict[str, Any] = {"page_checksum_verification": True, "pre_buffer": False}
        first = ParquetFile(opened(), metadata=metadata, **options)
        fields = request.match(first.schema_arrow.names)
        if first.num_row_groups < 2:
            return _named(first.read(columns=list(fields), use_threads=True), fields)

        def group(number: int) -> pa.Table:
            file = ParquetFile(opened(), metadata=first.metadata, **options)
            return _named(file.read_row_group(number, columns=list(fields), use_threads=False), fields)

        # Arrow's own threads share the columns of a file, of which one may be most of it; groups are alike.
        with ThreadPoolExecutor(pa.cpu_count(), thread_name_prefix="sourceswap-parquet") as executor:
            return pa.concat_tables(executor.map(group, range(first.num_row_groups)))
    except (pa.ArrowException, OSError) as error:
        raise ReadError(f"'{request.shown}' is damaged: {str(error).splitlines()[0][:300]}") from None


def _named(table: pa.Table, fields: dict[str, pa.Field]) -> pa.Table:
    """Return the table by node names, its texts at once, while they are near the core, in the layout of pandas."""
    columns = [_large(column) for column in table.columns]
    return pa.Table.from_arrays(columns, names=[fields[name].name for name in table.column_names]) if columns else table


def _large(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.large_string()) if is_text(column.type) else column


def _metadata(fetched: _FetchedRanges, shown: str) -> FileMetaData:
    from pyarrow.parquet import read_metadata

    try:
        return read_metadata(pa.PythonFile(fetched, mode="r"))
    except (pa.ArrowException, OSError) as error:
        raise ReadError(f"'{shown}' has a damaged footer: {str(error).splitlines()[0][:300]}") from None


def _needed(metadata: FileMetaData, request: Request) -> list[Range]:
    """Return the stretches of the file that hold the wanted columns' chunks, those nearly touching as one."""
    names = set(request.match(metadata.schema.to_arrow_schema().names))
    chunks = []
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for position in range(row_group.num_columns):
            chunk = row_group.column(position)
            if chunk.path_in_schema in names or chunk.path_in_schema.split(".")[0] in names:
                first = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
                begin = min(first, chunk.data_page_offset)
                chunks.append((begin, begin + chunk.total_compressed_size))
    ordered = sorted(chunks)
    joined = _coalesced(ordered, _GAP_BYTES[0])
    return joined if len(joined) <= _MANY_REQUESTS else _coalesced(ordered, _GAP_BYTES[1])


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
