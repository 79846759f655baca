"""What surrounds a function goes along with the work that it hands to threads, and stays nowhere behind."""

from __future__ import annotations

import queue
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


def test_a_thread_that_goes_on_when_its_giver_is_done_keeps_nothing() -> None:
    asked, answers = queue.SimpleQueue[bool](), queue.SimpleQueue[str]()

    def work() -> None:
        while asked.get():
            answers.put(PLACE.get())

    token = PLACE.set("here")
    try:
        thread = threading.Thread(target=work)
        thread.start()
        asked.put(True)
        assert answers.get() == "here"
    finally:
        PLACE.reset(token)
    asked.put(True)
    assert answers.get() == "nowhere"
    asked.put(False)
    thread.join()


def test_what_else_a_pool_is_given_sees_the_same() -> None:
    """What begins a thread, what is called at the end of work, and the generator that gives it."""
    seen: list[str] = []
    token = PLACE.set("here")
    try:
        executor = ThreadPoolExecutor(1, initializer=lambda: seen.append(PLACE.get()))
        executor.submit(int).add_done_callback(lambda _: seen.append(PLACE.get()))
        pool = ThreadPool(1, lambda: seen.append(PLACE.get()))
        seen += pool.imap(str, (PLACE.get() for _ in range(2)))
        seen += pool.imap_unordered(func=str, iterable=(PLACE.get() for _ in range(2)))
    finally:
        PLACE.reset(token)
    executor.shutdown()
    pool.close()
    assert seen == ["here"] * 7


def test_others_may_replace_what_a_thread_runs() -> None:
    """An instance's own `run`, and instrumentation that wraps it and hands it the thread."""
    seen: list[str] = []
    start = threading.Thread.start

    def instrumented(thread: threading.Thread) -> None:
        run = thread.run
        function = getattr(run, "__func__", run)
        thread.run = lambda: function(thread)  # type: ignore[method-assign]
        start(thread)

    token = PLACE.set("here")
    try:
        own = threading.Thread()
        own.run = lambda: seen.append(f"own {PLACE.get()}")  # type: ignore[method-assign]
        for thread, begin in (
            (own, start),
            (threading.Thread(target=lambda: seen.append(PLACE.get())), instrumented),
        ):
            begin(thread)
            thread.join()
    finally:
        PLACE.reset(token)
    assert seen == ["own here", "here"]


def test_a_thread_that_cannot_start_is_as_it_was() -> None:
    token = PLACE.set("here")
    try:
        thread = threading.Thread()
        thread.start()
        thread.join()
        with pytest.raises(RuntimeError, match="once"):
            thread.start()
        assert "run" not in vars(thread)
    finally:
        PLACE.reset(token)


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
    finally:
        PLACE.reset(token)
