"""A cached function: each call is looked up, computed once, and stored.

The path of a call: key → valid entry → value. Otherwise it takes the key's lock, looks again, runs the function
while its reads are recorded, checks what was read, and stores the result.
"""

from __future__ import annotations

import contextlib
import time
import types
from collections.abc import Callable
from typing import Any

from caching.call import Call, Lookup, Target
from caching.column_call import cached_columns, call_by_column
from caching.columns import wanted_columns
from caching.context import active_context
from caching.keys.error_context import UnkeyableError
from caching.keys.key import FunctionKey, Unbound
from caching.result import keep_result, run_and_keep
from caching.run import run_recorded_async
from caching.store.local_cache import LocalCache, local_cache
from caching.tracking.active_recorder import current_recorder, recording
from caching.valid_entry import MISS, cached_value, find_valid


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
        self.depends_on = depends_on
        self.keys = FunctionKey(function, depends_on)
        self.wrapper: Any = None
        trusts = ttl_seconds is not None or bool(depends_on)
        self._target = Target(function, self.keys.namespace, ttl_seconds, revalidate_seconds, trusts)

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return the function's result, from the cache if that is the same."""
        started = time.perf_counter()
        call = self._begin(args, kwargs, started)
        if isinstance(call, str):
            return self._call_uncached(args, kwargs, started, call)
        if (value := cached_value(call)) is not MISS:
            return value
        wanted = wanted_columns(self.keys.namespace)
        if wanted is not None:
            return call_by_column(call, wanted)
        with call.cache.lock(call.key.key):
            value = cached_value(call)
            return run_and_keep(call) if value is MISS else value

    def _call_uncached(self, args: tuple[Any, ...], kwargs: dict[str, Any], started: float, reason: str) -> Any:
        wanted = wanted_columns(self.keys.namespace)
        with contextlib.nullcontext() if wanted is None else wanted.alone():
            value = self.function(*args, **kwargs)
        self._target.report(None, "uncached", started, reason, value)
        return value

    async def call_async(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return a coroutine function's result; waiting for a lock does not block the event loop."""
        started = time.perf_counter()
        call = self._begin(args, kwargs, started)
        if isinstance(call, str):
            value = await self.function(*args, **kwargs)
            self._target.report(None, "uncached", started, call, value)
            return value
        if (value := cached_value(call)) is not MISS:
            return value
        async with call.cache.lock_async(call.key.key):
            if (value := cached_value(call)) is MISS:
                value, run = await run_recorded_async(call)
                keep_result(call, run, {call.key.key: value}, value)
            return value

    def lookup(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Lookup:
        """Return whether a call would be a hit; nothing is run."""
        call = self._begin(args, kwargs, time.perf_counter())
        if isinstance(call, str):
            return Lookup("uncached", call, self.keys.namespace, None)
        if call.refresh:
            return Lookup("refresh", "the cache is being refreshed", call.key.namespace, call.key.key)
        wanted = wanted_columns(self.keys.namespace)
        with recording(None):
            valid = find_valid(call) is not None
            if not valid and wanted is not None:
                cached = cached_columns(call, wanted)
                valid = cached.joined(wanted.columns) is not None
                lacking = cached.parts and not valid
                call.reason = cached.lack(wanted.columns) if lacking else cached.reason or call.reason
        return Lookup("hit" if valid else "miss", "" if valid else call.reason, call.key.namespace, call.key.key)

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
            return self._unkeyable(error)
        cache = self.cacher or context.cache or local_cache
        return Call(self._target, args, kwargs, key, cache, started, context.mode == "refresh")

    def _unkeyable(self, error: UnkeyableError) -> str:
        """Warn that a call cannot be cached, and mark an outer cached function likewise; return the reason."""
        self._target.warn(f"{self.keys.namespace}() is not cached, because {error}.")
        recorder = current_recorder()
        if recorder is not None:
            recorder.problem = recorder.problem or f"{self.keys.namespace}() cannot be cached: {error}"
        return str(error)
