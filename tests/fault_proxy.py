"""A loopback proxy in front of the real S3 server that does to a client what networks and object stores do.

    with FaultProxy(s3_server) as proxy:
        proxy.inject("reset mid-body", on="GET", times=1)
        ...  # a client with proxy.environment()
        assert [request.status for request in proxy.requests] == [200, 206]

Requests are forwarded as they came, with the client's own Host header, so that their signatures hold.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args
from urllib.parse import unquote, urlsplit

from loaders.sandbox.s3_server import S3Server

Kind = Literal[
    "nothing",  # the true answer; for the sake of `then`
    "503",
    "500",
    "429",
    "reset",  # before the response
    "reset mid-body",
    "short",  # fewer bytes than Content-Length says, then the end of the connection
    "stall",  # before the headers
    "stall mid-body",
    "slow",  # 2 KiB a second
    "half",  # half of the body, and a Content-Length that says so
    "bit flip",
    "range ignored",  # 200 and the whole object
    "html",  # a page of a captive portal, with 200
]
KINDS: tuple[Kind, ...] = get_args(Kind)
RequestKind = Literal["HEAD", "GET", "RANGE", "LIST", "PUT", "*"]

_SLOW_BYTES_PER_SECOND = 2048
_CHUNK_BYTES = 1 << 18
_CODES = {"503": "SlowDown", "500": "InternalError", "429": "TooManyRequests"}
_HTML = b"<!doctype html><html><body><h1>Sign in to the guest network</h1></body></html>"


@dataclass
class Request:
    """A request that came, and what went back; `status` is 0 where nothing did."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    fault: Kind | None = None
    status: int = 0
    bytes: int = 0  # of the body, sent to the client

    @property
    def range(self) -> str | None:
        return self.headers.get("range")

    def is_of(self, kind: RequestKind) -> bool:
        """Return whether it is a request of the kind; GET and RANGE mean objects, a ranged GET is both."""
        listing = self.method == "GET" and (self.path.strip("/").count("/") == 0 or "comp=list" in self.query)
        if kind in ("GET", "RANGE"):
            return self.method == "GET" and not listing and (kind == "GET" or self.range is not None)
        return kind == "*" or (listing if kind == "LIST" else self.method == kind)


@dataclass
class _Fault:
    kind: Kind
    on: RequestKind
    times: int | None
    skip: int
    key: str
    then: Callable[[], object] | None

    def takes(self, request: Request) -> bool:
        if self.times == 0 or not request.is_of(self.on) or self.key not in request.path:
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass
class _Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def head(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} Whatever", *(f"{name}: {value}" for name, value in self.headers)]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"

    def with_length(self, length: int) -> _Answer:
        kept = [(name, value) for name, value in self.headers if name.lower() != "content-length"]
        return _Answer(self.status, [*kept, ("Content-Length", str(length))], self.body[:length])


