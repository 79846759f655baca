"""Servers that mean harm: no credentials go where they do not belong, no wait and no memory is without a bound."""

from __future__ import annotations

import contextlib
import gzip
import json
import multiprocessing
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from loaders import ReadError, read_table
from loaders.config.storage import use_storage
from tests.fault_proxy import FaultProxy
from tests.reading.conftest import IMPATIENT, ORDERS, Put, encoded, orders
from tests.reading.scripted_store import Asked, ScriptedStore, answer
from tests.reading.test_http import RawServer, Serve, serve  # noqa: F401 — a fixture
from tests.reading.test_s3_listing import CSV, NUMBERS

CERTIFICATE = Path(__file__).with_name("self_signed.pem")
pytestmark = pytest.mark.usefixtures("impatient")
Script = Callable[[Asked], "bytes | None"]


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Script], ScriptedStore]]:
    stores: list[ScriptedStore] = []

    def start(script: Script) -> ScriptedStore:
        stores.append(ScriptedStore(script).__enter__())
        for name, value in (stores[0].environment() | {"AWS_SESSION_TOKEN": "HUSHTOKEN"}).items():
            monkeypatch.setenv(name, value)
        return stores[-1]

    yield start
    for store in stores:
        store.__exit__()


def refused(location: str = "s3://bkt/x.csv", seconds: float = 6) -> str:
    began = time.monotonic()
    with pytest.raises(ReadError) as caught:
        read_table(location, NUMBERS)
    assert time.monotonic() - began < seconds
    assert "HUSH" not in str(caught.value)
    return str(caught.value)


