"""One entry of a cache, opened for reading."""

from __future__ import annotations

import contextlib
import enum
import os
import pickle
import time
import warnings
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from caching.codec import Damaged, decode
from caching.errors import CachingWarning
from caching.store.entry_file import FIRST_READ_BYTES, Head, read_head, read_parts
from caching.store.folder import RECORD

EXACT, PICKLE = "exact", "pickle"
_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class Missing(enum.Enum):
    """The type of MISSING, which is returned in place of a value that is not there."""

    MISSING = "MISSING"

    def __repr__(self) -> str:
        return "MISSING"

    def __bool__(self) -> bool:
        return False


MISSING: Final = Missing.MISSING
"""Returned in place of a value that is absent or damaged; a cached None is a value."""


class _Stamp(NamedTuple):
    """Size, times and inode of an entry's file, which change when it is replaced."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> _Stamp:
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)


class Entry:
    """An entry of the cache: its header, and the value on demand.

    An entry that `find` returned keeps its file open: its record and its value belong together whatever
    happens to the folder in between. Each `load` gives a value of its own.
    """

    __slots__ = ("_fd", "_first", "_head", "_kept", "_path", "_stamp", "_used_at_ns", "record")

    def __init__(self, path: str, head: Head, record: Mapping[str, Any], stamp: _Stamp, first: bytes, fd: int) -> None:
        self._path, self._head, self._first, self._fd = path, head, first, fd
        self._stamp = stamp
        self._used_at_ns = stamp.mtime_ns
        self._kept: list[bytes] | None = None
        self.record = record

    @property
    def namespace(self) -> str:
        """The namespace it was saved in."""
        return self._head.namespace

    @property
    def key(self) -> tuple[str, str]:
        """The key it was saved under."""
        return self._head.namespace, self._head.key

    @property
    def created_at(self) -> float:
        """When it was saved, in seconds since the epoch."""
        return self._head.created_at

    @property
    def size_bytes(self) -> int:
        """The size of its file."""
        return self._head.size_bytes

    @property
    def used_at(self) -> float:
        """When it was last used, in seconds since the epoch; of uses by other processes, to the minute."""
        return self._used_at_ns / 1e9

    @property
    def is_pickle(self) -> bool:
        """Whether the entry is a pickle, so that loading it runs code from the file."""
        return self._head.form != EXACT

    def load(self) -> Any:
        """Return the value, every byte checked; MISSING, with a warning, if it is damaged."""
        try:
            document, *buffers = self._parts()
            if self.is_pickle:  # noqa: SIM108 - the reason for the exception deserves a line
                value = pickle.loads(document, buffers=buffers)  # noqa: S301 - `find` let it pass: allow_pickle
            else:
                value = decode(document, buffers)
        except FileNotFoundError:
            return MISSING
        except Exception as error:  # noqa: BLE001 - whatever nonsense does to a constructor: it is not served
            warn_damaged(self._path, error)
            return MISSING
        self._note_use()
        return value

    def _note_use(self) -> None:
        """Set the file's time of last use, and keep a small entry in memory."""
        now = time.time_ns()
        kept = self if self._kept is not None else _recent.get(self._path)
        if kept is not None and kept._stamp.inode == self._stamp.inode and 0 <= now - kept._stamp.mtime_ns < _MARKED_NS:
            kept._used_at_ns = now
            # Marked by another process since: not again, or the two would never be done with each other's marks.
            if kept is not self and now - self._stamp.mtime_ns >= _YOUNG_NS:
                self._keep(self._stamp)
            return
        with contextlib.suppress(OSError):  # a read-only folder, or evicted a moment ago
            self._mark(now)

    def _mark(self, now: int) -> None:
        """Set the file's modification time, by which eviction finds the least recently used."""
        # Not left to the file system, which may note a read once a day (relatime).
        os.utime(self._path if self._fd < 0 else self._fd, ns=(now, now))
        if self.size_bytes > _RECENT_BYTES:
            return
        # Only the file that these bytes are from, and that still carries our mark.
        stamp = _Stamp.of(os.stat(self._path))
        if stamp == (self.size_bytes, now, self._stamp.inode):
            self._keep(stamp)

    def _keep(self, stamp: _Stamp) -> None:
        if self._kept is not None:
            self._stamp = stamp
        elif self._fd >= 0:
            if len(_recent) >= _RECENT_COUNT:
                mark_uses()
                _recent.clear()  # nothing finer, which would need a lock against other threads
            kept = Entry(self._path, self._head, self.record, stamp, b"", -1)
            kept._kept = [bytes(part) for part in self._parts()]
            _recent[self._path] = kept

    def check(self) -> None:
        """Raise Damaged unless every byte is as it was written."""
        self._parts()

    def _parts(self) -> list[memoryview]:
        if self._kept is not None:
            return [memoryview(bytearray(part)) for part in self._kept]
        if self._fd >= 0 or len(self._first) >= self.size_bytes:
            return read_parts(self._head, self._first, self._fd)
        # One of many, from `entries`: they do not keep their files open.
        again = open_entry(self._path)
        if again is None or again._head.identity != self._head.identity:
            raise FileNotFoundError(self._path)
        return again._parts()

    def close(self) -> None:
        """Close the file before the entry is garbage-collected."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        if getattr(self, "_fd", -1) >= 0:
            self.close()

    def __repr__(self) -> str:
        return f"<Entry {self.namespace} {self.key[1][:12]} {self.size_bytes} bytes>"


# Tiny values are asked for again and again: for them, opening and parsing the file is most of a hit. They are
# kept as bytes that were checked, and served while the file has the stamp it had then.
_recent: dict[str, Entry] = {}
_RECENT_BYTES, _RECENT_COUNT = 8 << 10, 256
_MARKED_NS, _YOUNG_NS = 60 * 10**9, 10**9


def mark_uses() -> None:
    """Write the pending times of last use of this process, before entries are evicted by age."""
    for entry in list(_recent.values()):
        if entry._used_at_ns > entry._stamp.mtime_ns:
            with contextlib.suppress(OSError):
                if _Stamp.of(os.stat(entry._path)) == entry._stamp:
                    entry._mark(entry._used_at_ns)


def open_entry(path: str, *, recent: bool = False) -> Entry | None:
    """Return the entry of a file, its header checked; None without a file; raise Damaged if it is no entry.

    With `recent`, a small one that was loaded a moment ago comes from memory while its file is untouched.
    """
    known = _recent.get(path) if recent else None
    try:
        if known is not None and _Stamp.of(os.stat(path)) == known._stamp:
            return known
        fd = os.open(path, _OPEN_FLAGS)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        stamp = _Stamp.of(os.fstat(fd))
        first = os.read(fd, FIRST_READ_BYTES)
        head = read_head(first, stamp.size, fd)
        record = _newer_record(path, head)
        return Entry(path, head, head.record if record is None else record, stamp, first, fd)
    except BaseException as error:
        os.close(fd)
        if isinstance(error, OSError | Damaged | KeyboardInterrupt):
            raise
        raise Damaged(f"its header is nonsense ({type(error).__name__})") from error


def _newer_record(path: str, head: Head) -> dict[str, Any] | None:
    """Return the record that was written after the entry, if there is one for this entry."""
    try:
        newer = read_record(path.removesuffix(".entry") + RECORD)
        if newer is not None and newer.record["of"] == head.identity:
            return dict(newer.record["record"])
    except (OSError, Damaged, KeyError, TypeError, ValueError):
        pass  # the record that the entry brought is right as well, only older
    return None


def read_record(path: str) -> Head | None:
    """Return the header of a file that is nothing but a header; None when there is no file."""
    try:
        fd = os.open(path, _OPEN_FLAGS)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return read_head(os.read(fd, FIRST_READ_BYTES), os.fstat(fd).st_size, fd)
    finally:
        os.close(fd)


def warn_damaged(path: str, error: Exception) -> None:
    """Warn that a file was ignored, and why."""
    warnings.warn(f"Cache entry {path} is ignored: {error}", CachingWarning, stacklevel=4)
