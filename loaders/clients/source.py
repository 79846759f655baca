"""The interface from which formats read: the bytes of one object in one version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa

from loaders.clients.location import Location
from loaders.errors import ReadError

if TYPE_CHECKING:
    from loaders.clients.retry import Deadline


class ChangedError(ReadError):
    """Raised when an object was overwritten while it was read; its new version may be read from the start."""


class MissingError(ReadError):
    """There is nothing at the location; `deadline` is what finding that out has left, where it is bounded."""

    deadline: Deadline | None = None

    def __reduce__(self) -> tuple[type[MissingError], tuple[object, ...]]:
        return type(self), self.args  # the deadline belongs to this process


def fresh_memory(size_bytes: int, shown: str) -> memoryview:
    """Return uninitialised memory; numpy backs it by large pages, which saves page faults."""
    try:
        return np.empty(size_bytes, np.uint8).data
    except MemoryError:
        raise ReadError(f"'{shown}' says that it has {size_bytes:,} bytes; there is no memory for them.") from None


class Source(Protocol):
    """Interface of an object pinned to one version: every byte it returns belongs to `version`.

    `prefers_whole` says that only a whole read can be verified as the settings ask for.
    """

    location: Location
    size_bytes: int
    version: str
    prefers_whole: bool

    def read(self) -> pa.Buffer:
        """Return every byte, verified."""

    def read_ranges(self, ranges: list[tuple[int, int]]) -> list[pa.Buffer]:
        """Return the bytes from each start up to each end, in the order asked for."""

    def close(self) -> None:
        """Check that all bytes were of one version, and close the object."""
