"""The store against a dictionary: in whatever order things are done, it serves the last value or none."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from caching.errors import CachingWarning
from caching.store.local_cache import MISSING, LocalCache
from tests.caching.exactness import assert_same

NAMESPACES = st.sampled_from(["m.f", "m.g", "../m.f"])
KEYS = st.sampled_from(["a" * 32, "b" * 32, "other key"])
VALUES = st.one_of(
    st.none(),
    st.lists(st.integers(), max_size=3),
    st.integers(0, 9).map(lambda number: np.full(500 * number, number)),
    st.integers(0, 3).map(lambda number: np.full(40_000, number)),
)


class StoreMachine(RuleBasedStateMachine):
    """Two caches of one folder, one of them bounded, and what they should hold."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.bounded = LocalCache(self.folder / "cache", max_size=600_000)
        self.free = LocalCache(self.folder / "cache")
        self.model: dict[tuple[str, str], Any] = {}
        # Entries that may be gone: evicted, or damaged on purpose.
        self.uncertain: set[tuple[str, str]] = set()
        self.held: list[tuple[Any, Any]] = []

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @rule(namespace=NAMESPACES, key=KEYS, value=VALUES, bounded=st.booleans())
    def save(self, namespace: str, key: str, value: Any, bounded: bool) -> None:
        cache = self.bounded if bounded else self.free
        assert cache.save((namespace, key), value, record={"value": repr(value)})
        self.model[namespace, key] = value
        self.uncertain.discard((namespace, key))
        if bounded:
            self.uncertain = set(self.model) - {(namespace, key)}
            assert cache.stats().size_bytes <= 600_000

    @rule(namespace=NAMESPACES, key=KEYS)
    def load(self, namespace: str, key: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore" if (namespace, key) in self.uncertain else "error")
            value = self.free.load((namespace, key), MISSING)
        if (namespace, key) not in self.model:
            assert value is MISSING
        elif value is MISSING:
            assert (namespace, key) in self.uncertain
        else:
            assert_same(self.model[namespace, key], value)
            self.held.append((self.model[namespace, key], value))

    @rule(namespace=NAMESPACES)
    def clear(self, namespace: str) -> None:
        self.free.clear(namespace)
        self.model = {place: value for place, value in self.model.items() if place[0] != namespace}

    @rule()
    def clear_all(self) -> None:
        self.free.clear_all()
        self.model.clear()

    @rule(max_size=st.sampled_from([None, 400_000, 1000]))
    def prune(self, max_size: int | None) -> None:
        self.free.prune(max_size=max_size)
        if max_size is not None:
            self.uncertain = set(self.model)

    @rule(namespace=NAMESPACES, key=KEYS)
    def record(self, namespace: str, key: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CachingWarning)
            if self.free.update_record((namespace, key), {"value": repr(self.model.get((namespace, key))), "again": 1}):
                entry = self.free.find((namespace, key))
                assert entry is not None
                assert entry.record["value"] == repr(self.model[namespace, key])

    @rule(number=st.integers(0, 8), share=st.floats(0, 1, exclude_max=True))
    def corrupt(self, number: int, share: float) -> None:
        paths = sorted(self.folder.rglob("*.entry"))
        if not paths:
            return
        path = paths[number % len(paths)]
        content = bytearray(path.read_bytes())
        content[int(len(content) * share)] ^= 4
        # Replaced, as a copying tool would: what others have mapped stays as it is.
        path.with_suffix(".tmp").write_bytes(content)
        path.with_suffix(".tmp").replace(path)
        self.uncertain = set(self.model)

    @rule()
    def forget_usage(self) -> None:
        (self.folder / "cache" / "v1" / "usage").unlink(missing_ok=True)

    @rule()
    def move(self) -> None:
        if (self.folder / "cache").exists():
            (self.folder / "cache").rename(self.folder / "moved")
            shutil.copytree(self.folder / "moved", self.folder / "cache")
            shutil.rmtree(self.folder / "moved")

    @invariant()
    def values_in_use_stay_as_they_were(self) -> None:
        for expected, value in self.held[-3:]:
            assert_same(expected, value)


StoreMachine.TestCase.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)
TestStore = StoreMachine.TestCase
