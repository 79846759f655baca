"""What a result was made from: files, folders and remote objects, each with the version that was read.

A version identifies content without reading it: size, times and inode of a local file, what the protocol's own
function says of a remote one. Versions are recorded with an entry and asked again at each hit.
"""

from __future__ import annotations

import glob
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal

import xxhash

Kind = Literal["file", "absent", "folder", "tree", "glob", "remote"]

# Clocks of file systems are coarse: a file this young may be rewritten without a trace in its times.
_YOUNG_SECONDS = 2.0
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+)://")
_MAGIC = re.compile(r"[*?\[]")
_LONGEST_PATH = 1024
_MOST_FILES = 100_000

_versions: dict[str, Callable[[str], str | None]] = {}


@dataclass(frozen=True)
class Source:
    """One thing that was read: where, of which kind, in which version."""

    location: str
    kind: Kind
    version: str | None
    content: str = ""  # digest of a young file's bytes
    without: tuple[str, ...] = ()  # what the load itself wrote into a folder

    def as_json(self) -> list[Any]:
        """As it stands in an entry's record."""
        return [self.location, self.kind, self.version, self.content, list(self.without)]

    @classmethod
    def from_json(cls, data: list[Any]) -> Source:
        """Back from an entry's record."""
        location, kind, version, content, without = data
        return cls(location, kind, version, content, tuple(without))


class UnversionedError(Exception):
    """A source whose version cannot be told."""


def register_version(protocol: str, version_of: Callable[[str], str | None]) -> None:
    """Let `version_of(location)` say which version a location of this protocol holds now (`"s3"`: for `s3://…`).

    It returns None where there is none, and raises what a reader would raise.
    """
    _versions[protocol] = version_of


def record_read(location: str | os.PathLike[str], version: str | None = None) -> None:
    """Tell the cache that the running cached function reads this location, in this version.

    Without a version the current one is asked for; a local file needs none.
    """
    recorder = _recorder.get()
    if recorder is not None:
        recorder.read(os.fspath(location), version)


def protocol_of(location: str) -> str | None:
    """`s3` of `s3://bucket/key`; None of a local path.

    >>> protocol_of("s3://bucket/key"), protocol_of("/data/a.csv")
    ('s3', None)
    """
    match = _URL.match(location)
    return match[1].lower() if match and match[1].lower() not in ("file", "local") else None


def _local(location: str) -> str:
    return location.partition("://")[2] if _URL.match(location) else location


def observe(location: str, kind: Kind, without: tuple[str, ...] = ()) -> Source:
    """What is there now; raises UnversionedError where that cannot be told."""
    if kind == "remote":
        return Source(location, kind, remote_version(location))
    if kind in ("file", "absent"):
        return _observe_file(location)
    if kind == "folder":
        return Source(location, kind, _digest(_listing(location, without)), without=without)
    if kind == "tree":
        return Source(location, kind, _digest(_tree(location, without)), without=without)
    matches = sorted(glob.glob(location, recursive=True))  # noqa: PTH207 - as the reader will
    return Source(location, kind, _digest(f"{match} {signature(match)}" for match in matches), without=without)


def _observe_file(path: str) -> Source:
    try:
        status = os.stat(path)  # noqa: PTH116 - on the path of every hit
    except (OSError, ValueError):
        return Source(path, "absent", None)
    if stat.S_ISDIR(status.st_mode):
        return Source(path, "folder", _digest(_listing(path, ())))
    if not stat.S_ISREG(status.st_mode):
        raise UnversionedError(f"{path} is no regular file")
    young = time.time() - max(status.st_mtime, status.st_ctime) < _YOUNG_SECONDS
    return Source(path, "file", _signature(status), _content(path) if young else "")


def signature(path: str) -> str:
    """Size, times and inode of a file; of a folder only that it is one."""
    try:
        return _signature(os.stat(path))  # noqa: PTH116 - on the path of every hit
    except OSError:
        return "absent"


def _signature(status: os.stat_result) -> str:
    if stat.S_ISDIR(status.st_mode):
        return "folder"
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}-{status.st_ino}"