@dataclass
class FaultProxy:
    """The proxy, in a thread of its own, between `with` and its end; faults are injected at any time."""

    server: S3Server
    latency_seconds: float = 0.0
    bytes_per_second: float | None = None  # of each connection
    requests: list[Request] = field(default_factory=list)
    _faults: list[_Fault] = field(default_factory=list)
    _port: int = 0
    _signer: Any = None  # a client of the server, for requests in its own name

    def inject(
        self,
        kind: Kind,
        *,
        on: RequestKind = "GET",
        times: int | None = 1,
        skip: int = 0,
        key: str = "",
        then: Callable[[], object] | None = None,
    ) -> None:
        """Meet the next `times` (None: all) requests of a kind with a fault, after `skip` that go through.

        `key` is a part of the path. `then` runs when the true answer is known and nothing of it has gone to the
        client: `inject("nothing", then=overwrite)` is an object overwritten between this request and the next.
        """
        if kind == "range ignored" and self._signer is None:
            # Now: to make it takes longer than some clients wait.
            self._signer = self.server.client()
        self._faults.append(_Fault(kind, on, times, skip, key, then))

    def clear(self) -> None:
        """Forget all faults, and the requests so far."""
        self._faults.clear()
        self.requests.clear()

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def environment(self) -> dict[str, str]:
        """Return the server's environment, by way of this proxy."""
        endpoint = {"AWS_ENDPOINT_URL": self.endpoint_url, "AWS_ENDPOINT_URL_S3": self.endpoint_url}
        return self.server.environment() | endpoint

    def bytes_sent(self) -> int:
        return sum(request.bytes for request in self.requests)

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._listener = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self._port = self._listener.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        # For a connection that came in between: its end at a closed loop would fail when garbage is collected.
        self._loop.run_until_complete(self._close())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    async def _close(self) -> None:
        self._listener.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            while not writer.is_closing():
                await self._serve_one(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went away, or the test is over
        finally:
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        start, raw_headers = await _read_head(reader)
        method, target, _ = start.split(" ")
        url = urlsplit(target)
        request = Request(method, unquote(url.path), url.query, {name.lower(): v for name, v in raw_headers})
        if request.headers.get("expect"):
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await reader.readexactly(int(request.headers.get("content-length", 0)))
        self.requests.append(request)
        await asyncio.sleep(self.latency_seconds)
        hop = ("connection", "expect")
        lines = [start, *(f"{name}: {value}" for name, value in raw_headers if name.lower() not in hop)]
        message = "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + body
        for fault in self._faults:
            if fault.takes(request):
                request.fault = fault.kind
                await self._answer_with_fault(fault, request, message, reader, writer)
                return
        await self._relay(request, message, writer)

    async def _relay(self, request: Request, message: bytes, writer: asyncio.StreamWriter) -> None:
        upstream, upstream_writer = await self._ask_server(message)
        try:
            answer = await _read_answer(upstream, whole=False)
            request.status = answer.status
            writer.write(answer.head())
            while chunk := await upstream.read(_CHUNK_BYTES):
                await self._send(request, chunk, writer, self.bytes_per_second)
        finally:
            upstream_writer.close()

    async def _answer_with_fault(
        self,
        fault: _Fault,
        request: Request,
        message: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        if fault.kind == "range ignored":
            message = self._message_without_range(request)
        upstream, upstream_writer = await self._ask_server(message)
        answer = _altered(fault.kind, request, await _read_answer(upstream, whole=True))
        upstream_writer.close()
        if fault.then is not None:
            await asyncio.to_thread(fault.then)
        if fault.kind == "reset":
            return _reset(writer)
        if fault.kind == "stall":
            await reader.read(1)  # the client sends nothing more, so this ends when it gives up
            return writer.close()
        request.status = answer.status
        writer.write(answer.head())
        body = b"" if request.method == "HEAD" else answer.body
        whole = fault.kind not in ("reset mid-body", "stall mid-body", "short")
        rate = _SLOW_BYTES_PER_SECOND if fault.kind == "slow" else self.bytes_per_second
        await self._send(request, body if whole else body[: len(body) // 2], writer, rate)
        if fault.kind == "stall mid-body":
            await reader.read(1)
        if fault.kind == "reset mid-body":
            # A reset overtakes what still waits in the client's socket; half of the body is to arrive.
            await asyncio.sleep(0.05)
            return _reset(writer)
        if not whole:
            writer.close()
        return None

    async def _ask_server(self, message: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        url = urlsplit(self.server.endpoint_url)
        reader, writer = await asyncio.open_connection(url.hostname, url.port, limit=_CHUNK_BYTES)
        writer.write(message)
        await writer.drain()
        return reader, writer

    def _message_without_range(self, request: Request) -> bytes:
        # The client signed its Range header, so the whole object is asked for in the server's own name.
        bucket, _, key = request.path.lstrip("/").partition("/")
        parameters = {"Bucket": bucket, "Key": key}
        url = urlsplit(self._signer.generate_presigned_url("get_object", parameters))
        kept = [(name, request.headers[name]) for name in ("if-match",) if name in request.headers]
        lines = [f"GET {url.path}?{url.query} HTTP/1.1", f"Host: {url.netloc}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in kept]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    async def _send(
        self, request: Request, body: bytes, writer: asyncio.StreamWriter, bytes_per_second: float | None
    ) -> None:
        step = _CHUNK_BYTES if bytes_per_second is None else max(1, int(bytes_per_second / 20))
        for start in range(0, len(body), step):
            piece = body[start : start + step]
            writer.write(piece)
            await writer.drain()
            request.bytes += len(piece)
            if bytes_per_second is not None:
                await asyncio.sleep(len(piece) / bytes_per_second)


async def _read_head(reader: asyncio.StreamReader) -> tuple[str, list[tuple[str, str]]]:
    start, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[:-2]
    return start, [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)]


async def _read_answer(reader: asyncio.StreamReader, *, whole: bool) -> _Answer:
    start, headers = await _read_head(reader)
    kept = [(name, value) for name, value in headers if name.lower() != "connection"]
    return _Answer(int(start.split(" ")[1]), kept, await reader.read() if whole else b"")


def _altered(kind: Kind, request: Request, answer: _Answer) -> _Answer:
    if kind in _CODES:
        error = f"<Error><Code>{_CODES[kind]}</Code><Message>by the fault proxy</Message></Error>".encode()
        return _Answer(int(kind), [("Content-Type", "application/xml")], error).with_length(len(error))
    if kind == "html":
        return _Answer(200, [("Content-Type", "text/html")], _HTML).with_length(len(_HTML))
    if request.method == "HEAD":
        return answer
    if kind == "half":
        return answer.with_length(len(answer.body) // 2)
    if kind == "bit flip":
        middle = len(answer.body) // 2
        flipped = bytes([answer.body[middle] ^ 0x10])
        return _Answer(answer.status, answer.headers, answer.body[:middle] + flipped + answer.body[middle + 1 :])
    return answer


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
