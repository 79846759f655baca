"""What a format reads from: the bytes of one object, at one version."""

from __future__ import annotations

from typing import Protocol

import pyarrow as pa

from loaders.reading.location import Location


class Source(Protocol):
    """One object or file, pinned: whatever it gives belongs to `version`, or it raises."""

    location: Location
    size_bytes: int
    version: str
    prefers_whole: bool

    def read(self) -> pa.Buffer:
        """Return every byte, verified."""

    def read_ranges(self, ranges: list[tuple[int, int]]) -> list[pa.Buffer]:
        """Return the bytes from each start up to each end, in the order asked for."""

    def close(self) -> None:
        """Check that what was read was one version, and let go of it."""
