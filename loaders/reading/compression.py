"""Compressed files: each codec is imported where a file needs it."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from loaders.errors import ReadError

_SUFFIXES = {
    ".gz": "gzip",
    ".gzip": "gzip",
    ".zst": "zstd",
    ".zstd": "zstd",
    ".bz2": "bz2",
    ".xz": "xz",
}
_MAGIC = {
    "gzip": b"\x1f\x8b",
    "zstd": b"\x28\xb5\x2f\xfd",
    "bz2": b"BZh",
    "xz": b"\xfd7zXZ\x00",
}


def split_compression(name: str) -> tuple[str, str | None]:
    """Return the name without the suffix of a compression, and that compression.

    >>> split_compression("spend.csv.gz")
    ('spend.csv', 'gzip')
    """
    lower = name.lower()
    for suffix, compression in _SUFFIXES.items():
        if lower.endswith(suffix):
            return name[: -len(suffix)], compression
    return name, None


def decompressed(data: pa.Buffer, compression: str, shown: str) -> pa.Buffer:
    """Return the plain bytes; refuse data that ends early, is damaged, or is not compressed so."""
    if not memoryview(data)[:6].tobytes().startswith(_MAGIC[compression]):
        raise ReadError(
            f"'{shown}' is not {compression} data, as its name or its contract's format says. "
            "Correct the name, or set FormatOptions(compression=…)."
        )
    try:
        return pa.py_buffer(_DECOMPRESS[compression](data))
    except Exception as error:  # noqa: BLE001 — each codec has exceptions of its own, and they mean the same here
        raise ReadError(
            f"'{shown}' is damaged or ends early: {type(error).__name__}: {error}. Write or copy it again."
        ) from None


def _gzip(data: pa.Buffer) -> Any:
    import zlib

    # Several members may follow each other; zlib checks length and CRC of each.
    plain = []
    rest = memoryview(data)
    while rest.nbytes and bytes(rest[:1]) != b"\x00":
        member = zlib.decompressobj(wbits=31)
        plain.append(member.decompress(rest))
        if not member.eof:
            raise EOFError("the gzip stream has no end")
        rest = memoryview(member.unused_data)
    return b"".join(plain) if len(plain) != 1 else plain[0]


def _zstd(data: pa.Buffer) -> Any:
    with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
        return stream.read()


def _bz2(data: pa.Buffer) -> Any:
    import bz2

    return bz2.decompress(data)


def _xz(data: pa.Buffer) -> Any:
    import lzma

    return lzma.decompress(data)


_DECOMPRESS = {"gzip": _gzip, "zstd": _zstd, "bz2": _bz2, "xz": _xz}
