"""One call of a cached function: look up, compute once, store.

A call asks: key → entry → are its sources as they were → value. Otherwise it takes the key's lock, looks once
more, runs the function while its reads are recorded, checks what it read, and saves.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
import types
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from caching.call import Call, Lookup, RunRecord, column_key, shown_locations
from caching.columns import CachedColumns, Wanted, join_columns, split_columns, wanted_columns
from caching.context import CacheEvent, Outcome, active_context
from caching.errors import warn_user
from caching.keys.error_context import UnkeyableError
from caching.keys.key import FunctionKey, Unbound
from caching.locations import locations_among
from caching.misses import LATEST_MISS, NO_ENTRY, pack_parts
from caching.store.entry import MISSING
from caching.store.local_cache import Entry, Key, LocalCache, local_cache
from caching.tracking.active_recorder import current_recorder, recording
from caching.tracking.audit_hook import watch_reads
from caching.tracking.child_processes import follow_processes, gather_from_children
from caching.tracking.memos import Memos
from caching.tracking.recorder import Recorder
from caching.tracking.source import Source, UnversionedError
from caching.tracking.sources import hide, reveal, stale_reason

_MISS: Any = object()
_NOTHING = contextlib.nullcontext()


class CachedFunction:
    """A function with its cache; the wrapper keeps it as `__cached_function__`."""

    def __init__(
        self,
        function: types.FunctionType,
        *,
        cacher: LocalCache | None,
        ttl_seconds: float | None,
        depends_on: tuple[Callable[[], bytes], ...],
        revalidate_seconds: float | None,
    ) -> None:
        self.function = function
        self.cacher = cacher
        self.ttl_seconds = ttl_seconds
        self.revalidate_seconds = revalidate_seconds
        self.depends_on = depends_on
        self.keys = FunctionKey(function, self.depends_on)
        self.wrapper: Any = None
        self._warned: set[str] = set()

    # The way of a call.

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the function's result, from the cache if that is the same."""
        started = time.perf_counter()
        call = self._begin(args, kwargs, started)
        wanted = wanted_columns(self.keys.namespace)
        if not isinstance(call, Call):
            with contextlib.nullcontext() if wanted is None else wanted.alone():
                value = self.function(*args, **kwargs)
            self._report(None, "uncached", started, call, (), value)
            return value
        refresh = active_context().mode == "refresh"
        if not refresh and (value := self._look(call)) is not _MISS:
            return value
        if wanted is not None:
            return self._call_by_column(call, wanted, args, kwargs, refresh=refresh)
        with call.cache.lock(call.key.key):
            if not refresh and (value := self._look(call)) is not _MISS:
                return value
            return self._run_whole(call, args, kwargs, refresh=refresh)

    def _run_whole(self, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any], *, refresh: bool) -> Any:
        """Run the function, and store its result as one entry."""
        recorder = self._recorder(call)
        with recording(recorder):
            value = self.function(*args, **kwargs)
        self._keep(call, self._settle(recorder), {call.key.key: value}, value, refresh=refresh)
        return value

    def _call_by_column(
        self, call: Call, wanted: Wanted, args: tuple[Any, ...], kwargs: dict[str, Any], *, refresh: bool
    ) -> Any:
        """Return a frame of the wanted columns: cached ones, and the others from one run."""
        if not refresh and (value := self._look_by_column(call, wanted)) is not _MISS:
            return value
        with call.cache.lock(call.key.key):
            if not refresh and (value := self._look(call)) is not _MISS:
                return value
            if not refresh and (value := self._look_by_column(call, wanted)) is not _MISS:
                return value
            cached = CachedColumns() if refresh else self._cached_columns(call, wanted)
            missing = cached.missing(wanted.columns)
            value, made = self._run_alone(call, wanted, missing, args, kwargs)
            loaded, joined = split_columns(value, missing), None
            if missing != wanted.columns:
                joined = None if made.problem else cached.completed(value, missing, wanted, made.sources)
                if joined is None:
                    # What was cached is of another version than what was read now, or does not fit: all anew.
                    missing = wanted.columns
                    value, made = self._run_alone(call, wanted, missing, args, kwargs)
                    loaded = split_columns(value, missing)
            if loaded is None and not made.problem:
                # What cannot be cut into columns is kept whole, and so it has to be the whole.
                return self._run_whole(call, args, kwargs, refresh=refresh)
            if joined is None:
                call.reason = cached.reason or call.reason
                if loaded and tuple(value.columns) != wanted.columns:
                    value = join_columns(loaded, wanted.columns)
            else:
                call.reason = cached.lack(wanted.columns)
                value = joined
            entries = {column_key(call, column): frame for column, frame in (loaded or {}).items()}
            if refresh and not made.problem:
                self._forget(call)
            self._keep(call, made, entries, value, refresh=refresh)
        return value

    def _run_alone(
        self, call: Call, wanted: Wanted, columns: tuple[str, ...], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Any, RunRecord]:
        """Run the function for these columns only; return its result and its sources."""
        recorder = self._recorder(call)
        with recording(recorder), wanted.alone(columns):
            value = self.function(*args, **kwargs)
        return value, self._settle(recorder)

    def _look_by_column(self, call: Call, wanted: Wanted) -> Any:
        """Return the frame of the wanted columns if all are cached and fit together; otherwise _MISS."""
        cached = self._cached_columns(call, wanted)
        value = cached.joined(wanted.columns)
        if value is None:
            return _MISS
        self._report(call.key.key, "hit", call.started, "", shown_locations(cached.sources), value)
        return value

    def _cached_columns(self, call: Call, wanted: Wanted) -> CachedColumns:
        """Return the columns that are cached for the present version of their sources."""
        cached = CachedColumns()
        looked_at: dict[Source, str] = {}
        for column in wanted.columns:
            single = replace(call, key=replace(call.key, digest=column_key(call, column)[1]), reason="")
            found = self._find(single, looked_at)
            if found is not None:
                entry, sources = found
                cached.add(column, entry, sources, timed=self._expiry(entry) is not None)
            elif single.reason != NO_ENTRY:
                cached.reason = cached.reason or single.reason
        return cached

    async def call_async(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return a coroutine function's result; waiting for a lock does not block the event loop."""
        started = time.perf_counter()
        call = self._begin(args, kwargs, started)
        if not isinstance(call, Call):
            value = await self.function(*args, **kwargs)
            self._report(None, "uncached", started, call, (), value)
            return value
        refresh = active_context().mode == "refresh"
        if not refresh and (value := self._look(call)) is not _MISS:
            return value
        async with call.cache.lock_async(call.key.key):
            if not refresh and (value := self._look(call)) is not _MISS:
                return value
            recorder = self._recorder(call)
            with recording(recorder):
                value = await self.function(*args, **kwargs)
            self._keep(call, self._settle(recorder), {call.key.key: value}, value, refresh=refresh)
        return value

    def lookup(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Lookup:
        """Return whether a call would be a hit; nothing is run."""
        call = self._begin(args, kwargs, time.perf_counter())
        if not isinstance(call, Call):
            return Lookup("uncached", call, self.keys.namespace, None)
        if active_context().mode == "refresh":
            return Lookup("refresh", "the cache is being refreshed", call.key.namespace, call.key.key)
        wanted = wanted_columns(self.keys.namespace)
        with recording(None):
            valid = self._find(call) is not None
            if not valid and wanted is not None:
                cached = self._cached_columns(call, wanted)
                valid = cached.joined(wanted.columns) is not None
                if cached.parts and not valid:
                    call.reason = cached.lack(wanted.columns)
                else:
                    call.reason = cached.reason or call.reason
        return Lookup("hit" if valid else "miss", "" if valid else call.reason, call.key.namespace, call.key.key)

    # Its steps.

    def _begin(self, args: tuple[Any, ...], kwargs: dict[str, Any], started: float) -> Call | str:
        """Return the call with its key, or the reason why it runs uncached."""
        context = active_context()
        if context.mode == "off":
            return "the cache is off"
        try:
            settings = None if context.environment is None else context.environment.settings(self.keys.namespace)
            key = self.keys.of(args, kwargs, settings)
        except Unbound:
            return "the arguments do not fit"
        except UnkeyableError as error:
            self._warn(f"{self.keys.namespace}() is not cached, because {error}.")
            recorder = current_recorder()
            if recorder is not None:
                recorder.problem = recorder.problem or f"{self.keys.namespace}() cannot be cached: {error}"
            return str(error)
        return Call(key, self.cacher or context.cache or local_cache, started)

    def _look(self, call: Call) -> Any:
        """Return the value of a valid entry, or _MISS."""
        outer = current_recorder()
        # The cache's own files are nobody's sources.
        with recording(None) if outer is not None else _NOTHING:
            found = self._find(call)
            if found is None:
                return _MISS
            entry, sources = found
            value = entry.load()
        if value is MISSING:
            call.reason = "the entry was damaged"
            return _MISS
        if outer is not None:
            outer.absorb(sources, "", self._expiry(entry))
        if active_context().observer is not None:
            self._report(call.key.key, "hit", call.started, "", shown_locations(sources), value)
        return value

    def _find(self, call: Call, looked_at: dict[Source, str] | None = None) -> tuple[Entry, list[Source]] | None:
        """Return a call's entry and its sources if it is valid; `looked_at` are sources checked just before."""
        entry = call.cache.find(call.key.key)
        if entry is None:
            call.reason = call.reason or NO_ENTRY
            return None
        record = entry.record
        try:
            call.reason = self._stale(entry)
            sources = reveal([Source.from_json(data) for data in record["sources"]], call.key.values)
            checked_at = float(record["checked_at"])
        except (KeyError, TypeError, ValueError, AttributeError):
            call.reason = "the entry's record is nonsense"
        if call.reason:
            return None
        now = time.time()
        fresh = self.revalidate_seconds is not None and 0 <= now - checked_at < self.revalidate_seconds
        for source in sources:
            if looked_at is None:
                call.reason = stale_reason(source, ask_remote=not fresh)
            else:
                if source not in looked_at:
                    looked_at[source] = stale_reason(source, ask_remote=not fresh)
                call.reason = looked_at[source]
            if call.reason:
                return None
        self._remember_check(call, entry, sources, now, fresh=fresh)
        return entry, sources

    def _stale(self, entry: Entry) -> str:
        expiry = self._expiry(entry)
        if expiry is not None and not entry.created_at - 1 <= time.time() < expiry:
            return f"expired {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(expiry))}"
        return ""

    def _expiry(self, entry: Entry) -> float | None:
        limits = [entry.record.get("expires_at")]
        if self.ttl_seconds is not None:
            limits.append(entry.created_at + self.ttl_seconds)
        return min((limit for limit in limits if limit is not None), default=None)

    def _remember_check(self, call: Call, entry: Entry, sources: list[Source], now: float, *, fresh: bool) -> None:
        """Store the time of a check of remote sources, and that young files have grown old."""
        remote = self.revalidate_seconds is not None and not fresh and any(s.kind == "remote" for s in sources)
        young = any(source.content for source in sources)
        if not (remote or young):
            return
        aged = [source.aged() for source in sources]
        if remote or aged != sources:
            given = {location for location, _ in locations_among(call.key.values)}
            record = {**entry.record, "sources": [hide(source, given).as_json() for source in aged]}
            if remote:
                record["checked_at"] = now
            call.cache.update_record(call.key.key, record)

    def _recorder(self, call: Call) -> Recorder:
        watch_reads()
        follow_processes()
        recorder = Recorder(
            private=os.fspath(call.cache.cache_directory),
            anchors=call.key.code.paths.absolute,
            trusts_unversioned=self.ttl_seconds is not None,
            memos=Memos(call.key.code.memos),
        )
        given = list(locations_among(call.key.values))
        recorder.given = frozenset(location for location, _ in given)
        for location, kind in given:
            recorder.expect(location, kind)
        for location in call.key.code.paths.candidates(location for location, kind in given if kind == "tree"):
            recorder.expect(location, "file")
        return recorder

    def _settle(self, recorder: Recorder) -> RunRecord:
        """Return the sources of a finished run, compared with their present state."""
        checked_at = time.time()
        sources: list[Source] = []
        problem = ""
        with recording(None):
            try:
                gather_from_children(recorder)
                sources = recorder.settle()
            except UnversionedError as error:
                problem = str(error)
        return RunRecord(sources, recorder.given, sorted(recorder.rules), checked_at, recorder.expires_at, problem)

    def _keep(self, call: Call, made: RunRecord, entries: Mapping[Key, Any], value: Any, *, refresh: bool) -> None:
        """Store a result as its entries, with its sources; report the call to observer and outer function."""
        with recording(None):
            if made.problem:
                self._warn(f"A result of {call.key.namespace}() is not cached, because {made.problem}.")
            else:
                record: dict[str, Any] = {
                    "sources": [hide(source, made.given).as_json() for source in made.sources],
                    "checked_at": made.checked_at,
                    "expires_at": made.expires_at,
                    "seconds": round(time.perf_counter() - call.started, 6),
                    "parts": pack_parts(call.key.parts()),
                    "run": secrets.token_hex(8),
                }
                if made.rules:
                    record["rules"] = made.rules
                for key, stored in entries.items():
                    call.cache.save(key, stored, record=record)
            self._note_miss(call, refresh=refresh)
        outer = current_recorder()
        if outer is not None:
            expires_at = made.expires_at
            if self.ttl_seconds is not None:
                expires_at = min(made.checked_at + self.ttl_seconds, expires_at or float("inf"))
            outer.absorb(made.sources, made.problem, expires_at)
        outcome: Outcome = "refresh" if refresh else "miss"
        locations = shown_locations(made.sources)
        self._report(call.key.key, outcome, call.started, made.problem or call.reason, locations, value)

    def _forget(self, call: Call) -> None:
        """Remove all entries of a call, its frame and its columns, before a refresh stores some of them."""
        parts = pack_parts(call.key.parts())
        with recording(None):
            for entry in call.cache.entries(call.key.namespace):
                if entry.record.get("parts") == parts:
                    call.cache.remove(entry.key)

    def _note_miss(self, call: Call, *, refresh: bool) -> None:
        if not refresh:
            now = time.time()
            note = {
                "key": call.key.digest,
                "at": now,
                "began_at": now - (time.perf_counter() - call.started),
                "reason": call.reason,
                "parts": pack_parts(call.key.parts()),
            }
            call.cache.write_note(call.key.namespace, LATEST_MISS, note)

    def _report(
        self, key: Key | None, outcome: Outcome, started: float, reason: str, sources: tuple[str, ...], value: object
    ) -> None:
        observer = active_context().observer
        if observer is not None:
            seconds = time.perf_counter() - started
            name = self.function.__name__
            observer(CacheEvent(name, self.keys.namespace, key, outcome, seconds, reason, sources, value))

    def _warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            warn_user(text)
