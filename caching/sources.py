"""What a result was made from: files, folders and remote objects, each with the version that was read.

A version identifies content without reading it: size, times and inode of a local file, what the protocol's
own function says of a remote one. Versions are recorded with an entry and asked again at each hit.
"""

from __future__ import annotations

import glob
import os
import re
import stat
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import xxhash

from caching.values import digest

Kind = Literal["file", "absent", "folder", "tree", "glob", "remote"]

# Clocks of file systems are coarse: a file this young may be rewritten without a trace in its times.
_YOUNG_SECONDS = 2.0
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+)://")
_WORD = re.compile(r"[^/.\\\\]*")
_MAGIC = re.compile(r"[*?\[]")
_LONGEST_PATH = 1024
_MOST_FILES = 100_000
_HIDDEN = "argument:"

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

    def aged(self) -> Source:
        """The same without the digest of its content, once the file is too old to change unnoticed."""
        if not self.content:
            return self
        try:
            status = os.stat(self.location)
        except OSError:
            return self
        same = not _is_young(status) and _signature(status) == self.version
        return replace(self, content="") if same else self

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
    if kind in ("folder", "tree"):
        lines = (line for _, line in _lines(location, kind, without))
        return Source(location, kind, _digest(lines), without=without)
    matches = sorted(glob.glob(location, recursive=True))
    return Source(location, kind, _digest(f"{match} {signature(match)}" for match in matches), without=without)


def _observe_file(path: str) -> Source:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return Source(path, "absent", None)
    if stat.S_ISDIR(status.st_mode):
        return observe(path, "folder")
    if not stat.S_ISREG(status.st_mode):
        raise UnversionedError(f"{path} is no regular file")
    return Source(path, "file", _signature(status), _content(path) if _is_young(status) else "")


def _is_young(status: os.stat_result) -> bool:
    return time.time() - max(status.st_mtime, status.st_ctime) < _YOUNG_SECONDS


def signature(path: str) -> str:
    """Size, times and inode of a file; of a folder only that it is one."""
    try:
        return _signature(os.stat(path))
    except OSError:
        return "absent"


def _signature(status: os.stat_result) -> str:
    if stat.S_ISDIR(status.st_mode):
        return "folder"
    return f"{status.st_size}-{status.st_mtime_ns}-{status.st_ctime_ns}-{status.st_ino}"


def _content(path: str) -> str:
    total = xxhash.xxh3_128()
    with recording(None), open(path, "rb") as file:
        while block := file.read(1 << 20):
            total.update(block)
    return str(total.hexdigest())


