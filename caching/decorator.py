"""The decorator `function_cache`."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, overload

from caching.cached_function import CachedFunction
from caching.call import Lookup
from caching.errors import CachingException
from caching.hamilton_tag import tag_recompute
from caching.keys.key import ArgumentEncoder, plain_function
from caching.keys.values import UnhashableError, type_name
from caching.store.local_cache import LocalCache, local_cache

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

_CO_GENERATOR, _CO_COROUTINE, _CO_ASYNC_GENERATOR = 0x20, 0x80, 0x200  # as in `inspect`


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
    depends_on = _dependencies(options["depends_on"], plain)
    cached = CachedFunction(plain, **{**options, "depends_on": depends_on})
    cached.keys.check_annotations()

    async def call_async(*args: Any, **kwargs: Any) -> Any:
        return await cached.call_async(args, kwargs)

    def call(*args: Any, **kwargs: Any) -> Any:
        return cached.call(args, kwargs)

    # A plain function, because Hamilton takes nothing else for a node; and with the globals of what it wraps: there
    # Hamilton, from Python 3.13 on, looks up annotations that are text.
    chosen: Any = call_async if plain.__code__.co_flags & _CO_COROUTINE else call
    wrapper = functools.wraps(plain)(types.FunctionType(chosen.__code__, plain.__globals__, closure=chosen.__closure__))

    def lookup(*args: Any, **kwargs: Any) -> Lookup:
        return cached.lookup(args, kwargs)

    cached.wrapper = wrapper
    vars(wrapper).update(__cached_function__=cached, lookup=lookup)
    tag_recompute(wrapper)
    return wrapper


def _dependencies(depends_on: object, function: types.FunctionType) -> tuple[Callable[[], bytes], ...]:
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


cache = function_cache(cacher=local_cache)
"""`function_cache` with the default cache, whatever cache is active: `@cache`."""
