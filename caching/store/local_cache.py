"""LocalCache: values in a folder, saved under keys and returned only if every byte is intact."""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from pathlib import Path
from typing import Any, TypeAlias

from caching.codec import Damaged, NotExact, encode, prepare
from caching.errors import CachingException, warn_user
from caching.store.entry import EXACT, MISSING, PICKLE, Entry, Missing, mark_uses, open_entry, read_record, warn_damaged
from caching.store.entry_file import write_entry
from caching.store.eviction import Pruned, add_usage, evict, parse_size, remove_invalid
from caching.store.folder import (
    ENTRY,
    NOTE,
    RECORD,
    NewFile,
    check_readable,
    file_stem,
    is_debris,
    make_folders,
    namespace_folder,
    remove,
    scan,
    sweep,
    write_failure,
)
from caching.store.locks import LockFile
from caching.store.statistics import NamespaceStats, Stats, Verified, check_all, collect_statistics

# Another process that keeps clearing a namespace can remove its folder between its creation and its use.
_ATTEMPTS = 8
_NO_DEFAULT = object()

__all__ = ["MISSING", "Entry", "LocalCache", "Missing", "NamespaceStats", "Pruned", "Stats", "Verified"]


Key: TypeAlias = tuple[str, str]
"""Namespace and digest of a call, as `get_key` returns them."""


