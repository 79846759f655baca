"""Show the progress of reads: one line on a terminal, nothing elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cli.terminal import console, is_terminal

if TYPE_CHECKING:
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

    What functions print meanwhile is neither overwritten nor captured: there is only one line, and no stream is
    redirected.
    """

    def __init__(self) -> None:
        from rich.live import Live

        self._reads: dict[int, ReadProgress] = {}
        self._live = Live(
            console=console(err=True), auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )

    def update(self, read: ReadProgress) -> None:
        """Show the state of a read; a finished one disappears."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        self._reads[read.number] = read
        if read.finished:
            del self._reads[read.number]
        reads = self._reads.values()
        row = Table.grid(padding=(0, 1))
        row.add_column(width=_BAR_CELLS)
        row.add_column(no_wrap=True)
        if reads:
            bar = ProgressBar(sum(r.total_bytes for r in reads) or None, sum(r.done_bytes for r in reads))
            row.add_row(bar, Text("  ".join(map(_state, reads))))
        self._live.start()
        self._live.update(row, refresh=True)

    def clear(self) -> None:
        """Remove the line, so that other output starts on an empty one."""
        self._live.stop()


def _state(read: ReadProgress) -> str:
    from rich.filesize import decimal

    if read.done_bytes == 0:
        return f"{read.dataset} waiting {read.seconds:.0f} s"
    if read.done_bytes == read.total_bytes:
        # The next part is about to be opened, or the bytes are being parsed.
        return f"{read.dataset} {decimal(read.done_bytes)} read, {read.seconds:.0f} s"
    share = 100 * read.done_bytes // read.total_bytes
    return f"{read.dataset} {share}% {decimal(read.done_bytes)} {decimal(int(read.bytes_per_second))}/s"
