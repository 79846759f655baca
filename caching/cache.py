"""The decorator `function_cache`: what becomes of a call.

A call asks: key → entry → are its sources as they were → value. Otherwise it takes the key's lock, looks once
more, runs the function while its reads are recorded, checks what it read, and saves.
"""

from __future__ import annotations

import contextlib
import functools
import os
import time
import types
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from caching.code import UnkeyableError
from caching.columns import join_columns, split_columns
from caching.context import (
    CacheEvent,
    CallEnvironment,
    Outcome,
    active_context,
    default_cache,
)
from caching.entries import MISSING
from caching.errors import CachingException, CachingWarning
from caching.explain import LATEST_MISS, pack_parts
from caching.key import ArgumentEncoder, CallKey, FunctionKey, Unbound, plain_function
from caching.reads import watch_reads
from caching.sources import (
    Recorder,
    Source,
    UnversionedError,
    current_recorder,
    hide,
    locations_among,
    recording,
    reveal,
    shown,
    stale_reason,
)
from caching.values import UnhashableError, digest, type_name

if TYPE_CHECKING:
    from caching.local_cache import Entry, LocalCache

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Lookup:
    """Whether a call would be served from the cache, and if not, why."""

    outcome: Outcome
    reason: str
    namespace: str
    key: str


@dataclass
class _Call:
    """One call on its way: its key, the cache it goes to, and what is found out about it."""

    key: CallKey
    cache: LocalCache
    started: float
    reason: str = ""
    expires_at: float | None = None


_MISS: Any = object()
_CO_GENERATOR, _CO_COROUTINE, _CO_ASYNC_GENERATOR = 0x20, 0x80, 0x200  # as in `inspect`
_NOTHING = contextlib.nullcontext()


