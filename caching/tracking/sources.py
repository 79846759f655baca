"""Observe sources: the present version of files, folders, globs and remote objects, and what changed.

A version identifies content without reading it: size, times and inode of a local file, what the protocol's
own function says of a remote one. Versions are recorded with an entry and asked again at each hit.
"""

from __future__ import annotations

import glob
import os
import stat
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import Any

import xxhash

from caching.keys.values import digest
from caching.locations import Kind, local_path, shown, texts_among
from caching.tracking.active_recorder import recording
from caching.tracking.remote_versions import remote_version
from caching.tracking.source import Source, UnversionedError, is_young, signature, signature_of

_HASHED = 16 << 20  # bytes of a file that are read to find that it was only touched: some milliseconds
_MOST_FILES = 100_000
_HIDDEN = "argument:"


def observe(location: str, kind: Kind, without: tuple[str, ...] = ()) -> Source:
    """Return the present state of a location; raise UnversionedError if it has no version."""
    if kind == "remote":
        return Source(location, kind, remote_version(location))
    if kind == "status":
        return Source(location, kind, status_of(location))
    if kind == "variable":
        return Source(location, kind, digest(repr(os.environ.get(location[1:])).encode("utf-8", "surrogatepass")))
    if kind in ("file", "absent"):
        return _observe_file(location)
    if kind == "folder" and not os.path.isdir(location):
        return _observe_file(location)
    if kind in ("folder", "tree"):
        lines = (line for _, line in lines_of(location, kind, without))
        return Source(location, kind, digest_of_lines(lines), without=without)
    with recording(None):
        matches = sorted(glob.glob(location, recursive=True, include_hidden=True))
    return Source(location, kind, digest_of_lines(f"{match} {signature(match)}" for match in matches), without=without)


def _observe_file(path: str) -> Source:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return Source(path, "absent", None)
    if stat.S_ISDIR(status.st_mode):
        return observe(path, "folder")
    if not stat.S_ISREG(status.st_mode):
        raise UnversionedError(f"{path} is no regular file")
    young = is_young(status)
    content = content_of(path) if young or status.st_size <= _HASHED else ""
    return Source(path, "file", signature_of(status), content, was_young=young)


def aged(source: Source) -> Source:
    """Return the source of a file with its present times, if it was touched or rewritten with the same bytes."""
    if source.kind != "file" or has_same_times(source):
        return source
    now = _observe_file(source.location)
    unchanged = now.content == source.content and signature(source.location) == now.version
    return now if unchanged else source


def status_of(path: str) -> str:
    """Return what can be asked of a path without reading it: whether it is there, its size and times, its link."""
    try:
        return f"{os.readlink(path)} {signature(path)}"
    except (OSError, ValueError):
        return signature(path)


def content_of(path: str) -> str:
    """Return the digest of a file's bytes."""
    total = xxhash.xxh3_128()
    with recording(None), open(path, "rb") as file:
        while block := file.read(1 << 20):
            total.update(block)
    return str(total.hexdigest())


def lines_of(path: str, kind: Kind, without: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield a line for each name in a folder, or for each file below a tree."""
    with recording(None):
        for count, place in enumerate(_places(path, kind)):
            if count >= _MOST_FILES:
                raise UnversionedError(f"{path} holds more than {_MOST_FILES} files")
            full = os.path.abspath(place)
            if not is_below(full, without):
                yield full, f"{os.path.relpath(place, path)} {signature(place)}"


def _places(path: str, kind: Kind) -> Iterator[str]:
    if kind == "folder":
        try:
            names = sorted(os.listdir(path))
        except OSError:
            return
        yield from (os.path.join(path, name) for name in names if name != "__pycache__")
        return
    seen = set()
    for folder, folders, files in os.walk(path, followlinks=True):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            # Links may lead in circles.
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders.sort()
        yield from (os.path.join(folder, name) for name in sorted(files))


def is_below(place: str, folders: tuple[str, ...]) -> bool:
    """Return whether a place is one of these folders, or below one."""
    return any(place == folder or place.startswith(folder + os.sep) for folder in folders)


def digest_of_lines(lines: Iterable[str]) -> str:
    """Return one version for the lines of a folder or glob."""
    return str(xxhash.xxh3_128_hexdigest("\n".join(lines).encode("utf-8", "surrogatepass")))


def has_same_times(source: Source) -> bool:
    """Return whether a file has the times and the size that it had, and was old enough then for that to tell."""
    return not source.was_young and signature(source.location) == source.version


def _has_same_bytes(source: Source) -> bool:
    if not (source.content and source.has_size(signature(source.location))):
        return False
    try:
        return content_of(source.location) == source.content
    except OSError:
        return False


def stale_reason(source: Source, *, ask_remote: bool = True) -> str:
    """Return why a recorded source is not as it was, or an empty text."""
    if source.kind == "remote" and (not ask_remote or source.version is None):
        return ""
    if source.kind == "file" and (has_same_times(source) or _has_same_bytes(source)):
        return ""
    try:
        now = observe(source.location, source.kind, source.without)
    except Exception as error:  # noqa: BLE001 - not told is not the same
        return f"{shown(source.location)} cannot be asked for its version: {type(error).__name__}"
    if source.kind != "file" and (now.kind, now.version) == (source.kind, source.version):
        return ""
    if source.kind == "variable":
        return f"the environment variable {source.location[1:]} changed"
    if source.kind == "absent" or source.version == "absent":
        return "a file that was not there has appeared"
    if "absent" in (now.kind, now.version):
        return f"{source.location} is gone"
    if source.kind in ("folder", "tree", "glob"):
        return f"what {source.location} holds changed"
    if source.kind == "remote":
        return f"{shown(source.location)} has another version"
    return f"{source.location} was rewritten{_when(source.location)}"


def _when(path: str) -> str:
    try:
        return time.strftime(" at %Y-%m-%d %H:%M:%S", time.localtime(os.stat(path).st_mtime))
    except OSError:
        return ""


def hide(source: Source, given: Collection[str]) -> Source:
    """Return a source as it may be written down: an argument that may be a secret only as its digest.

    A text that names no file may be a password; a URL may carry one.
    """
    is_absent = "absent" in (source.kind, source.version)
    secret = is_absent or (source.kind == "remote" and shown(source.location) != source.location)
    return replace(source, location=_digest_of_text(source.location)) if secret and source.location in given else source


def reveal(sources: list[Source], values: Iterable[Any]) -> list[Source]:
    """Return the sources with the locations that were hidden, found among the arguments again."""
    if not any(source.location.startswith(_HIDDEN) for source in sources):
        return sources
    known = {_digest_of_text(place): place for text, _ in texts_among(values, 0) for place in (text, local_path(text))}
    return [replace(source, location=known.get(source.location, source.location)) for source in sources]


def _digest_of_text(text: str) -> str:
    return _HIDDEN + digest(text.encode("utf-8", "surrogatepass"))[:20]