def _content(path: str) -> str:
    total = xxhash.xxh3_128()
    with _silence(), open(path, "rb") as file:  # noqa: PTH123 - on the path of a hit
        while block := file.read(1 << 20):
            total.update(block)
    return str(total.hexdigest())


def _listing(path: str, without: Iterable[str]) -> Iterator[str]:
    left_out = set(without)
    try:
        with _silence():
            names = sorted(os.listdir(path))
    except OSError:
        return
    for name in names:
        place = os.path.join(path, name)
        if name != "__pycache__" and os.path.abspath(place) not in left_out:
            yield f"{name} {signature(place)}"


def _tree(path: str, without: Iterable[str]) -> Iterator[str]:
    left_out, count = set(without), 0
    with _silence():
        for folder, folders, files in os.walk(path):
            folders[:] = sorted(name for name in folders if os.path.abspath(os.path.join(folder, name)) not in left_out)
            for name in sorted(files):
                place = os.path.join(folder, name)
                count += 1
                if count > _MOST_FILES:
                    raise UnversionedError(f"{path} holds more than {_MOST_FILES} files")
                if os.path.abspath(place) not in left_out:
                    yield f"{os.path.relpath(place, path)} {signature(place)}"


def _digest(lines: Iterable[str]) -> str:
    return str(xxhash.xxh3_128_hexdigest("\n".join(lines).encode("utf-8", "surrogatepass")))


def remote_version(location: str) -> str | None:
    """The version of a remote location, by the registered function of its protocol, else by fsspec."""
    protocol = protocol_of(location) or ""
    version_of = _versions.get(protocol) or _versions.get(protocol.partition("+")[0])
    with _silence():
        return version_of(location) if version_of is not None else _version_by_fsspec(location)


def _version_by_fsspec(location: str) -> str | None:
    import fsspec

    fs, path = fsspec.core.url_to_fs(location)
    fs.invalidate_cache()
    if _MAGIC.search(path):
        found = fs.glob(path, detail=True)
    elif fs.isdir(path):
        found = fs.find(path, detail=True)
    else:
        found = {path: fs.info(path)}
    facts = {name: _identity(info) for name, info in sorted(found.items())}
    endpoint = str(getattr(fs, "endpoint_url", None) or os.environ.get("AWS_ENDPOINT_URL", ""))
    return _digest([endpoint, repr(facts)]) if all(facts.values()) else None


def _identity(info: Mapping[str, Any]) -> list[str]:
    names = ("ETag", "etag", "VersionId", "version_id", "LastModified", "Last-Modified", "last_modified", "mtime")
    known = [f"{name}={info[name]}" for name in (*names, "created", "md5", "generation") if info.get(name)]
    return [f"size={info.get('size')}", *known] if known else []


def locations_among(values: Iterable[Any], depth: int = 0) -> Iterator[tuple[str, Kind]]:
    """Every location among a call's arguments: paths, globs and URLs, also within containers."""
    for value in values:
        if isinstance(value, str):
            text = value
        elif isinstance(value, os.PathLike):
            text = os.fsdecode(value)
        else:
            if depth < 4:
                if isinstance(value, dict):
                    yield from locations_among((*value.keys(), *value.values()), depth + 1)
                elif isinstance(value, list | tuple | set | frozenset):
                    yield from locations_among(value, depth + 1)
            continue
        kind = _kind(text, certain=depth == 0)
        if kind is not None:
            yield _local(text) if kind != "remote" else text, kind


def _kind(text: str, *, certain: bool) -> Kind | None:
    if not text or len(text) > _LONGEST_PATH or "\0" in text or "\n" in text:
        return None
    if protocol_of(text) is not None:
        return "remote"
    path = _local(text)
    try:
        status = os.stat(path)  # noqa: PTH116 - on the path of every hit
    except (OSError, ValueError):
        if _MAGIC.search(path) and (glob.glob(path, recursive=True)):  # noqa: PTH207 - as the reader will
            return "glob"
        # A word that names no file may name one tomorrow.
        return "absent" if certain else None
    return "tree" if stat.S_ISDIR(status.st_mode) else "file"