class CachedFunction:
    """A function with its cache, reached as `wrapper.__cached_function__`."""

    def __init__(
        self,
        function: types.FunctionType,
        *,
        cacher: LocalCache | None,
        ttl_seconds: float | None,
        depends_on: object,
        revalidate_seconds: float | None,
    ) -> None:
        self.function = function
        self.cacher = cacher
        self.ttl_seconds = ttl_seconds
        self.revalidate_seconds = revalidate_seconds
        self.depends_on = _askers(depends_on, function)
        self.keys = FunctionKey(function, self.depends_on)
        self.wrapper: Any = None
        self._warned: set[str] = set()

    # The way of a call.

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the function returns, from the cache where that is the same."""
        started = time.perf_counter()
        call = self._begin(args, kwargs, started)
        environment = active_context().environment
        columns = None if environment is None else environment.columns(self.keys.namespace)
        if not isinstance(call, _Call):
            with _NOTHING if environment is None or columns is None else environment.only(self.keys.namespace, columns):
                value = self.function(*args, **kwargs)
            self._tell(call[0], "uncached", started, call[1], (), value)
            return value
        refresh = active_context().mode == "refresh"
        if not refresh and (value := self._look(call)) is not _MISS:
            return value
        if environment is not None and columns is not None:
            return self._call_by_column(call, columns, environment, args, kwargs)
        with call.cache.lock(call.key.namespace, call.key.key):
            if not refresh and (value := self._look(call)) is not _MISS:
                return value
            recorder = self._recorder(call)
            with recording(recorder):
                value = self.function(*args, **kwargs)
            self._keep(call, recorder, {call.key.key: value}, value, refresh=refresh)
        return value

    def _call_by_column(
        self,
        call: _Call,
        columns: tuple[str, ...],
        environment: CallEnvironment,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """A frame of the wanted columns: those that are cached, and the others from one run for them alone."""
        refresh = active_context().mode == "refresh"
        if not refresh and (value := self._look_by_column(call, columns)) is not _MISS:
            return value
        with call.cache.lock(call.key.namespace, call.key.key):
            if not refresh and (value := self._look_by_column(call, columns)) is not _MISS:
                return value
            parts, known = ({}, []) if refresh else self._cached_columns(call, columns)
            if len(parts) == len(columns):
                parts = {}  # all are there, but they have not the same rows
            missing = tuple(column for column in columns if column not in parts)
            recorder = self._recorder(call)
            with recording(recorder), environment.only(call.key.namespace, missing):
                value = self.function(*args, **kwargs)
            loaded = split_columns(value, missing)
            joined = None if loaded is None or not recorder.agrees(known) else join_columns(parts | loaded, columns)
            if joined is None and parts:
                # What was cached is of another version than what was read now, or does not fit: all of it anew.
                missing = columns
                recorder = self._recorder(call)
                with recording(recorder), environment.only(call.key.namespace, columns):
                    value = self.function(*args, **kwargs)
                loaded = split_columns(value, columns)
            value = value if joined is None else joined
            if len(missing) < len(columns):
                call.reason = f"columns that are not cached: {', '.join(missing)}"
            entries = {_column_key(call, column): frame for column, frame in (loaded or {}).items()}
            self._keep(call, recorder, entries, value, refresh=refresh)
        return value

    def _look_by_column(self, call: _Call, columns: tuple[str, ...]) -> Any:
        """The frame of the wanted columns, if all are cached in one version; else _MISS."""
        outer = current_recorder()
        with recording(None) if outer is not None else _NOTHING:
            parts, sources = self._cached_columns(call, columns)
            missing = [column for column in columns if column not in parts]
            value = None if missing else join_columns(parts, columns)
        if value is None:
            return _MISS
        if outer is not None:
            outer.absorb(sources, "", call.expires_at)
        self._tell(call.key.key, "hit", call.started, "", _locations(sources), value)
        return value

    def _cached_columns(self, call: _Call, columns: tuple[str, ...]) -> tuple[dict[str, Any], list[Source]]:
        """The columns that are cached in the present version of their sources, and these sources."""
        parts: dict[str, Any] = {}
        sources: list[Source] = []
        looked_at: dict[Source, str] = {}
        for column in columns:
            single = replace(call, key=replace(call.key, key=_column_key(call, column)))
            found = self._find(single, looked_at)
            if found is None:
                continue
            entry, its_sources = found
            value = entry.load()
            if value is not MISSING and (not parts or _versions(its_sources) == _versions(sources)):
                parts[column] = value
                sources = its_sources
                call.expires_at = self._expiry(entry)
        return parts, sources

    async def call_async(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The same for a coroutine function; waiting for others does not block the event loop."""
        started = time.perf_counter()
        call = self._begin(args, kwargs, started)
        if not isinstance(call, _Call):
            value = await self.function(*args, **kwargs)
            self._tell(call[0], "uncached", started, call[1], (), value)
            return value
        refresh = active_context().mode == "refresh"
        if not refresh and (value := self._look(call)) is not _MISS:
            return value
        async with call.cache.lock_async(call.key.namespace, call.key.key):
            if not refresh and (value := self._look(call)) is not _MISS:
                return value
            recorder = self._recorder(call)
            with recording(recorder):
                value = await self.function(*args, **kwargs)
            self._keep(call, recorder, {call.key.key: value}, value, refresh=refresh)
        return value

    def lookup(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Lookup:
        """Whether a call would hit; nothing is run."""
        call = self._begin(args, kwargs, time.perf_counter())
        if not isinstance(call, _Call):
            return Lookup("uncached", call[1], self.keys.namespace, call[0])
        if active_context().mode == "refresh":
            return Lookup("refresh", "the cache is being refreshed", call.key.namespace, call.key.key)
        with recording(None):
            valid = self._find(call) is not None
            environment = active_context().environment
            columns = None if environment is None else environment.columns(self.keys.namespace)
            if not valid and columns is not None:
                parts, _ = self._cached_columns(call, columns)
                missing = [column for column in columns if column not in parts]
                valid = not missing
                if parts:
                    call.reason = f"columns that are not cached: {', '.join(missing)}" if missing else ""
        return Lookup("hit" if valid else "miss", call.reason, call.key.namespace, call.key.key)

    # Its steps.

    def _begin(self, args: tuple[Any, ...], kwargs: dict[str, Any], started: float) -> _Call | tuple[str, str]:
        """The call with its key, or ("", why it runs uncached)."""
        context = active_context()
        if context.mode == "off":
            return "", "the cache is off"
        try:
            settings = None if context.environment is None else context.environment.settings(self.keys.namespace)
            key = self.keys.of(args, kwargs, settings)
        except Unbound:
            return "", "the arguments do not fit"
        except UnkeyableError as error:
            self._warn(f"{self.keys.namespace}() is not cached, because {error}.")
            recorder = current_recorder()
            if recorder is not None:
                recorder.trouble = recorder.trouble or f"{self.keys.namespace}() cannot be cached: {error}"
            return "", str(error)
        return _Call(key, self.cacher or context.cache or default_cache(), started)

    def _look(self, call: _Call) -> Any:
        """The value of a valid entry, or _MISS."""
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
            self._tell(call.key.key, "hit", call.started, "", _locations(sources), value)
        return value

    def _find(self, call: _Call, looked_at: dict[Source, str] | None = None) -> tuple[Entry, list[Source]] | None:
        """The entry of a call and its sources, if it may be served; `looked_at` are sources asked just before."""
        entry = call.cache.find(call.key.namespace, call.key.key)
        if entry is None:
            call.reason = call.reason or "no entry"
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
        looked_at = {} if looked_at is None else looked_at
        for source in sources:
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

    def _remember_check(self, call: _Call, entry: Entry, sources: list[Source], now: float, *, fresh: bool) -> None:
        """Keep what this check has cost: the time of a remote one, that a young file has grown old."""
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
            call.cache.update_record(call.key.namespace, call.key.key, record)

    def _recorder(self, call: _Call) -> Recorder:
        watch_reads()
        recorder = Recorder(
            private=os.fspath(call.cache.cache_directory),
            anchors=call.key.code.paths.absolute,
            trusts_unversioned=self.ttl_seconds is not None,
        )
        given = list(locations_among(call.key.values))
        recorder.given = frozenset(location for location, _ in given)
        for location, kind in given:
            recorder.expect(location, kind)
        for location in call.key.code.paths.candidates(location for location, kind in given if kind == "tree"):
            recorder.expect(location, "file")
        return recorder

    def _keep(self, call: _Call, recorder: Recorder, entries: Mapping[str, Any], value: Any, *, refresh: bool) -> None:
        """Store a result, as its entries by key, with what it was made from; tell those who are concerned."""
        expires_at = recorder.expires_at
        sources: list[Source] = []
        trouble = ""
        checked_at = time.time()
        with recording(None):
            try:
                sources = recorder.settle()
            except UnversionedError as error:
                trouble = str(error)
                self._warn(f"A result of {call.key.namespace}() is not cached, because {error}.")
            else:
                record = {
                    "sources": [hide(source, recorder.given).as_json() for source in sources],
                    "checked_at": checked_at,
                    "expires_at": expires_at,
                    "seconds": round(time.perf_counter() - call.started, 6),
                    "parts": pack_parts(call.key.parts()),
                }
                for key, stored in entries.items():
                    call.cache.save(call.key.namespace, key, stored, record=record)
            self._note_miss(call, refresh=refresh)
        outer = current_recorder()
        if outer is not None:
            if self.ttl_seconds is not None:
                expires_at = min(checked_at + self.ttl_seconds, expires_at or float("inf"))
            outer.absorb(sources, trouble, expires_at)
        locations = _locations(sources)
        outcome: Outcome = "refresh" if refresh else "miss"
        self._tell(call.key.key, outcome, call.started, trouble or call.reason, locations, value)

    def _note_miss(self, call: _Call, *, refresh: bool) -> None:
        if not refresh:
            note = {
                "key": call.key.key,
                "at": time.time(),
                "reason": call.reason,
                "parts": pack_parts(call.key.parts()),
            }
            call.cache.write_note(call.key.namespace, LATEST_MISS, note)

    def _tell(
        self, key: str, outcome: Outcome, started: float, reason: str, sources: tuple[str, ...], value: object
    ) -> None:
        observer = active_context().observer
        if observer is not None:
            seconds = time.perf_counter() - started
            name = self.function.__name__
            observer(CacheEvent(name, self.keys.namespace, key, outcome, seconds, reason, sources, value))

    def _warn(self, text: str) -> None:
        if text not in self._warned:
            self._warned.add(text)
            warnings.warn(text, CachingWarning, stacklevel=4)


def _locations(sources: list[Source]) -> tuple[str, ...]:
    return tuple(shown(source.location) for source in sources if source.kind != "absent")


def _column_key(call: _Call, column: str) -> str:
    return digest(f"{call.key.key} column {column}".encode())


def _versions(sources: list[Source]) -> set[tuple[str, str | None]]:
    return {(source.location, source.version) for source in sources}


def _askers(depends_on: object, function: types.FunctionType) -> tuple[Callable[[], bytes], ...]:
    items = depends_on if isinstance(depends_on, tuple | list) else () if depends_on is None else (depends_on,)
    for item in items:
        if not callable(item):
            _encoded(item, function)  # fails now rather than at the first call
    return tuple(functools.partial(_ask, item, function) for item in items)


def _ask(item: Any, function: types.FunctionType) -> bytes:
    return _encoded(item() if callable(item) else item, function)


def _encoded(value: object, function: types.FunctionType) -> bytes:
    try:
        return ArgumentEncoder().encode(value)
    except UnhashableError as error:
        raise CachingException(
            f"{function.__qualname__}() cannot be cached: depends_on gives a {type_name(type(value))}, "
            f"which has no content to make a key of ({error})."
        ) from None


@overload
def function_cache(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def function_cache(
    cacher: LocalCache | None = None,
    /,
    *,
    ttl_seconds: float | None = None,
    depends_on: object = None,
    revalidate_seconds: float | None = None,
) -> Callable[[F], F]: ...
@overload
def function_cache(
    *,
    cacher: LocalCache | None = None,
    ttl_seconds: float | None = None,
    depends_on: object = None,
    revalidate_seconds: float | None = None,
) -> Callable[[F], F]: ...
def function_cache(
    function: Any = None,
    /,
    *,
    cacher: LocalCache | None = None,
    ttl_seconds: float | None = None,
    depends_on: object = None,
    revalidate_seconds: float | None = None,
) -> Any:
    """Cache what a function, method or coroutine returns: a hit is what the call would have returned now.

    `cacher` is the cache to use, else the active one. `ttl_seconds` bounds an entry's age. `depends_on` names
    what no code can tell: a value, a function without parameters whose result counts at each call, or several
    of both. `revalidate_seconds` trusts the versions of remote sources for that long.

    The wrapper has `lookup(*args, **kwargs)`, which says whether a call would hit, and `__wrapped__`.
    """
    if function is not None and not callable(function) and not isinstance(function, staticmethod | classmethod):
        if not hasattr(function, "find"):
            raise CachingException(f"{function!r} is neither a function nor a LocalCache.")
        cacher, function = function, None
    for name, seconds in (("ttl_seconds", ttl_seconds), ("revalidate_seconds", revalidate_seconds)):
        if seconds is not None and not seconds >= 0:
            raise CachingException(f"{name} must be 0 or more, not {seconds!r}.")
    options: dict[str, Any] = {
        "cacher": cacher,
        "ttl_seconds": ttl_seconds,
        "depends_on": depends_on,
        "revalidate_seconds": revalidate_seconds,
    }
    if function is None:
        return functools.partial(_decorate, options=options)
    return _decorate(function, options=options)


def _decorate(function: Any, *, options: dict[str, Any]) -> Any:
    if isinstance(function, staticmethod | classmethod):
        return type(function)(_decorate(function.__func__, options=options))
    plain = plain_function(function)
    if plain.__code__.co_flags & (_CO_GENERATOR | _CO_ASYNC_GENERATOR):
        raise CachingException(
            f"{plain.__qualname__}() is a generator: what it yields is used up by reading. Return a list."
        )
    cached = CachedFunction(plain, **options)
    cached.keys.check_annotations()

    # A plain function, because Hamilton takes nothing else for a node.
    if plain.__code__.co_flags & _CO_COROUTINE:

        @functools.wraps(plain)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            return await cached.call_async(args, kwargs)

    else:

        @functools.wraps(plain)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return cached.call(args, kwargs)

    def lookup(*args: Any, **kwargs: Any) -> Lookup:
        return cached.lookup(args, kwargs)

    cached.wrapper = wrapper
    vars(wrapper).update(__cached_function__=cached, lookup=lookup)
    return wrapper
