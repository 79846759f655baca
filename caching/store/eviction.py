"""Keep a cache folder within its size: measure it, and evict the least recently used entries.

The total size is kept in a small file that each save updates, so that a save need not look at all other entries.
The number may drift (a writer that is killed, files removed by hand): each eviction counts again, and so does the
first save after an hour.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from xxhash import xxh3_64_digest

from caching.codec import Damaged
from caching.store.entry import open_entry
from caching.store.folder import ENTRY, NOTE, RECORD, is_debris, remove, scan, sweep

if sys.platform != "win32":
    import fcntl

_RECOUNT_SECONDS = 3600.0
_USAGE = struct.Struct("<qd8s")
# Beyond what is needed, so that not every save of a full cache has to look at all entries.
_SPARE_SHARE = 20


@dataclass(frozen=True, slots=True)
class Pruned:
    """The number of entries removed, and the bytes freed."""

    removed: int
    freed_bytes: int


@dataclass(frozen=True, slots=True)
class _File:
    used_at_ns: int
    path: str
    size_bytes: int


_UNITS = {"b": 1} | {
    f"{letter}{binary}b": base**power
    for power, letter in enumerate("kmgtp", 1)
    for binary, base in (("", 1000), ("i", 1024))
}
_SIZE = re.compile(r"([0-9.]+)\s*([a-z]*)")


def parse_size(size: int | str, *, may_be_zero: bool = False) -> int:
    """Return a number of bytes from a number or a text such as "10GB"; 0 only if `may_be_zero`.

    >>> parse_size("10GB"), parse_size("1.5 KiB"), parse_size(100)
    (10000000000, 1536, 100)
    """
    with contextlib.suppress(ValueError, TypeError, KeyError):
        text = _SIZE.fullmatch(str(size).strip().lower().replace("_", ""))
        number_of_bytes = int(float(text[1]) * _UNITS[text[2] or "b"])  # type: ignore[index] # no match: TypeError
        if number_of_bytes > 0 or (may_be_zero and number_of_bytes == 0):
            return number_of_bytes
    raise ValueError(f"max_size={size!r} is no size. Give bytes as a number, or a text such as '10GB' or '512 MiB'.")


def add_usage(usage_path: str, added_bytes: int) -> int | None:
    """Add to the recorded size; return the new size, or None if it must be counted."""
    with contextlib.suppress(OSError), _usage_file(usage_path, os.O_RDWR) as fd:
        content = os.read(fd, _USAGE.size)
        if len(content) == _USAGE.size:
            total, counted_at, digest = _USAGE.unpack(content)
            if digest == xxh3_64_digest(content[:16]) and 0 <= time.time() - counted_at < _RECOUNT_SECONDS:
                _write_usage(fd, total + added_bytes, counted_at)
                return int(total + added_bytes)
    return None


def set_usage(usage_path: str, total_bytes: int) -> None:
    """Record a counted size."""
    with contextlib.suppress(OSError), _usage_file(usage_path, os.O_RDWR | os.O_CREAT) as fd:
        _write_usage(fd, total_bytes, time.time())


@contextlib.contextmanager
def _usage_file(path: str, flags: int) -> Iterator[int]:
    fd = os.open(path, flags | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        if sys.platform != "win32":
            # Held for microseconds. A holder that was stopped in there must not stop everybody: OSError,
            # count anew.
            for _ in range(50):
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                time.sleep(0.0005)
            else:
                raise BlockingIOError
        yield fd
    finally:
        os.close(fd)


def _write_usage(fd: int, total: int, counted_at: float) -> None:
    figures = _USAGE.pack(total, counted_at, b"")[:16]
    os.lseek(fd, 0, os.SEEK_SET)
    os.write(fd, figures + xxh3_64_digest(figures))


def remove_invalid(entries_folder: Path, is_expired: Callable[[float], bool]) -> Pruned:
    """Remove damaged and expired entries."""
    removed = freed = 0
    for found in scan(entries_folder):
        if found.name.endswith(ENTRY) and _is_invalid(found.path, is_expired):
            with contextlib.suppress(OSError):
                size = found.stat(follow_symlinks=False).st_size
                if remove(found.path):
                    removed, freed = removed + 1, freed + size
    return Pruned(removed, freed)


def _is_invalid(path: str, is_expired: Callable[[float], bool]) -> bool:
    try:
        entry = open_entry(path)
        return entry is not None and is_expired(entry.created_at)
    except Damaged:
        return True
    except OSError:
        return False


def evict(entries_folder: Path, usage_path: str, max_bytes: int | None, *, keep_newest: bool = True) -> Pruned:
    """Remove unfinished files, then the least recently used entries until the rest fits.

    After a save, the entry just saved is kept; otherwise the notes go too where the entries were not enough.
    """
    files, swept_bytes = _sweep_folder(entries_folder)
    total = sum(file.size_bytes for file in files)
    evicted = Pruned(0, 0)
    if max_bytes is not None and total > max_bytes:
        evicted = _remove_oldest(files, total - max_bytes, keep_newest=keep_newest)
    set_usage(usage_path, total - evicted.freed_bytes)
    return Pruned(evicted.removed, swept_bytes + evicted.freed_bytes)


def _sweep_folder(entries_folder: Path) -> tuple[list[_File], int]:
    """Remove unfinished files; return the other files, and the bytes freed."""
    files, freed = [], 0
    for found in scan(entries_folder):
        try:
            status = found.stat(follow_symlinks=False)
        except OSError:
            continue
        if is_debris(found.name) and sweep(found.path):
            freed += status.st_size
        else:
            files.append(_File(status.st_mtime_ns, found.path, status.st_size))
    return files, freed


def _remove_oldest(files: list[_File], excess_bytes: int, *, keep_newest: bool) -> Pruned:
    """Remove the least recently used entries with their records, until the excess is freed."""
    record_bytes = {file.path: file.size_bytes for file in files if file.path.endswith(RECORD)}
    entries = _oldest_first(files, ENTRY)
    spare = len(entries) // _SPARE_SHARE if keep_newest else 0
    removed = freed = 0
    for file in entries[:-1] if keep_newest else entries + _oldest_first(files, NOTE):
        if freed >= excess_bytes and removed >= spare:
            break
        if remove(file.path):
            record = file.path.removesuffix(ENTRY) + RECORD
            freed += file.size_bytes + (record_bytes.get(record, 0) if remove(record) else 0)
            removed += file.path.endswith(ENTRY)
    return Pruned(removed, freed)


def _oldest_first(files: list[_File], suffix: str) -> list[_File]:
    return sorted((file for file in files if file.path.endswith(suffix)), key=lambda file: file.used_at_ns)
