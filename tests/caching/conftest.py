"""A cache of the test's own, with the events of its calls."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from caching import CacheEvent, LocalCache, activate


@pytest.fixture
def own_events(tmp_path: Path) -> Iterator[list[CacheEvent]]:
    seen: list[CacheEvent] = []
    with activate(LocalCache(tmp_path / "cache"), observer=seen.append):
        yield seen
