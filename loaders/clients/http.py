"""Files of web servers, through aiohttp: a GET of the whole file, repeated from the start if it breaks off.

There is no HEAD: a presigned URL is signed for GET alone. Length and ETag are compared with the answer's own headers,
and the bytes with a digest if the server sends one.
"""

from __future__ import annotations

import base64
import binascii
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

import aiohttp
import pyarrow as pa
import yarl

from loaders.clients.checksums import Expected, ObjectSum
from loaders.clients.event_loop import run
from loaders.clients.location import Location
from loaders.clients.progress import Tracker
from loaders.clients.retry import Deadline, ThroughputLimit, TryAgainError
from loaders.clients.source import ChangedError, Listed, MissingError, Range, fresh_memory
from loaders.compression import decompressed, split_compression
from loaders.config.storage import active_storage
from loaders.errors import ReadError
from loaders.redaction import first_line

_MOST_REDIRECTS = 5
_RETRIED_STATUSES = {408, 425, 429, 500, 502, 503, 504}
# Beyond it no length is meant seriously, and no memory can be had.
_LARGEST_BYTES = 1 << 50
_UNESCAPED = "/%:@!$&'()*+,;=~-._"
_PAGE = re.compile(rb"\s*<(!doctype html|html)", re.IGNORECASE)
_DIGEST = re.compile(r"(sha-256|sha-512)=:?([A-Za-z0-9+/=]+):?", re.IGNORECASE)


class WebServers:
    """The client of web servers."""

    def open(self, location: Location, tracker: Tracker, version: str | None = None) -> WebFile:
        """Return the file at a URL, in the version that the server has now."""
        if version is not None:
            raise ReadError(f"'{location.shown}': a web server has no versions to choose from. Leave version out.")
        return WebFile(location, tracker)

    def list(self, folder: Location, deadline: Deadline | None = None) -> Sequence[Listed]:
        """Return nothing: a web server has no list of its files."""
        return []

    def write(self, location: Location, data: bytes) -> None:
        """Raise ReadError: files of web servers are only read."""
        raise ReadError(f"'{location.shown}' cannot be written: web servers are only read.")


