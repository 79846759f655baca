"""Plain tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

import click

from loaders.names import bounded


def echo_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, err: bool = False) -> None:
    """Print rows under a header, each column as wide as its widest cell; the last one runs free."""
    for line in table_lines(header, rows):
        click.echo(line, err=err)


def table_lines(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of such a table; no header line where every title is empty."""
    cells = [[bounded(cell) for cell in row] for row in ([header, *rows] if any(header) else rows)]
    if not cells:
        return []
    widths = [max(len(row[n]) for row in cells) for n in range(len(header))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]
