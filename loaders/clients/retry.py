"""Retry policy: attempts, backoff, deadline and minimum throughput of a read."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from loaders.clients.cancellation import Cancellation, active_cancellation
from loaders.config.storage import StorageSettings
from loaders.errors import ReadError

T = TypeVar("T")

_FIRST_WAIT_SECONDS = 0.1
_LONGEST_WAIT_SECONDS = 5.0


class TryAgainError(Exception):
    """Raised when an attempt failed in a way that another may not; the text says how."""


@dataclass
class Deadline:
    """The time left for the requests of one object, and the flag that cancels them."""

    settings: StorageSettings
    location: str
    started: float = field(default_factory=time.monotonic)
    size_bytes: int = 0
    cancellation: Cancellation = field(default_factory=active_cancellation)

    def left(self) -> float:
        """Return the seconds left until the deadline."""
        return self.started + self.settings.deadline_for(self.size_bytes) - time.monotonic()

    def check(self) -> None:
        """Raise when the deadline has passed, or nobody waits for the object any more."""
        self.cancellation.check()
        if self.left() <= 0:
            raise TryAgainError(f"the deadline of {self.settings.deadline_for(self.size_bytes):g} s passed")

    def timeout(self) -> float:
        """Return how long the next byte may take."""
        self.check()
        return max(0.01, min(self.settings.stall_timeout_seconds, self.left()))

    def retry(self, what: str, attempt: Callable[[], T]) -> T:
        """Return what the attempt returns, trying again after each `TryAgainError` while tries and time last."""
        failures: list[str] = []
        for number in range(1, self.settings.attempts + 1):
            began = time.monotonic()
            try:
                self.check()
                return attempt()
            except TryAgainError as error:
                # What was cancelled had its connection shut down, which is no failure to be told.
                self.cancellation.check()
                failures.append(f"try {number}, {time.monotonic() - began:.1f} s: {error}")
            wait = self._wait(number)
            if number == self.settings.attempts or wait >= self.left():
                break
            self.cancellation.wait(wait)
        raise self.given_up(what, failures)

    def given_up(self, what: str, failures: list[str]) -> ReadError:
        """Return the error that says what each try met and what to do."""
        tries = "\n".join(f"  {failure}" for failure in failures)
        return ReadError(
            f"'{self.location}' could not be read ({what}):\n{tries}\n"
            "Nothing of it was used. Check the network and the store; the storage settings attempts, "
            "stall_timeout_seconds, deadline_seconds and minimum_rate_bytes give it more time."
        )

    def _wait(self, number: int) -> float:
        # Full jitter, so that many readers that failed together do not come back together.
        longest = min(_LONGEST_WAIT_SECONDS, _FIRST_WAIT_SECONDS * 2**number)
        return random.uniform(longest / 4, longest)  # noqa: S311 — spreads load, guards nothing


class ThroughputLimit:
    """The least rate at which a body must arrive, measured over windows of one stall timeout."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        self._window_seconds = deadline.settings.stall_timeout_seconds
        self._minimum = deadline.settings.minimum_rate_bytes * self._window_seconds
        self._window_start = time.monotonic()
        self._window_bytes = 0

    def note(self, count: int) -> None:
        """Count bytes that arrived; raise when a whole window brought too few."""
        self._window_bytes += count
        elapsed = time.monotonic() - self._window_start
        if elapsed < self._window_seconds:
            return
        if self._window_bytes < self._minimum:
            rate = self._window_bytes / elapsed / 1024
            raise TryAgainError(
                f"slower than {self._deadline.settings.minimum_rate_bytes / 1024:g} KiB/s ({rate:.1f} KiB/s)"
            )
        self._window_start = time.monotonic()
        self._window_bytes = 0
