"""The interfaces of clients: a store, and the bytes of one of its objects in one version."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pyarrow as pa

from loaders.clients.location import Location
from loaders.errors import ReadError

if TYPE_CHECKING:
    from loaders.clients.progress import Tracker
    from loaders.clients.retry import Deadline

Range = tuple[int, int]
_ON_DISK_BYTES = 16 << 20


class ChangedError(ReadError):
    """Raised when an object was overwritten while it was read; its new version may be read from the start."""


class MissingError(ReadError):
    """Raised when there is no object at the location.

    Attributes:
        deadline: the time left of the search, if it is limited.
    """

    deadline: Deadline | None = None

    def __reduce__(self) -> tuple[type[MissingError], tuple[object, ...]]:
        return type(self), self.args  # the deadline belongs to this process


class PartialListError(ReadError):
    """Raised when a list has objects and it is unknown whether there are more."""


def fresh_memory(size_bytes: int, shown: str) -> memoryview:
    """Return uninitialised memory; numpy backs it by large pages, which saves page faults."""
    try:
        return np.empty(size_bytes, np.uint8).data
    except MemoryError:
        raise ReadError(f"'{shown}' says that it has {size_bytes:,} bytes; there is no memory for them.") from None


def memory_on_disk(size_bytes: int, shown: str) -> memoryview:
    """Return memory that a temporary file backs; the file has no name, and goes when the memory does."""
    if size_bytes < _ON_DISK_BYTES:
        return fresh_memory(size_bytes, shown)
    with tempfile.TemporaryFile(prefix="sourceswap-") as file:
        try:
            file.truncate(size_bytes)
            # A full disk must be an error now: a write to the mapping would kill the process.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size_bytes)
            return memoryview(mmap.mmap(file.fileno(), size_bytes))
        except OSError as error:
            raise ReadError(
                f"'{shown}' has {size_bytes:,} bytes, for which the temporary folder has no room: {error.strerror}. "
                "Set TMPDIR to another."
            ) from None


class Source(Protocol):
    """Interface of an object pinned to one version: every byte it returns belongs to `version`."""

    location: Location

    @property
    def size_bytes(self) -> int:
        """The size of the object."""

    @property
    def version(self) -> str:
        """The text that identifies the version."""

    @property
    def modified(self) -> datetime | None:
        """The time when the version was written; None if unknown."""

    @property
    def prefers_whole(self) -> bool:
        """Whether only a whole read can be verified as the settings require."""

    @property
    def serves_ranges(self) -> bool:
        """Whether a range can be fetched without the rest of the object."""

    def read(self, *, to_disk: bool = False) -> pa.Buffer:
        """Return every byte, verified; `to_disk` keeps a large object in a temporary file, mapped into memory."""

    def read_ranges(self, ranges: list[Range]) -> list[pa.Buffer]:
        """Return the bytes of each range, from its start to its end (exclusive), in the given order."""

    def close(self) -> None:
        """Check that all bytes were of one version, and close the object."""


@dataclass(frozen=True)
class Listed:
    """An object in a list: its path, as in locations, its size, and its version if the list has it."""

    path: str
    size_bytes: int
    version: str | None = None


class Client(Protocol):
    """Interface of a store."""

    def open(self, location: Location, tracker: Tracker, version: str | None = None) -> Source:
        """Return the object at a location, pinned to its present version or to the given one.

        Raises:
            MissingError: nothing is there.
            ReadError: it cannot be opened.
        """

    def list(self, folder: Location, deadline: Deadline | None = None) -> Sequence[Listed]:
        """Return all objects below a folder, each once; none if there is no such folder.

        Raises:
            ReadError: the folder cannot be listed, or it is unknown whether the list is complete.
        """

    def write(self, location: Location, data: bytes) -> None:
        """Store an object, replacing one that is there."""
