"""The data of one call: its key and cache, the record of its run, and the result of a lookup."""

from __future__ import annotations

from dataclasses import dataclass

from caching.context import Outcome
from caching.keys.key import CallKey
from caching.keys.values import digest
from caching.locations import shown
from caching.store.local_cache import Key, LocalCache
from caching.tracking.source import Source


@dataclass(frozen=True)
class Lookup:
    """Whether a call would be a hit, and if not, why."""

    outcome: Outcome
    reason: str
    namespace: str
    key: Key | None


@dataclass(slots=True)
class Call:
    """A call in progress: its key, its cache, and why it was no hit."""

    key: CallKey
    cache: LocalCache
    started: float
    reason: str = ""


@dataclass(frozen=True)
class RunRecord:
    """The sources of one run, or the reason why its result cannot be cached."""

    sources: list[Source]
    given: frozenset[str]
    rules: list[tuple[str, ...]]
    checked_at: float
    expires_at: float | None
    problem: str


def shown_locations(sources: list[Source]) -> tuple[str, ...]:
    """Return the locations of sources as they may be shown."""
    return tuple(shown(source.location) for source in sources if source.kind != "absent")


def column_key(call: Call, column: str) -> Key:
    """Return the key under which one column of a call's frame is saved."""
    return call.key.namespace, digest(f"{call.key.digest} column {column}".encode())
