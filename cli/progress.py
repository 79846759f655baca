"""Show the progress of reads: one line on a terminal, nothing elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cli.terminal import console, is_terminal

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

    from loaders.clients.progress import ReadProgress

_BAR_CELLS = 20


@contextmanager
def progress_line() -> Iterator[None]:
    """Show reads that take longer than a second, if standard error is a terminal."""
    if not is_terminal(err=True):
        yield
        return
    from loaders.clients.progress import watch_reads

    line = _Line()
    try:
        with watch_reads(line.update):
            yield
    finally:
        line.clear()


class _Line:
    """A bar of all bytes and the state of each read, drawn from the first report until it is cleared.

    Only one line, and standard output is not redirected: what a function prints meanwhile must neither be overwritten
    nor captured.
    """

    def __init__(self) -> None:
        self._reads: dict[int, ReadProgress] = {}
        self._live: Live | None = None

    def update(self, read: ReadProgress) -> None:
        """Show the state of a read; a finished one disappears."""
        if self._live is None:
            self._live = _started()
        self._reads[read.number] = read
        if read.finished:
            del self._reads[read.number]
        self._live.update(_row(self._reads.values()) if self._reads else "", refresh=True)

    def clear(self) -> None:
        """Remove the line, so that other output starts on an empty one."""
        if self._live is not None:
            self._live.stop()


def _started() -> Live:
    from rich.live import Live

    live = Live(
        console=console(err=True), auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
    )
    live.start()
    return live


def _row(reads: Collection[ReadProgress]) -> Table:
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    total = sum(read.total_bytes for read in reads)
    row = Table.grid(padding=(0, 1))
    row.add_column(width=_BAR_CELLS)
    row.add_column(no_wrap=True)
    bar = ProgressBar(total or None, sum(read.done_bytes for read in reads))
    row.add_row(bar, Text("  ".join(map(_state, reads))))
    return row


def _state(read: ReadProgress) -> str:
    from rich.filesize import decimal

    if read.done_bytes == 0:
        return f"{read.dataset} waiting {read.seconds:.0f} s"
    if read.done_bytes == read.total_bytes:
        # The next part is about to be opened, or the bytes are being parsed.
        return f"{read.dataset} {decimal(read.done_bytes)} read, {read.seconds:.0f} s"
    share = 100 * read.done_bytes // read.total_bytes
    return f"{read.dataset} {share}% {decimal(read.done_bytes)} {decimal(int(read.bytes_per_second))}/s"
