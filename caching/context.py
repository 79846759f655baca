"""The cache context: the active cache, its mode, the observer, and the settings that calls depend on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from caching.threads import InheritedVar

if TYPE_CHECKING:
    from caching.store.local_cache import LocalCache

Mode = Literal["on", "off", "refresh"]
Outcome = Literal["hit", "miss", "uncached", "refresh"]


@dataclass(frozen=True)
class CacheEvent:
    """The outcome of one call of a cached function."""

    function: str
    namespace: str
    key: tuple[str, str] | None
    outcome: Outcome
    seconds: float
    reason: str
    sources: tuple[str, ...]
    value: object


class CallEnvironment(Protocol):
    """Interface: settings and columns of calls that neither code nor arguments show, by namespace."""

    def settings(self, namespace: str) -> Mapping[str, object]:
        """Return further settings that the function's result depends on; they become part of the key."""

    def columns(self, namespace: str) -> tuple[str, ...] | None:
        """Return the columns needed of the frame that the function returns; None for all or for no frame."""

    def only(self, namespace: str, columns: tuple[str, ...]) -> AbstractContextManager[None]:
        """Make the function return only these columns inside the block."""


@dataclass(frozen=True)
class CacheContext:
    """The cache in use, its mode, the observer of calls, and the environment that calls depend on.

    Mode "off" runs every function; "refresh" runs it and stores the result anew.
    """

    cache: LocalCache | None = None
    mode: Mode = "on"
    observer: Callable[[CacheEvent], None] | None = None
    environment: CallEnvironment | None = None


_NONE = CacheContext()
_context: InheritedVar[CacheContext] = InheritedVar("sourceswap_cache", default=_NONE)


@contextlib.contextmanager
def activate(
    cache: LocalCache | None = None,
    mode: Mode = "on",
    observer: Callable[[CacheEvent], None] | None = None,
    environment: CallEnvironment | None = None,
) -> Iterator[CacheContext]:
    """Use this cache, mode, observer and environment inside the block; without a cache, the default one."""
    context = CacheContext(cache, mode, observer, environment)
    token = _context.set(context)
    try:
        yield context
    finally:
        _context.reset(token)


def active_context() -> CacheContext:
    """Return the active cache context."""
    return _context.get()
