"""The decoding threads, one for each core, shared by all reads of the process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import pyarrow as pa

from loaders.clients.cancellation import active_cancellation

T = TypeVar("T")
R = TypeVar("R")


def decoded_by_all(decode: Callable[[T], R], pieces: Iterable[T]) -> Iterator[R]:
    """Decode the pieces in the shared threads, and yield the results in order."""
    cancellation = active_cancellation()

    def decoded(piece: T) -> R:
        cancellation.check()
        return decode(piece)

    return _threads(os.getpid()).map(decoded, pieces)


@lru_cache(maxsize=1)
def _threads(_process: int) -> ThreadPoolExecutor:
    # A forked process has none of its parent's threads, so each process creates its own.
    return ThreadPoolExecutor(pa.cpu_count(), thread_name_prefix="sourceswap-decode")
