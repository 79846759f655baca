"""Fetch the footer and the needed column chunks of a Parquet file by ranges."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyarrow.parquet import FileMetaData

from loaders.clients.source import Source
from loaders.formats.parquet_footer import MAGIC, Chunk, footer_metadata, refuse_other_formats
from loaders.formats.random_access import RandomAccessFile
from loaders.formats.request import Request

# The size of the end of a file that is fetched for its footer: a share of the file within bounds. A file up to the
# larger bound is fetched whole, because one request is as fast as the two or three that its columns would need.
_TAIL_SHARE = 1 / 64
TAIL_BYTES = (16 << 10, 64 << 10)
# Gaps between chunks are fetched too, the smallest first: a request costs about as much as a hundred KiB. Together with
# the tail outside the footer they are at most this share of the chunks. If there would still be too many requests, all
# gaps up to a size are fetched.
_MOST_NOT_NEEDED = 0.08
_MANY_REQUESTS = 64
_GAP_BYTES = 32 << 10
Range = tuple[int, int]


@dataclass(frozen=True)
class Tail:
    """The end of a file from `start` on, and the metadata in its footer; `wasted_bytes` precede the footer."""

    start: int
    data: pa.Buffer
    metadata: FileMetaData
    wasted_bytes: int


def fetch_tail(source: Source, request: Request) -> Tail:
    """Fetch the end of a file, and more if its footer is longer."""
    size_bytes = source.size_bytes
    start = size_bytes - min(max(int(_TAIL_SHARE * size_bytes), TAIL_BYTES[0]), TAIL_BYTES[1])
    tail = source.read_ranges([(start, size_bytes)])[0]
    view = memoryview(tail)
    refuse_other_formats(memoryview(MAGIC), view[-4:], size_bytes, request.shown)
    footer_start = max(0, size_bytes - 8 - int.from_bytes(view[-8:-4], "little"))
    if footer_start < start:
        tail = pa.py_buffer(source.read_ranges([(footer_start, start)])[0].to_pybytes() + tail.to_pybytes())
        start = footer_start
    metadata = footer_metadata(tail.slice(footer_start - start), request.shown)
    return Tail(start, tail, metadata, footer_start - start)


def fetch(source: Source, tail: Tail, ranges: list[Range]) -> FetchedRanges:
    """Fetch ranges of a file; its tail is one of them."""
    fetched = FetchedRanges(source.size_bytes)
    fetched.add(tail.start, tail.data)
    for (begin, _), data in zip(ranges, source.read_ranges(ranges), strict=True):
        fetched.add(begin, data)
    return fetched


def needed_ranges(chunks: list[Chunk], before: int, wasted_bytes: int) -> list[Range]:
    """Return the ranges before a position that contain the chunks; the bytes from that position on are present."""
    spare_bytes = _MOST_NOT_NEEDED * sum(chunk.end - chunk.begin for chunk in chunks) - wasted_bytes
    ordered = sorted((chunk.begin, min(chunk.end, before)) for chunk in chunks if chunk.begin < before)
    joined = _coalesced(ordered, _affordable_gap(ordered, spare_bytes))
    return joined if len(joined) <= _MANY_REQUESTS else _coalesced(ordered, _GAP_BYTES)


def _affordable_gap(chunks: list[Range], spare: float) -> int:
    """Return the size up to which gaps between ranges are fetched too, within a budget of extra bytes."""
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


class FetchedRanges(RandomAccessFile):
    """A file with the fetched ranges; reading other bytes raises an error."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(size_bytes)
        self._starts: list[int] = []
        self._ranges: list[memoryview] = []

    def add(self, start: int, data: pa.Buffer) -> None:
        """Add the bytes from a position on."""
        place = bisect_right(self._starts, start)
        self._starts.insert(place, start)
        self._ranges.insert(place, memoryview(data))

    def again(self) -> FetchedRanges:
        """Return the same file with its own position."""
        twin = FetchedRanges(self.size_bytes)
        twin._starts, twin._ranges = self._starts, self._ranges
        return twin

    def fetch(self, start: int, end: int) -> Any:
        """Return bytes that were fetched; OSError for others."""
        pieces = []
        while start < end:
            place = bisect_right(self._starts, start) - 1
            offset = start - self._starts[place] if place >= 0 else 0
            if place < 0 or offset >= len(self._ranges[place]):
                raise OSError(f"byte {start:,} belongs to no requested column")
            pieces.append(self._ranges[place][offset : offset + end - start])
            start += len(pieces[-1])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
