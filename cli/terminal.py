"""Tables and colour on a terminal, plain text in pipes and files."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from loaders.names import bounded

if TYPE_CHECKING:
    from rich.console import Console

_CELL_STYLES = {"hit": "green", "miss": "yellow", "unreadable": "red"}
_SEVERITY = r"(?m)^(?P<red>[Ee]rror:)|^(?P<yellow>warning:)"
# With less room for each column, words would be broken; the terminal wraps long lines better.
_COLUMN_CELLS = 16


def is_terminal(*, err: bool = False) -> bool:
    """Return whether standard output (or error) is a terminal; False for a closed stream."""
    stream: Any = sys.stderr if err else sys.stdout
    return stream is not None and bool(stream.isatty())


def line_width() -> int | None:
    """Return the width of the terminal; None, for unlimited, where standard output goes elsewhere."""
    return shutil.get_terminal_size().columns if is_terminal() else None


def console(*, err: bool = False) -> Console:
    """Return a console that prints text literally."""
    from rich.console import Console

    return Console(stderr=err, markup=False, highlight=False, emoji=False)


def echo_text(text: str, *, err: bool = False) -> None:
    """Print text; on a terminal the severity at the start of a line is coloured."""
    if not is_terminal(err=err):
        click.echo(text, err=err)
        return
    from rich.text import Text

    styled = Text(text)
    styled.highlight_regex(_SEVERITY)
    console(err=err).print(styled, soft_wrap=True)


def echo_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, err: bool = False) -> None:
    """Print rows under a header, or without one if all titles are empty.

    A terminal wraps long cells within their column. Elsewhere each row is one line. Words of cells are bounded.
    """
    lines = [[bounded(cell) for cell in line] for line in ([header, *rows] if any(header) else rows)]
    if not lines or not is_terminal(err=err) or shutil.get_terminal_size().columns < _COLUMN_CELLS * len(header):
        widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
        for line in lines:
            click.echo("  ".join(map(str.ljust, line, widths)).rstrip(), err=err)
        return
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    for _ in header:
        table.add_column(overflow="fold")
    for number, line in enumerate(lines):
        style = "bold" if any(header) and number == 0 else ""
        table.add_row(*(Text(cell, _CELL_STYLES.get(cell, "")) for cell in line), style=style)
    console(err=err).print(table)
