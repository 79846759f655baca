"""Who takes note of what the running cached function reads."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from caching.threads import InheritedVar

if TYPE_CHECKING:
    from caching.recorder import Recorder

_recorder: InheritedVar[Recorder | None] = InheritedVar("sourceswap_recorder", default=None)


@contextmanager
def recording(recorder: Recorder | None) -> Iterator[None]:
    """Have this recorder note what the current context reads; with None, nothing is noted."""
    token = _recorder.set(recorder)
    try:
        yield
    finally:
        _recorder.reset(token)


def replace_recorder(recorder: Recorder) -> None:
    """Have another recorder note what this context reads from now on."""
    _recorder.set(recorder)


def current_recorder() -> Recorder | None:
    """The recorder of the cached function that runs here, if any."""
    return _recorder.get()


def record_read(location: str | os.PathLike[str], version: str | None = None) -> None:
    """Tell the cache that the running cached function reads this location, in this version.

    Without a version the current one is asked for; a local file needs none.
    """
    recorder = _recorder.get()
    if recorder is not None:
        recorder.read(os.fspath(location), version)


def record_rule(columns: Iterable[str]) -> None:
    """Tell the cache that a rule ties these columns of the frame that the running cached function returns.

    It is checked where all of them are loaded together, so those that were loaded apart are never joined.
    """
    recorder = _recorder.get()
    if recorder is not None:
        recorder.rules.add(tuple(columns))
