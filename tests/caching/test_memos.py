"""Helpers with a memo of their own: what they read counts for each function that may be given it."""

from __future__ import annotations

import functools
import math
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from caching import CachingWarning, LocalCache, activate, function_cache

PLACE: list[Path] = []
BOTH_RUN, FILLED = threading.Barrier(2), threading.Event()


@functools.lru_cache
def remembered(name: str) -> str:
    return (PLACE[0] / name).read_text()


@function_cache
def first(name: str) -> str:
    BOTH_RUN.wait(10)
    value = "first " + remembered(name)
    FILLED.set()
    return value


@function_cache
def second(name: str) -> str:
    BOTH_RUN.wait(10)
    FILLED.wait(10)
    return "second " + remembered(name)


@functools.cache
def counted(number: int) -> str:
    return f"{math.factorial(number):,}" + label_of(number)


def label_of(number: int) -> str:
    return re.sub("0", "o", str(number))


@function_cache
def counts(number: int) -> str:
    return counted(number)


@function_cache
def alone(name: str) -> str:
    return remembered(name)


@pytest.fixture
def outcomes(tmp_path: Path) -> Iterator[list[str]]:
    found: list[str] = []
    PLACE[:] = [tmp_path]
    remembered.cache_clear()
    with activate(LocalCache(tmp_path / "cache"), observer=lambda event: found.append(event.outcome)):
        yield found


def test_what_one_of_two_that_run_at_once_reads_counts_for_both(tmp_path: Path, outcomes: list[str]) -> None:
    for text in ("one", "other"):
        (tmp_path / "data.txt").write_text(text)
        remembered.cache_clear()
        FILLED.clear()
        with ThreadPoolExecutor(2) as pool:
            results = [future.result() for future in (pool.submit(first, "data.txt"), pool.submit(second, "data.txt"))]
        assert results == [f"first {text}", f"second {text}"]
    assert outcomes == ["miss"] * 4


def test_what_a_memo_has_from_before_a_change_is_not_cached(tmp_path: Path, outcomes: list[str]) -> None:
    (tmp_path / "data.txt").write_text("one")
    assert alone("data.txt") == "one"
    (tmp_path / "data.txt").write_text("other")
    with pytest.warns(CachingWarning, match=r"remembered\(\) remembers what it read of .*data.txt before that changed"):
        assert alone("data.txt") == "one"  # as without the cache
    remembered.cache_clear()
    assert [alone("data.txt"), alone("data.txt")] == ["other", "other"]
    assert outcomes == ["miss", "miss", "miss", "hit"]


def test_what_a_memo_was_filled_with_before_it_was_seen_is_not_cached(tmp_path: Path, outcomes: list[str]) -> None:
    (tmp_path / "data.txt").write_text("one")

    @functools.cache
    def early(name: str) -> str:
        return remembered.__wrapped__(name)

    @function_cache
    def late(name: str) -> str:
        return early(name)

    early("data.txt")
    with pytest.warns(CachingWarning, match=r"early\(\) was called before .*early\.cache_clear\(\) has it read"):
        late("data.txt")
    assert late("data.txt") == "one"
    early.cache_clear()
    assert [late("data.txt"), late("data.txt")] == ["one", "one"]
    assert outcomes == ["miss", "miss", "miss", "hit"]


def test_a_memo_that_only_computes_may_have_been_filled_before(outcomes: list[str]) -> None:
    counted(20)
    assert [counts(20), counts(20)] == ["2,432,902,008,176,640,0002o"] * 2
    assert outcomes == ["miss", "hit"]
