"""A function cache whose hit is always what the call would have returned now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from caching import cache as cache
    from caching import local_cache as local_cache
    from caching.cache import function_cache as function_cache
    from caching.calls import Lookup as Lookup
    from caching.context import CacheContext as CacheContext
    from caching.context import CacheEvent as CacheEvent
    from caching.context import CallEnvironment as CallEnvironment
    from caching.context import activate as activate
    from caching.context import active_context as active_context
    from caching.errors import CachingException as CachingException
    from caching.errors import CachingWarning as CachingWarning
    from caching.key import get_key as get_key
    from caching.local_cache import MISSING as MISSING
    from caching.local_cache import Entry as Entry
    from caching.local_cache import LocalCache as LocalCache
    from caching.recording import record_read as record_read
    from caching.remote import register_version as register_version

# Where each name lives; an empty text marks a module of the package itself.
_HOMES = {
    "CacheContext": "context",
    "CacheEvent": "context",
    "CallEnvironment": "context",
    "CachingException": "errors",
    "CachingWarning": "errors",
    "Entry": "local_cache",
    "LocalCache": "local_cache",
    "Lookup": "calls",
    "MISSING": "local_cache",
    "activate": "context",
    "active_context": "context",
    "cache": "",
    "function_cache": "cache",
    "get_key": "key",
    "local_cache": "",
    "record_read": "recording",
    "record_rule": "recording",
    "register_version": "remote",
}

__all__ = [  # noqa: RUF022 - in the order of the table above
    "CacheContext",
    "CacheEvent",
    "CallEnvironment",
    "CachingException",
    "CachingWarning",
    "Entry",
    "LocalCache",
    "Lookup",
    "MISSING",
    "activate",
    "active_context",
    "cache",
    "function_cache",
    "get_key",
    "local_cache",
    "record_read",
    "record_rule",
    "register_version",
]


def __getattr__(name: str) -> Any:
    # Lazy (PEP 562): importing the package costs nothing until something of it is used.
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module(f"{__name__}.{home or name}")
    return getattr(module, name) if home else module


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
