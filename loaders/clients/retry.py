"""Retry policy: attempts, backoff, deadline and stall timeout of a read."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from loaders.config.storage import StorageSettings
from loaders.errors import ReadError

T = TypeVar("T")

_FIRST_WAIT_SECONDS = 0.1
_LONGEST_WAIT_SECONDS = 5.0


class TryAgainError(Exception):
    """Raised when an attempt failed in a way that another may not; the text says how."""


@dataclass
class Deadline:
    """The time left for the requests of one object."""

    settings: StorageSettings
    location: str
    started: float = field(default_factory=time.monotonic)
    size_bytes: int = 0

    def left(self) -> float:
        """Return the seconds left until the deadline."""
        return self.started + self.settings.deadline_for(self.size_bytes) - time.monotonic()

    async def within(self, waiting: Awaitable[T], what: str) -> T:
        """Return a result that comes within the stall timeout and the deadline; else raise TryAgainError."""
        left = self.left()
        try:
            return await asyncio.wait_for(waiting, max(0.0, min(self.settings.stall_timeout_seconds, left)))
        except TimeoutError:
            raise (TryAgainError(what) if self.left() > 0 else self._passed()) from None

    async def retry(self, what: str, attempt: Callable[[], Awaitable[T]]) -> T:
        """Return what the attempt returns, trying again after each `TryAgainError` while attempts and time last."""
        failures: list[str] = []
        for number in range(1, self.settings.attempts + 1):
            began = time.monotonic()
            try:
                if self.left() <= 0:
                    raise self._passed()
                return await attempt()
            except TryAgainError as error:
                failures.append(f"try {number}, {time.monotonic() - began:.1f} s: {error}")
            wait = self._wait(number)
            if number == self.settings.attempts or wait >= self.left():
                break
            await asyncio.sleep(wait)
        tries = "\n".join(f"  {failure}" for failure in failures)
        raise ReadError(
            f"'{self.location}' could not be read ({what}):\n{tries}\n"
            "Nothing of it was used. Check the network and the store; the storage settings attempts, "
            "stall_timeout_seconds, deadline_seconds and minimum_rate_bytes give it more time."
        )

    def _passed(self) -> TryAgainError:
        return TryAgainError(f"the deadline of {self.settings.deadline_for(self.size_bytes):g} s passed")

    def _wait(self, number: int) -> float:
        # Full jitter, so that many readers that failed together do not come back together.
        longest = min(_LONGEST_WAIT_SECONDS, _FIRST_WAIT_SECONDS * 2**number)
        return random.uniform(longest / 4, longest)  # noqa: S311 — spreads load, guards nothing


class ThroughputLimit:
    """The minimum rate at which a body must arrive, measured over windows of one stall timeout."""

    def __init__(self, settings: StorageSettings) -> None:
        self._settings = settings
        self._window_start = time.monotonic()
        self._window_bytes = 0

    def add(self, size_bytes: int) -> None:
        """Count bytes that arrived; raise TryAgainError if a whole window brought too few."""
        self._window_bytes += size_bytes
        elapsed = time.monotonic() - self._window_start
        if elapsed < self._settings.stall_timeout_seconds:
            return
        if self._window_bytes < self._settings.minimum_rate_bytes * self._settings.stall_timeout_seconds:
            rate, least = self._window_bytes / elapsed / 1024, self._settings.minimum_rate_bytes / 1024
            raise TryAgainError(f"slower than {least:g} KiB/s ({rate:.1f} KiB/s)")
        self._window_start = time.monotonic()
        self._window_bytes = 0
