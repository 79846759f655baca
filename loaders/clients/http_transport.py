"""Send HTTP requests over reused connections, through the proxies that the environment names."""

from __future__ import annotations

import base64
import os
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from loaders.clients.http_answer import Answer, what_broke
from loaders.clients.http_stream import Stream
from loaders.clients.retry import Deadline, TryAgainError
from loaders.errors import ConfigError, ReadError
from loaders.redaction import redact

if TYPE_CHECKING:
    import ssl

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class _Proxy:
    """An HTTP proxy, and what lets a user through it."""

    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """The headers that are for the proxy alone."""
        return {"Proxy-Authorization": self.authorization} if self.authorization else {}


class _Running:
    """The connection of a request that runs, for whoever ends it from another thread."""

    def __init__(self) -> None:
        self._stream: Stream | None = None
        self._lock = threading.Lock()

    def on(self, stream: Stream) -> None:
        """Say which connection the request is on."""
        self._stream = stream

    def end(self) -> None:
        """End the request."""
        with self._lock:
            if self._stream is not None:
                self._stream.shut_down()

    def over(self) -> None:
        """Forget the connection, before it is closed or another's: so may its number be."""
        with self._lock:
            self._stream = None


class HttpTransport:
    """Connections to servers, kept open between requests; safe to use from many threads, and after a fork."""

    def __init__(self, *, connect_timeout_seconds: float, ca_bundle: str | None = None) -> None:
        self._connect_timeout_seconds = connect_timeout_seconds
        self._ca_bundle = ca_bundle
        self._idle: dict[tuple[object, ...], list[Stream]] = {}
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._tls: ssl.SSLContext | None = None

    @contextmanager
    def request(self, method: str, url: str, headers: Mapping[str, str], deadline: Deadline) -> Iterator[Answer]:
        """Send a request and give its answer; the connection is kept if the body was read to its end.

        Raises:
            TryAgainError: no answer came.
            ReadError: the request cannot be sent, whoever is asked.
        """
        parts = urlsplit(url)
        proxy = _proxy(parts)
        place = (parts.scheme, parts.netloc, proxy)
        message = _message(method, parts, headers, proxy)
        running = _Running()
        with deadline.cancellation.ending(running.end):
            stream, answer = self._answer(method, message, parts, proxy, self._kept(place), running, deadline)
            followed = False
            try:
                yield answer
                followed = answer.may_be_followed()
            finally:
                running.over()
                if followed:
                    self._keep(place, stream)
                else:
                    stream.close()

    def _answer(
        self,
        method: str,
        message: bytes,
        parts: SplitResult,
        proxy: _Proxy | None,
        kept: Stream | None,
        running: _Running,
        deadline: Deadline,
    ) -> tuple[Stream, Answer]:
        for stream in (kept, None) if kept else (None,):
            reused = stream is not None
            stream = stream or self._connected(parts, proxy, deadline)
            try:
                running.on(stream)
                stream.send(message, deadline)
                return stream, Answer(stream, method, deadline)
            except BaseException as error:
                running.over()
                stream.close()
                if not isinstance(error, OSError):
                    raise
                # A kept connection that the server closed meanwhile says nothing about the server.
                if reused and not isinstance(error, TimeoutError):
                    continue
                raise TryAgainError(f"{what_broke(error)} before an answer came") from None
        raise AssertionError("unreachable")

    def _connected(self, parts: SplitResult, proxy: _Proxy | None, deadline: Deadline) -> Stream:
        host, port = parts.hostname or "", parts.port or _DEFAULT_PORTS[parts.scheme]
        at = (proxy.host, proxy.port) if proxy else (host, port)
        timeout = max(0.01, min(self._connect_timeout_seconds, deadline.left()))
        context = self._context() if parts.scheme == "https" else None
        try:
            connected = socket.create_connection((_ascii(at[0]), at[1]), timeout=timeout)  # type: ignore[arg-type]  # the stubs know text alone
        except (OSError, OverflowError, UnicodeError) as error:
            through = "the proxy " if proxy else ""
            raise TryAgainError(f"no connection to {through}{at[0]}:{at[1]}: {what_broke(error)}") from None
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is not None:
                if proxy:
                    _tunnel(Stream(connected), host, port, proxy, deadline)
                connected.settimeout(deadline.timeout())
                connected = context.wrap_socket(connected, server_hostname=host)
        except OSError as error:
            connected.close()
            raise TryAgainError(f"no connection to {host}:{port}: {what_broke(error)}") from None
        except BaseException:
            connected.close()
            raise
        return Stream(connected)

    def _context(self) -> ssl.SSLContext:
        # Imported here: a store on this machine has no TLS.
        import ssl

        with self._lock:
            if self._tls is None:
                try:
                    self._tls = ssl.create_default_context(cafile=self._ca_bundle)
                except OSError as error:
                    raise ConfigError(
                        f"The certificates in '{self._ca_bundle}' (AWS_CA_BUNDLE) cannot be read: {what_broke(error)}."
                    ) from None
                self._tls.set_alpn_protocols(["http/1.1"])
            return self._tls

    def _kept(self, place: tuple[object, ...]) -> Stream | None:
        """Return an idle connection; one on which something came meanwhile is of no use any more."""
        if self._process != os.getpid():
            # What the parent of this process opened is the parent's, and so are the answers on it.
            self._idle, self._lock, self._process = {}, threading.Lock(), os.getpid()
        while True:
            with self._lock:
                idle = self._idle.get(place)
                stream = idle.pop() if idle else None
            if stream is None or stream.is_quiet():
                return stream
            stream.close()

    def _keep(self, place: tuple[object, ...], stream: Stream) -> None:
        with self._lock:
            self._idle.setdefault(place, []).append(stream)

    def close(self) -> None:
        """Close the connections that are kept."""
        with self._lock:
            kept, self._idle = self._idle, {}
        for stream in (stream for streams in kept.values() for stream in streams):
            stream.close()


