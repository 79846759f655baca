"""A function cache whose hit is always what the call would have returned now."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from caching.call import Lookup
    from caching.context import CacheContext, CacheEvent, CallEnvironment, activate, active_context
    from caching.decorator import cache, function_cache
    from caching.errors import CachingException, CachingWarning
    from caching.keys.key import get_key
    from caching.store.local_cache import MISSING, Entry, LocalCache, local_cache
    from caching.tracking.active_recorder import record_read, record_rule, versioned_reads
    from caching.tracking.remote_versions import register_version

# By name, the module that defines it.
_MODULES = {
    "CacheContext": "context",
    "CacheEvent": "context",
    "CachingException": "errors",
    "CachingWarning": "errors",
    "CallEnvironment": "context",
    "Entry": "store.local_cache",
    "LocalCache": "store.local_cache",
    "Lookup": "call",
    "MISSING": "store.local_cache",
    "activate": "context",
    "active_context": "context",
    "cache": "decorator",
    "function_cache": "decorator",
    "get_key": "keys.key",
    "local_cache": "store.local_cache",
    "record_read": "tracking.active_recorder",
    "record_rule": "tracking.active_recorder",
    "register_version": "tracking.remote_versions",
    "versioned_reads": "tracking.active_recorder",
}

__all__ = [
    "MISSING",
    "CacheContext",
    "CacheEvent",
    "CachingException",
    "CachingWarning",
    "CallEnvironment",
    "Entry",
    "LocalCache",
    "Lookup",
    "activate",
    "active_context",
    "cache",
    "function_cache",
    "get_key",
    "local_cache",
    "record_read",
    "record_rule",
    "register_version",
    "versioned_reads",
]


def __getattr__(name: str) -> Any:
    # Lazy (PEP 562): importing the package costs nothing until something of it is used.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
