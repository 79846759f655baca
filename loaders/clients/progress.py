"""Report the progress of reads to an observer, a few times a second."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from caching.threads import InheritedVar

_QUIET_SECONDS = 1.0
_INTERVAL_SECONDS = 0.1


@dataclass(frozen=True)
class ReadProgress:
    """The progress of a dataset's read; `location` is safe to print, `total_bytes` grows while parts are opened.

    `number` tells the reads of one dataset apart. Where all bytes are there, they are parsed and checked.
    """

    dataset: str
    location: str
    done_bytes: int
    total_bytes: int
    seconds: float
    finished: bool = False
    number: int = 0

    @property
    def bytes_per_second(self) -> float:
        """The mean rate since the read began."""
        return self.done_bytes / self.seconds if self.seconds > 0 else 0.0


Observer = Callable[[ReadProgress], None]


@contextmanager
def watch_reads(observer: Observer) -> Iterator[None]:
    """Report reads inside the block that take longer than a second to the observer, and their end.

    It is called from other threads, one call at a time, and not after this context.
    """
    watch = _Watch(observer)
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)
        watch.stop()


class _Watch:
    """The reads in progress, and the thread that reports them."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._reads: dict[Tracker, bool] = {}  # whether it was told of
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, read: Tracker) -> None:
        with self._lock:
            self._reads[read] = False
            if self._thread is None:
                self._thread = threading.Thread(target=self._tell, name="sourceswap-progress", daemon=True)
                self._thread.start()

    def end(self, read: Tracker) -> None:
        with self._lock:
            if self._reads.pop(read, False) and not self._stopped.is_set():
                self._observer(read.progress(finished=True))

    def stop(self) -> None:
        with self._lock:
            self._stopped.set()

    def _tell(self) -> None:
        while not self._stopped.wait(_INTERVAL_SECONDS):
            with self._lock:
                for read in self._reads:
                    progress = read.progress()
                    if progress.seconds >= _QUIET_SECONDS and not self._stopped.is_set():
                        self._reads[read] = True
                        self._observer(progress)


_watch: InheritedVar[_Watch | None] = InheritedVar("sourceswap_read_progress", default=None)
_numbers = itertools.count(1)


class Tracker:
    """Counts the bytes of one read, from any thread; the read is reported while the tracker is entered."""

    def __init__(self, dataset: str, location: str) -> None:
        self._dataset = dataset
        self._location = location
        self._watch = _watch.get()
        self._number = next(_numbers)
        self._started = time.monotonic()
        self._done_bytes = 0
        self._total_bytes = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        if self._watch is not None:
            self._watch.begin(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._watch is not None:
            self._watch.end(self)

    def expect(self, size_bytes: int) -> None:
        """Add to the bytes that are expected."""
        if self._watch is None:
            return
        with self._lock:
            self._total_bytes += size_bytes

    def add(self, size_bytes: int) -> None:
        """Count bytes that arrived; a negative number are bytes to fetch again."""
        if self._watch is None:
            return
        with self._lock:
            self._done_bytes += size_bytes

    def progress(self, *, finished: bool = False) -> ReadProgress:
        """Return the present progress."""
        with self._lock:
            done, total = self._done_bytes, max(self._total_bytes, self._done_bytes)
        seconds = time.monotonic() - self._started
        return ReadProgress(self._dataset, self._location, done, total, seconds, finished, self._number)
