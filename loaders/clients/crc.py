"""Compute the cyclic redundancy checks that S3 stores, from pieces in any order.

CRC-32 of a piece comes from zlib, which is always there; the other checks, and the joining of pieces, from awscrt.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Crc:
    """A cyclic redundancy check, by the name that awscrt gives its function."""

    name: str
    bits: int

    @property
    def digest_bytes(self) -> int:
        """The length of the value as it is stored: big-endian."""
        return self.bits // 8

    def of(self, data: memoryview, value: int = 0) -> int:
        """Return the CRC of data that follows what has the CRC `value`."""
        return zlib.crc32(data, value) if self.name == "crc32" else _awscrt(self.name)(data, value)

    def combined(self, first: int, second: int, second_bytes: int) -> int:
        """Return the CRC of data from that of its first part and that of its second, whose length is given."""
        return second if first == 0 else _awscrt(f"combine_{self.name}")(first, second, second_bytes)


CRC32 = Crc("crc32", 32)
CRC32C = Crc("crc32c", 32)
CRC64NVME = Crc("crc64nvme", 64)


def _awscrt(function: str) -> Callable[..., int]:
    # Imported here: most objects are checked by one CRC-32 or an MD5, which need none of it.
    from awscrt import checksums

    found: Callable[..., int] = getattr(checksums, function)
    return found
