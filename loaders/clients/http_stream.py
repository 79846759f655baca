"""A connection on which each wait is bounded: for the next byte and for a whole header.

The standard library's client bounds only the wait for the next piece, so that a server which sends a header byte by
byte holds it for as long as it likes; and its responses cannot be read into memory that is already there.
"""

from __future__ import annotations

import re
import socket
import time
from contextlib import suppress

from loaders.clients.retry import Deadline, TryAgainError

# A head or so: what comes with it is copied once more, and a body is received where it belongs.
_RECEIVED_BYTES = 1 << 12
# An end is at most a few bytes long, and some of them may have come with what was searched already.
_LONGEST_END = 3
# Setting a timeout lets other threads run, and this one wait for its turn: differences below this are not worth it.
_TIMEOUT_STEP_SECONDS = 0.01


class Stream:
    """The bytes of a connected socket, plain or TLS."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._buffer = bytearray()
        self._timeout_seconds: float | None = None

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Send all the data."""
        self._wait_at_most(deadline.timeout())
        self._socket.sendall(data)

    def read_until(self, end: re.Pattern[bytes], deadline: Deadline, *, limit: int, until: float) -> bytes:
        """Return the bytes up to an end and with it, of which there are at most `limit`; by a time of the clock.

        Raises:
            TryAgainError: there are more, or the connection ended before.
            OSError: the connection broke, or time ran out.
        """
        searched = 0
        while (found := end.search(self._buffer, searched)) is None:
            if len(self._buffer) > limit:
                raise TryAgainError(f"more than {limit:,} bytes came without an end of the header")
            searched = max(0, len(self._buffer) - _LONGEST_END)
            self._receive(deadline, until)
        taken = bytes(self._buffer[: found.end()])
        del self._buffer[: len(taken)]
        return taken

    def read_into(self, view: memoryview, deadline: Deadline) -> int:
        """Fill the beginning of the view with what is there next, and return how much; 0 where the connection ended."""
        if self._buffer:
            count = min(len(view), len(self._buffer))
            view[:count] = self._buffer[:count]
            del self._buffer[:count]
            return count
        self._wait_at_most(deadline.timeout())
        return self._socket.recv_into(view)

    def is_quiet(self) -> bool:
        """Tell whether nothing came that was not asked for: neither bytes nor an end."""
        if self._buffer:
            return False
        try:
            self._socket.settimeout(0)
            self._timeout_seconds = None
            # For TLS too: what waits there decrypted is found as well.
            self._socket.recv(1)
        except OSError as error:
            # What would have to wait: plain sockets say so by one class, TLS by another.
            return isinstance(error, BlockingIOError) or type(error).__name__ == "SSLWantReadError"
        return False

    def shut_down(self) -> None:
        """Have whoever waits for the connection, in another thread, see its end."""
        # An SSLSocket's own method would take the TLS away from under the thread that reads.
        with suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _receive(self, deadline: Deadline, until: float) -> None:
        left = min(deadline.timeout(), until - time.monotonic())
        if left <= 0:
            raise TimeoutError
        self._wait_at_most(left)
        received = self._socket.recv(_RECEIVED_BYTES)
        if not received:
            raise ConnectionResetError
        self._buffer += received

    def _wait_at_most(self, seconds: float) -> None:
        if self._timeout_seconds is None or abs(seconds - self._timeout_seconds) > _TIMEOUT_STEP_SECONDS:
            self._socket.settimeout(seconds)
            self._timeout_seconds = seconds
