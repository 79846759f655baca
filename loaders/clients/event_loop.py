"""Run coroutines on one event loop, in a thread that all reads of the process share."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import CancelledError
from typing import Any, TypeVar

from loaders.clients.cancellation import ReadCancelledError, active_cancellation, results_of

T = TypeVar("T")

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Return the result of a coroutine, which runs on the shared event loop in a copy of this context.

    Raises:
        ReadCancelledError: the active cancellation flag was set; the coroutine is cancelled then.
    """
    cancellation = active_cancellation()
    try:
        cancellation.check()
    except ReadCancelledError:
        coroutine.close()
        raise
    future = asyncio.run_coroutine_threadsafe(coroutine, _event_loop())
    with cancellation.ending(future.cancel):
        try:
            return results_of([future])[0]
        except CancelledError:
            raise ReadCancelledError from None


def _event_loop() -> asyncio.AbstractEventLoop:
    global _loop
    with _lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="sourceswap-event-loop", daemon=True).start()
        return _loop


def _forget() -> None:
    """Forget the parent's event loop, whose thread does not exist in a forked process."""
    global _lock, _loop
    _lock, _loop = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
