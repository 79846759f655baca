"""Cancel the remaining reads of a task when one of them fails or the caller is interrupted.

A task is the execution of a driver, the parts of a dataset, the ranges of an object: where one of its threads
fails, or its caller is interrupted, what the others would bring is of no use. They look at the flag before each piece
and each try, wait on it instead of sleeping, and have the connections that they listen to shut down.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")

# A library may have the system restart what a signal interrupts (polars does): Python hears of it after such a wait.
_DEAF_SECONDS = 0.2


class ReadCancelledError(BaseException):
    """Raised when a read was cancelled.

    No `Exception`: a loader that knows what to do about a failure must not do it here, and have its result cached.
    """


class Cancellation:
    """The cancellation flag of one task; any thread may set it, once."""

    def __init__(self) -> None:
        self._cancelled = threading.Event()
        self._lock = threading.Lock()
        self._endings: set[Callable[[], object]] = set()

    def cancel(self) -> None:
        """Set the flag, wake the threads that wait on it, and call the registered functions."""
        with self._lock:
            self._cancelled.set()
            for end in self._endings:
                end()

    def check(self) -> None:
        """Raise ReadCancelledError if the flag is set."""
        if self._cancelled.is_set():
            raise ReadCancelledError

    def wait(self, seconds: float) -> None:
        """Sleep, and raise as soon as the flag is set."""
        end = time.monotonic() + seconds
        while not self._cancelled.wait(min(_DEAF_SECONDS, max(0, end - time.monotonic()))):
            if time.monotonic() >= end:
                return
        raise ReadCancelledError

    @contextmanager
    def ending(self, end: Callable[[], object]) -> Iterator[None]:
        """Call `end` when the flag is set inside the block, at most once."""
        with self._lock:
            self._endings.add(end)
        try:
            self.check()
            yield
        finally:
            with self._lock:
                self._endings.discard(end)


_active: ContextVar[Cancellation] = ContextVar("sourceswap_cancellation", default=Cancellation())  # noqa: B039 — the one that nobody cancels


def active_cancellation() -> Cancellation:
    """Return the cancellation flag of the current context."""
    return _active.get()


@contextmanager
def cancellable() -> Iterator[Cancellation]:
    """Give the reads inside the block a flag; it is set when an error leaves the block or the outer flag is set.

    Other threads belong to it as they run in a copy of the context.
    """
    outer, own = _active.get(), Cancellation()
    token = _active.set(own)
    try:
        with outer.ending(own.cancel):
            yield own
    except BaseException:
        own.cancel()
        raise
    finally:
        _active.reset(token)


def results_of(pending: Sequence[Future[T]]) -> list[T]:
    """Return the result of each future; raise as soon as one fails, without waiting for the others."""
    try:
        waiting: Collection[Future[T]] = pending
        while waiting:
            done, waiting = wait(pending, _DEAF_SECONDS, FIRST_EXCEPTION)
            # In their order, where several failed; the first to fail has not had the others cancelled yet.
            failed = next((error for future in pending if future in done and (error := future.exception())), None)
            if failed is not None:
                raise failed
        return [future.result() for future in pending]
    finally:
        for future in pending:
            future.cancel()
