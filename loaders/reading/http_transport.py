"""HTTP requests whose every wait is bounded, and whose bodies arrive where they are to stay.

The standard library's client, because its body can be read into memory that is already there and its socket's timeout
can be changed while the body comes; the clients of the S3 libraries offer neither.
"""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import SplitResult, urlsplit

from loaders.reading.patience import Pace, Patience, TryAgainError

_PIECE_BYTES = 1 << 20
_ERROR_BODY_BYTES = 64 << 10
_BROKEN = (OSError, http.client.HTTPException)


class Answer:
    """The status and headers of a response, and its body, to be read once."""

    def __init__(self, response: http.client.HTTPResponse, sock: socket.socket) -> None:
        self._response = response
        self._socket = sock
        self._read = 0
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}

    @property
    def length(self) -> int | None:
        """The length of the body as the server announced it."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isdecimal() else None

    def read_into(self, view: memoryview, patience: Patience, count: Callable[[int], None] | None = None) -> int:
        """Fill the view from the body and return how many bytes came; fewer mean that the body ended.

        `count` is told of the bytes as they come.

        Raises:
            TryAgainError: the body stalled, was too slow, or broke off.
        """
        pace = Pace(patience)
        position = 0
        while position < len(view):
            timeout = patience.timeout()
            # At its end a body in chunks closes the socket of an answer that nothing follows on.
            if self._socket.fileno() >= 0:
                self._socket.settimeout(timeout)
            try:
                received = self._receive(view[position : position + _PIECE_BYTES])
            except _BROKEN as error:
                raise TryAgainError(f"{_what(error)} after {position:,} of {len(view):,} bytes") from None
            if received == 0:
                break
            position += received
            self._read += received
            if count is not None:
                count(received)
            pace.note(received)
        return position

    def read_all(self, patience: Patience, limit: int = _ERROR_BODY_BYTES) -> bytes:
        """Return a body of unknown length, at most `limit` bytes."""
        data = bytearray(min(limit, self.length) if self.length is not None else limit)
        return bytes(data[: self.read_into(memoryview(data), patience)])

    def _receive(self, view: memoryview) -> int:
        if self._response.chunked or self._response.fp is None:
            piece = self._response.read1(len(view))
            view[: len(piece)] = piece
            return len(piece)
        # One piece at a time, as the network brings it: HTTPResponse.readinto waits until the view is full, and a
        # body that trickles would never come back to where its rate is looked at.
        received: int = self._response.fp.readinto1(view)
        return received

    def finish(self) -> bool:
        """Let go of the body; tell whether another request may follow on the connection."""
        whole = (
            self._response._method in ("HEAD",)  # type: ignore[attr-defined]  # the type stubs leave it out
            or self.status in (204, 304)
            or self._response.isclosed()
            # http.client counts what its own methods read, not what went straight to memory.
            or self._read == self.length
        )
        keep = whole and not self._response.will_close
        self._response.close()
        return keep


class _Running:
    """The socket of a request that runs, for whoever ends it from another thread."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    def on(self, sock: socket.socket) -> None:
        """Say which socket the request is on."""
        self._socket = sock

    def end(self) -> None:
        """Have whoever waits for the socket see its end."""
        with self._lock:
            if self._socket is not None:
                # An SSLSocket's own method would take the TLS away from under the thread that reads.
                with suppress(OSError):
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def over(self) -> None:
        """Forget the socket, before it is closed: its number may be another's then."""
        with self._lock:
            self._socket = None


class HttpTransport:
    """Connections to servers, kept open between requests; safe to use from many threads."""

    def __init__(self, *, connect_timeout_seconds: float, ca_bundle: str | None = None) -> None:
        self._connect_timeout_seconds = connect_timeout_seconds
        self._ca_bundle = ca_bundle
        self._idle: dict[tuple[str, str], list[http.client.HTTPConnection]] = {}
        self._lock = threading.Lock()
        self._tls: ssl.SSLContext | None = None

    @contextmanager
    def request(self, method: str, url: str, headers: Mapping[str, str], patience: Patience) -> Iterator[Answer]:
        """Send a request and give its answer; the connection is kept if the body was read to its end.

        Raises:
            TryAgainError: no answer came.
        """
        parts = urlsplit(url)
        running = _Running()
        with patience.cancellation.ending(running.end):
            connection, answer = self._answer(method, parts, headers, patience, running)
            try:
                yield answer
            finally:
                running.over()
                if answer.finish():
                    self._keep(parts, connection)
                else:
                    connection.close()

    def _answer(
        self, method: str, parts: SplitResult, headers: Mapping[str, str], patience: Patience, running: _Running
    ) -> tuple[http.client.HTTPConnection, Answer]:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        kept = self._kept(parts)
        for connection in (kept, None) if kept else (None,):
            reused = connection is not None
            connection = connection or self._connect(parts, patience)
            try:
                # The connection lets go of its socket where nothing is to follow the answer.
                sock = connection.sock
                running.on(sock)
                sock.settimeout(patience.timeout())
                connection.request(method, target, headers=dict(headers))
                return connection, Answer(connection.getresponse(), sock)
            except BaseException as error:
                running.over()
                connection.close()
                if not isinstance(error, _BROKEN):
                    raise
                # A kept connection that the server closed meanwhile says nothing about the server.
                if reused and not isinstance(error, TimeoutError):
                    continue
                raise TryAgainError(f"{_what(error)} before an answer came") from None
        raise TryAgainError("no connection")

    def _connect(self, parts: SplitResult, patience: Patience) -> http.client.HTTPConnection:
        timeout = max(0.01, min(self._connect_timeout_seconds, patience.left()))
        host, port = parts.hostname or "", parts.port
        proxy = _proxy(parts.scheme, host)
        at: dict[str, Any] = {"host": host, "port": port, "timeout": timeout}
        if proxy:
            through = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
            at |= {"host": through.hostname, "port": through.port}
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(**at, context=self._context())
        else:
            connection = http.client.HTTPConnection(**at)
        if proxy:
            connection.set_tunnel(host, port)
        try:
            connection.connect()
        except _BROKEN as error:
            connection.close()
            raise TryAgainError(f"no connection to {host}{f':{port}' if port else ''}: {_what(error)}") from None
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def _context(self) -> ssl.SSLContext:
        with self._lock:
            if self._tls is None:
                self._tls = ssl.create_default_context(cafile=self._ca_bundle)
            return self._tls

    def _kept(self, parts: SplitResult) -> http.client.HTTPConnection | None:
        with self._lock:
            idle = self._idle.get((parts.scheme, parts.netloc))
            return idle.pop() if idle else None

    def _keep(self, parts: SplitResult, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            self._idle.setdefault((parts.scheme, parts.netloc), []).append(connection)

    def close(self) -> None:
        """Close the connections that are kept."""
        with self._lock:
            kept, self._idle = self._idle, {}
        for connection in (connection for connections in kept.values() for connection in connections):
            connection.close()


def _proxy(scheme: str, host: str) -> str | None:
    """Return the proxy that the environment, or the system's settings, name for a host."""
    named = any(name.lower() == f"{scheme}_proxy" for name in os.environ)
    if not named and sys.platform not in ("win32", "darwin"):
        return None
    # Imported here: it brings much along, and few are behind a proxy.
    from urllib.request import getproxies, proxy_bypass

    return None if proxy_bypass(host) else getproxies().get(scheme)


def _what(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "stalled"
    if isinstance(error, http.client.IncompleteRead | http.client.RemoteDisconnected | ConnectionResetError):
        return "the connection broke"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0]
