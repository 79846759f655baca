"""Read a local file through one descriptor, and check afterwards that it did not change."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from loaders.clients.cancellation import active_cancellation
from loaders.clients.location import Location
from loaders.clients.progress import Tracker
from loaders.clients.retry import Deadline
from loaders.clients.source import ChangedError, Listed, Range, fresh_memory, memory_on_disk
from loaders.config.project_root import project_root
from loaders.errors import ReadError
from loaders.files import write_file

# Of so many the bytes are counted: each takes milliseconds.
_PIECE_BYTES = 16 << 20


class LocalFiles:
    """The client of local files."""

    def open(self, location: Location, tracker: Tracker, version: str | None = None) -> LocalFile:
        """Return a file, opened."""
        if version is not None:
            raise ReadError(f"'{location.shown}': a local file has no versions to choose from. Leave version out.")
        return LocalFile(location, tracker)

    def list(self, folder: Location, deadline: Deadline | None = None) -> Sequence[Listed]:
        """Return the files below a folder; a link whose target is gone is one of them, of no size."""
        return [Listed(path, _size(path)) for path in walk(folder.path)]

    def write(self, location: Location, data: bytes) -> None:
        """Write a file whole, or not at all."""
        write_file(Path(location.path), data)


class LocalFile:
    """A regular file, read through one open descriptor.

    A file replaced by a rename stays readable as it was; one that is rewritten in place shows in size, times or in
    what can be read, and is refused.
    """

    prefers_whole = False
    serves_ranges = True

    def __init__(self, location: Location, tracker: Tracker) -> None:
        self.location = location
        self._tracker = tracker
        self._descriptor = _open(location)
        self._status = os.fstat(self._descriptor)
        self.size_bytes = self._status.st_size
        self.modified = datetime.fromtimestamp(self._status.st_mtime, UTC)
        self.version = "-".join(str(part) for part in _identity(self._status))

    def read(self, *, to_disk: bool = False) -> pa.Buffer:
        """Return every byte of the file."""
        if not to_disk:
            return self.read_ranges([(0, self.size_bytes)])[0]
        self._tracker.expect(self.size_bytes)
        return self._read_range(0, memory_on_disk(self.size_bytes, self.location.shown))

    def read_ranges(self, ranges: list[Range]) -> list[pa.Buffer]:
        """Return the bytes from each start up to each end."""
        self._tracker.expect(sum(end - start for start, end in ranges))
        return [self._read_range(start, fresh_memory(end - start, self.location.shown)) for start, end in ranges]

    def _read_range(self, start: int, view: memoryview) -> pa.Buffer:
        position, end = start, start + len(view)
        cancellation = active_cancellation()
        while position < end:
            cancellation.check()
            low = position - start
            try:
                count = os.preadv(self._descriptor, [view[low : low + _PIECE_BYTES]], position)
            except OSError as error:
                raise ReadError(f"'{self.location.shown}' cannot be read: {error.strerror}.") from None
            if count == 0:
                raise self._changed()
            position += count
            self._tracker.add(count)
        return pa.py_buffer(view)

    def close(self) -> None:
        """Close the file; raise ChangedError if it was written meanwhile."""
        if self._descriptor < 0:
            return
        now = os.fstat(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1
        # A rename over the file changes its link count and with it the time of its status, but none of its bytes.
        replaced = now.st_nlink != self._status.st_nlink
        if _identity(now)[replaced:] != _identity(self._status)[replaced:]:
            raise self._changed()

    def _changed(self) -> ChangedError:
        return ChangedError(
            f"'{self.location.shown}' changed while it was read. Run again when its writer is done; "
            "writers do better to write another file and rename it."
        )


def walk(folder: str, above: frozenset[tuple[int, int]] = frozenset()) -> Iterator[str]:
    """Yield the files below a folder; a folder is not entered again from within itself, by a link."""
    here, names = entries(folder)
    if here in above:
        return
    for path in (os.path.join(folder, name) for name in names):  # noqa: PTH118
        if os.path.isdir(path):  # noqa: PTH112
            yield from walk(path, above | {here})
        else:
            yield path


def entries(folder: str) -> tuple[tuple[int, int], list[str]]:
    """Return the identity of a folder, and the names in it."""
    try:
        status = os.stat(folder)  # noqa: PTH116
        return (status.st_dev, status.st_ino), sorted(os.listdir(folder))  # noqa: PTH208
    except OSError as error:
        raise ReadError(f"'{folder}' cannot be listed: {error.strerror}.") from None


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except OSError:
        return 0


def _identity(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_ctime_ns, status.st_mtime_ns, status.st_size, status.st_dev, status.st_ino)


def _open(location: Location) -> int:
    path = location.path
    try:
        # Without O_NONBLOCK opening a FIFO that nobody writes to would wait forever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        raise ReadError(_why_not(location, error)) from None
    except ValueError:
        raise ReadError(f"No file has a name such as {location.shown!r}: it has a zero byte.") from None
    kind = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(kind):
        os.close(descriptor)
        what = "a directory" if stat.S_ISDIR(kind) else "a FIFO" if stat.S_ISFIFO(kind) else "no regular file"
        raise ReadError(f"'{location.shown}' is {what}; give the path of a regular file.")
    return descriptor


def _why_not(location: Location, error: OSError) -> str:
    path = Path(location.path)
    if error.errno == errno.ENOENT and path.is_symlink():
        target = path.readlink()
        return f"'{location.shown}' is a link to '{target}', which does not exist. Restore the target or the link."
    if error.errno == errno.ENOENT:
        here = "" if Path(location.url).is_absolute() else f" in {project_root()}"
        return f"No file '{location.shown}'{here}. Correct the location, or put the file there."
    if error.errno == errno.EACCES:
        return f"No permission to read '{location.shown}'. Give this user the right to, or choose another location."
    return f"'{location.shown}' cannot be opened: {error.strerror}."
