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
    """What became of one call of a cached function."""

    function: str
    namespace: str
    key: tuple[str, str] | None
    outcome: Outcome
    seconds: float
    reason: str
    sources: tuple[str, ...]
    value: object


class CallEnvironment(Protocol):
    """What a caller knows of its calls that neither code nor arguments tell; functions are named by namespace."""

    def settings(self, namespace: str) -> Mapping[str, object]:
        """Return what else the function's result depends on: part of the key, each under its name."""

    def columns(self, namespace: str) -> tuple[str, ...] | None:
        """Return the columns wanted of the frame that the function returns; None where all are, or it has none."""

    def only(self, namespace: str, columns: tuple[str, ...]) -> AbstractContextManager[None]:
        """Have the function, called inside, return a frame of these columns alone."""


@dataclass(frozen=True)
class CacheContext:
    """Which cache is used, how, who is told, and what the calls depend on besides.

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
    """Use this cache, mode, observer and environment until the block is left; without a cache, the default one."""
    context = CacheContext(cache, mode, observer, environment)
    token = _context.set(context)
    try:
        yield context
    finally:
        _context.reset(token)


def active_context() -> CacheContext:
    """Return the context that holds here."""
    return _context.get()
