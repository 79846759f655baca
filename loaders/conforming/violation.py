"""Violations of a contract, reported in a few lines regardless of the size of the frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from loaders.errors import ContractError

MAX_EXAMPLES = 5
MAX_VIOLATIONS = 8
_MAX_VALUE_LENGTH = 60


@dataclass(frozen=True)
class Violation:
    """One rule of a contract that some rows of one column (or of the key) break.

    `count` is None if the rule concerns the column as a whole. `examples` pair a row number, counted from 0 over the
    whole dataset, with its value. `counted_all` is False if counting stopped early and there may be more rows.
    `is_warning` says that the frame is returned nevertheless.
    """

    column: str
    rule: str
    count: int | None = None
    examples: tuple[tuple[int, Any], ...] = ()
    counted_all: bool = True
    is_warning: bool = False


@dataclass(frozen=True)
class Origin:
    """The origin of a frame: its location as the user gave it, and the number of rows of each part.

    `first_row` is the number of rows before those of a piece of the file.
    """

    location: str
    parts: tuple[tuple[str, int], ...] = field(default=())
    first_row: int = 0

    def row_name(self, row: int) -> str:
        """Return the name of a row, counted from 1 within its file, for its number from 0 over all parts."""
        if len(self.parts) > 1:
            for location, rows in self.parts:
                if row < rows:
                    return f"row {row + 1} of {location}"
                row -= rows
        return f"row {self.first_row + row + 1}"


def example(values: pa.ChunkedArray, row: int) -> tuple[int, Any]:
    """Return a row and its value; a value that Python cannot represent, such as the year 10000, as Arrow's text."""
    value = values[row]
    try:
        return row, value.as_py()
    except (ValueError, OverflowError):
        try:
            return row, value.cast(pa.string()).as_py()
        except pa.ArrowException:
            return row, value.cast(pa.int64()).as_py()


def contract_error(dataset: str, violations: Sequence[Violation], origin: Origin) -> ContractError:
    """Return the error that reports violations: rules, columns, number of rows, first values, location."""
    return ContractError(contract_report(f"Dataset '{dataset}' breaks its contract.", violations, origin))


def contract_report(title: str, violations: Sequence[Violation], origin: Origin) -> str:
    """Return the report of violations under a title."""
    lines = [f"{title} Read from {origin.location}"]
    lines += ["  " + _line(violation, origin) for violation in violations[:MAX_VIOLATIONS]]
    if len(violations) > MAX_VIOLATIONS:
        lines.append(f"  and {len(violations) - MAX_VIOLATIONS} more")
    if any(violation.examples for violation in violations[:MAX_VIOLATIONS]):
        lines.append("  Rows count from 1; a header is not counted.")
    return "\n".join(lines)


def _line(violation: Violation, origin: Origin) -> str:
    line = f"{violation.column}: {violation.rule}"
    if violation.count is not None:
        at_least = "" if violation.counted_all else "at least "
        line += f"; {at_least}{violation.count} row{'s' if violation.count != 1 else ''}"
    shown = [f"{_shown(value)} in {origin.row_name(row)}" for row, value in violation.examples[:MAX_EXAMPLES]]
    if shown:
        line += ": " + ", ".join(shown)
        if violation.count is not None and violation.count > len(shown):
            line += ", …"
    return line


def _shown(value: Any) -> str:
    # The value as in a file, but text in quotes, so that blanks and empty texts are visible.
    text = "null" if value is None else repr(value) if isinstance(value, str | bytes) else str(value)
    return text if len(text) <= _MAX_VALUE_LENGTH else text[: _MAX_VALUE_LENGTH - 1] + "…"
