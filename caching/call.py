"""One call of a cached function: its function, arguments, key and cache."""

from __future__ import annotations

import time
import types
from dataclasses import dataclass, field
from typing import Any

from caching.context import CacheEvent, Outcome, active_context
from caching.errors import warn_user
from caching.keys.key import CallKey
from caching.locations import shown
from caching.store.local_cache import Key, LocalCache
from caching.tracking.source import UNREAD, Source


@dataclass(frozen=True)
class Lookup:
    """Whether a call would be a hit, and if not, why."""

    outcome: Outcome
    reason: str
    namespace: str
    key: Key | None


@dataclass(frozen=True, slots=True)
class Target:
    """A cached function and its options, which all its calls share."""

    function: types.FunctionType
    namespace: str
    ttl_seconds: float | None
    revalidate_seconds: float | None
    trusts_unversioned: bool = False  # a ttl or a depends_on says what nothing else can tell
    _warned: set[str] = field(default_factory=set)

    def warn(self, text: str) -> None:
        """Give a CachingWarning, each text once, and each piece of advice (what follows the first sentence) once."""
        advice = text.partition(". ")[2] or text
        if advice not in self._warned:
            self._warned.add(advice)
            warn_user(text)

    def report(
        self,
        key: Key | None,
        outcome: Outcome,
        started: float,
        reason: str,
        value: object,
        sources: tuple[Source, ...] | list[Source] = (),
    ) -> None:
        """Report the outcome of a call to the active observer."""
        observer = active_context().observer
        if observer is not None:
            seconds = time.perf_counter() - started
            locations = tuple(shown(source.location) for source in sources if source.kind not in UNREAD)
            name = self.function.__name__
            observer(CacheEvent(name, self.namespace, key, outcome, seconds, reason, locations, value))


@dataclass(slots=True)
class Call:
    """A call in progress, and why it was no hit."""

    target: Target
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    key: CallKey
    cache: LocalCache
    started: float
    refresh: bool  # run the function whatever is cached
    reason: str = ""

    def run(self) -> Any:
        """Run the function itself; for a coroutine function, return its coroutine."""
        return self.target.function(*self.args, **self.kwargs)

    def report(self, outcome: Outcome, reason: str, value: object, sources: list[Source]) -> None:
        """Report the outcome to the active observer."""
        self.target.report(self.key.key, outcome, self.started, reason, value, sources)
