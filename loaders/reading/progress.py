"""Who wants to know how far a read is: an observer in a context variable, told a few times a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

_QUIET_SECONDS = 1.0
_INTERVAL_SECONDS = 0.1


@dataclass(frozen=True)
class ReadProgress:
    """How far the read of a dataset is; `location` is safe to print, `total_bytes` grows while parts are opened."""

    dataset: str
    location: str
    done_bytes: int
    total_bytes: int
    seconds: float
    finished: bool = False

    @property
    def bytes_per_second(self) -> float:
        """The mean rate since the read began."""
        return self.done_bytes / self.seconds if self.seconds > 0 else 0.0


Observer = Callable[[ReadProgress], None]
_observer: ContextVar[Observer | None] = ContextVar("sourceswap_read_progress", default=None)


@contextmanager
def watch_reads(observer: Observer) -> Iterator[None]:
    """Have the observer told of reads in this context that take longer than a second, and of their end.

    It is called from the threads that read, one call at a time for each dataset.
    """
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)


class Tracker:
    """Counts the bytes of one read, in whichever threads they arrive."""

    def __init__(self, dataset: str, location: str) -> None:
        self._dataset = dataset
        self._location = location
        self._observer = _observer.get()
        self._started = time.monotonic()
        self._told_at = self._started + _QUIET_SECONDS - _INTERVAL_SECONDS
        self._told = False
        self._done_bytes = 0
        self._total_bytes = 0
        self._lock = threading.Lock()

    def expect(self, size_bytes: int) -> None:
        """Add to the bytes that are to come."""
        with self._lock:
            self._total_bytes += size_bytes

    def add(self, size_bytes: int) -> None:
        """Count bytes that arrived; negative ones have to come again."""
        if self._observer is None:
            return
        with self._lock:
            self._done_bytes += size_bytes
            if time.monotonic() - self._told_at >= _INTERVAL_SECONDS:
                self._tell()

    def finish(self) -> None:
        """Tell that the read is over, if anything was told of it."""
        with self._lock:
            if self._told:
                self._tell(finished=True)

    def _tell(self, *, finished: bool = False) -> None:
        self._told_at = time.monotonic()
        self._told = True
        seconds = self._told_at - self._started
        if self._observer is not None:
            self._observer(
                ReadProgress(
                    self._dataset, self._location, self._done_bytes, max(self._total_bytes, self._done_bytes), seconds,
                    finished,
                )
            )  # fmt: skip
