"""Show the progress of reads: one line on a terminal, nothing elsewhere."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loaders.clients.progress import ReadProgress

_CLEAR = "\r\x1b[K"


@contextmanager
def progress_line() -> Iterator[None]:
    """Show reads that take longer than a second, if standard error is a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from loaders.clients.progress import watch_reads

    line = _Line()
    with watch_reads(line.update):
        try:
            yield
        finally:
            line.clear()


class _Line:
    """The reads in progress, as one line within the terminal's width."""

    def __init__(self) -> None:
        self._reads: dict[int, ReadProgress] = {}
        self._lock = threading.Lock()
        self._is_cleared = False

    def update(self, progress: ReadProgress) -> None:
        """Show the state of a read; a finished one disappears."""
        with self._lock:
            if self._is_cleared:
                return
            self._reads[progress.number] = progress
            if progress.finished:
                del self._reads[progress.number]
            text = "  ".join(_told(read) for read in self._reads.values())
            width = shutil.get_terminal_size().columns - 1
            sys.stderr.write(_CLEAR + text[:width])
            sys.stderr.flush()

    def clear(self) -> None:
        """Remove the line, so that other output starts on an empty one."""
        with self._lock:
            self._is_cleared = True
            sys.stderr.write(_CLEAR)
            sys.stderr.flush()


def _told(read: ReadProgress) -> str:
    if read.done_bytes == 0:
        return f"{read.dataset} waiting {read.seconds:.0f} s"
    if read.done_bytes == read.total_bytes:
        # Or the next part is about to be opened; what is parsed takes longer.
        return f"{read.dataset} {_size(read.done_bytes)} read, {read.seconds:.0f} s"
    share = 100 * read.done_bytes // read.total_bytes
    return f"{read.dataset} {share}% {_size(read.done_bytes)} {_size(read.bytes_per_second)}/s"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