class WebFile:
    """A file of a web server, in the version that the first answer named."""

    prefers_whole = True

    def __init__(self, location: Location, tracker: Tracker) -> None:
        self.location = location
        self._tracker = tracker
        self._deadline = Deadline(active_storage(), location.shown)
        self._data: pa.Buffer | None = None
        self._headers: Mapping[str, str] | None = None

    @property
    def size_bytes(self) -> int:
        """The size of the file; it is read if the server does not tell it."""
        if self._data is None and (size := _content_length(self._known)) is not None:
            return size
        return int(self.read().size)

    @property
    def version(self) -> str:
        """The server's description of the file's version."""
        return _version(self._known)

    @property
    def modified(self) -> datetime | None:
        """The time when the file was written; None if the server does not tell it."""
        try:
            return parsedate_to_datetime(self._known["Last-Modified"])
        except (KeyError, ValueError):
            return None

    @property
    def serves_ranges(self) -> bool:
        """Whether the server sends ranges of the file."""
        is_plain = self._known.get("Content-Encoding", "identity") == "identity"
        return self._known.get("Accept-Ranges") == "bytes" and is_plain and bool(_content_length(self._known))

    def read(self, *, to_disk: bool = False) -> pa.Buffer:
        """Return every byte of the file."""
        if self._data is None:
            self._data = run(self._deadline.retry("GET", self._whole))
        return self._data

    def read_ranges(self, ranges: list[Range]) -> list[pa.Buffer]:
        """Return the bytes of each range, by a request for each if the server sends ranges."""
        if self._data is not None or not self.serves_ranges:
            data = self.read()
            return [data.slice(start, end - start) for start, end in ranges]
        return [run(self._deadline.retry("GET", lambda part=part: self._range(*part))) for part in ranges]  # type: ignore[misc]  # mypy cannot infer a lambda with a default

    def close(self) -> None:
        """Close the file."""

    @property
    def _known(self) -> Mapping[str, str]:
        """The headers of the first answer; a request for them is made if nothing was read yet."""
        if self._headers is None:
            self._headers = run(self._deadline.retry("GET", self._asked))
        return self._headers

    async def _asked(self) -> Mapping[str, str]:
        async with _answer(self.location, self._deadline) as answer:
            return answer.headers

    async def _whole(self) -> pa.Buffer:
        async with _answer(self.location, self._deadline) as answer:
            self._headers = answer.headers
            return _decoded(self.location, await self._body(answer), answer.headers)

    async def _range(self, start: int, end: int) -> pa.Buffer:
        async with _answer(self.location, self._deadline, {"Range": f"bytes={start}-{end - 1}"}) as answer:
            place = f"bytes {start}-{end - 1}/{_content_length(self._known)}"
            if answer.status != 206 or answer.headers.get("Content-Range") != place:
                raise TryAgainError("the server did not send the range that was requested")
            if any(answer.headers.get(name) != self._known.get(name) for name in ("ETag", "Last-Modified")):
                raise ChangedError(f"'{self.location.shown}' changed while it was read. Run again later.")
            return pa.py_buffer(await self._received(answer, end - start))

    async def _body(self, answer: aiohttp.ClientResponse) -> memoryview:
        length = _content_length(answer.headers)
        if length is None and "chunked" not in answer.headers.get("Transfer-Encoding", ""):
            raise ReadError(
                f"'{self.location.shown}': the server says neither length nor end of the file, so that a part could "
                "pass for the whole. Serve it with Content-Length."
            )
        data = await self._received(answer, length)
        checksum = _digest(answer.headers)
        if checksum is not None:
            total = ObjectSum(checksum, [(0, len(data))])
            total.add(0, data)
            mismatch = total.mismatch()
            if mismatch:
                raise TryAgainError(mismatch)
        if "html" in answer.headers.get("Content-Type", "") and _PAGE.match(data[:1000]):
            raise ReadError(
                f"'{self.location.shown}' is a web page, perhaps one to sign in on. Correct the location, or sign in."
            )
        return data

    async def _received(self, answer: aiohttp.ClientResponse, length: int | None) -> memoryview:
        """Return the bytes of a body; `length` is None for one in chunks, whose end is marked."""
        self._deadline.size_bytes = length or 0
        self._tracker.expect(length or 0)
        data = fresh_memory(length, self.location.shown) if length is not None else memoryview(bytearray())
        pieces = bytearray() if length is None else None
        position = 0
        throughput = ThroughputLimit(self._deadline.settings)
        of = f"of {length:,} bytes" if length is not None else "bytes"
        while True:
            place = f"after {position:,} {of}"
            try:
                piece = await self._deadline.within(answer.content.readany(), f"stalled {place}")
            except (aiohttp.ClientError, OSError) as error:
                raise TryAgainError(f"{_broken(error)} {place}") from None
            if not piece:
                break
            if length is not None:
                data[position : position + len(piece)] = piece
            elif pieces is not None:
                pieces += piece
            position += len(piece)
            self._tracker.add(len(piece))
            throughput.add(len(piece))
        if length is not None and position != length:
            raise TryAgainError(f"the body ended after {position:,} of {length:,} bytes")
        return data if pieces is None else memoryview(pieces)


@asynccontextmanager
async def _answer(
    location: Location, deadline: Deadline, more: Mapping[str, str] | None = None
) -> AsyncIterator[aiohttp.ClientResponse]:
    """Give the answer of success, after redirects; a user and password are not sent to another host."""
    url, headers = _request(location.url, location.shown)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=deadline.settings.connect_timeout_seconds)
    # One connection for each file: no answer can be mistaken for that of an earlier request.
    async with aiohttp.ClientSession(
        auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(), timeout=timeout, trust_env=True
    ) as session:
        request = session.get(
            yarl.URL(url, encoded=True), headers={**headers, **(more or {})}, max_redirects=_MOST_REDIRECTS
        )
        async with await _sent(request, location, deadline) as answer:
            schemes = [step.url.scheme for step in (*answer.history, answer)]
            if "http" in schemes[schemes.index("https") :] if "https" in schemes else False:
                raise ReadError(f"'{location.shown}' redirects to an unencrypted location. Give that location itself.")
            _refuse(answer.status, location)
            yield answer