class LocalCache:
    """A cache in a folder on this machine, shared by all processes that name it.

    `max_size` bounds the folder (bytes, or a text such as "10GB"), the least recently used entries go first;
    entries older than `ttl_seconds` are not served. Values that the exact codec refuses are stored only with
    `allow_pickle=True`: loading a pickle runs code that its file chooses, so allow it only where you trust
    every writer. Nothing touches the disk before the first use.

    A key is the tuple that `get_key` returns: namespace and digest.

    >>> import tempfile
    >>> store = LocalCache(tempfile.mkdtemp())
    >>> store.save(("reports.spend", "1f"), [1, 2])
    True
    >>> store.has(("reports.spend", "1f")), store.load(("reports.spend", "1f"))
    (True, [1, 2])
    >>> store.load(("reports.spend", "2e"), "absent")
    'absent'
    >>> store.get_namespaces()
    {'reports.spend'}
    """

    def __init__(
        self,
        cache_directory: str | os.PathLike[str] | None = None,
        *,
        max_size: int | str | None = None,
        ttl_seconds: float | None = None,
        allow_pickle: bool = False,
    ) -> None:
        # Made absolute now: a later change of the working directory does not move the cache.
        self._directory = None if cache_directory is None else _absolute(cache_directory)
        self._max_bytes = None if max_size is None else parse_size(max_size)
        self._ttl_seconds = ttl_seconds
        self._allow_pickle = allow_pickle
        prepare()

    def __repr__(self) -> str:
        return f"LocalCache({str(self.cache_directory)!r})"

    @property
    def cache_directory(self) -> Path:
        """The folder: as given, otherwise SOURCESWAP_CACHE_DIR, otherwise the platform's cache folder."""
        return Path(self._root())

    def _root(self) -> str:
        if self._directory is not None:
            return self._directory
        if chosen := os.environ.get("SOURCESWAP_CACHE_DIR"):
            return _absolute(chosen)
        from platformdirs import user_cache_dir

        return user_cache_dir("sourceswap", appauthor=False)

    def _folder(self, namespace: str) -> str:
        return f"{self._root()}/v1/entries/{namespace_folder(namespace)}"

    def _entry_path(self, namespace: str, key: str) -> str:
        # Spelled out: this is on the path of every hit.
        return f"{self._root()}/v1/entries/{namespace_folder(namespace)}/{file_stem(key)}{ENTRY}"

    @property
    def _entries_folder(self) -> Path:
        return self.cache_directory / "v1" / "entries"

    # Values

    def save(self, key: Key, value: object, *, record: Mapping[str, object] | None = None) -> bool:
        """Store a value with a JSON-able record beside it; return whether it could be stored.

        Never raises for what a disk can do or for values that cannot come back exactly: one CachingWarning
        says why.
        """
        namespace, digest = _checked(key)
        try:
            form, parts = self._encode(value)
            size = self._write(namespace, digest, ENTRY, form, parts, record or {})
        except Exception as error:  # noqa: BLE001 - the caller has its result; a cache must not take it away
            reason = write_failure(error, self._root(), is_default=self._directory is None)
            warn_user(f"A result of {namespace} is not cached: {reason}")
            return False
        self._make_room(size)
        return True

    def _encode(self, value: object) -> tuple[str, list[Any]]:
        try:
            document, buffers = encode(value)
        except (NotExact, RecursionError):
            if not self._allow_pickle:
                raise
            out_of_band: list[pickle.PickleBuffer] = []
            pickled = pickle.dumps(value, protocol=5, buffer_callback=out_of_band.append)
            return PICKLE, [pickled, *(buffer.raw() for buffer in out_of_band)]
        return EXACT, [document, *buffers]

    def _write(
        self, namespace: str, key: str, suffix: str, form: str, parts: list[Any], record: Mapping[str, object]
    ) -> int:
        bytes_at_least = sum(memoryview(part).nbytes for part in parts)
        if self._max_bytes is not None and bytes_at_least > self._max_bytes:
            raise NotExact(f"its {bytes_at_least} bytes exceed the whole cache's max_size of {self._max_bytes}")
        folder = self._folder(namespace)
        path = f"{folder}/{file_stem(key)}{suffix}"
        for attempts_left in range(_ATTEMPTS, -1, -1):
            try:
                return self._write_file(path, namespace, key, form, parts, record)
            except OSError as error:
                # The first of its namespace, or the folder was cleared or removed under way (ext4 says EPERM
                # for that).
                if not attempts_left or error.errno not in (errno.ENOENT, errno.EPERM):
                    raise
                make_folders(self.cache_directory, folder)
        raise AssertionError("unreachable")

    def _write_file(
        self, path: str, namespace: str, key: str, form: str, parts: list[Any], record: Mapping[str, object]
    ) -> int:
        """Write and publish a file; return by how many bytes the cache has grown."""
        with NewFile(os.path.dirname(path)) as new:
            size = write_entry(new.fd, namespace, key, created_at=time.time(), record=record, form=form, parts=parts)
            with contextlib.suppress(OSError):
                size -= os.stat(path).st_size
            new.publish(path)
        return size

    def _make_room(self, added_bytes: int) -> None:
        usage = f"{self._root()}/v1/usage"
        # Also without a limit of its own: another cache of this folder may have one.
        total = add_usage(usage, added_bytes)
        if self._max_bytes is not None and (total is None or total > self._max_bytes):
            mark_uses()
            with contextlib.suppress(OSError):
                evict(self._entries_folder, usage, self._max_bytes)

    def find(self, key: Key) -> Entry | None:
        """Return the entry, its header checked and its value unread; None when absent, expired or not this one."""
        namespace, digest = _checked(key)
        path = self._entry_path(namespace, digest)
        try:
            entry = open_entry(path, recent=True)
            if entry is None:
                return None
            if entry.key != key:
                raise Damaged("it was saved under another name")
            if entry.is_pickle and not self._allow_pickle:
                raise Damaged("it is a pickle, which only LocalCache(allow_pickle=True) loads")
        except (OSError, Damaged) as error:
            warn_damaged(path, error)
            return None
        return None if self._is_expired(entry.created_at, self._ttl_seconds) else entry

    @staticmethod
    def _is_expired(created_at: float, ttl_seconds: float | None) -> bool:
        # An entry from the future is expired too: the clock was changed since.
        return ttl_seconds is not None and not -1.0 <= time.time() - created_at <= ttl_seconds

    def has(self, key: Key) -> bool:
        """Return whether `load` would find an entry; its content is not checked."""
        return self.find(key) is not None

    def load(self, key: Key, default: Any = _NO_DEFAULT) -> Any:
        """Return the value that was saved; when it is absent, expired or damaged, `default`, or raise KeyError.

        Damage is warned of.
        """
        entry = self.find(key)
        value = MISSING if entry is None else entry.load()
        if value is not MISSING:
            return value
        if default is _NO_DEFAULT:
            raise KeyError(f"Nothing is cached in {self._root()} for {key[0]} under the key {key[1]}.")
        return default

    def entries(self, namespace: str | None = None) -> Iterator[Entry]:
        """Yield all entries, with headers only; damaged ones are skipped with a warning."""
        folder = None if namespace is None else namespace_folder(namespace)
        for found in scan(self._entries_folder):
            if found.name.endswith(ENTRY) and folder in (None, Path(found.path).parent.name):
                try:
                    entry = open_entry(found.path)
                except (OSError, Damaged) as error:
                    warn_damaged(found.path, error)
                    continue
                if entry is not None:
                    entry.close()
                    yield entry

    # Records and notes

    def update_record(self, key: Key, record: Mapping[str, object]) -> bool:
        """Replace the record of an entry, not its value; return whether there was such an entry."""
        namespace, digest = _checked(key)
        entry = self.find(key)
        if entry is None:
            return False
        newer = {"of": entry._head.identity, "record": dict(record)}
        written = self._write_beside(namespace, digest, RECORD, newer)
        with contextlib.suppress(OSError):
            os.utime(self._entry_path(namespace, digest))  # processes that keep the entry in memory read it again
        return written

    def write_note(self, namespace: str, name: str, data: Mapping[str, object]) -> bool:
        """Write a small JSON-able note beside the entries of a namespace; return whether it could be written."""
        return self._write_beside(namespace, name, NOTE, data)

    def read_note(self, namespace: str, name: str) -> dict[str, Any] | None:
        """Return the note of that name, or None."""
        with contextlib.suppress(OSError, Damaged, KeyError, TypeError, ValueError):
            note = read_record(f"{self._folder(namespace)}/{file_stem(name)}{NOTE}")
            if note is not None and (note.namespace, note.key) == (namespace, name):
                return dict(note.record)
        return None

    def _write_beside(self, namespace: str, name: str, suffix: str, data: Mapping[str, object]) -> bool:
        try:
            size = self._write(namespace, name, suffix, EXACT, [], data)
        except Exception:  # noqa: BLE001 - as in `save`, which warns of a folder that cannot be written
            return False
        self._make_room(size)
        return True

    # Single flight

    def lock(self, key: Key, *, timeout_seconds: float | None = None) -> AbstractContextManager[bool]:
        """Hold the lock of a key, so that only one thread of all processes computes it.

        Yields False when the lock could not be had: the waiting limit passed (0 tries once), the folder
        cannot be written, or two callers wait for each other. Compute all the same, the lock only saves work.
        """
        return self._lock(_checked(key), timeout_seconds)

    def lock_async(self, key: Key, *, timeout_seconds: float | None = None) -> AbstractAsyncContextManager[bool]:
        """Hold the lock of a key in a coroutine, without blocking the event loop."""
        return self._lock_async(_checked(key), timeout_seconds)

    @contextlib.contextmanager
    def _lock(self, key: Key, timeout_seconds: float | None) -> Iterator[bool]:
        with contextlib.ExitStack() as stack:
            try:
                held = stack.enter_context(self._lock_file(key[0]).hold("\0".join(key), timeout_seconds))
            except OSError:
                held = False
            yield held

    @contextlib.asynccontextmanager
    async def _lock_async(self, key: Key, timeout_seconds: float | None) -> AsyncIterator[bool]:
        async with contextlib.AsyncExitStack() as stack:
            try:
                lock = self._lock_file(key[0]).hold_async("\0".join(key), timeout_seconds)
                held = await stack.enter_async_context(lock)
            except OSError:
                held = False
            yield held

    def _lock_file(self, namespace: str) -> LockFile:
        root = self.cache_directory
        if not (root / "v1").is_dir():
            make_folders(root, self._folder(namespace))
        return LockFile(root / "v1")

    # Upkeep

    def remove(self, key: Key) -> bool:
        """Remove an entry; return whether there was one. Its value stays usable where it is in use."""
        path = self._entry_path(*_checked(key))
        removed = remove(path)
        remove(path.removesuffix(ENTRY) + RECORD)
        return removed

    def clear(self, namespace: str) -> int:
        """Remove the entries of a namespace; return their number. Values in use stay usable."""
        return self._clear_folder(Path(self._folder(namespace)))

    def clear_all(self) -> int:
        """Remove all entries; return their number."""
        with contextlib.suppress(OSError):
            return sum(self._clear_folder(folder) for folder in self._entries_folder.iterdir())
        return 0

    @staticmethod
    def _clear_folder(folder: Path) -> int:
        count = 0
        with contextlib.suppress(OSError):
            for path in list(folder.iterdir()):
                if path.name.endswith((ENTRY, RECORD, NOTE)):
                    count += remove(str(path)) and path.name.endswith(ENTRY)
                elif is_debris(path.name):
                    sweep(str(path))
            folder.rmdir()
        return count

    def get_namespaces(self) -> set[str]:
        """Return the set of namespaces that hold an entry."""
        return {stats.namespace for stats in self.stats().namespaces}

    def stats(self) -> Stats:
        """Return number and size of the entries, in total and for each namespace."""
        return collect_statistics(self._entries_folder)

    def prune(self, *, max_size: int | str | None = None, ttl_seconds: float | None = None) -> Pruned:
        """Remove damaged, expired and unfinished entries, then the least recently used until the rest fits.

        Limits that are not given are those of the cache; with a size of 0 nothing is left.
        """
        ttl_seconds = self._ttl_seconds if ttl_seconds is None else ttl_seconds
        max_bytes = self._max_bytes if max_size is None else parse_size(max_size, may_be_zero=True)
        invalid = remove_invalid(self._entries_folder, lambda created_at: self._is_expired(created_at, ttl_seconds))
        rest = Pruned(0, 0)
        if self._entries_folder.is_dir():
            mark_uses()
            rest = evict(self._entries_folder, f"{self._root()}/v1/usage", max_bytes, keep_newest=False)
        return Pruned(invalid.removed + rest.removed, invalid.freed_bytes + rest.freed_bytes)

    def check_readable(self) -> None:
        """Raise OSError if the folder exists and cannot be read; the other methods treat it as empty."""
        check_readable(self._entries_folder)

    def verify(self) -> Verified:
        """Check every byte of every entry, and remove nothing (`prune` does that)."""
        return check_all(self._entries_folder)


def _checked(key: Key) -> Key:
    """Return the key; raise CachingException where it is not a tuple of namespace and digest."""
    if type(key) is tuple and len(key) == 2 and isinstance(key[0], str) and isinstance(key[1], str):
        return key
    raise CachingException(f"A key is the tuple (namespace, digest) that get_key returns, found {key!r:.100}.")


def _absolute(path: str | os.PathLike[str]) -> str:
    # Not Path.resolve, which would look at the disk.
    return os.path.abspath(os.path.expanduser(path))


local_cache = LocalCache()
"""The default cache, in SOURCESWAP_CACHE_DIR or else the user's cache folder; both are looked up at each use."""
