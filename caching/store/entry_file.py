"""The file format of an entry: a prefix, a JSON header and the value's buffers, each with a checksum.

    prefix (64 bytes)   magic, length of the header, length of the file, xxh3-128 of all that and the header
    header (JSON)       namespace and digest of the key, time of creation, record, positions of the buffers,
                        a checksum for every 4 MiB of what follows
    buffers             each at a multiple of 64 bytes; the first is the value's document

A file is written once, and afterwards only replaced or removed: existing memory maps keep their content. Nothing is
synced to the disk: every byte is checked before it is served, so a power cut can only cost the entry.
"""

from __future__ import annotations

import json
import os
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from xxhash import xxh3_128, xxh3_128_digest, xxh3_128_hexdigest

from caching.codec import Damaged
from caching.store.memory_map import map_privately

_MAGIC = b"srcswap\x01"
_PREFIX = struct.Struct("<8sQQ16s24x")
_ALIGNMENT = 64
_CHUNK_BYTES = 4 << 20
_DIGEST_CHARS = 32
# Read in one call: the header, and with most small values the whole entry.
FIRST_READ_BYTES = 32 << 10
# Up to here, copying is cheaper than a mapping of its own.
_MAPPED_FROM_BYTES = 128 << 10
_THREADS_FROM_BYTES = 256 << 20
_MAX_HEADER_BYTES = 64 << 20
# Without the search for white space and encodings: a third of the cost of a small header.
_parse = json.JSONDecoder().raw_decode


class Head(NamedTuple):
    """The header of an entry, verified by its checksum."""

    namespace: str
    key: str
    created_at: float
    record: dict[str, Any]
    form: str
    identity: str
    size_bytes: int
    data_start: int
    places: list[list[int]]
    digests: list[str]


