"""The recorder: the sources that one run of a cached function reads."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from caching.keys.watch import Watch
from caching.locations import Kind, local_path, protocol_of, shown
from caching.tracking.active_recorder import recording
from caching.tracking.memos import Memos
from caching.tracking.remote_versions import remote_version
from caching.tracking.source import ANSWERS, Source, UnversionedError, slot_of
from caching.tracking.sources import content_of, digest_of_lines, has_same_times, is_below, lines_of, observe

_WORD = re.compile(r"[^/.\\\\]*")


def _working_folder() -> str:
    """Return the working directory; an empty text if it was removed."""
    try:
        return os.getcwd()
    except OSError:
        return ""


@dataclass(eq=False)
class Recorder:
    """Records the sources that one run of a cached function reads."""

    private: str = ""  # the cache's own folder, which does not count
    anchors: tuple[str, ...] = ()  # absolute paths that the function knows
    trusts_unversioned: bool = False
    sources: dict[str, Source] = field(default_factory=dict)
    given: frozenset[str] = frozenset()  # the locations among the arguments
    arguments: dict[str, Source] = field(default_factory=dict)  # those, and what the function's constants name
    contents: dict[str, list[tuple[str, str]]] = field(default_factory=dict)  # of folders, as first seen
    written: set[str] = field(default_factory=set)
    replaced: set[str] = field(default_factory=set)  # arguments that a reader recorded in a version of its choice
    made: set[str] = field(default_factory=set)  # folders made during the run
    kept: set[str] = field(default_factory=set)  # what the run wrote, or has in a folder that it made, and then read
    folder: str = field(default_factory=_working_folder)  # where relative paths begin
    rules: set[tuple[str, ...]] = field(default_factory=set)  # columns of its frame that are checked together
    watch: Watch = field(default_factory=Watch)  # what the key covers
    memos: Memos = field(default_factory=Memos)  # of the helpers that the function may call
    problem: str = ""  # why the result must not be stored
    expires_at: float | None = None

    def expect(self, location: str, kind: Kind) -> None:
        """Record a location among the arguments; it counts unless the run only writes it."""
        with self._noting_problems(location):
            if kind == "remote":
                try:
                    self.arguments[location] = observe(location, kind)
                except Exception:  # noqa: BLE001 - the read itself will say what is wrong
                    self.arguments[location] = Source(location, kind, None)
            elif not self._is_own(location):
                self.arguments[location] = self._observe(location, kind)

    def read(self, location: str, version: str | None = None, kind: Kind = "file") -> None:
        """Record a read; the first version seen counts, a later one means that the source changed."""
        if protocol_of(location) is not None:
            self._read_remote(location, version)
            return
        location = location if kind == "variable" else self._as_meant(local_path(location))
        if self._is_own(location):
            if kind not in ANSWERS:
                self.kept.add(os.path.abspath(location))
            return
        slot = slot_of(location, kind)
        with self._noting_problems(location):
            if slot not in self.sources:
                # Threads may read it at once.
                self.sources.setdefault(slot, self._observe(location, kind))
            self.memos.note(self.sources[slot])

    def _read_remote(self, location: str, version: str | None) -> None:
        known = self.sources.get(location)
        if known is not None and version not in (None, known.version):
            self.problem = f"{shown(location)} changed while it was read"
        elif known is None and version is not None:
            self.sources[location] = Source(location, "remote", version)
        elif known is None:
            self.expect(location, "remote")
            self.sources[location] = self.arguments[location]
        self.memos.note(self.sources[location])

    def write(self, location: str) -> None:
        """Record a file that the run writes itself."""
        self.written.add(os.path.abspath(location))

    def make(self, folder: str) -> None:
        """Record a folder that the run makes itself."""
        self.made.add(os.path.abspath(folder))

    def has_in_key(self, namespace: dict[str, Any], name: str) -> bool:
        """Return whether the key covers a variable of a module."""
        return self.watch.has(namespace, name)

    def use_unversioned(self, what: str) -> None:
        """Record the use of something that has no version, such as a connection; the text is a clause."""
        if not self.trusts_unversioned:
            self.problem = self.problem or (
                f"{what}, and the cache cannot tell when that gives another result. Say how long the result holds "
                "(ttl_seconds=) or what it depends on (depends_on=), pass the data as an argument, or read it by "
                "read_table"
            )

    def knows(self, location: str) -> bool:
        """Return whether a file was noted, under whatever name, or is the run's own."""
        with recording(None):
            place = os.path.realpath(location)
            # What was only asked for is under another key.
            return self._is_own(place) or any(
                os.path.realpath(name) == place for name in (*self.sources, *self.written)
            )

    def absorb(self, sources: Iterable[Source], problem: str = "", expires_at: float | None = None) -> None:
        """Add the sources of a cached function that this run called."""
        for source in sources:
            if source.kind == "absent" and source.location not in self.given and _WORD.fullmatch(source.location):
                continue  # an argument of the inner one: not a path, and perhaps a secret
            self.take(source)
        self.problem = self.problem or problem
        if expires_at is not None:
            self.expires_at = min(expires_at, self.expires_at or expires_at)

    def take(self, source: Source) -> None:
        """Add a source that was recorded elsewhere."""
        known = self.sources.setdefault(source.slot, source)
        self.memos.note(source)
        same = self._lists_same(source) if source.kind in ("folder", "tree") else known.version == source.version
        if not same:
            self.problem = f"{shown(source.location)} changed while it was read"

    def _lists_same(self, source: Source) -> bool:
        """Return whether a folder holds for this run what it held for an inner one, but for what that wrote itself."""
        self.written.update(source.without)
        with self._noting_problems(source.location):
            if source.location not in self.contents:
                self.contents[source.location] = list(lines_of(source.location, source.kind, source.without))
            lines = [line for place, line in self.contents[source.location] if not is_below(place, source.without)]
            return digest_of_lines(lines) == source.version
        return False

    def settle(self) -> list[Source]:
        """Return the sources to store, each compared with its present state.

        Raises UnversionedError where one changed during the run or has no version.
        """
        self.problem = self.problem or self.memos.stale()
        for source in self.memos.sources().values():
            self.take(source)
        if self.problem:
            raise UnversionedError(self.problem)
        settled = [self._settled(source) for source in list(self.sources.values()) if not self._says_no_more(source)]
        for location, source in self.arguments.items():
            is_own = os.path.abspath(location) in self.written | self.made
            if location not in self.sources and location not in self.replaced and not is_own:
                settled.append(self._settled(source))
        # A file that was brought once and is used from then on may be edited later.
        settled += [observe(place, "file") for place in sorted(self.kept) if os.path.isfile(place)]
        return settled

    def _says_no_more(self, source: Source) -> bool:
        """Return whether it is a question about what was also read: that says whether it is there, and its times.

        It may have been asked before native code wrote the file, unseen.
        """
        read = self.sources.get(source.location) if source.kind == "status" else None
        return read is not None and read.kind != "absent"

    def _settled(self, source: Source) -> Source:
        if source.kind == "remote":
            return self._settled_remote(source)
        if source.kind in ("folder", "tree"):
            left_out = self._left_out()
            before = [line for place, line in self.contents[source.location] if not is_below(place, left_out)]
            now = observe(source.location, source.kind, left_out)
            if now.version != digest_of_lines(before):
                raise UnversionedError(f"{shown(source.location)} changed while it was read")
            return now
        if source.kind == "file" and has_same_times(source):
            return source
        now = observe(source.location, source.kind)
        if source.kind in ANSWERS and self._is_own(source.location):
            return now  # it asked for what it then made
        same = (now.kind, now.version) == (source.kind, source.version)
        if not same or (source.content and (now.content or content_of(source.location)) != source.content):
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
            lines = lines_of(location, source.kind, source.without)
            self.contents[location] = list(lines)
        return source

    def _left_out(self) -> tuple[str, ...]:
        return tuple(sorted({*self.written, *self.made, *([self.private] if self.private else ())}))

    def _is_own(self, location: str) -> bool:
        """Return whether it was written by the run itself, or belongs to the cache."""
        place = os.path.abspath(location)
        return place in self.written or is_below(place, (*self.made, *([self.private] if self.private else ())))

    def _as_meant(self, location: str) -> str:
        """Return a path as the function knows it: a library may have made a relative one absolute on the way."""
        if not os.path.isabs(location) and _working_folder() != self.folder:
            return os.path.abspath(location)
        if not os.path.isabs(location) or location in self.arguments or location.startswith(self.anchors):
            return location
        folder = os.path.join(self.folder, "")
        return location.removeprefix(folder) if len(folder) > 1 else location

    @contextmanager
    def _noting_problems(self, location: str) -> Iterator[None]:
        try:
            with recording(None):  # what the recorder itself looks at does not count
                yield
        except UnversionedError as error:
            self.problem = self.problem or str(error)
        except (OSError, ValueError) as error:
            self.problem = self.problem or f"{location} cannot be looked at: {error}"