async def _sent(
    request: Awaitable[aiohttp.ClientResponse], location: Location, deadline: Deadline
) -> aiohttp.ClientResponse:
    host = urlsplit(location.url).netloc.rpartition("@")[2]
    try:
        return await deadline.within(request, "stalled before an answer came")
    except aiohttp.TooManyRedirects:
        raise ReadError(f"'{location.shown}' redirects more than {_MOST_REDIRECTS} times.") from None
    except aiohttp.RedirectClientError:
        raise ReadError(f"'{location.shown}' redirects to what is no URL of a web server.") from None
    except aiohttp.ConnectionTimeoutError:
        raise TryAgainError(f"no connection to {host}: it does not answer") from None
    except aiohttp.ClientHttpProxyError as error:
        raise TryAgainError(f"the proxy answered {error.status} for {host}") from None
    except aiohttp.ClientConnectorError as error:
        raise TryAgainError(f"no connection to {error.host}:{error.port}: {_broken(error)}") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise TryAgainError(_broken(error)) from None


def _broken(error: BaseException) -> str:
    """Return what an error of a connection means, in a few words."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        inner = error.os_error if isinstance(error, aiohttp.ClientConnectorSSLError) else error.certificate_error
        return f"its certificate is not trusted ({getattr(inner, 'verify_message', '') or first_line(str(inner))})"
    if isinstance(error, aiohttp.ServerDisconnectedError | ConnectionResetError | BrokenPipeError):
        return "the connection broke"
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the body ended"
    if isinstance(error, aiohttp.ClientResponseError):
        return f"the answer is not valid HTTP: {first_line(error.message)}"
    if isinstance(error, ssl.SSLError):
        return f"its certificate is not trusted ({first_line(str(error))})"
    return str(getattr(error, "strerror", None) or first_line(str(error)) or type(error).__name__)[:200]


def _refuse(status: int, location: Location) -> None:
    if status in (200, 206):
        return
    if status in _RETRIED_STATUSES:
        raise TryAgainError(f"the server answered {status}")
    if status in (404, 410):
        raise MissingError(f"'{location.shown}' does not exist ({status}). Correct the location.")
    hint = " A presigned URL may have expired." if status in (400, 403) and "?" in location.url else ""
    raise ReadError(f"'{location.shown}': the server answered {status}.{hint}")


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
        headers["Authorization"] = _basic(parts)
    plain = parts._replace(
        netloc=parts.netloc.rpartition("@")[2],
        path=quote(parts.path, safe=_UNESCAPED),
        query=quote(parts.query, safe=_UNESCAPED + "?"),
        fragment="",
    )
    return urlunsplit(plain), headers


def _basic(parts: SplitResult) -> str:
    """Return the header that carries the user and password of a URL."""
    return aiohttp.encode_basic_auth(unquote(parts.username or ""), unquote(parts.password or ""))


def _decoded(location: Location, data: memoryview, headers: Mapping[str, str]) -> pa.Buffer:
    """Return the file as it is at the server, if it compressed the answer although it was asked not to."""
    encoding = headers.get("Content-Encoding", "identity").lower()
    # For a file that is itself compressed, some servers name its compression in this header.
    if encoding == "identity" or split_compression(location.name)[1] is not None:
        return pa.py_buffer(data)
    if encoding not in ("gzip", "x-gzip"):
        raise ReadError(f"'{location.shown}': the server sends it as {encoding[:60]!r}, not as it is.")
    return decompressed(pa.py_buffer(data), "gzip", location.shown)


def _content_length(headers: Mapping[str, str]) -> int | None:
    text = headers.get("Content-Length")
    if text is None or "chunked" in headers.get("Transfer-Encoding", ""):
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= _LARGEST_BYTES):
        raise TryAgainError(f"the answer announces a length that is none: {text[:60]!r}")
    return int(text)


def _version(headers: Mapping[str, str]) -> str:
    return " ".join(headers[name] for name in ("ETag", "Last-Modified", "Content-Length") if name in headers)


def _digest(headers: Mapping[str, str]) -> Expected | None:
    """Return the digest that a server sends of the whole file, in whichever header."""
    try:
        for name in ("Repr-Digest", "Digest"):
            found = _DIGEST.search(headers.get(name, ""))
            if found:
                return Expected(found[1].lower().replace("-", ""), base64.b64decode(found[2], validate=True))
        if "Content-MD5" in headers:
            return Expected("md5", base64.b64decode(headers["Content-MD5"], validate=True))
    except binascii.Error:
        pass
    return None
