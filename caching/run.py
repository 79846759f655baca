"""One run of a cached function while its reads are recorded."""

from __future__ import annotations

import contextlib
import os
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from caching.call import Call
from caching.locations import locations_among
from caching.tracking.active_recorder import recording
from caching.tracking.audit_hook import watch_reads
from caching.tracking.child_processes import follow_processes, gather_from_children
from caching.tracking.memos import Memos
from caching.tracking.recorder import Recorder
from caching.tracking.source import Source, UnversionedError
from caching.tracking.unversioned import watch_drivers

_NOTHING = contextlib.nullcontext()


@dataclass(frozen=True)
class Run:
    """The sources of one finished run, or the problem why its result cannot be cached."""

    sources: list[Source]
    given: frozenset[str]
    rules: list[tuple[str, ...]]
    checked_at: float
    expires_at: float | None
    problem: str


def run_recorded(call: Call, within: AbstractContextManager[None] = _NOTHING) -> tuple[Any, Run]:
    """Run the function, inside another context if one is given; return its result and the run."""
    recorder = _new_recorder(call)
    with recording(recorder), within:
        value = call.run()
    return value, _finish(recorder)


async def run_recorded_async(call: Call) -> tuple[Any, Run]:
    """Run a coroutine function; return its result and the run."""
    recorder = _new_recorder(call)
    with recording(recorder):
        value = await call.run()
    return value, _finish(recorder)


def _new_recorder(call: Call) -> Recorder:
    watch_reads()
    follow_processes()
    recorder = Recorder(
        private=os.fspath(call.cache.cache_directory),
        anchors=call.key.code.paths.absolute,
        trusts_unversioned=call.target.trusts_unversioned,
        watch=call.key.code.watch,
        memos=Memos(call.key.code.memos),
    )
    if not call.key.code.watch.library_members_hold():
        recorder.problem = "a method of a library that it may use was replaced since its key was made"
    if call.key.code.unversioned:
        recorder.use_unversioned(call.key.code.unversioned)
    given = list(locations_among(call.key.values))
    recorder.given = frozenset(location for location, _ in given)
    for location, kind in given:
        recorder.expect(location, kind)
    for location in call.key.code.paths.candidates(location for location, kind in given if kind == "tree"):
        recorder.expect(location, "file")
    return recorder


def _finish(recorder: Recorder) -> Run:
    """Return the sources of a finished run, compared with their present state."""
    checked_at = time.time()
    sources: list[Source] = []
    problem = ""
    with recording(None):
        try:
            gather_from_children(recorder)
            for driver in sorted(watch_drivers()):
                recorder.use_unversioned(f"it queries a database through {driver}")
            sources = recorder.settle()
        except UnversionedError as error:
            problem = str(error)
    return Run(sources, recorder.given, sorted(recorder.rules), checked_at, recorder.expires_at, problem)
