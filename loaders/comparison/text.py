"""A data comparison as plain text: lines and the rows of a table."""

from __future__ import annotations

from collections.abc import Iterator

from loaders.comparison.column_summary import QUANTILES, ColumnSummary
from loaders.comparison.data_diff import ColumnDiff, DataDiff, shown

COLUMN_TITLES = ("column", "type", "changed", "nulls", "distinct", "minimum", "maximum")


def row_lines(diff: DataDiff) -> Iterator[str]:
    """Yield what was compared, and how many rows or keys are on both sides or on one."""
    left, right = diff.names
    yield f"{diff.dataset}: {left} ({diff.locations[0]}) and {right} ({diff.locations[1]})"
    what = "keys" if diff.key else "rows"
    yield f"rows: {_both(f'{diff.rows[0]:,}', f'{diff.rows[1]:,}')}"
    for name, count, examples in zip(diff.names, diff.only, diff.only_examples, strict=True):
        more = ", …" if count > len(examples) else ""
        yield f"{what} only in {name}: {count:,}" + (f": {'; '.join(examples)}{more}" if count else "")
    yield f"{what} in both: {diff.common:,}"
    yield from diff.notes


def column_rows(diff: DataDiff) -> Iterator[tuple[str, ...]]:
    """Yield a table row for each column, under `COLUMN_TITLES`; equal values are shown once."""
    for column in diff.columns:
        sides = [_cells(side) for side in (column.left, column.right)]
        changed = "" if column.changed is None else f"{column.changed:,}"
        yield column.name, _both(*column.types), changed, *(_both(a, b) for a, b in zip(*sides, strict=True))


def difference_lines(diff: DataDiff) -> Iterator[str]:
    """Yield examples and distributions of the columns that differ, then the verdict."""
    for column in diff.columns:
        if column.differs:
            yield from (*_details(column, diff.names), "")
    yield "the data is the same" if diff.same else "the data differs"


def _cells(side: ColumnSummary | None) -> tuple[str, str, str, str]:
    if side is None:
        return ("missing",) * 4
    distinct = "?" if side.distinct is None else f"{side.distinct:,}"
    return f"{side.nulls:,}", distinct, shown(side.minimum, 24), shown(side.maximum, 24)


def _details(column: ColumnDiff, names: tuple[str, str]) -> Iterator[str]:
    yield f"{column.name}:"
    for key, before, after in column.examples:
        yield f"  {key}: {before} → {after}"
    if column.changed and column.changed > len(column.examples):
        yield f"  and {column.changed - len(column.examples):,} more"
    for name, side in zip(names, (column.left, column.right), strict=True):
        if side is not None and side.quantiles:
            texts = (
                f"{quantile:.0%} {shown(value)}" for quantile, value in zip(QUANTILES, side.quantiles, strict=True)
            )
            yield f"  quantiles in {name}: {', '.join(texts)}"
    for name, side in zip(names, (column.left, column.right), strict=True):
        if side is not None and side.frequent:
            yield f"  most frequent in {name}: {', '.join(f'{shown(value)} ({n:,})' for value, n in side.frequent)}"


def _both(left: str, right: str) -> str:
    return left if left == right else f"{left or 'none'} → {right or 'none'}"
