"""Read a file from a web server with one GET, repeated from the start if it breaks off.

There is no HEAD: a presigned URL is signed for GET alone. Length and ETag are held against the answer's own headers,
and the bytes against a digest where the server sends one.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from urllib.parse import quote, unquote, urljoin, urlsplit, urlunsplit

import pyarrow as pa

from loaders.clients.checksums import Expected, ObjectSum
from loaders.clients.http_answer import Answer
from loaders.clients.http_transport import HttpTransport
from loaders.clients.location import Location
from loaders.clients.progress import Tracker
from loaders.clients.retry import Deadline, TryAgainError
from loaders.clients.source import MissingError, fresh_memory
from loaders.compression import decompressed, split_compression
from loaders.config.storage import active_storage
from loaders.errors import ReadError

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 5
_RETRIED_STATUSES = {408, 425, 429, 500, 502, 503, 504}
_GROWTH_BYTES = 4 << 20
_SENT_AS_THEY_ARE = "/%:@!$&'()*+,;=~-._"
_PAGE = re.compile(rb"\s*<(!doctype html|html)", re.IGNORECASE)
_DIGEST = re.compile(r"(sha-256|sha-512)=:?([A-Za-z0-9+/=]+):?", re.IGNORECASE)


class HttpObject:
    """A file on a web server, read whole when it is opened, so that size and version belong to its bytes."""

    prefers_whole = True

    def __init__(self, location: Location, tracker: Tracker) -> None:
        self.location = location
        self._tracker = tracker
        self._deadline = Deadline(active_storage(), location.shown)
        self._data, self.version = self._deadline.retry("GET", self._get)
        self.size_bytes = self._data.size

    def read(self) -> pa.Buffer:
        """Return every byte of the file."""
        return self._data

    def read_ranges(self, ranges: list[tuple[int, int]]) -> list[pa.Buffer]:
        """Return the bytes from each start up to each end."""
        return [self._data.slice(start, end - start) for start, end in ranges]

    def close(self) -> None:
        """Let go of the file."""

    def _get(self) -> tuple[pa.Buffer, str]:
        with _answer(self.location, self._deadline) as answer:
            return self._body(answer), _version(answer.headers)

    def _body(self, answer: Answer) -> pa.Buffer:
        if answer.length is None:
            data = self._unannounced(answer)
        else:
            self._deadline.size_bytes = answer.length
            self._tracker.expect(answer.length)
            data = fresh_memory(answer.length, self.location.shown)
            received = answer.read_into(data, self._deadline, self._tracker.add)
            if received != answer.length:
                raise TryAgainError(f"the body ended after {received:,} of {answer.length:,} bytes")
        checksum = _digest(answer.headers)
        if checksum is not None:
            total = ObjectSum(checksum, [(0, len(data))])
            total.add(0, data)
            mismatch = total.mismatch()
            if mismatch:
                raise TryAgainError(mismatch)
        if "html" in answer.headers.get("content-type", "") and _PAGE.match(data[:1000]):
            raise ReadError(
                f"'{self.location.shown}' is a web page, perhaps one to sign in on. Correct the location, or sign in."
            )
        return self._decoded(pa.py_buffer(data), answer)

    def _unannounced(self, answer: Answer) -> memoryview:
        """Return a body whose length only its end tells; that end is marked, or the body is refused."""
        if not answer.ends_marked:
            raise ReadError(
                f"'{self.location.shown}': the server says neither length nor end of the file, so that a part could "
                "pass for the whole. Serve it with Content-Length."
            )
        data = bytearray()
        while True:
            piece = bytearray(_GROWTH_BYTES)
            received = answer.read_into(memoryview(piece), self._deadline, self._tracker.add)
            data += piece[:received]
            if received < len(piece):
                return memoryview(data)

    def _decoded(self, data: pa.Buffer, answer: Answer) -> pa.Buffer:
        """Return the file as it is at the server, where that packed it for the way although it was asked not to."""
        encoding = answer.headers.get("content-encoding", "identity").lower()
        # Of a file that is packed itself, some servers say so in this header.
        if encoding == "identity" or split_compression(self.location.name)[1] is not None:
            return data
        if encoding not in ("gzip", "x-gzip"):
            raise ReadError(f"'{self.location.shown}': the server sends it as {encoding[:60]!r}, not as it is.")
        return decompressed(data, "gzip", self.location.shown)


def http_version(location: Location) -> str:
    """Return the version that a web server has now; the body of its answer is not read."""
    deadline = Deadline(active_storage(), location.shown)

    def ask() -> str:
        with _answer(location, deadline) as answer:
            return _version(answer.headers)

    return deadline.retry("GET", ask)


@contextmanager
def _answer(location: Location, deadline: Deadline) -> Iterator[Answer]:
    """Give the answer of success, after redirects."""
    transport = _transport(deadline.settings.connect_timeout_seconds)
    url, headers = _request(location.url, location.shown)
    for _ in range(_MOST_REDIRECTS + 1):
        with transport.request("GET", url, headers, deadline) as answer:
            if answer.status not in _REDIRECTS or "location" not in answer.headers:
                _refuse(answer, location)
                yield answer
                return
            target, others = _request(urljoin(url, answer.headers["location"]), location.shown)
        before, after = urlsplit(url), urlsplit(target)
        if before.scheme == "https" and after.scheme != "https":
            raise ReadError(f"'{location.shown}' redirects to where nothing is encrypted. Give that location itself.")
        # A user and password are for the server that they were given for.
        headers = others | headers if before.netloc == after.netloc else others
        url = target
    raise ReadError(f"'{location.shown}' redirects more than {_MOST_REDIRECTS} times.")


def _refuse(answer: Answer, location: Location) -> None:
    if answer.status == 200:
        return
    if answer.status in _RETRIED_STATUSES:
        raise TryAgainError(f"the server answered {answer.status}")
    if answer.status in (404, 410):
        raise MissingError(f"'{location.shown}' does not exist ({answer.status}). Correct the location.")
    hint = " A presigned URL may have expired." if answer.status in (400, 403) and "?" in location.url else ""
    raise ReadError(f"'{location.shown}': the server answered {answer.status}.{hint}")


@lru_cache(maxsize=4)
def _transport(connect_timeout_seconds: float) -> HttpTransport:
    return HttpTransport(connect_timeout_seconds=connect_timeout_seconds)


def _request(url: str, shown: str) -> tuple[str, dict[str, str]]:
    """Return the URL as it is sent, without user and password, and the headers that carry them."""
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise ReadError(f"'{shown}' is no URL, or leads to none, of a web server: http(s)://host[:port]/path.")
    headers = {"Accept-Encoding": "identity", "User-Agent": "sourceswap"}
    if parts.username is not None:
        secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        headers["Authorization"] = "Basic " + base64.b64encode(secret).decode()
    plain = parts._replace(
        netloc=parts.netloc.rpartition("@")[2],
        path=quote(parts.path, safe=_SENT_AS_THEY_ARE),
        query=quote(parts.query, safe=_SENT_AS_THEY_ARE + "?"),
        fragment="",
    )
    return urlunsplit(plain), headers


def _version(headers: dict[str, str]) -> str:
    names = ("etag", "last-modified", "content-length")
    return " ".join(headers[name] for name in names if name in headers)


def _digest(headers: dict[str, str]) -> Expected | None:
    """Return the digest that a server sends of the whole file, in whichever header."""
    try:
        for name in ("repr-digest", "digest"):
            found = _DIGEST.search(headers.get(name, ""))
            if found:
                return Expected(found[1].lower().replace("-", ""), base64.b64decode(found[2], validate=True))
        if "content-md5" in headers:
            return Expected("md5", base64.b64decode(headers["content-md5"], validate=True))
    except binascii.Error:
        pass
    return None
