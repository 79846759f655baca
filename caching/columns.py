"""The columns of a frame as entries of their own, so that calls for other columns can reuse them.

Columns of one frame belong together: they are joined only where each is what one run would have returned.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from caching.context import CallEnvironment, active_context
from caching.store.entry import MISSING
from caching.tracking.active_recorder import current_recorder
from caching.tracking.source import UNREAD, Source

if TYPE_CHECKING:
    from caching.store.entry import Entry


@dataclass(frozen=True)
class Wanted:
    """The columns that a dataflow needs of a function's frame."""

    environment: CallEnvironment
    namespace: str
    columns: tuple[str, ...]

    def alone(self, columns: tuple[str, ...] | None = None) -> AbstractContextManager[None]:
        """Make the function return only these columns inside the block; by default all wanted ones."""
        return self.environment.only(self.namespace, self.columns if columns is None else columns)


def wanted_columns(namespace: str) -> Wanted | None:
    """Return the columns that are needed of a function's frame; None for all."""
    environment = active_context().environment
    # A cached function that calls another may use every column: nothing of its own key says which are wanted.
    if environment is None or current_recorder() is not None:
        return None
    columns = environment.columns(namespace)
    return Wanted(environment, namespace, columns) if columns else None


@dataclass
class CachedColumns:
    """The cached columns of one call that fit together, with their common sources."""

    parts: dict[str, Any] = field(default_factory=dict)  # frames of one column
    sources: list[Source] = field(default_factory=list)
    reason: str = ""  # why one that is cached was not served
    _runs: dict[str, str | None] = field(default_factory=dict)  # that each column is from
    _rules: set[frozenset[str]] = field(default_factory=set)  # columns that one run must have seen together
    _versions: frozenset[Hashable] = frozenset()
    _run: str | None = None  # the run that all of them must be from, where versions do not tell all

    def add(self, column: str, entry: Entry, sources: list[Source], *, timed: bool) -> None:
        """Add a column, unless it is damaged or does not fit the others."""
        # Where versions tell all, any run gives the same; otherwise only the columns of one run belong together.
        versions, run = _versions(sources), None if _are_versioned(sources) and not timed else entry.record.get("run")
        if self.parts and (versions, run) != (self._versions, self._run):
            self.reason = self.reason or "its columns are of different versions"
            return
        part = entry.load()
        if part is MISSING:
            self.reason = "the entry was damaged"
            return
        self.parts[column], self.sources, self._versions, self._run = part, sources, versions, run
        self._runs[column] = entry.record.get("run")
        self._rules |= {frozenset(rule) for rule in entry.record.get("rules", ())}

    def missing(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        """Return the columns to load: those that are not cached, or all if they cannot be combined."""
        missing = self._lacking(columns)
        return missing if missing and self._run is None else columns

    def lack(self, columns: tuple[str, ...]) -> str:
        """Return in words which columns are missing."""
        lack = "were not checked together" if all(column in self.parts for column in columns) else "are not cached"
        return f"columns that {lack}: {', '.join(self.missing(columns))}"

    def _lacking(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        """Return columns that are missing, or belong to a rule that no run has checked on all its columns."""
        missing = {column for column in columns if column not in self.parts}
        rules = [rule for rule in self._rules if rule.issubset(columns)]
        for _ in rules:
            # Once for each: what is loaded anew for one rule is of another run than the rest of the next.
            for rule in rules:
                if not missing.isdisjoint(rule) or len({self._runs[column] for column in rule}) > 1:
                    missing |= rule
        return tuple(column for column in columns if column in missing)

    def joined(self, columns: tuple[str, ...]) -> Any:
        """Return the frame of these columns; None if one is missing or they were not checked together."""
        return None if self._lacking(columns) else join_columns(self.parts, columns)

    def completed(self, value: Any, missing: tuple[str, ...], wanted: Wanted, sources: list[Source]) -> Any:
        """Return the frame of the wanted columns, completed from a run just made; None if they do not fit."""
        loaded = split_columns(value, missing)
        if loaded is None or _versions(sources) != self._versions or not _agree(self.sources, sources):
            return None
        return join_columns(self.parts | loaded, wanted.columns)


def _versions(sources: list[Source]) -> frozenset[Hashable]:
    return frozenset((source.location, source.kind, source.version) for source in sources)


def _are_versioned(sources: list[Source]) -> bool:
    """Return whether the sources identify the data: something was read, and all of it has a version."""
    read = [source for source in sources if source.kind not in UNREAD]
    return bool(read) and all(source.version is not None for source in read)


def _agree(before: list[Source], now: list[Source]) -> bool:
    """Return whether files too young for their times to count have the same content."""
    contents = {source.location: source.content for source in now if source.content}
    return all(
        not source.content or contents.get(source.location, source.content) == source.content for source in before
    )


def split_columns(value: Any, columns: Sequence[str]) -> dict[str, Any] | None:
    """Return a frame as frames of one column each; None if it is no plain frame with all of these.

    Others that it has are among them: they were loaded too.
    """
    import pandas as pd

    if type(value) is pd.DataFrame:
        if not value.columns.is_unique or not {*columns}.issubset(value.columns):
            return None
        # What a frame says besides its columns would not survive being cut up.
        plain = not value.attrs and value.flags.allows_duplicate_labels and type(value.index) is pd.RangeIndex
        return {column: value[[column]] for column in value.columns if type(column) is str} if plain else None
    names = _names(value)
    if names is None or not {*columns}.issubset(names):
        return None
    return {name: value.select([name]) for name in names}


def _names(value: Any) -> list[str] | None:
    """Return the names of a frame of polars or a plain Arrow table; None for anything else."""
    match type(value).__module__.partition(".")[0], type(value).__name__:
        case "polars", "DataFrame":
            return list(value.columns)
        case "pyarrow", "Table" if not value.schema.metadata and len(set(value.column_names)) == value.num_columns:
            return list(value.column_names)
    return None


def join_columns(parts: Mapping[str, Any], columns: Sequence[str]) -> Any:
    """Return the frame of the columns in this order, without copying; None if their rows differ."""
    import pandas as pd

    frames = [parts[column] for column in columns]
    first = frames[0]
    if any(type(frame) is not type(first) for frame in frames):
        return None
    if isinstance(first, pd.DataFrame):
        alike = all(frame.index.identical(first.index) for frame in frames)
        return pd.concat(frames, axis=1) if alike else None
    if len({len(frame) for frame in frames}) > 1:
        return None
    if type(first).__name__ == "Table":
        return type(first).from_arrays([frame.column(0) for frame in frames], schema=_schema(frames))
    return first.hstack([frame.to_series() for frame in frames[1:]])


def _schema(tables: Sequence[Any]) -> Any:
    import pyarrow as pa

    return pa.schema([table.schema.field(0) for table in tables])
