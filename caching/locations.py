"""Find paths, globs and URLs among the arguments of a call, and show them without secrets."""

from __future__ import annotations

import glob
import os
import re
import stat
from collections.abc import Iterable, Iterator
from typing import Any, Literal

Kind = Literal["file", "absent", "folder", "tree", "glob", "remote", "status", "variable"]

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+)://")
# Before the URL of what fsspec read: fsspec is asked for its version, even if its protocol has a registered function.
BY_FSSPEC = "fsspec+"
MAGIC = re.compile(r"[*?\[]")
_LONGEST_PATH = 1024


def protocol_of(location: str) -> str | None:
    """Return the protocol of a URL, such as `s3` of `s3://bucket/key`; None for a local path.

    >>> protocol_of("s3://bucket/key"), protocol_of("/data/a.csv")
    ('s3', None)
    """
    match = _URL.match(location)
    return match[1].lower() if match and match[1].lower() not in ("file", "local") else None


def local_path(location: str) -> str:
    """Return the path of a local location, which may be spelled as a URL."""
    return location.partition("://")[2] if _URL.match(location) else location


def shown(location: str) -> str:
    """Return a location without user, password and query.

    >>> shown("https://user:word@host/a.csv?signature=1f")
    'https://host/a.csv'
    """
    if protocol_of(location) is None:
        return location
    return re.sub(r"(?<=://)[^/@]*@", "", location.partition("?")[0]).removeprefix(BY_FSSPEC)


def locations_among(values: Iterable[Any]) -> Iterator[tuple[str, Kind]]:
    """Yield each location among a call's arguments: paths, globs and URLs, also within containers."""
    for text, depth in texts_among(values, 0):
        kind = _kind(text, certain=depth == 0)
        if kind is not None:
            yield text if kind == "remote" else local_path(text), kind


def texts_among(values: Iterable[Any], depth: int) -> Iterator[tuple[str, int]]:
    """Yield each text among values, with its depth within containers."""
    for value in values:
        if isinstance(value, str):
            yield value, depth
        elif isinstance(value, os.PathLike):
            yield os.fsdecode(value), depth
        elif depth < 4:
            if isinstance(value, dict):
                yield from texts_among((*value.keys(), *value.values()), depth + 1)
            elif isinstance(value, list | tuple | set | frozenset):
                yield from texts_among(value, depth + 1)


def _kind(text: str, *, certain: bool) -> Kind | None:
    if not text or len(text) > _LONGEST_PATH or "\0" in text or "\n" in text:
        return None
    if protocol_of(text) is not None:
        return "remote"
    path = local_path(text)
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        if MAGIC.search(path) and (glob.glob(path, recursive=True)):
            return "glob"
        # A word that names no file may name one tomorrow.
        return "absent" if certain else None
    return "tree" if stat.S_ISDIR(status.st_mode) else "file"
