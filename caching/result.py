"""The result of a run: stored as entries, and reported to the observer and to an outer cached function."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any

from caching.call import Call
from caching.misses import LATEST_MISS, pack_parts
from caching.run import Run, run_recorded
from caching.store.local_cache import Key
from caching.tracking.active_recorder import current_recorder, recording
from caching.tracking.sources import hide


def run_and_keep(call: Call) -> Any:
    """Run the function, and store its result as one entry; return the result."""
    value, run = run_recorded(call)
    keep_result(call, run, {call.key.key: value}, value)
    return value


def keep_result(call: Call, run: Run, entries: Mapping[Key, Any], value: Any) -> None:
    """Store the entries of a result, with the sources of its run, and report the call."""
    with recording(None):
        _store(call, run, entries)
        if not call.refresh:
            _note_miss(call)
    _pass_to_outer(call, run)
    call.report("refresh" if call.refresh else "miss", run.problem or call.reason, value, run.sources)


def remove_entries(call: Call) -> None:
    """Remove all entries of a call, its frame and its columns, before a refresh stores some of them."""
    parts = pack_parts(call.key.parts())
    with recording(None):
        for entry in call.cache.entries(call.key.namespace):
            if entry.record.get("parts") == parts:
                call.cache.remove(entry.key)


def _store(call: Call, run: Run, entries: Mapping[Key, Any]) -> None:
    if run.problem:
        call.target.warn(f"A result of {call.key.namespace}() is not cached, because {run.problem}.")
        return
    record = _record(call, run)
    for key, stored in entries.items():
        call.cache.save(key, stored, record=record)


def _record(call: Call, run: Run) -> dict[str, Any]:
    """Return the record that is stored with each entry of a run."""
    record: dict[str, Any] = {
        "sources": [hide(source, run.given).as_json() for source in run.sources],
        "checked_at": run.checked_at,
        "expires_at": run.expires_at,
        "seconds": round(time.perf_counter() - call.started, 6),
        "parts": pack_parts(call.key.parts()),
        "run": secrets.token_hex(8),
    }
    return {**record, "rules": run.rules} if run.rules else record


def _note_miss(call: Call) -> None:
    """Write the note from which `explain_miss` explains the latest miss."""
    now = time.time()
    note = {
        "key": call.key.digest,
        "at": now,
        "began_at": now - (time.perf_counter() - call.started),
        "reason": call.reason,
        "parts": pack_parts(call.key.parts()),
    }
    call.cache.write_note(call.key.namespace, LATEST_MISS, note)


def _pass_to_outer(call: Call, run: Run) -> None:
    """Record the sources of a run as sources of the cached function that called this one."""
    outer = current_recorder()
    if outer is None:
        return
    expires_at = run.expires_at
    if call.target.ttl_seconds is not None:
        expires_at = min(run.checked_at + call.target.ttl_seconds, expires_at or float("inf"))
    outer.absorb(run.sources, run.problem, expires_at)
