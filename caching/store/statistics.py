"""Statistics and verification of a cache folder."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

from caching.codec import Damaged
from caching.store.entry import open_entry
from caching.store.folder import ENTRY, file_stem, namespace_folder, scan


@dataclass(frozen=True, slots=True)
class NamespaceStats:
    """Statistics of one namespace: entries, size in bytes, time of last use."""

    namespace: str
    entries: int
    size_bytes: int
    used_at: float


@dataclass(frozen=True, slots=True)
class Stats:
    """Statistics of a cache: entries, size in bytes, and those of each namespace."""

    entries: int
    size_bytes: int
    namespaces: tuple[NamespaceStats, ...]


@dataclass(frozen=True, slots=True)
class Verified:
    """The result of a verification: entries checked, and path and reason of the damaged ones."""

    entries: int
    size_bytes: int
    damaged: tuple[tuple[str, str], ...]


def collect_statistics(entries_folder: Path) -> Stats:
    """Return the statistics of a cache folder."""
    folders: dict[str, NamespaceStats] = {}
    size_bytes = 0
    for found in scan(entries_folder):
        with contextlib.suppress(OSError):
            status = found.stat(follow_symlinks=False)
            size_bytes += status.st_size
            if found.name.endswith(ENTRY):
                _count(folders, found.path, status)
    namespaces = tuple(sorted(folders.values(), key=lambda stats: stats.namespace))
    return Stats(sum(stats.entries for stats in namespaces), size_bytes, namespaces)


def _count(folders: dict[str, NamespaceStats], path: str, status: os.stat_result) -> None:
    """Add an entry to the statistics of its namespace; its first entries are opened for the namespace's name."""
    folder = os.path.dirname(path)
    known = folders.get(folder)
    namespace = _namespace_of(path) if known is None else known.namespace
    if namespace is None:
        return
    entries, size_bytes, used_at = (known.entries, known.size_bytes, known.used_at) if known else (0, 0, 0.0)
    used_at = max(used_at, status.st_mtime)
    folders[folder] = NamespaceStats(namespace, entries + 1, size_bytes + status.st_size, used_at)


def _namespace_of(path: str) -> str | None:
    """Return the namespace that an entry names; None if it is damaged or in another namespace's folder."""
    with contextlib.suppress(OSError, Damaged):
        entry = open_entry(path)
        if entry is not None and namespace_folder(entry.namespace) == Path(path).parent.name:
            return entry.namespace
    return None


def check_all(entries_folder: Path) -> Verified:
    """Check every byte of every entry; nothing is removed."""
    damaged: list[tuple[str, str]] = []
    count = size_bytes = 0
    for found in scan(entries_folder):
        if not found.name.endswith(ENTRY):
            continue
        try:
            entry = open_entry(found.path)
            if entry is None:
                continue
            count, size_bytes = count + 1, size_bytes + entry.size_bytes
            place = Path(namespace_folder(entry.namespace), file_stem(entry.key[1]) + ENTRY)
            if entries_folder / place != Path(found.path):
                raise Damaged("it was saved under another name")
            entry.check()
        except (OSError, Damaged) as error:
            damaged.append((found.path, str(error)))
    return Verified(count, size_bytes, tuple(damaged))
