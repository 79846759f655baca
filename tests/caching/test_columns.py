"""Columns as entries of their own: what is joined is always what one run would have returned."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from caching import (
    CacheEvent,
    CachingWarning,
    LocalCache,
    activate,
    function_cache,
    record_read,
    record_rule,
    register_version,
)
from caching.misses import explain_miss


class Reading(threading.local):
    """What the functions below know of their surroundings; like a logger or a lock, no part of any key."""

    def __init__(self) -> None:
        self.selected: tuple[str, ...] | None = None
        self.runs: list[tuple[str, ...]] = []

    def select(self, table: pd.DataFrame) -> pd.DataFrame:
        """The wanted columns of a table; takes note of the run."""
        self.runs.append(self.selected or ())
        return table if self.selected is None else table[list(self.selected)]


reading = Reading()


class Environment:
    """Wants some columns of every function named `frame`."""

    def __init__(self, *columns: str) -> None:
        self.wanted = columns

    def settings(self, namespace: str) -> Mapping[str, object]:
        return {}

    def columns(self, namespace: str) -> tuple[str, ...] | None:
        return self.wanted if namespace.endswith(".frame") else None

    @contextmanager
    def only(self, namespace: str, columns: tuple[str, ...]) -> Iterator[None]:
        reading.selected, before = columns, reading.selected
        try:
            yield
        finally:
            reading.selected = before


def frame(path: str) -> pd.DataFrame:
    """All the columns of the file, or those that are wanted."""
    return reading.select(pd.DataFrame(json.loads(Path(path).read_text())))


@pytest.fixture
def cache(tmp_path: Path) -> LocalCache:
    reading.runs.clear()
    return LocalCache(tmp_path / "cache")


@pytest.fixture
def data(tmp_path: Path) -> str:
    path = tmp_path / "data.json"
    write(path, 1)
    return str(path)


def write(path: str | Path, value: int, **more: list[Any]) -> None:
    Path(path).write_text(json.dumps({"a": [value, 2], "b": [value, 20], "c": ["x", str(value)], **more}))


def call(
    cache: LocalCache, function: Callable[..., Any], *args: Any, columns: str = "", mode: Any = "on"
) -> tuple[Any, CacheEvent]:
    """What the call returns when these columns are wanted, and what became of it."""
    events: list[CacheEvent] = []
    with activate(cache, mode, events.append, Environment(*columns)):
        value = function(*args)
    return value, events[-1]


def test_any_order_of_columns_comes_from_the_cache_as_the_call_would_return_it(cache: LocalCache, data: str) -> None:
    cached = function_cache(frame)
    whole = frame(data)
    reading.runs.clear()
    for columns, ran in [("ab", "ab"), ("ba", ""), ("b", ""), ("cab", "c"), ("abc", "")]:
        value, event = call(cache, cached, data, columns=columns)
        pd.testing.assert_frame_equal(value, whole[list(columns)])
        assert type(value.index) is pd.RangeIndex
        assert "".join(sum(reading.runs, ())) == ran
        assert event.outcome == ("miss" if ran else "hit")
        reading.runs.clear()


def test_a_wish_for_no_column_gets_the_whole_frame(cache: LocalCache, data: str) -> None:
    value, _ = call(cache, function_cache(frame), data, columns="")
    assert list(value) == ["a", "b", "c"]


def test_columns_are_never_joined_across_a_rewrite_of_the_same_size_and_time(cache: LocalCache, data: str) -> None:
    cached = function_cache(frame)
    for value in range(1, 9):
        before = Path(data).stat()
        write(data, value)
        os.utime(data, ns=(before.st_atime_ns, before.st_mtime_ns))
        call(cache, cached, data, columns="a" if value % 2 else "b")
        both, _ = call(cache, cached, data, columns="ab")
        assert both.iloc[0].tolist() == [value, value]


def test_a_file_rewritten_between_the_look_and_the_read_is_not_joined_with_what_was_cached(
    cache: LocalCache, data: str
) -> None:
    class Rewriter(threading.local):
        """Rewrites the file when it is told to, unseen by the cache."""

        value = 0

        def act(self, path: str) -> None:
            if self.value:
                write(path, self.value)
            self.value = 0

    rewriter = Rewriter()

    def loader(path: str) -> pd.DataFrame:
        rewriter.act(path)
        return frame(path)

    loader.__qualname__ = "test.frame"
    cached = function_cache(loader)
    call(cache, cached, data, columns="a")
    rewriter.value = 7
    # What changed under way is not stored; what is returned is of one version.
    value, _ = call(cache, cached, data, columns="ab")
    assert value.iloc[0].tolist() == [7, 7]
    assert call(cache, cached, data, columns="ab")[0].iloc[0].tolist() == [7, 7]


def test_columns_without_versions_are_only_joined_within_one_run(cache: LocalCache) -> None:
    register_version("unversioned", lambda location: None)

    def counting(x: int) -> pd.DataFrame:
        table = pd.DataFrame({name: [len(reading.runs)] for name in "abc"})
        return reading.select(table)

    def versionless(x: int) -> pd.DataFrame:
        record_read("unversioned://a")
        return reading.select(pd.DataFrame({name: [len(reading.runs)] for name in "abc"}))

    for function in (versionless, counting):
        function.__qualname__ = f"{function.__name__}.frame"
        cached = function_cache(ttl_seconds=60)(function)
        call(cache, cached, 1, columns="a")
        both, event = call(cache, cached, 1, columns="ab")
        assert both["a"].tolist() == both["b"].tolist()
        assert event.outcome == "miss"
        again, event = call(cache, cached, 1, columns="ba")
        assert event.outcome == "hit"
        assert again["a"].tolist() == both["a"].tolist()


def ruled(path: str) -> pd.DataFrame:
    """A frame whose columns a and b hold nothing twice, which is checked where both are loaded; so b and c."""
    record_rule("ab")
    record_rule("bc")
    table = frame(path)
    for rule in ("ab", "bc"):
        if {*rule} <= {*table.columns} and table[list(rule)].duplicated().any():
            raise ValueError(f"{rule} is there twice")
    return table


ruled.__qualname__ = "ruled.frame"


def test_a_rule_across_columns_is_checked_whatever_was_cached_before(cache: LocalCache, tmp_path: Path) -> None:
    cached = function_cache(ruled)
    path = tmp_path / "twice.json"
    path.write_text(json.dumps({"a": [1, 1], "b": [5, 5], "c": [1, 2]}))
    for columns in ("a", "b", "bc"):
        call(cache, cached, str(path), columns=columns)
    for columns in ("ab", "abc", "ba"):
        with pytest.raises(ValueError, match="ab is there twice"):
            call(cache, cached, str(path), columns=columns)
    with activate(cache, environment=Environment("a", "b")):
        found = cached.lookup(str(path))  # type: ignore[attr-defined]
    assert (found.outcome, found.reason) == ("miss", "columns that were not checked together: a, b")


def test_columns_that_were_checked_together_are_served_together(cache: LocalCache, data: str) -> None:
    cached = function_cache(ruled)
    for columns, ran in [("a", "a"), ("b", "b"), ("ab", "ab"), ("ba", ""), ("a", ""), ("ac", "c"), ("abc", "abc")]:
        reading.runs.clear()
        call(cache, cached, data, columns=columns)
        assert "".join(sum(reading.runs, ())) == ran
    assert call(cache, cached, data, columns="bca")[1].outcome == "hit"


def test_an_expired_column_is_loaded_again_with_all_the_others(
    cache: LocalCache, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = function_cache(ttl_seconds=100)(frame)
    call(cache, cached, data, columns="a")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 60)
    call(cache, cached, data, columns="ab")
    monkeypatch.setattr(time, "time", lambda: now + 120)
    assert call(cache, cached, data, columns="ab")[1].outcome == "hit"
    monkeypatch.setattr(time, "time", lambda: now + 190)
    _, event = call(cache, cached, data, columns="ab")
    assert (event.outcome, event.reason[:7]) == ("miss", "expired")
    assert reading.runs == [("a",), ("a", "b"), ("a", "b")]


def test_a_refresh_loads_what_is_wanted_and_nothing_older_is_served_after_it(cache: LocalCache, data: str) -> None:
    cached = function_cache(frame)
    call(cache, cached, data)
    call(cache, cached, data, columns="ab")
    other = Path(data).with_name("other.json")
    write(other, 3)
    call(cache, cached, str(other), columns="c")
    reading.runs.clear()
    value, event = call(cache, cached, data, columns="a", mode="refresh")
    assert (event.outcome, list(value), reading.runs) == ("refresh", ["a"], [("a",)])
    assert call(cache, cached, data, columns="a")[1].outcome == "hit"
    for columns, ran in (("bc", ("b", "c")), ("", ())):
        reading.runs.clear()
        assert call(cache, cached, data, columns=columns)[1].outcome == "miss"
        assert reading.runs == [ran]
    assert call(cache, cached, str(other), columns="c")[1].outcome == "hit"


def test_a_refresh_that_fails_leaves_what_is_cached(cache: LocalCache, data: str) -> None:
    cached = function_cache(frame)
    call(cache, cached, data, columns="a")
    with pytest.raises(KeyError):
        call(cache, cached, data, columns="z", mode="refresh")
    assert call(cache, cached, data, columns="a")[1].outcome == "hit"


def test_a_refresh_of_what_is_no_plain_frame_stores_it_whole(cache: LocalCache, data: str) -> None:
    def named(path: str) -> pd.DataFrame:
        return frame(path).set_axis([len(reading.runs), 0])

    named.__qualname__ = "named.frame"
    cached = function_cache(named)
    call(cache, cached, data, columns="a")
    value, event = call(cache, cached, data, columns="a", mode="refresh")
    assert (event.outcome, list(value)) == ("refresh", ["a", "b", "c"])
    again, event = call(cache, cached, data, columns="b")
    assert (event.outcome, list(again.index)) == ("hit", list(value.index))


def test_a_function_that_returns_more_columns_or_another_order_is_cached_with_all_of_them(
    cache: LocalCache, data: str
) -> None:
    def stubborn(path: str) -> pd.DataFrame:
        reading.runs.append(())
        return pd.DataFrame(json.loads(Path(path).read_text()))[["c", "b", "a"]]

    stubborn.__qualname__ = "stubborn.frame"
    cached = function_cache(stubborn)
    for columns in ("ab", "ab", "c", "bca"):
        value, _ = call(cache, cached, data, columns=columns)
        assert list(value) == list(columns)
        assert len(reading.runs) == 1


def test_what_is_no_plain_frame_is_cached_whole(cache: LocalCache, data: str) -> None:
    def named(path: str) -> pd.DataFrame:
        return frame(path).rename_axis(index="row").set_axis([1, 2])

    def renamed(path: str) -> pd.DataFrame:
        return frame(path).rename(columns=str.upper)

    for function in (named, renamed):
        function.__qualname__ = f"{function.__name__}.frame"
        cached = function_cache(function)
        for columns, outcome in (("a", "miss"), ("a", "hit"), ("bc", "hit"), ("", "hit")):
            value, event = call(cache, cached, data, columns=columns)
            pd.testing.assert_frame_equal(value, function(data))
            assert event.outcome == outcome


def test_a_damaged_column_is_loaded_again(cache: LocalCache, data: str) -> None:
    cached = function_cache(frame)
    call(cache, cached, data, columns="abc")
    (entry,) = [entry for entry in cache.entries() if "b" in entry.load()]
    path = cache.cache_directory.joinpath("v1", "entries").rglob(f"{entry.key[1]}.entry")
    for file in path:
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
    reading.runs.clear()
    with pytest.warns(CachingWarning, match="is ignored"):
        value, _ = call(cache, cached, data, columns="abc")
    assert value.iloc[0].tolist() == [1, 1, "x"]
    assert reading.runs == [("b",)]


def test_writing_into_a_joined_frame_reaches_nobody_else(cache: LocalCache, data: str) -> None:
    cached = function_cache(frame)
    call(cache, cached, data, columns="a")
    for columns in ("ab", "ab", "b"):
        value, _ = call(cache, cached, data, columns=columns)
        assert value["b"].tolist() == [1, 20]
        value.iloc[0, 0] = 99
        value["b"] = 5


def test_a_cached_function_that_calls_another_gets_every_column(cache: LocalCache, data: str) -> None:
    inner = function_cache(frame)

    @function_cache
    def width(path: str) -> int:
        return len(inner(path).columns)

    assert call(cache, width, data, columns="a")[0] == 3
    assert call(cache, width, data, columns="ab")[0] == 3


def test_without_the_cache_only_the_wanted_columns_are_loaded(cache: LocalCache, data: str) -> None:
    value, event = call(cache, function_cache(frame), data, columns="b", mode="off")
    assert (list(value), event.outcome) == (["b"], "uncached")


class Overlaps(threading.Thread):
    """Counts who is inside, and the most who ever were; a thread in name only, so that no key holds its state."""

    inside = most_at_once = entered = 0

    def __enter__(self) -> None:
        self.inside += 1
        self.entered += 1
        self.most_at_once = max(self.most_at_once, self.inside)

    def __exit__(self, *_: object) -> None:
        self.inside -= 1


def test_callers_of_different_columns_at_once_run_one_after_the_other(cache: LocalCache, data: str) -> None:
    counter = Overlaps()

    def frame(path: str) -> pd.DataFrame:
        with counter:
            time.sleep(0.02)
            return reading.select(pd.DataFrame(json.loads(Path(path).read_text())))

    cached = function_cache(frame)
    results: list[Any] = []
    threads = [
        threading.Thread(target=lambda c=columns: results.append((c, call(cache, cached, data, columns=c)[0])))
        for columns in ("a", "ab", "b", "cb", "c", "abc")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter.most_at_once == 1
    assert counter.entered <= 6
    for columns, value in results:
        assert list(value) == list(columns)


def test_why_tells_what_was_rewritten_or_which_columns_are_new(cache: LocalCache, data: str) -> None:
    cached = function_cache(frame)
    namespace = f"{__name__}.frame"
    call(cache, cached, data, columns="a")
    call(cache, cached, data, columns="b")
    assert "not with these columns" in explain_miss(cache, namespace)[-1]
    call(cache, cached, data, columns="bc")
    assert "columns that are not cached: c" in explain_miss(cache, namespace)[-1]
    write(data, 5, d=[1, 2])
    with activate(cache, environment=Environment("a")):
        assert "was rewritten" in cached.lookup(data).reason  # type: ignore[attr-defined]
    call(cache, cached, data, columns="a")
    assert "was rewritten" in explain_miss(cache, namespace)[-1]


def test_why_compares_with_what_was_there_at_the_miss(cache: LocalCache, data: str) -> None:
    cached = function_cache(frame)
    namespace = f"{__name__}.frame"
    call(cache, cached, data, columns="a")
    assert "first call" in explain_miss(cache, namespace)[-1]
    call(cache, cached, data, columns="b")
    before = explain_miss(cache, namespace)
    assert "not with these columns" in before[-1]
    other = Path(data).with_name("other.json")
    write(other, 3)
    call(cache, cached, str(other), columns="c", mode="refresh")
    assert explain_miss(cache, namespace) == before
    cache.clear_all()
    call(cache, cached, data)
    call(cache, cached, data, columns="a", mode="refresh")
    call(cache, cached, str(other), columns="c", mode="refresh")
    assert "first call" in explain_miss(cache, namespace)[-1]
