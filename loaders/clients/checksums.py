"""The checksum that a store has for an object, and its comparison with the bytes received."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from loaders.clients.crc import CRC32, CRC32C, CRC64NVME, Crc
from loaders.clients.retry import TryAgainError

# Cheapest first: an object may have several, and one is enough.
_STORED = ("crc32", "crc64nvme", "crc32c", "sha1", "sha256")
_CRCS = {crc.name: crc for crc in (CRC32, CRC32C, CRC64NVME)}
# A weak ETag (W/"...") names what is shown, not bytes: it is the MD5 of nothing, even where it has the digits of one.
_ETAG = re.compile(r'"?([0-9a-fA-F]{32})(?:-([0-9]{1,5}))?"?')
_VALUE = re.compile(r"([A-Za-z0-9+/]+=*)(?:-([1-9][0-9]{0,4}))?")
_DIGEST_BYTES = {"crc32": 4, "crc64nvme": 8, "crc32c": 4, "sha1": 20, "sha256": 32}


@dataclass(frozen=True)
class Expected:
    """The checksum that a store has for an object: of the whole, or, with `parts`, of the checksums of its parts.

    `is_etag` says that the store never called it one.
    """

    algorithm: str
    digest: bytes
    parts: int | None = None
    is_etag: bool = False


Checksum = tuple[Expected, Sequence[tuple[int, int]]]
"""A checksum, and the stretches of the object that it was made from: all of it, or its parts."""


def md5_of_etag(etag: str, size_bytes: int) -> Checksum | None:
    """Return the checksum that a plain ETag may be; None for an ETag that is not an MD5 of the whole object."""
    found = _ETAG.fullmatch(etag.strip())
    if found is None or found[2]:
        return None
    return Expected("md5", bytes.fromhex(found[1]), is_etag=True), [(0, size_bytes)]


def expected(headers: Mapping[str, str], *, etag_is_md5: bool) -> Expected | None:
    """Return the checksum of an object from the headers of a HEAD; None if it has none.

    Raises:
        TryAgainError: a header that is to hold a checksum holds something else; without it, no byte would be checked.
    """
    composite = headers.get("x-amz-checksum-type", "").strip().upper() == "COMPOSITE"
    stored = [_stored(algorithm, headers.get(f"x-amz-checksum-{algorithm}", "").strip()) for algorithm in _STORED]
    found = [checksum for checksum in stored if checksum is not None and (checksum.parts or not composite)]
    whole = next((checksum for checksum in found if checksum.parts is None), None)
    if whole is not None:
        return whole
    if found:
        return found[0]
    etag = _ETAG.fullmatch(headers.get("etag", "").strip())
    # With keys of its own, or a customer's, the store's ETag is something else than an MD5.
    encrypted = headers.get("x-amz-server-side-encryption", "AES256") != "AES256"
    encrypted = encrypted or "x-amz-server-side-encryption-customer-algorithm" in headers
    if etag is None or encrypted or not etag_is_md5:
        return None
    return Expected("md5", bytes.fromhex(etag[1]), int(etag[2]) if etag[2] else None, is_etag=True)


def _stored(algorithm: str, text: str) -> Expected | None:
    if not text:
        return None
    found = _VALUE.fullmatch(text)
    try:
        digest = base64.b64decode(found[1], validate=True) if found else b""
    except binascii.Error:
        digest = b""
    if found is None or len(digest) != _DIGEST_BYTES[algorithm]:
        raise TryAgainError(f"the header x-amz-checksum-{algorithm} holds no {algorithm.upper()} but {text[:80]!r}")
    return Expected(algorithm, digest, int(found[2]) if found[2] else None)


class Sum(Protocol):
    """The checksum of a range of bytes that arrive in pieces, in any order, from many threads."""

    def add(self, start: int, data: memoryview) -> None:
        """Add a piece; `start` counts within the range."""

    def digest(self) -> bytes:
        """Return the checksum after all pieces were added."""


class ObjectSum:
    """The checksum of an object as its ranges arrive."""

    def __init__(self, checksum: Expected, stretches: Sequence[tuple[int, int]]) -> None:
        """Expect the checksum of an object that was summed in stretches: all of it, or its parts."""
        self._expected = checksum
        self._ranges = stretches
        self._sums = [_sum(checksum.algorithm) for _ in self._ranges]

    def add(self, start: int, data: memoryview) -> None:
        """Take the bytes of the object from `start`, which are at their place and will not change."""
        for (begin, end), part in zip(self._ranges, self._sums, strict=True):
            low, high = max(begin, start), min(end, start + len(data))
            if low < high:
                part.add(low - begin, data[low - start : high - start])

    def mismatch(self) -> str | None:
        """Return how the bytes differ from the stored checksum; None if they match."""
        digests = [part.digest() for part in self._sums]
        if self._expected.parts is None:
            found = digests[0]
        else:
            outer = _sum(self._expected.algorithm)
            outer.add(0, memoryview(b"".join(digests)))
            found = outer.digest()
        if found == self._expected.digest:
            return None
        hint = (
            ", or the store's ETags only look like an MD5 (if so, set storage.etag_is_md5: false)"
            if self._expected.is_etag
            else ""
        )
        return (
            f"its {self._expected.algorithm.upper()} is {found.hex()}, the store says {self._expected.digest.hex()}: "
            f"it was altered on its way, or in the store{hint}"
        )


def _sum(algorithm: str) -> Sum:
    return _CrcSum(_CRCS[algorithm]) if algorithm in _CRCS else _HashSum(algorithm)


class _CrcSum:
    """Each piece by itself, in whichever thread brings it; joined at the end."""

    def __init__(self, crc: Crc) -> None:
        self._crc = crc
        self._pieces: dict[int, tuple[int, int]] = {}

    def add(self, start: int, data: memoryview) -> None:
        self._pieces[start] = (self._crc.of(data), len(data))

    def digest(self) -> bytes:
        value = 0
        for _, (piece, length) in sorted(self._pieces.items()):
            value = self._crc.combined(value, piece, length)
        return value.to_bytes(self._crc.digest_bytes, "big")


class _HashSum:
    """In order: the thread that brings the next piece hashes it, and those that waited behind it."""

    def __init__(self, algorithm: str) -> None:
        self._hash: Any = hashlib.new(algorithm, usedforsecurity=False)
        self._next = 0
        self._waiting: dict[int, memoryview] = {}
        self._lock = threading.Lock()
        self._busy = False

    def add(self, start: int, data: memoryview) -> None:
        with self._lock:
            self._waiting[start] = data
            if self._busy:
                return
            self._busy = True
        for piece in self._ready():
            self._hash.update(piece)

    def _ready(self) -> Iterator[memoryview]:
        while True:
            with self._lock:
                piece = self._waiting.pop(self._next, None)
                if piece is None:
                    self._busy = False
                    return
                self._next += len(piece)
            yield piece

    def digest(self) -> bytes:
        digest: bytes = self._hash.digest()
        return digest