def write_entry(
    fd: int,
    namespace: str,
    key: str,
    *,
    created_at: float,
    record: Mapping[str, object],
    form: str,
    parts: Sequence[Any],
) -> int:
    """Write an entry into an empty file; return its size in bytes."""
    views = [memoryview(part).cast("B") if len(memoryview(part)) else memoryview(b"") for part in parts]
    places, data_size = _lay_out(views)
    header: dict[str, Any] = {
        "namespace": namespace,
        "key": key,
        "created_at": created_at,
        "record": record,
        "form": form,
        "places": places,
        "digests": ["0" * _DIGEST_CHARS] * -(-data_size // _CHUNK_BYTES),
    }
    data_start = _PREFIX.size + len(_pack_header(header))
    os.lseek(fd, data_start, os.SEEK_SET)
    header["digests"] = _write_data(fd, views)
    packed = _pack_header(header)
    size = data_start + data_size
    bare = _PREFIX.pack(_MAGIC, len(packed), size, bytes(16))
    prefix = _PREFIX.pack(_MAGIC, len(packed), size, xxh3_128_digest(bare + packed))
    os.lseek(fd, 0, os.SEEK_SET)
    _write_all(fd, [memoryview(prefix), memoryview(packed)])
    return size


def _lay_out(views: list[memoryview]) -> tuple[list[list[int]], int]:
    places, end = [], 0
    for view in views:
        places.append([end, len(view)])
        end += len(view) + -len(view) % _ALIGNMENT
    return places, end


def _pack_header(header: dict[str, Any]) -> bytes:
    packed = json.dumps(header, separators=(",", ":")).encode("ascii")
    return packed + b" " * (-(_PREFIX.size + len(packed)) % _ALIGNMENT)


def _write_data(fd: int, views: list[memoryview]) -> list[str]:
    """Write the buffers with padding; return the checksum of each chunk."""
    digests = []
    for pieces in _chunks(views):
        state = xxh3_128()
        for piece in pieces:
            state.update(piece)
        digests.append(state.hexdigest())
        _write_all(fd, pieces)
    return digests


def _chunks(views: list[memoryview]) -> Iterator[list[memoryview]]:
    """Yield the data in chunks of fixed size, across the bounds of buffers."""
    pieces: list[memoryview] = []
    room = _CHUNK_BYTES
    for view in views:
        for part in (view, memoryview(bytes(-len(view) % _ALIGNMENT))):
            start = 0
            while start < len(part):
                piece = part[start : start + room]
                pieces.append(piece)
                start += len(piece)
                room -= len(piece)
                if not room:
                    yield pieces
                    pieces, room = [], _CHUNK_BYTES
    if pieces:
        yield pieces


def _write_all(fd: int, pieces: list[memoryview]) -> None:
    for start in range(0, len(pieces), 512):
        group = pieces[start : start + 512]
        written = os.writev(fd, group) if hasattr(os, "writev") else 0
        for piece in group:
            # What one call did not take: a nearly full disk, a limit of the platform.
            while written < len(piece):
                count = os.write(fd, piece[written:])
                piece, written = piece[written + count :], 0
            written -= len(piece)


def read_head(first: bytes, file_size: int, fd: int) -> Head:
    """Return the header of an entry from its first bytes; raise Damaged if it is incomplete."""
    if len(first) < _PREFIX.size:
        raise Damaged("it is too short to be an entry")
    magic, length, size, digest = _PREFIX.unpack_from(first)
    if magic != _MAGIC:
        raise Damaged("it is no entry of this cache")
    data_start = _PREFIX.size + length
    if size != file_size or data_start > size or length > _MAX_HEADER_BYTES:
        raise Damaged(f"it has {file_size} bytes instead of {size}")
    packed = first[_PREFIX.size : data_start]
    if len(packed) < length:
        rest = bytearray(length - len(packed))
        _read_at(fd, memoryview(rest), len(first))
        packed += rest
    if xxh3_128_digest(_PREFIX.pack(magic, length, size, bytes(16)) + packed) != digest or any(first[40:64]):
        raise Damaged("its header does not match its checksum")
    fields, _ = _parse(packed.decode("ascii"))
    head = Head(
        fields["namespace"], fields["key"], fields["created_at"], fields["record"], fields["form"],
        digest.hex(), size, data_start, fields["places"], fields["digests"],
    )  # fmt: skip
    _check_fields(head)
    return head


def _check_fields(head: Head) -> None:
    kinds = (str, str, float | int, dict, str, str, int, int, list, list)
    if not all(isinstance(field, kind) for field, kind in zip(head, kinds, strict=True)):
        raise Damaged("its header has fields of the wrong type")
    room = head.size_bytes - head.data_start
    if len(head.digests) != -(-room // _CHUNK_BYTES) or head.data_start % _ALIGNMENT:
        raise Damaged("its checksums do not cover it")
    for start, length in head.places:
        if type(start) is not int or type(length) is not int or start % _ALIGNMENT:
            raise Damaged("a buffer is out of place")
        if start < 0 or length < 0 or start + length > room:
            raise Damaged("a buffer leaves the file")


def read_parts(head: Head, first: bytes, fd: int) -> list[memoryview]:
    """Return document and buffers of the value, every byte checked, in private writable memory."""
    if head.size_bytes <= len(first):
        whole = memoryview(bytearray(first))
    elif head.size_bytes < _MAPPED_FROM_BYTES:
        whole = memoryview(_read_all(fd, head.size_bytes))
    else:
        whole = map_privately(fd, head.size_bytes)
    data = whole[head.data_start :]
    check_chunks(data, head.digests)
    return [data[start : start + length] for start, length in head.places]


def check_chunks(data: memoryview, digests: list[str]) -> None:
    """Raise Damaged unless every chunk of the data has its checksum."""
    # From the end, so that what the caller reads first is what the processor's cache saw last.
    numbers = iter(range(len(digests) - 1, -1, -1))
    if len(data) < _THREADS_FROM_BYTES:
        return _check_some(data, digests, numbers, [])
    # xxhash lets go of the interpreter, and one core alone does not use all of the memory's bandwidth.
    failures: list[Damaged] = []
    helper = threading.Thread(target=_check_some, args=(data, digests, numbers, failures), name="caching-check")
    helper.start()
    try:
        _check_some(data, digests, numbers, failures)
    finally:
        helper.join()
    if failures:
        raise failures[0]
    return None


def _check_some(data: memoryview, digests: list[str], numbers: Iterator[int], failures: list[Damaged]) -> None:
    """Check chunks until none is left; threads take them from one queue."""
    for number in numbers:
        start = number * _CHUNK_BYTES
        if failures:
            return
        if xxh3_128_hexdigest(data[start : start + _CHUNK_BYTES]) != digests[number]:
            damage = Damaged("its content does not match its checksums")
            failures.append(damage)
            if threading.current_thread().name != "caching-check":
                raise damage


def _read_all(fd: int, size: int) -> bytearray:
    content = bytearray(size)
    _read_at(fd, memoryview(content), 0)
    return content


def _read_at(fd: int, target: memoryview, offset: int) -> None:
    """Fill the target from an offset; raise Damaged if the file ends before."""
    while target:
        if hasattr(os, "preadv"):
            count = os.preadv(fd, [target], offset)
        else:
            os.lseek(fd, offset, os.SEEK_SET)
            piece = os.read(fd, len(target))
            count = len(piece)
            target[:count] = piece
        if not count:
            raise Damaged("it ends too early")
        target, offset = target[count:], offset + count
