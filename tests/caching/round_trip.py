"""A value through the codec as through a file: every buffer becomes other memory."""

from __future__ import annotations

from typing import Any

from caching.codec import decode, encode


def round_trip(value: Any) -> Any:
    """The value as it comes back."""
    document, buffers = encode(value)
    return decode(bytes(document), [memoryview(bytearray(memoryview(buffer))) for buffer in buffers])
