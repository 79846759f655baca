"""What other processes do for a cached function: followed where they are its forks, else the result is not cached."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from caching import CachingWarning, LocalCache, activate, function_cache, record_read
from caching.tracking.active_recorder import recording
from caching.tracking.child_processes import follow_processes, gather_from_children
from caching.tracking.recorder import Recorder

FORK = multiprocessing.get_context("fork")


def read(path: str) -> str:
    return Path(path).read_text()


def outcomes(cache: LocalCache, function: Callable[[str], Any], *paths: str) -> tuple[list[str], list[str]]:
    """Call a function in turn; return how each call came out, and what was warned of."""
    events: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with activate(cache, observer=lambda event: events.append(event.outcome)):
            for path in paths:
                function(path)
    return events, [str(each.message) for each in caught if issubclass(each.category, CachingWarning)]


@pytest.fixture
def cache(tmp_path: Path) -> LocalCache:
    return LocalCache(tmp_path / "cache")


@pytest.fixture
def data(tmp_path: Path) -> str:
    path = tmp_path / "data.txt"
    path.write_text("one")
    os.utime(path, (1, 1))
    return str(path)


def test_work_of_a_pool_that_was_there_before_is_not_cached(cache: LocalCache, data: str) -> None:
    with ProcessPoolExecutor(1, mp_context=FORK) as executor, FORK.Pool(1) as pool:
        executor.submit(read, data).result()

        @function_cache
        def by_executor(path: str) -> str:
            return executor.submit(read, path).result()

        @function_cache
        def by_pool(path: str) -> list[str]:
            return pool.map(read, [path])

        for function in (by_executor, by_pool):
            happened, warned = outcomes(cache, function, data, data)
            assert happened == ["miss", "miss"]
            assert "processes that began before it" in warned[0]


def test_work_of_a_process_that_begins_afresh_is_not_cached(cache: LocalCache, data: str) -> None:
    @function_cache
    def spawned(path: str) -> int | None:
        process = multiprocessing.get_context("spawn").Process(target=read, args=(path,))
        process.start()
        process.join()
        return process.exitcode

    happened, warned = outcomes(cache, spawned, data, data)
    assert happened == ["miss", "miss"]
    assert "processes that began by 'spawn', not by a fork" in warned[0]


def test_a_pool_that_one_function_forked_is_old_to_the_next(cache: LocalCache, data: str) -> None:
    with ProcessPoolExecutor(1, mp_context=FORK) as executor:

        @function_cache
        def first(path: str) -> str:
            return executor.submit(read, path).result()

        @function_cache
        def second(path: str) -> str:
            return executor.submit(read, path).result() + "!"

        assert outcomes(cache, first, data, data) == (["miss", "hit"], [])
        assert outcomes(cache, second, data)[1] != []


def test_what_a_process_wrote_is_the_functions_own(cache: LocalCache, tmp_path: Path) -> None:
    @function_cache
    def made(folder: str) -> str:
        def work(path: Path) -> None:
            path.write_text("made")
            path.read_text()

        process = FORK.Process(target=work, args=(Path(folder) / "own.txt",))
        process.start()
        process.join()
        return folder

    folder = tmp_path / "made"
    folder.mkdir()
    happened, warned = outcomes(cache, made, str(folder))
    assert (happened, warned) == (["miss"], [])
    assert (folder / "own.txt").read_text() == "made"


def test_no_file_is_left_open(cache: LocalCache, data: str) -> None:
    @function_cache
    def forked(path: str) -> str:
        with ProcessPoolExecutor(1, mp_context=FORK) as executor:
            return executor.submit(read, path).result()

    outcomes(cache, forked, data)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(5):
        Path(data).write_text(str(number))
        outcomes(cache, forked, data)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


def test_forks_that_tell_at_the_same_time_do_not_write_over_one_another() -> None:
    def tell(name: str) -> None:
        for number in range(1_000):
            record_read(f"https://example.org/{name}/{number}", "v1")
        os._exit(0)

    follow_processes()
    recorder = Recorder()
    with recording(recorder):
        # Of different lengths, so that a longer line can cover a shorter one.
        children = [FORK.Process(target=tell, args=(name,)) for name in ("a", "b" * 40, "c" * 160, "d" * 640)]
        for child in children:
            child.start()
        for child in children:
            child.join()
    gather_from_children(recorder)
    assert len(recorder.sources) == 4_000


def test_a_variable_and_a_question_of_a_forked_process_count(
    cache: LocalCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = tmp_path / "more.txt"

    @function_cache
    def ask(path: str) -> list[Any]:
        with FORK.Pool(1) as pool:
            return [pool.map(os.path.expandvars, ["$ASKED"]), pool.map(os.path.exists, [f"{path}/" + "more.txt"])]

    monkeypatch.setenv("ASKED", "1")
    assert outcomes(cache, ask, str(tmp_path), str(tmp_path)) == (["miss", "hit"], [])
    monkeypatch.setenv("ASKED", "2")
    assert outcomes(cache, ask, str(tmp_path), str(tmp_path)) == (["miss", "hit"], [])
    missing.write_text("")
    assert outcomes(cache, ask, str(tmp_path), str(tmp_path)) == (["miss", "hit"], [])
