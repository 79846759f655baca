"""What nobody waits for any more stops: no thread goes on to read it, and the error told is the one that began it."""

from __future__ import annotations

import asyncio
import functools
import http.server
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path

import pytest

from loaders import ReadError, read_table
from loaders.clients.cancellation import Cancellation, ReadCancelledError, active_cancellation, cancellable
from loaders.clients.event_loop import run
from loaders.clients.retry import Deadline, TryAgainError
from loaders.config.storage import StorageSettings, use_storage
from tests.fault_proxy import FaultProxy
from tests.reading.conftest import ORDERS, Put, encoded, orders

CSV = encoded(orders(), "csv")
# Whatever is not cancelled takes longer than a test may.
PATIENT = StorageSettings(stall_timeout_seconds=60, deadline_seconds=120, range_bytes=32 << 10, connections=4)
SOON = 10


@pytest.fixture(autouse=True)
def patient() -> Iterator[None]:
    with use_storage(PATIENT):
        yield


@pytest.fixture
def trickling(proxy: FaultProxy) -> Iterator[FaultProxy]:
    """The proxy at a rate at which the file takes a minute."""
    proxy.bytes_per_second = len(CSV) / 60
    yield proxy
    proxy.bytes_per_second = None


@pytest.fixture(params=[True, False], ids=["interrupting", "restarting"])
def signals(request: pytest.FixtureRequest) -> Iterator[None]:
    """Signals that end a system's call, and those that polars sets up, after which it goes on."""
    signal.siginterrupt(signal.SIGINT, request.param)
    yield
    signal.siginterrupt(signal.SIGINT, True)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def assert_nothing_reads() -> None:
    """No task of the event loop is left but the one that looks."""

    async def others() -> list[str]:
        deadline = time.monotonic() + SOON
        while len(tasks := asyncio.all_tasks()) > 1 and time.monotonic() < deadline:
            await asyncio.sleep(0)
        return [repr(task) for task in tasks - {asyncio.current_task()}]

    assert run(others()) == []


def in_thread(location: str) -> Future[object]:
    """Start to read in another thread, of the same task."""
    executor = ThreadPoolExecutor(1)
    future: Future[object] = executor.submit(copy_context().run, read_table, location, ORDERS)
    executor.shutdown(wait=False)
    return future


@pytest.mark.usefixtures("signals")
def test_an_interrupted_read_returns_and_no_thread_goes_on(trickling: FaultProxy, put: Put) -> None:
    location = put("orders.csv", CSV)
    trickling.inject("nothing", skip=2, then=interrupt)
    with pytest.raises(KeyboardInterrupt):
        read_table(location, ORDERS)
    assert_nothing_reads()
    assert trickling.bytes_sent() < len(CSV) / 2


@pytest.mark.usefixtures("signals")
def test_an_interrupted_read_of_parts_returns_and_no_thread_goes_on(trickling: FaultProxy, put: Put) -> None:
    put("parts/1.csv", CSV)
    location = put("parts/2.csv", CSV).removesuffix("2.csv")
    trickling.inject("nothing", skip=2, then=interrupt)
    with pytest.raises(KeyboardInterrupt):
        read_table(location, ORDERS)
    assert_nothing_reads()
    assert trickling.bytes_sent() < len(CSV) / 2


def test_a_part_that_fails_ends_the_others_and_is_the_one_told(trickling: FaultProxy, put: Put) -> None:
    put("parts/1.csv", CSV)
    location = put("parts/2.csv", b"no table\n").removesuffix("2.csv")
    with pytest.raises(Exception, match=r"2\.csv"):
        read_table(location, ORDERS)
    assert_nothing_reads()
    assert trickling.bytes_sent() < len(CSV) / 2


@pytest.mark.parametrize("on", ["HEAD", "GET"])
def test_a_stalled_request_ends_when_it_is_cancelled(proxy: FaultProxy, put: Put, on: str) -> None:
    location = put("orders.csv", CSV)
    stalled = threading.Event()
    proxy.inject("stall", on=on, times=None, then=stalled.set)  # type: ignore[arg-type]  # a parameter is no literal
    with cancellable() as cancellation:
        reading = in_thread(location)
        assert stalled.wait(SOON)
        cancellation.cancel()
        with pytest.raises(ReadCancelledError):
            reading.result(SOON)
    assert_nothing_reads()


def test_the_wait_before_another_try_ends_when_it_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    about_to_wait = threading.Event()

    def minute(*_: object) -> float:
        about_to_wait.set()
        return 60

    async def attempt() -> None:
        raise TryAgainError("the store is busy")

    monkeypatch.setattr(Deadline, "_wait", minute)
    with cancellable() as cancellation, ThreadPoolExecutor(1) as executor:
        deadline = Deadline(PATIENT, "s3://b/k")
        retrying = executor.submit(copy_context().run, lambda: run(deadline.retry("GET", attempt)))
        assert about_to_wait.wait(SOON)
        cancellation.cancel()
        with pytest.raises(ReadCancelledError):
            retrying.result(SOON)


def test_a_read_that_begins_after_the_cancellation_asks_nothing(proxy: FaultProxy, put: Put, tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_bytes(CSV)
    remote = put("orders.csv", CSV)
    with cancellable() as cancellation:
        cancellation.cancel()
        for location in (remote, str(tmp_path / "orders.csv")):
            with pytest.raises(ReadCancelledError):
                read_table(location, ORDERS)
    assert not [request for request in proxy.requests if remote.endswith(request.path)]


def test_an_error_cancels_what_is_within_and_nothing_around_it(proxy: FaultProxy, put: Put) -> None:
    location = put("orders.csv", CSV)
    flags: list[Cancellation] = []

    def fail() -> None:
        with cancellable() as flag:
            flags.append(flag)
            raise ReadError("a failure")

    with cancellable() as outer:
        with pytest.raises(ReadError, match="a failure"):
            fail()
        with pytest.raises(ReadCancelledError):
            flags[0].check()
        outer.check()
        assert len(read_table(location, ORDERS)) == 3000
    assert active_cancellation() is not outer


@pytest.mark.parametrize("protocol", ["HTTP/1.0", "HTTP/1.1"])
def test_an_answer_after_which_the_server_closes_is_read(tmp_path: Path, protocol: str) -> None:
    class Handler(http.server.SimpleHTTPRequestHandler):
        protocol_version = protocol

        def log_message(self, *_: object) -> None: ...

        def end_headers(self) -> None:
            self.send_header("Connection", "close")
            super().end_headers()

    (tmp_path / "orders.csv").write_bytes(CSV)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=tmp_path)) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        try:
            assert len(read_table(f"http://127.0.0.1:{server.server_port}/orders.csv", ORDERS)) == 3000
        finally:
            server.shutdown()
