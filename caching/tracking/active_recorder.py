"""The recorder of the cached function that runs in the current context."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from caching.locations import Kind
from caching.threads import InheritedVar
from caching.tracking.source import Source


class ReadRecorder(Protocol):
    """Interface: records what a cached function reads while it runs; `Recorder` implements it."""

    problem: str
    rules: set[tuple[str, ...]]
    replaced: set[str]

    def read(self, location: str, version: str | None = None, kind: Kind = "file") -> None:
        """Record a read."""

    def knows(self, location: str) -> bool:
        """Return whether a file was recorded already."""

    def write(self, location: str) -> None:
        """Record a file that the function writes itself."""

    def make(self, folder: str) -> None:
        """Record a folder that the function makes itself."""

    def has_in_key(self, namespace: dict[str, Any], name: str) -> bool:
        """Return whether the key covers a variable of a module."""

    def use_unversioned(self, what: str) -> None:
        """Record the use of something that has no version, such as a connection; the text is a clause."""

    def take(self, source: Source) -> None:
        """Add a source that was recorded elsewhere."""

    def absorb(self, sources: Iterable[Source], problem: str = "", expires_at: float | None = None) -> None:
        """Add the sources of a cached function that this one called."""


_recorder: InheritedVar[ReadRecorder | None] = InheritedVar("sourceswap_recorder", default=None)

_versioned: InheritedVar[bool] = InheritedVar("sourceswap_versioned_reads", default=False)


@contextmanager
def versioned_reads() -> Iterator[None]:
    """Do not count the connections of this context: a reader that records the version of what it reads opens them."""
    token = _versioned.set(True)
    try:
        yield
    finally:
        _versioned.reset(token)


def reads_are_versioned() -> bool:
    """Return whether a reader that records versions is at work in this context."""
    return _versioned.get()


@contextmanager
def recording(recorder: ReadRecorder | None) -> Iterator[None]:
    """Record the reads of the current context with this recorder; with None, record nothing."""
    token = _recorder.set(recorder)
    try:
        yield
    finally:
        _recorder.reset(token)


def replace_recorder(recorder: ReadRecorder) -> None:
    """Record the reads of this context with another recorder from now on."""
    _recorder.set(recorder)


def current_recorder() -> ReadRecorder | None:
    """Return the recorder of the cached function that runs here, if any."""
    return _recorder.get()


def record_read(location: str | os.PathLike[str], version: str | None = None, *, instead_of: str | None = None) -> None:
    """Record that the running cached function reads this location, in this version.

    Without a version the current one is asked for; a local file needs none. `instead_of` is an argument that names the
    location without the version that was chosen; its present version does not matter then.
    """
    recorder = _recorder.get()
    if recorder is not None:
        if instead_of is not None:
            recorder.replaced.add(instead_of)
        recorder.read(os.fspath(location), version)


def record_rule(columns: Iterable[str]) -> None:
    """Record that a rule ties these columns of the frame that the running cached function returns.

    It is checked where all of them are loaded together, so those that were loaded apart are never joined.
    """
    recorder = _recorder.get()
    if recorder is not None:
        recorder.rules.add(tuple(columns))
