"""A remote file read by ranges, within the budget of a probe."""

from __future__ import annotations

import pyarrow as pa

from loaders.clients.client import client_for
from loaders.clients.location import Location
from loaders.clients.progress import Tracker
from loaders.formats.random_access import RandomAccessFile
from loaders.probing.budget import BUDGET_BYTES, PIECE_BYTES, OverBudgetError


class RangedFile(RandomAccessFile):
    """One version of an object, read by ranges that are kept; a file object for pyarrow.

    Attributes:
        size_bytes: the size of the whole file.
        fetched_bytes: the number of bytes fetched so far.
        modified: the time when it was written, if known.
    """

    def __init__(self, location: Location) -> None:
        self.location = location
        self._source = client_for(location).open(location, Tracker("", location.shown))
        super().__init__(self._source.size_bytes)
        self.fetched_bytes = 0
        self.modified = self._source.modified
        self._ranges: dict[int, bytes] = {}

    @property
    def is_small(self) -> bool:
        """Whether the file is small enough to be fetched whole."""
        return self.size_bytes <= 2 * PIECE_BYTES

    def whole(self) -> bytes:
        """Return all bytes of a file that is within the budget."""
        return self.fetch(0, self.size_bytes)

    def head(self) -> bytes:
        """Return the first bytes, or the whole file if it is small."""
        return self.fetch(0, self.size_bytes if self.is_small else PIECE_BYTES)

    def tail(self) -> bytes:
        """Return the last bytes, or the whole file if it is small."""
        return self.fetch(0 if self.is_small else self.size_bytes - PIECE_BYTES, self.size_bytes)

    def fetch(self, start: int, end: int) -> bytes:
        """Return bytes of the file, fetching those that are not kept."""
        for begin, data in self._ranges.items():
            if begin <= start and end <= begin + len(data):
                return data[start - begin : end - begin]
        if end <= start:
            return b""
        if self.fetched_bytes + end - start > BUDGET_BYTES:
            raise OverBudgetError(f"more than {BUDGET_BYTES >> 10} KiB of it would have to be fetched")
        if not self._source.serves_ranges:
            # The server would send the whole file for each range: fetch it once.
            if self.size_bytes > BUDGET_BYTES:
                raise OverBudgetError("its server does not support range requests")
            self._ranges[0] = memoryview(self._source.read()).tobytes()
            self.fetched_bytes += self.size_bytes
            return self._ranges[0][start:end]
        data = memoryview(self._source.read_ranges([(start, end)])[0]).tobytes()
        self.fetched_bytes += len(data)
        self._ranges[start] = data
        return data

    def release(self) -> None:
        """Close the object; raise if a local file changed meanwhile."""
        self._source.close()


def buffer(data: bytes) -> pa.Buffer:
    """Return bytes as a pyarrow buffer."""
    return pa.py_buffer(data)
