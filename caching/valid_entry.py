"""The valid entry of a call: saved under its key, not expired, its sources unchanged."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from caching.call import Call
from caching.context import active_context
from caching.locations import locations_among
from caching.misses import NO_ENTRY
from caching.store.entry import MISSING, Entry
from caching.tracking.active_recorder import current_recorder, recording
from caching.tracking.source import Source
from caching.tracking.sources import aged, has_same_times, hide, reveal, stale_reason

MISS: Any = object()
"""Returned in place of a cached value where there is none; a cached None is a value."""
_NOTHING = contextlib.nullcontext()


def cached_value(call: Call) -> Any:
    """Return the value of a call's valid entry, or MISS; a refresh always misses."""
    if call.refresh:
        return MISS
    outer = current_recorder()
    # The files of the cache are not sources of an outer function.
    with recording(None) if outer is not None else _NOTHING:
        found = find_valid(call)
        if found is None:
            return MISS
        entry, sources = found
        value = entry.load()
    if value is MISSING:
        call.reason = "the entry was damaged"
        return MISS
    if outer is not None:
        outer.absorb(sources, "", expiry(call, entry))
    if active_context().observer is not None:
        call.report("hit", "", value, sources)
    return value


def find_valid(call: Call, checked: dict[Source, str] | None = None) -> tuple[Entry, list[Source]] | None:
    """Return a call's entry and its sources if it is valid; otherwise set the call's reason.

    `checked` keeps why each source is stale, so that entries with the same sources check them once.
    """
    entry = call.cache.find(call.key.key)
    if entry is None:
        call.reason = call.reason or NO_ENTRY
        return None
    try:
        call.reason = _expired(call, entry)
        sources = reveal([Source.from_json(data) for data in entry.record["sources"]], call.key.values)
        checked_at = float(entry.record["checked_at"])
    except (KeyError, TypeError, ValueError, AttributeError):
        call.reason = "the entry's record is nonsense"
    if call.reason:
        return None
    now = time.time()
    revalidate_seconds = call.target.revalidate_seconds
    fresh = revalidate_seconds is not None and 0 <= now - checked_at < revalidate_seconds
    looked_into = False
    for source in sources:
        if source.kind == "file" and has_same_times(source):
            continue
        looked_into |= source.kind == "file"
        if checked is None or source not in checked:
            reason = stale_reason(source, ask_remote=not fresh)
            if checked is not None:
                checked[source] = reason
        else:
            reason = checked[source]
        if reason:
            call.reason = reason
            return None
    if looked_into or not fresh:
        _update_check(call, entry, sources, now, fresh=fresh, looked_into=looked_into)
    return entry, sources


def _expired(call: Call, entry: Entry) -> str:
    limit = expiry(call, entry)
    if limit is not None and not entry.created_at - 1 <= time.time() < limit:
        return f"expired {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(limit))}"
    return ""


def expiry(call: Call, entry: Entry) -> float | None:
    """Return when an entry expires, in seconds since the epoch; None if never."""
    limit: float | None = entry.record.get("expires_at")
    if call.target.ttl_seconds is None:
        return limit
    own = entry.created_at + call.target.ttl_seconds
    return own if limit is None else min(limit, own)


def _update_check(
    call: Call, entry: Entry, sources: list[Source], now: float, *, fresh: bool, looked_into: bool
) -> None:
    """Store the time of a check of remote sources, and the present times of files."""
    revalidated = call.target.revalidate_seconds is not None and not fresh
    remote = revalidated and any(source.kind == "remote" for source in sources)
    if not (remote or looked_into):
        return
    now_known = [aged(source) for source in sources]
    if remote or now_known != sources:
        given = {location for location, _ in locations_among(call.key.values)}
        record = {**entry.record, "sources": [hide(source, given).as_json() for source in now_known]}
        if remote:
            record["checked_at"] = now
        call.cache.update_record(call.key.key, record)
