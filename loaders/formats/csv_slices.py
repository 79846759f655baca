"""Cut a CSV file into slices that begin with a row, to parse them in parallel.

Arrow's own splitting is not used. With `newlines_in_values=False` it may split a quoted value with a line end; with
True it first looks for all quotes in a single thread, and drops the line feed of a CRLF that is split between blocks.
"""

from __future__ import annotations

import codecs
import re

_PIECE_BYTES = 1 << 16
# A slice that grows beyond this multiple of its size is as slow as parsing with one thread.
_MOST_SIZES = 16
_CR, _LF = b"\r\n"


class Quoting:
    """The delimiter and quote bytes of a CSV file."""

    def __init__(self, delimiter: str, quote_char: str) -> None:
        self.quote = quote_char.encode()
        self._before_field = frozenset(delimiter.encode() + b"\r\n")
        quote, before = re.escape(self.quote), re.escape(delimiter.encode()) + rb"\r\n"
        # From the quote that opens a field to the one that closes it, or to the end; a doubled quote is one character.
        self._quoted = re.compile(rb"(?:\A|[%b])%b(?:[^%b]++|%b%b)*+(%b?)" % (before, *[quote] * 5)) if quote else None

    def surely_outside(self, data: memoryview, start: int, end: int) -> bool:
        """Return whether `end` is certainly not within quotes, given that a row begins at `start`.

        That is certain if the last quote before it is not an opening one. An opening quote is at the start of a field;
        the second of a doubled quote follows another quote. The result may be False for an end outside of quotes.
        """
        if not self.quote:
            return True
        last = _rfind(data, self.quote, start, end)
        if last <= start:
            return last < 0
        before = data[last - 1]
        return before not in self._before_field and before != self.quote[0]

    def ends_open(self, data: memoryview, start: int, end: int) -> bool:
        """Return whether `end` is within quotes, given that a row begins at `start`."""
        if self._quoted is None or self.surely_outside(data, start, end):
            return False
        closing = b"closed"
        for found in self._quoted.finditer(data[start:end]):
            closing = found[1]
        return not closing


def slices(data: memoryview, start: int, quoting: Quoting, size_bytes: int) -> list[tuple[int, int]] | None:
    """Return slices of about equal size that cover the data, each with whole rows.

    Return None if no certain end of a row is found for so long that a slice would become much larger.
    """
    line_end = b"\n" if _find(data, b"\n", start) >= 0 else b"\r"
    found: list[tuple[int, int]] = []
    while start < len(data) or not found:
        end = _row_end(data, quoting, line_end, start, size_bytes)
        if end is None:
            return None
        found.append((start, end))
        start = end
    return found


def _row_end(data: memoryview, quoting: Quoting, line_end: bytes, start: int, size_bytes: int) -> int | None:
    """Return the end of a row at some distance after the start of one; None if none is certain."""
    end, step = start + size_bytes - 1, 0
    while end - start < _MOST_SIZES * size_bytes:
        end = _find(data, line_end, end + step) + 1
        if end == 0:
            return len(data)
        # At the beginning of a slice Arrow would treat it as a byte-order mark.
        if quoting.surely_outside(data, start, end) and data[end : end + 3].tobytes() != codecs.BOM_UTF8:
            return end
        # The distance grows quickly, because a single value may be longer than a slice.
        step = 2 * step + 1
    return None


def safe_block_bytes(data: memoryview, size_bytes: int) -> int:
    """Return a block size, at least the one given, whose blocks do not split a CRLF."""
    while any(data[end - 1] == _CR and data[end] == _LF for end in range(size_bytes, len(data), size_bytes)):
        size_bytes += 1
    return size_bytes


def _find(data: memoryview, byte: bytes, start: int) -> int:
    for low in range(start, len(data), _PIECE_BYTES):
        place = data[low : low + _PIECE_BYTES].tobytes().find(byte)
        if place >= 0:
            return low + place
    return -1


def _rfind(data: memoryview, byte: bytes, start: int, end: int) -> int:
    for high in range(end, start, -_PIECE_BYTES):
        low = max(start, high - _PIECE_BYTES)
        place = data[low:high].tobytes().rfind(byte)
        if place >= 0:
            return low + place
    return -1
