"""Record what forked child processes read; other child processes make the result uncacheable.

A fork has a copy of the recorder. It tells what it notes through a file without a name that was open before, and the
function's own process takes that over when the run is over. A process that begins afresh, or was there before, has no
recorder: what is made from its work is not cached.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from caching.import_hooks import on_import
from caching.tracking.active_recorder import ReadRecorder, current_recorder, recording, replace_recorder
from caching.tracking.recorder import Recorder
from caching.tracking.source import Source
from caching.tracking.wrapping import wrap_methods

_lock = threading.Lock()
_follows = False
_files: weakref.WeakKeyDictionary[ReadRecorder, int] = weakref.WeakKeyDictionary()
# Pools, and the runs that forked their processes.
_forked_by: weakref.WeakKeyDictionary[Any, weakref.ref[ReadRecorder]] = weakref.WeakKeyDictionary()


def follow_processes() -> None:
    """Start recording the reads of child processes, once for the process."""
    global _follows
    with _lock:
        if _follows or not hasattr(os, "register_at_fork"):
            return
        _follows = True
    os.register_at_fork(before=_before_fork, after_in_child=_in_child)
    on_import("multiprocessing.process", lambda module: wrap_methods(module.BaseProcess, ["start"], _note_start))
    on_import(
        "concurrent.futures.process", lambda module: wrap_methods(module.ProcessPoolExecutor, ["submit"], _note_use)
    )
    on_import("multiprocessing.pool", _follow_pools)


def _follow_pools(module: Any) -> None:
    def note(recorder: ReadRecorder, pool: Any, *_: Any, **__: Any) -> None:
        if not isinstance(pool, module.ThreadPool):
            _note_use(recorder, pool)

    wrap_methods(module.Pool, ["__init__"], _note_pool)
    wrap_methods(module.Pool, ["apply_async", "_map_async", "imap", "imap_unordered"], note)


def gather_from_children(recorder: Recorder) -> None:
    """Add the reads of the processes that were forked during a run."""
    file = _files.pop(recorder, None)
    if file is None:
        return
    told = os.pread(file, os.fstat(file).st_size, 0)
    os.close(file)
    for line in told.splitlines():
        message = json.loads(line)
        recorder.written.update(message["written"])
        recorder.kept.update(message["kept"])
        for source in message["sources"]:
            recorder.take(Source.from_json(source))
        recorder.problem = recorder.problem or message["problem"]


def _before_fork() -> None:
    recorder = current_recorder()
    if recorder is not None and recorder not in _files:
        with recording(None):
            _files[recorder] = _unnamed_file()


def _unnamed_file() -> int:
    import fcntl

    if hasattr(os, "memfd_create"):
        file = os.memfd_create("sourceswap-reads")
    else:
        with tempfile.TemporaryFile() as temporary:
            file = os.dup(temporary.fileno())
    # Forks share the file's position, but not atomically: two that write at once would write to the same place.
    fcntl.fcntl(file, fcntl.F_SETFL, fcntl.fcntl(file, fcntl.F_GETFL) | os.O_APPEND)
    return file


def _in_child() -> None:
    recorder = current_recorder()
    if isinstance(recorder, Recorder):
        replace_recorder(_Relay.of(recorder))


class _Relay(Recorder):
    """A recorder in a forked process that sends what it records to the recorder of its parent."""

    _file: int

    @classmethod
    def of(cls, recorder: Recorder) -> _Relay:
        """Return the relay of a recorder: what that knows already is known."""
        relay = cls.__new__(cls)
        vars(relay).update(vars(recorder), _file=_files[recorder])
        return relay

    @property
    def problem(self) -> str:
        """Why the result must not be stored; the parent is told as soon as there is a reason."""
        return str(vars(self)["problem"])

    @problem.setter
    def problem(self, problem: str) -> None:
        if problem != self.problem:
            vars(self)["problem"] = problem
            self._send(problem=problem)

    def read(self, *args: Any, **kwargs: Any) -> None:
        self._recording(super().read, *args, **kwargs)

    def absorb(self, *args: Any, **kwargs: Any) -> None:
        self._recording(super().absorb, *args, **kwargs)

    def write(self, location: str) -> None:
        self._recording(super().write, location)

    def make(self, folder: str) -> None:
        self._recording(super().make, folder)

    def _recording(self, note: Callable[..., None], *args: Any, **kwargs: Any) -> None:
        known, written, kept = set(self.sources), {*self.written, *self.made}, set(self.kept)
        note(*args, **kwargs)
        sources = [source.as_json() for slot, source in self.sources.items() if slot not in known]
        self._send(sources, sorted({*self.written, *self.made} - written), sorted(self.kept - kept))

    def _send(
        self, sources: Sequence[object] = (), written: Sequence[str] = (), kept: Sequence[str] = (), problem: str = ""
    ) -> None:
        if sources or written or kept or problem:
            message = {"sources": sources, "written": written, "kept": kept, "problem": problem}
            # Appended at once, whole, after what others have sent.
            os.write(self._file, json.dumps(message).encode() + b"\n")


def _note_start(recorder: ReadRecorder, process: Any, *_: Any, **__: Any) -> None:
    import multiprocessing

    method = process._start_method or multiprocessing.get_start_method()
    if method != "fork":
        _refuse(recorder, f"by '{method}', not by a fork")


def _note_pool(recorder: ReadRecorder, pool: Any, *_: Any, **__: Any) -> None:
    _forked_by[pool] = weakref.ref(recorder)


def _note_use(recorder: ReadRecorder, pool: Any, *_: Any, **__: Any) -> None:
    if getattr(pool, "_processes", None) == {}:
        # An executor that has not begun: it forks now.
        _forked_by[pool] = weakref.ref(recorder)
    forked_by = _forked_by.get(pool)
    if forked_by is None or forked_by() is not recorder:
        _refuse(recorder, "before it")


def _refuse(recorder: ReadRecorder, how: str) -> None:
    recorder.problem = recorder.problem or (
        f"it hands work to processes that began {how}, and what those read cannot be followed. Use threads, or a "
        "pool that the function itself forks"
    )
