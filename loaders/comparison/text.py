"""A data comparison as plain text."""

from __future__ import annotations

from collections.abc import Iterator

from loaders.comparison.column_summary import QUANTILES, ColumnSummary
from loaders.comparison.data_diff import ColumnDiff, DataDiff, shown


def as_table(diff: DataDiff) -> str:
    """Return the comparison as lines of text; equal values are shown once."""
    left, right = diff.names
    lines = [f"{diff.dataset}: {left} ({diff.locations[0]}) and {right} ({diff.locations[1]})"]
    what = "keys" if diff.key else "rows"
    lines.append(f"rows: {_both(f'{diff.rows[0]:,}', f'{diff.rows[1]:,}')}")
    for name, count, examples in zip(diff.names, diff.only, diff.only_examples, strict=True):
        more = ", …" if count > len(examples) else ""
        lines.append(f"{what} only in {name}: {count:,}" + (f": {'; '.join(examples)}{more}" if count else ""))
    lines.append(f"{what} in both: {diff.common:,}")
    lines += diff.notes
    lines += ["", *_columns(diff), ""]
    for column in diff.columns:
        if column.differs:
            lines += [*_details(column, diff.names), ""]
    lines.append("the data is the same" if diff.same else "the data differs")
    return "\n".join(lines)


def _columns(diff: DataDiff) -> list[str]:
    rows: list[tuple[str, ...]] = [("column", "type", "changed", "nulls", "distinct", "minimum", "maximum")]
    for column in diff.columns:
        sides = [_cells(side) for side in (column.left, column.right)]
        changed = "" if column.changed is None else f"{column.changed:,}"
        rows.append((column.name, _both(*column.types), changed, *(_both(a, b) for a, b in zip(*sides, strict=True))))
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


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
