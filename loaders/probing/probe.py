"""The result of a probe: facts about a dataset's files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from loaders.names import printable
from loaders.units import size_text


@dataclass(frozen=True)
class FileFacts:
    """The facts about one file that a probe found without loading it.

    Attributes:
        format: csv, parquet, feather or jsonl, followed by the compression if there is one.
        columns: the names in the file, in order.
        types: the Arrow field of each column, for formats that store it.
        nulls: the number of nulls of each column that has a count.
        rows: the number of rows; None if unknown.
        ends_its_lines: whether the last row of a text has a line end; None for other formats.
        problems: each problem, as rule and sentence.
    """

    format: str = ""
    columns: tuple[str, ...] = ()
    types: Mapping[str, pa.Field] = field(default_factory=dict)
    nulls: Mapping[str, int] = field(default_factory=dict)
    rows: int | None = None
    ends_its_lines: bool | None = None
    problems: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Probe:
    """The probe of one dataset in one environment: its files, and the bytes fetched.

    Attributes:
        location: the configured location, safe to print.
        rows: the number of rows of the probed files; None if unknown for one of them.
        modified: the time when the newest of the probed files was written.
        parts: the number of files.
        files: the facts of the probed files.
    """

    environment: str
    dataset: str
    location: str
    format: str = ""
    rows: int | None = None
    size_bytes: int = 0
    modified: datetime | None = None
    fetched_bytes: int = 0
    parts: int = 0
    files: tuple[FileFacts, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "location", printable(self.location))

    @property
    def row(self) -> tuple[str, ...]:
        """The probe as a row of a table."""
        sampled = f" in {len(self.files)} of {self.parts} parts" if self.parts > 1 else ""
        rows = "?" if self.rows is None else f"{self.rows:,}"
        age = _age(datetime.now(UTC) - self.modified) if self.modified else "?"
        fetched = f"{size_text(self.fetched_bytes)} of {size_text(self.size_bytes)}"
        return (self.environment, self.dataset, self.location, self.format, f"{rows}{sampled}", age, fetched)

    def as_dict(self) -> dict[str, Any]:
        """Return the probe as plain values, for JSON."""
        return {
            "environment": self.environment,
            "dataset": self.dataset,
            "location": self.location,
            "format": self.format,
            "rows": self.rows,
            "size_bytes": self.size_bytes,
            "modified": self.modified.isoformat() if self.modified else None,
            "fetched_bytes": self.fetched_bytes,
            "parts": self.parts,
            "probed_parts": len(self.files),
        }


def _age(age: Any) -> str:
    seconds = max(0, int(age.total_seconds()))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