def _message(method: str, parts: SplitResult, headers: Mapping[str, str], proxy: _Proxy | None) -> bytes:
    """Return a request without a body; a proxy is told the whole URL, where it is to fetch it itself."""
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    all_headers = {"Host": parts.netloc.rpartition("@")[2], **{name.title(): text for name, text in headers.items()}}
    if proxy and parts.scheme == "http":
        target = f"http://{all_headers['Host']}{target}"
        all_headers |= proxy.headers
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {text}" for name, text in all_headers.items())]
    if not all(line.isascii() and line.isprintable() for line in lines) or " " in target:
        # Which one is not told: it may be a secret.
        raise ReadError("A request cannot be sent: its URL or a credential holds a character that no header may.")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def _tunnel(stream: Stream, host: str, port: int, proxy: _Proxy, deadline: Deadline) -> None:
    """Have the proxy connect to the server, so that what follows is between the two of us."""
    name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {name} HTTP/1.1", f"Host: {name}", *(f"{key}: {text}" for key, text in proxy.headers.items())]
    stream.send("\r\n".join([*lines, "", ""]).encode("ascii"), deadline)
    # What follows a refusal is of no interest, and nothing follows a success but what is asked for.
    answer = Answer(stream, "HEAD", deadline)
    if answer.status != 200:
        raise TryAgainError(f"the proxy {proxy.host}:{proxy.port} answered {answer.status} for {name}")


def _proxy(parts: SplitResult) -> _Proxy | None:
    """Return the proxy that the environment, or the system's settings, name for a server."""
    named = any(name.lower() == f"{parts.scheme}_proxy" for name in os.environ)
    if not named and sys.platform not in ("win32", "darwin"):
        return None
    # Imported here: it brings much along, and few are behind a proxy.
    from urllib.request import getproxies, proxy_bypass

    host = parts.hostname or ""
    url = getproxies().get(parts.scheme)
    if not url or proxy_bypass(host) or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    try:
        through = urlsplit(url if "://" in url else f"http://{url}")
        known, port = through.scheme == "http" and bool(through.hostname), through.port or 80
    except ValueError:
        known = False
    if not known:
        raise ConfigError(
            f"{parts.scheme}_proxy is '{redact(url)}'; only proxies named http://host:port can be used. Correct it."
        )
    secret = f"{unquote(through.username or '')}:{unquote(through.password or '')}".encode()
    authorization = f"Basic {base64.b64encode(secret).decode()}" if through.username else None
    return _Proxy(through.hostname or "", port, authorization)


def _ascii(host: str) -> bytes:
    """Return a host's name as bytes: for text Python would import a codec first, and most names are ASCII."""
    return host.encode("ascii") if host.isascii() else host.encode("idna")
