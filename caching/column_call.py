"""A call of which some columns are wanted: each column of its frame is an entry."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from caching.call import Call
from caching.columns import CachedColumns, Wanted, join_columns, split_columns
from caching.keys.values import digest
from caching.misses import NO_ENTRY
from caching.result import keep_result, remove_entries, run_and_keep
from caching.run import Run, run_recorded
from caching.store.local_cache import Key
from caching.tracking.source import Source
from caching.valid_entry import MISS, cached_value, expiry, find_valid


def call_by_column(call: Call, wanted: Wanted) -> Any:
    """Return a frame of the wanted columns: cached ones, and the others from one run."""
    if (value := _cached_frame(call, wanted)) is not MISS:
        return value
    with call.cache.lock(call.key.key):
        for look in (cached_value, partial(_cached_frame, wanted=wanted)):
            if (value := look(call)) is not MISS:
                return value
        return _run_missing(call, wanted)


def cached_columns(call: Call, wanted: Wanted) -> CachedColumns:
    """Return the columns that are cached for the present version of their sources."""
    cached = CachedColumns()
    checked: dict[Source, str] = {}
    for column in wanted.columns:
        single = replace(call, key=replace(call.key, digest=_column_key(call, column)[1]), reason="")
        found = find_valid(single, checked)
        if found is not None:
            entry, sources = found
            cached.add(column, entry, sources, timed=expiry(call, entry) is not None)
        elif single.reason != NO_ENTRY:
            cached.reason = cached.reason or single.reason
    return cached


def _column_key(call: Call, column: str) -> Key:
    """Return the key under which one column of a call's frame is saved."""
    return call.key.namespace, digest(f"{call.key.digest} column {column}".encode())


def _cached_frame(call: Call, wanted: Wanted) -> Any:
    """Return the frame of the wanted columns if all are cached and fit together; otherwise MISS."""
    if call.refresh:
        return MISS
    cached = cached_columns(call, wanted)
    value = cached.joined(wanted.columns)
    if value is None:
        return MISS
    call.report("hit", "", value, cached.sources)
    return value


def _run_missing(call: Call, wanted: Wanted) -> Any:
    """Run the function for the columns that are not cached, and join them with those that are."""
    cached = CachedColumns() if call.refresh else cached_columns(call, wanted)
    missing = cached.missing(wanted.columns)
    value, run = run_recorded(call, wanted.alone(missing))
    if missing != wanted.columns:
        joined = None if run.problem else cached.completed(value, missing, wanted, run.sources)
        if joined is not None:
            call.reason = cached.lack(wanted.columns)
            keep_result(call, run, _entries(call, split_columns(value, missing)), joined)
            return joined
        # The cached columns are of another version than those just read, or have other rows: read all again.
        value, run = run_recorded(call, wanted.alone())
    return _keep_frame(call, wanted, cached, value, run)


def _keep_frame(call: Call, wanted: Wanted, cached: CachedColumns, value: Any, run: Run) -> Any:
    """Store the frame of a run for all wanted columns; return it with its columns in their order."""
    columns = split_columns(value, wanted.columns)
    if columns is None and not run.problem:
        # A value that cannot be split is stored as one entry, so it must not lack the other columns.
        return run_and_keep(call)
    call.reason = cached.reason or call.reason
    if columns and tuple(columns) != wanted.columns:
        value = join_columns(columns, wanted.columns)
    if call.refresh and not run.problem:
        remove_entries(call)
    keep_result(call, run, _entries(call, columns), value)
    return value


def _entries(call: Call, columns: dict[str, Any] | None) -> dict[Key, Any]:
    return {_column_key(call, column): frame for column, frame in (columns or {}).items()}