def _lines(path: str, kind: Kind, without: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """What a folder holds, line by line: its own names, or for a tree all files below it."""
    with recording(None):
        for count, place in enumerate(_places(path, kind)):
            if count >= _MOST_FILES:
                raise UnversionedError(f"{path} holds more than {_MOST_FILES} files")
            full = os.path.abspath(place)
            if not _is_below(full, without):
                yield full, f"{os.path.relpath(place, path)} {signature(place)}"


def _places(path: str, kind: Kind) -> Iterator[str]:
    if kind == "folder":
        try:
            names = sorted(os.listdir(path))
        except OSError:
            return
        yield from (os.path.join(path, name) for name in names if name != "__pycache__")
        return
    for folder, folders, files in os.walk(path):
        folders.sort()
        yield from (os.path.join(folder, name) for name in sorted(files))


def _is_below(place: str, folders: tuple[str, ...]) -> bool:
    return any(place == folder or place.startswith(folder + os.sep) for folder in folders)


def _digest(lines: Iterable[str]) -> str:
    return str(xxhash.xxh3_128_hexdigest("\n".join(lines).encode("utf-8", "surrogatepass")))


def remote_version(location: str) -> str | None:
    """The version of a remote location, by the registered function of its protocol, else by fsspec."""
    protocol = protocol_of(location) or ""
    version_of = _versions.get(protocol) or _versions.get(protocol.partition("+")[0])
    with recording(None):
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
    names = (
        "ETag",
        "etag",
        "VersionId",
        "version_id",
        "LastModified",
        "Last-Modified",
        "last_modified",
        "mtime",
    )
    known = [f"{name}={info[name]}" for name in (*names, "created", "md5", "generation") if info.get(name)]
    return [f"size={info.get('size')}", *known] if known else []


def stale_reason(source: Source, *, ask_remote: bool = True) -> str:
    """Why a recorded source is not as it was, or an empty text."""
    if source.kind == "remote" and (not ask_remote or source.version is None):
        return ""
    if source.kind == "file" and not source.content and signature(source.location) == source.version:
        return ""
    try:
        now = observe(source.location, source.kind, source.without)
    except Exception as error:  # noqa: BLE001 - not told is not the same
        return f"{shown(source.location)} cannot be asked for its version: {type(error).__name__}"
    same = now.kind == source.kind and now.version == source.version
    if same and (not source.content or (now.content or _content(source.location)) == source.content):
        return ""
    if source.kind == "absent":
        return "a file that was not there has appeared"
    if now.kind == "absent":
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


def locations_among(values: Iterable[Any]) -> Iterator[tuple[str, Kind]]:
    """Every location among a call's arguments: paths, globs and URLs, also within containers."""
    for text, depth in _texts_among(values, 0):
        kind = _kind(text, certain=depth == 0)
        if kind is not None:
            yield text if kind == "remote" else _local(text), kind


def _texts_among(values: Iterable[Any], depth: int) -> Iterator[tuple[str, int]]:
    for value in values:
        if isinstance(value, str):
            yield value, depth
        elif isinstance(value, os.PathLike):
            yield os.fsdecode(value), depth
        elif depth < 4:
            if isinstance(value, dict):
                yield from _texts_among((*value.keys(), *value.values()), depth + 1)
            elif isinstance(value, list | tuple | set | frozenset):
                yield from _texts_among(value, depth + 1)


def hide(source: Source, given: Collection[str]) -> Source:
    """A source as it may be written down: an argument that may be a secret only as its digest.

    A text that names no file may be a password; a URL may carry one.
    """
    secret = source.kind == "absent" or (source.kind == "remote" and shown(source.location) != source.location)
    return replace(source, location=_digest_of_text(source.location)) if secret and source.location in given else source


def reveal(sources: list[Source], values: Iterable[Any]) -> list[Source]:
    """The sources with the locations that were hidden, found among the arguments again."""
    if not any(source.location.startswith(_HIDDEN) for source in sources):
        return sources
    known = {_digest_of_text(place): place for text, _ in _texts_among(values, 0) for place in (text, _local(text))}
    return [replace(source, location=known.get(source.location, source.location)) for source in sources]


def _digest_of_text(text: str) -> str:
    return _HIDDEN + digest(text.encode("utf-8", "surrogatepass"))[:20]


def shown(location: str) -> str:
    """A location without what may be a secret in it.

    >>> shown("https://user:word@host/a.csv?signature=1f")
    'https://host/a.csv'
    """
    if protocol_of(location) is None:
        return location
    return re.sub(r"(?<=://)[^/@]*@", "", location.partition("?")[0])


def _kind(text: str, *, certain: bool) -> Kind | None:
    if not text or len(text) > _LONGEST_PATH or "\0" in text or "\n" in text:
        return None
    if protocol_of(text) is not None:
        return "remote"
    path = _local(text)
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        if _MAGIC.search(path) and (glob.glob(path, recursive=True)):
            return "glob"
        # A word that names no file may name one tomorrow.
        return "absent" if certain else None
    return "tree" if stat.S_ISDIR(status.st_mode) else "file"


@dataclass
class Recorder:
    """What one running cached function reads; made anew for each run."""

    private: str = ""  # the cache's own folder, which does not count
    anchors: tuple[str, ...] = ()  # absolute paths that the function knows
    trusts_unversioned: bool = False
    sources: dict[str, Source] = field(default_factory=dict)
    given: frozenset[str] = frozenset()  # the locations among the arguments
    arguments: dict[str, Source] = field(default_factory=dict)  # those, and what the function's constants name
    contents: dict[str, list[tuple[str, str]]] = field(default_factory=dict)  # of folders, as first seen
    written: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)  # folders made during the run
    trouble: str = ""  # why the result must not be stored
    expires_at: float | None = None

    def expect(self, location: str, kind: Kind) -> None:
        """Note a location among the arguments: it counts, unless the run turns out only to write it."""
        with self._troubled(location):
            if kind == "remote":
                try:
                    self.arguments[location] = observe(location, kind)
                except Exception:  # noqa: BLE001 - the read itself will say what is wrong
                    self.arguments[location] = Source(location, kind, None)
            elif not self._is_own(location):
                self.arguments[location] = self._observe(location, kind)

    def read(self, location: str, version: str | None = None, kind: Kind = "file") -> None:
        """Note a read; the first version seen counts, for a later one means that it changed."""
        if protocol_of(location) is not None:
            self._read_remote(location, version)
            return
        location = self._as_meant(_local(location))
        if not self._is_own(location) and location not in self.sources:
            with self._troubled(location):
                self.sources[location] = self._observe(location, kind)

    def _read_remote(self, location: str, version: str | None) -> None:
        known = self.sources.get(location)
        if known is not None and version not in (None, known.version):
            self.trouble = f"{shown(location)} changed while it was read"
        elif known is None and version is not None:
            self.sources[location] = Source(location, "remote", version)
        elif known is None:
            self.expect(location, "remote")
            self.sources[location] = self.arguments[location]

    def write(self, location: str) -> None:
        """Note a file that the run itself writes."""
        self.written.add(os.path.abspath(location))

    def make(self, folder: str) -> None:
        """Note a folder that the run itself makes."""
        self.made.add(os.path.abspath(folder))

    def absorb(self, sources: Iterable[Source], trouble: str = "", expires_at: float | None = None) -> None:
        """Take over what a cached function called by this one was made from."""
        for source in sources:
            if source.kind == "absent" and source.location not in self.given and _WORD.fullmatch(source.location):
                continue  # an argument of the inner one: not a path, and perhaps a secret
            known = self.sources.setdefault(source.location, source)
            if known.version != source.version:
                self.trouble = f"{shown(source.location)} changed while it was read"
        self.trouble = self.trouble or trouble
        if expires_at is not None:
            self.expires_at = min(expires_at, self.expires_at or expires_at)

    def settle(self) -> list[Source]:
        """The sources as they are to be stored, looked at once more.

        Raises UnversionedError where one changed during the run or has no version.
        """
        if self.trouble:
            raise UnversionedError(self.trouble)
        settled = [self._settled(source) for source in self.sources.values()]
        for location, source in self.arguments.items():
            if location not in self.sources and os.path.abspath(location) not in self.written | self.made:
                settled.append(self._settled(source))
        return settled

    def _settled(self, source: Source) -> Source:
        if source.kind == "remote":
            return self._settled_remote(source)
        if source.kind in ("folder", "tree"):
            left_out = self._left_out()
            before = [line for place, line in self.contents[source.location] if not _is_below(place, left_out)]
            now = observe(source.location, source.kind, left_out)
            if now.version != _digest(before):
                raise UnversionedError(f"{shown(source.location)} changed while it was read")
            return now
        now = observe(source.location, source.kind)
        same = (now.kind, now.version) == (source.kind, source.version)
        if not same or (source.content and (now.content or _content(source.location)) != source.content):
            raise UnversionedError(f"{shown(source.location)} changed while it was read")
        return source

    def _settled_remote(self, source: Source) -> Source:
        if source.version is None:
            if self.trusts_unversioned:
                return source
            raise UnversionedError(f"the version of {shown(source.location)} cannot be told (ttl_seconds= would do)")
        try:
            now = remote_version(source.location)
        except Exception as error:
            raise UnversionedError(f"the version of {shown(source.location)} cannot be told: {error}") from error
        if now != source.version:
            raise UnversionedError(f"{shown(source.location)} changed while it was read")
        return source

    def _observe(self, location: str, kind: Kind) -> Source:
        source = observe(location, kind, self._left_out() if kind in ("folder", "tree") else ())
        if source.kind in ("folder", "tree"):
            lines = _lines(location, source.kind, source.without)
            self.contents[location] = list(lines)
        return source

    def _left_out(self) -> tuple[str, ...]:
        return tuple(sorted({*self.written, *self.made, *([self.private] if self.private else ())}))

    def _is_own(self, location: str) -> bool:
        """Whether it was written by the run itself, or belongs to the cache."""
        place = os.path.abspath(location)
        return place in self.written or _is_below(place, (*self.made, *([self.private] if self.private else ())))

    def _as_meant(self, location: str) -> str:
        """A path as the function knows it: a library may have made a relative one absolute on the way."""
        if not os.path.isabs(location) or location in self.arguments or location.startswith(self.anchors):
            return location
        folder = os.path.join(os.getcwd(), "")
        return location.removeprefix(folder) if len(folder) > 1 else location

    @contextmanager
    def _troubled(self, location: str) -> Iterator[None]:
        try:
            yield
        except UnversionedError as error:
            self.trouble = self.trouble or str(error)
        except (OSError, ValueError) as error:
            self.trouble = self.trouble or f"{location} cannot be looked at: {error}"


_recorder: ContextVar[Recorder | None] = ContextVar("sourceswap_recorder", default=None)


@contextmanager
def recording(recorder: Recorder | None) -> Iterator[None]:
    """Have this recorder note what the current context reads; with None, nothing is noted."""
    token = _recorder.set(recorder)
    try:
        yield
    finally:
        _recorder.reset(token)


def current_recorder() -> Recorder | None:
    """The recorder of the cached function that runs here, if any."""
    return _recorder.get()