@dataclass
class Recorder:
    """What one running cached function reads; made anew for each run."""

    private: tuple[str, ...] = ()  # folders that do not count: the cache's own
    sources: dict[tuple[str, str], Source] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)  # folders made during the run
    trouble: str = ""  # why the result must not be stored
    expires_at: float | None = None
    trusts_unversioned: bool = False

    def read(self, location: str, version: str | None = None, kind: Kind | None = None) -> None:
        """Note a read; the first version seen counts, for a later one means that it changed."""
        if protocol_of(location) is not None:
            self._note_remote(location, version)
            return
        location = _local(location)
        place = os.path.abspath(location)
        if place in self.written or place.startswith(self.private) or self._is_made_here(place):
            return
        try:
            source = observe(location, kind or "file", self._left_out(kind))
        except UnversionedError as error:
            self.trouble = self.trouble or str(error)
            return
        except OSError as error:
            self.trouble = self.trouble or f"{location} cannot be looked at: {error}"
            return
        self.sources.setdefault((location, source.kind), source)

    def _note_remote(self, location: str, version: str | None) -> None:
        key = (location, "remote")
        if version is not None:
            known = self.sources.get(key)
            if known is not None and known.version not in (None, version):
                self.trouble = f"{location} changed while it was read"
            self.sources[key] = Source(location, "remote", version)
        elif key not in self.sources:
            try:
                self.sources[key] = observe(location, "remote")
            except Exception:  # noqa: BLE001 - the read itself will say what is wrong; without a version it is not cached
                self.sources[key] = Source(location, "remote", None)

    def write(self, location: str) -> None:
        """Note a file that the run itself writes."""
        place = os.path.abspath(location)
        self.written.add(place)

    def make(self, folder: str) -> None:
        """Note a folder that the run itself makes."""
        self.made.add(os.path.abspath(folder) + os.sep)

    def _is_made_here(self, place: str) -> bool:
        return any(place.startswith(folder) for folder in self.made)

    def _left_out(self, kind: Kind | None) -> tuple[str, ...]:
        return (*self.private, *sorted(self.written)) if kind in ("folder", "tree") else ()

    def absorb(self, sources: Iterable[Source], trouble: str = "", expires_at: float | None = None) -> None:
        """Take over what a cached function called by this one was made from."""
        for source in sources:
            self.sources.setdefault((source.location, source.kind), source)
        self.trouble = self.trouble or trouble
        if expires_at is not None:
            self.expires_at = min(expires_at, self.expires_at or expires_at)

    def settle(self) -> list[Source]:
        """The sources as they are to be stored, looked at once more.

        Raises UnversionedError where one changed during the run or has no version.
        """
        if self.trouble:
            raise UnversionedError(self.trouble)
        return [settled for source in self.sources.values() if (settled := self._settled(source)) is not None]

    def _settled(self, source: Source) -> Source | None:
        if source.kind == "remote":
            if source.version is None and not self.trusts_unversioned:
                raise UnversionedError(
                    f"the version of {source.location} cannot be told; give ttl_seconds= to cache it all the same"
                )
            return source if source.version is None or self._still_remote(source) else None
        place = os.path.abspath(source.location)
        if place in self.written and source.kind in ("absent", "file") and source.location in self.only_written:
            return None
        without = tuple(sorted({*source.without, *self._left_out(source.kind)}))
        now = observe(source.location, source.kind, without)
        before = source if without == source.without else None
        if source.kind in ("folder", "tree") and before is None:
            return now  # what the run itself wrote there is left out from now on
        if now.kind != source.kind or now.version != source.version:
            if place in self.written and source.kind == "absent":
                return None
            raise UnversionedError(f"{source.location} changed while it was read")
        return source

    @staticmethod
    def _still_remote(source: Source) -> bool:
        try:
            now = remote_version(source.location)
        except Exception as error:
            raise UnversionedError(f"the version of {source.location} cannot be told: {error}") from error
        if now != source.version:
            raise UnversionedError(f"{source.location} changed while it was read")
        return True


_recorder: ContextVar[Recorder | None] = ContextVar("sourceswap_recorder", default=None)
