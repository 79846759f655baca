"""What surrounds a function goes along with the work that it hands to threads, and stays nowhere behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from multiprocessing.pool import ThreadPool
from typing import Any

import pytest

from caching.threads import InheritedVar

PLACE: InheritedVar[str] = InheritedVar("test_place", default="nowhere")
OTHER: ContextVar[str] = ContextVar("test_other", default="nothing")

Run = Callable[[Callable[[], Any]], Any]


def in_thread(work: Callable[[], Any]) -> Any:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join()
    return results[0]


def in_subclass(work: Callable[[], Any]) -> Any:
    class Worker(threading.Thread):
        result: Any = None

        def run(self) -> None:
            self.result = work()

    worker = Worker()
    worker.start()
    worker.join()
    return worker.result


def in_timer(work: Callable[[], Any]) -> Any:
    results: list[Any] = []
    timer = threading.Timer(0, lambda: results.append(work()))
    timer.start()
    timer.join()
    return results[0]


@pytest.fixture(scope="module")
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture(scope="module")
def pool() -> Iterator[ThreadPool]:
    with ThreadPool(1) as pool:
        yield pool


@pytest.fixture(
    params=["thread", "subclass", "timer", "submit", "map", "apply", "func=", "pool.map", "starmap", "imap"]
)
def run(request: pytest.FixtureRequest, executor: ThreadPoolExecutor, pool: ThreadPool) -> Run:
    """A way to have a thread do some work; pools are older than the work, and used again."""
    ways: dict[str, Run] = {
        "thread": in_thread,
        "subclass": in_subclass,
        "timer": in_timer,
        "submit": lambda work: executor.submit(work).result(),
        "map": lambda work: next(executor.map(lambda _: work(), [0])),
        "apply": pool.apply,
        "func=": lambda work: pool.apply_async(func=work).get(),
        "pool.map": lambda work: pool.map(lambda _: work(), [0])[0],
        "starmap": lambda work: pool.starmap(lambda _: work(), [(0,)])[0],
        "imap": lambda work: next(pool.imap(lambda _: work(), [0])),
    }
    return ways[request.param]


def test_work_in_a_thread_sees_what_surrounds_its_giver(run: Run) -> None:
    assert run(PLACE.get) == "nowhere"
    token = PLACE.set("here")
    try:
        assert run(PLACE.get) == "here"
    finally:
        PLACE.reset(token)
    assert run(PLACE.get) == "nowhere"


def test_a_pool_that_was_begun_elsewhere_keeps_nothing_of_that_place() -> None:
    token = PLACE.set("first")
    try:
        executor, pool = ThreadPoolExecutor(2), ThreadPool(2)
        assert executor.submit(PLACE.get).result() == pool.apply(PLACE.get) == "first"
    finally:
        PLACE.reset(token)
    with executor, pool:
        assert {executor.submit(PLACE.get).result() for _ in range(8)} == {"nowhere"}
        assert set(pool.starmap(PLACE.get, [()] * 8)) == {"nowhere"}


def test_what_work_changes_is_its_own(run: Run) -> None:
    token = PLACE.set("here")
    try:
        run(lambda: PLACE.set("there"))
        assert PLACE.get() == run(PLACE.get) == "here"
    finally:
        PLACE.reset(token)


def test_other_context_variables_are_left_alone(run: Run) -> None:
    token, other = PLACE.set("here"), OTHER.set("something")
    try:
        assert run(OTHER.get) == "nothing"
    finally:
        PLACE.reset(token)
        OTHER.reset(other)


def test_errors_and_arguments_pass_through(executor: ThreadPoolExecutor, pool: ThreadPool) -> None:
    token = PLACE.set("here")
    try:
        assert executor.submit(int, "12", base=3).result() == pool.apply(int, ("12",), {"base": 3}) == 5
        with pytest.raises(ZeroDivisionError):
            executor.submit(lambda: 1 / 0).result()
        with pytest.raises(TypeError):
            executor.submit()  # type: ignore[call-arg]
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()
        with pytest.raises(RuntimeError, match="once"):
            thread.start()
    finally:
        PLACE.reset(token)
