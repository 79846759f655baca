"""A source: one file, folder or remote object that a result was made from, in one version."""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass
from typing import Any

from caching.locations import Kind

# Clocks of file systems are coarse: a file this young may be rewritten without a trace in its times.
_YOUNG_SECONDS = 2.0

ANSWERS = ("status", "variable")  # kinds of sources that answer a question, of a path or of the environment
UNREAD = ("absent", *ANSWERS)  # kinds of sources from which no data was read


@dataclass(frozen=True)
class Source:
    """One location that was read: its kind and its version."""

    location: str
    kind: Kind
    version: str | None
    content: str = ""  # digest of the bytes of a file that is young or not large
    without: tuple[str, ...] = ()  # what the load itself wrote into a folder
    was_young: bool = False  # its times alone do not tell that it is the same

    @property
    def slot(self) -> str:
        """The key of the source among others: a file may be both asked for and read."""
        return slot_of(self.location, self.kind)

    def as_json(self) -> list[Any]:
        """Return the source as a list for an entry's record."""
        return [self.location, self.kind, self.version, self.content, list(self.without), self.was_young]

    def has_size(self, version: str) -> bool:
        """Return whether a file of another version has the size of this one, so that its bytes may be the same."""
        return str(self.version).partition("-")[0] == version.partition("-")[0]

    @classmethod
    def from_json(cls, data: list[Any]) -> Source:
        """Return the source that `as_json` wrote."""
        location, kind, version, content, without, *rest = data
        # An entry of an earlier release has no more fields, and a digest of young files alone.
        return cls(location, kind, version, content, tuple(without), bool(rest[0] if rest else content))


def slot_of(location: str, kind: Kind) -> str:
    """Return the key of a source of this location and kind."""
    return f"?{location}" if kind in ANSWERS else location


class UnversionedError(Exception):
    """Raised for a source whose version cannot be determined."""


def is_young(status: os.stat_result) -> bool:
    """Return whether a file is so young that it could be rewritten without a change of its times."""
    return time.time() - max(status.st_mtime, status.st_ctime) < _YOUNG_SECONDS


def signature(path: str) -> str:
    """Return size, times and inode of a file as text; for a folder only that it is one."""
    try:
        return signature_of(os.stat(path))
    except (OSError, ValueError):
        return "absent"


def signature_of(status: os.stat_result) -> str:
    """Return size, times and inode of a file as text; of a folder only that it is one."""
    if stat.S_ISDIR(status.st_mode):
        return "folder"
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}-{status.st_ino}"
