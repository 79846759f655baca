"""Parse an HTTP response (RFC 9112): status, headers, and a body of known length."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from loaders.clients.http_stream import Stream
from loaders.clients.retry import Deadline, ThroughputLimit, TryAgainError

_PIECE_BYTES = 1 << 20
_HEAD_BYTES = 64 << 10
_LINE_BYTES = 4 << 10
_ERROR_BODY_BYTES = 64 << 10
_MOST_INFORMATIONAL = 20
_STATUS = re.compile(r"HTTP/1\.([01]) ([1-5][0-9]{2})(?: .*)?")
_LINE_END = re.compile(rb"\n")
# An empty line; there may be no other before it.
_HEADERS_END = re.compile(rb"(?:^|\n)\r?\n")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")
# Beyond it no length is meant seriously, and no memory can be asked for.
_LARGEST_BYTES = 1 << 50


class Answer:
    """The status and headers of a response, and its body, to be read once."""

    def __init__(self, stream: Stream, method: str, deadline: Deadline) -> None:
        """Read the head of the answer to a request of the method; it has one stall's time for all of it.

        Raises:
            TryAgainError: what came is no HTTP, or says contradictory things.
            OSError: the connection broke, or time ran out.
        """
        self._stream = stream
        until = time.monotonic() + deadline.settings.stall_timeout_seconds
        for _ in range(_MOST_INFORMATIONAL):
            minor, self.status, self.headers = _head(stream, deadline, until)
            # Others announce the one that is meant.
            if self.status >= 200 or self.status == 101:
                break
        self._chunked = "transfer-encoding" in self.headers
        if self._chunked and self.headers["transfer-encoding"].lower() != "chunked":
            raise TryAgainError(f"the body is sent as {self.headers['transfer-encoding'][:60]!r}, not as it is")
        self.length = None if self._chunked else _length(self.headers)
        self._has_body = method != "HEAD" and self.status not in (204, 304)
        self._left = self.length if self._has_body else 0
        self._chunk_left = 0
        self._ended = not self._has_body
        said = self.headers.get("connection", "").lower()
        self._keeps = "close" not in said if minor else "keep-alive" in said

    @property
    def ends_marked(self) -> bool:
        """Whether the body says where it ends, other than by the end of the connection."""
        return self._chunked or self.length is not None

    def read_into(self, view: memoryview, deadline: Deadline, count: Callable[[int], None] | None = None) -> int:
        """Fill the view from the body and return how many bytes came; fewer mean that the body ended.

        `count` is told of the bytes as they come.

        Raises:
            TryAgainError: the body stalled, was too slow, or broke off.
        """
        throughput = ThroughputLimit(deadline)
        position = 0
        while position < len(view) and not self._ended:
            try:
                received = self._receive(view[position : position + _PIECE_BYTES], deadline)
            except OSError as error:
                raise TryAgainError(f"{what_broke(error)} after {position:,} of {len(view):,} bytes") from None
            if received == 0:
                break
            position += received
            if count is not None:
                count(received)
            throughput.note(received)
        return position

    def read_all(self, deadline: Deadline, limit: int = _ERROR_BODY_BYTES) -> bytes:
        """Return a body of unknown length, at most `limit` bytes."""
        data = bytearray(min(limit, self.length) if self.length is not None else limit)
        return bytes(data[: self.read_into(memoryview(data), deadline)])

    def may_be_followed(self) -> bool:
        """Tell whether the body was read to its end, and another request may follow on the connection."""
        return self._keeps and (self._ended or self._left == 0)

    def _receive(self, view: memoryview, deadline: Deadline) -> int:
        if self._chunked:
            return self._receive_of_chunk(view, deadline)
        if self._left is not None:
            view = view[: self._left]
        received = self._stream.read_into(view, deadline) if view else 0
        if self._left is not None:
            self._left -= received
        self._ended = received == 0
        return received

    def _receive_of_chunk(self, view: memoryview, deadline: Deadline) -> int:
        if self._chunk_left == 0:
            self._chunk_left = self._next_chunk(deadline)
            if self._chunk_left == 0:
                self._ended = True
                return 0
        received = self._stream.read_into(view[: self._chunk_left], deadline)
        if received == 0:
            raise ConnectionResetError
        self._chunk_left -= received
        if self._chunk_left == 0 and self._line(deadline):
            raise TryAgainError("the body's chunks are of other sizes than they say")
        return received

    def _next_chunk(self, deadline: Deadline) -> int:
        """Return the size of the next chunk; 0 after the last one, and what follows it."""
        found = _CHUNK.fullmatch(self._line(deadline))
        if found is None:
            raise TryAgainError("the body's chunks do not say their sizes")
        size = int(found[1], 16)
        if size == 0:
            until = time.monotonic() + deadline.settings.stall_timeout_seconds
            while self._line(deadline, until):
                pass
        return size

    def _line(self, deadline: Deadline, until: float | None = None) -> bytes:
        limit = until or time.monotonic() + deadline.settings.stall_timeout_seconds
        return self._stream.read_until(_LINE_END, deadline, limit=_LINE_BYTES, until=limit).rstrip(b"\r\n")


def what_broke(error: BaseException) -> str:
    """Return what an error of a connection means, in a few words."""
    if isinstance(error, TimeoutError):
        return "stalled"
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return "the connection broke"
    if message := getattr(error, "verify_message", None):
        return f"its certificate is not trusted ({message})"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(text).splitlines()[0][:200]


def _head(stream: Stream, deadline: Deadline, until: float) -> tuple[bool, int, dict[str, str]]:
    """Return whether a head is of HTTP/1.1, its status, and its headers by their names in lower case."""
    start = stream.read_until(_LINE_END, deadline, limit=_HEAD_BYTES, until=until).decode("latin-1").rstrip("\r\n")
    found = _STATUS.fullmatch(start)
    if found is None:
        raise TryAgainError(f"what answered speaks no HTTP: {start[:60]!r}")
    lines = stream.read_until(_HEADERS_END, deadline, limit=_HEAD_BYTES, until=until).decode("latin-1")
    headers: dict[str, str] = {}
    for line in lines.rstrip("\r\n").split("\n") if lines.strip("\r\n") else ():
        name, colon, value = line.partition(":")
        if not colon or name != name.strip():
            raise TryAgainError("the answer's headers are broken")
        name, value = name.lower(), value.strip()
        headers[name] = value if headers.get(name, value) == value else f"{headers[name]}, {value}"
    return found[1] == "1", int(found[2]), headers


def _length(headers: dict[str, str]) -> int | None:
    text = headers.get("content-length")
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= _LARGEST_BYTES):
        raise TryAgainError(f"the answer announces a length that is none: {text[:60]!r}")
    return int(text)