def of_numbers(asked: Asked) -> bytes:
    return answer(body=CSV, ETag='"x"') if asked.kind == "GET" else answer(ETag='"x"', Content_Length="8")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_of_a_store_takes_no_credentials_along(
    status: int, store: Callable[[Script], ScriptedStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for a session token, which is of no use without the keys: reqwest drops the header of authorization alone."""
    evil: list[ScriptedStore] = []
    store(lambda asked: answer(status, Location=f"{evil[0].endpoint_url}{asked.path}"))
    evil.append(ScriptedStore(of_numbers).__enter__())
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    try:
        with contextlib.suppress(ReadError):
            read_table("s3://bkt/x.csv", NUMBERS)
        assert evil[0].asked or status == 308
        sent = [text for asked in evil[0].asked for text in asked.headers.values()]
        assert not [text for text in sent if "AKIASCRIPTED" in text or "HUSH" in text]
    finally:
        evil[0].__exit__()


@pytest.mark.parametrize(
    "body",
    [
        b"HTTP/1.1 200 OK\r\n" + b"X-Endless: y\r\n" * 200_000,
        b"HTTP/1.1 200 OK\r\nX-Endless: " + b"y" * 5_000_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000,
        b"\x00\xff SSH-2.0",
    ],
    ids=["headers", "a header", "informational", "no HTTP"],
)
def test_an_answer_of_endless_headers_is_given_up(body: bytes, store: Callable[[Script], ScriptedStore]) -> None:
    store(lambda _: body)
    assert "try 1" in refused()


def test_chunks_without_end_are_given_up(store: Callable[[Script], ScriptedStore]) -> None:
    chunk = b"10000\r\n" + b"1\n" * (1 << 15) + b"\r\n"

    def script(asked: Asked) -> bytes:
        if asked.kind == "HEAD":
            return answer(ETag='"x"', Content_Length="8")
        return b'HTTP/1.1 200 OK\r\nETag: "x"\r\nTransfer-Encoding: chunked\r\n\r\n' + chunk * 400

    store(script)
    assert "try 1" in refused()


def test_more_bytes_than_announced_are_not_taken(store: Callable[[Script], ScriptedStore]) -> None:
    """They may be of the next answer."""
    store(lambda asked: of_numbers(asked) + (b"9\n" * 5 if asked.kind == "GET" else b""))
    assert list(read_table("s3://bkt/x.csv", NUMBERS)["a"]) == [1, 2, 3]


def test_a_size_beyond_all_memory_is_an_error(store: Callable[[Script], ScriptedStore]) -> None:
    store(lambda _: answer(ETag='"x"', Content_Length=str(10**15)))
    assert "there is no memory" in refused()


class Numbers(BaseHTTPRequestHandler):
    """Gives every object the same rows."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        for name, value in (("ETag", '"x"'), ("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(CSV)))
        self.end_headers()
        self.wfile.write(CSV if self.command == "GET" else b"")

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def encrypted(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server with a self-signed certificate, which AWS clients are pointed at."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with ThreadingHTTPServer(("127.0.0.1", 0), Numbers) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        with ScriptedStore(of_numbers) as scripted:
            for name, value in scripted.environment().items():
                monkeypatch.setenv(name, value)
        for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
            monkeypatch.setenv(name, f"https://localhost:{server.server_port}")
        yield f"https://localhost:{server.server_port}"
        server.shutdown()


def test_a_certificate_that_nobody_vouches_for_is_refused(encrypted: str) -> None:
    for location in ("s3://bkt/x.csv", f"{encrypted}/x.csv"):
        assert "certificate is not trusted" in refused(location)


def test_a_certificate_of_the_ca_bundle_is_trusted(encrypted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(CERTIFICATE))
    assert list(read_table("s3://bkt/x.csv", NUMBERS)["a"]) == [1, 2, 3]
    monkeypatch.setenv("AWS_CA_BUNDLE", "/no/such.pem")
    with pytest.raises(Exception, match=r"'/no/such\.pem' \(AWS_CA_BUNDLE\) cannot be read"):
        read_table("s3://bkt/x.csv", NUMBERS)


@pytest.mark.parametrize("named", [True, False], ids=["a compressed file", "compressed on its way"])
def test_a_bomb_is_not_unpacked(named: bool, serve: Serve) -> None:  # noqa: F811 — the fixture
    bomb = gzip.compress(bytes(200 << 20))
    headers = [] if named else ["Content-Encoding: gzip"]
    head = "\r\n".join(["HTTP/1.1 200 OK", f"Content-Length: {len(bomb)}", *headers, "", ""]).encode()
    server = serve(lambda _, send: send(head + bomb))
    message = refused(f"{server.url}/x.csv{'.gz' if named else ''}")
    assert "as if to fill the memory" in message


def _read_in_child(location: str, results: object) -> None:
    try:
        read_table(location, ORDERS)
        results.put("read")  # type: ignore[attr-defined]
    except ReadError as error:
        results.put(str(error))  # type: ignore[attr-defined]


def test_a_forked_process_is_told_at_once_what_it_cannot_do(proxy: FaultProxy, put: Put) -> None:
    """The threads of obstore are the parent's; without a word a read would wait for them until its deadline."""
    location = put("orders.csv", encoded(orders(), "csv"))
    assert len(read_table(location, ORDERS)) == 3000
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    child = context.Process(target=_read_in_child, args=(location, results))
    child.start()
    assert "this process was forked" in results.get()
    child.join()
    with use_storage(replace(IMPATIENT, client="fsspec", stall_timeout_seconds=5, deadline_seconds=20)):
        child = context.Process(target=_read_in_child, args=(location, results))
        child.start()
        assert results.get() == "read"
        child.join()


def test_no_secret_is_in_a_pickled_or_printed_setting() -> None:
    for name in ("account_key", "sas_token", "client_secret", "AWS_SECRET_ACCESS_KEY"):
        with pytest.raises(ValueError, match="must not hold") as caught:
            replace(IMPATIENT, options={name: "HUSH"})
        assert "HUSH" not in str(caught.value)
    assert json.dumps(dict(replace(IMPATIENT, options={"region": "x"}).options)) == '{"region": "x"}'
    assert os.environ.get("AWS_SESSION_TOKEN", "") not in ("HUSHTOKEN",)
