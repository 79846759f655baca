"""Compress and decompress files; each codec is imported when a file needs it."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
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
    "gzip": rb"\x1f\x8b",
    # A frame, or the skippable frame that parallel compressors write first.
    "zstd": rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18",
    "bz2": rb"BZh",
    "xz": rb"\xfd7zXZ\x00",
}
# A file that expands more than this, beyond a size, is meant to fill the memory. Text seldom expands 50 times.
_MOST_EXPANSION = 200
_UNSUSPICIOUS_BYTES = 64 << 20
_OUTPUT_BYTES = 16 << 20
# The input of one decompressor call: at the end of a stream the decompressor copies the rest of its input.
_PIECE_BYTES = 256 << 10


def split_compression(name: str) -> tuple[str, str | None]:
    """Return a file name without its compression suffix, and the compression.

    >>> split_compression("spend.csv.gz")
    ('spend.csv', 'gzip')
    """
    lower = name.lower()
    for suffix, compression in _SUFFIXES.items():
        if lower.endswith(suffix):
            return name[: -len(suffix)], compression
    return name, None


@contextmanager
def compressing(path: Path, compression: str | None) -> Iterator[Any]:
    """Open a file for writing; a compression of None writes plain bytes.

    The same bytes make the same file: it contains no name and no time.
    """
    with path.open("wb") as file:
        if compression is None:
            yield file
        elif compression == "gzip":
            import gzip

            with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as stream:
                yield stream
        elif compression == "zstd":
            with pa.CompressedOutputStream(pa.PythonFile(file, "w"), "zstd") as stream:
                yield stream
        else:
            with import_module({"bz2": "bz2", "xz": "lzma"}[compression]).open(file, "wb") as stream:
                yield stream


def compression_by_content(data: pa.Buffer) -> str | None:
    """Return the compression that the first bytes of a file indicate, if any."""
    head = memoryview(data)[:6].tobytes()
    return next((name for name, magic in _MAGIC.items() if re.match(magic, head)), None)


def decompressed(data: pa.Buffer, compression: str, shown: str) -> pa.Buffer:
    """Return the decompressed bytes; raise ReadError for truncated, damaged or other data."""
    with decompression_errors(data, compression, shown):
        return pa.py_buffer(_DECOMPRESS[compression](data))


@contextmanager
def decompression_errors(data: pa.Buffer, compression: str, shown: str) -> Iterator[None]:
    """Raise ReadError for data of another compression, and for whatever a codec raises inside the block."""
    if compression_by_content(data) != compression:
        raise ReadError(
            f"'{shown}' is not {compression} data, although its name or its contract's format says so. "
            "Correct the name, or set FormatOptions(compression=…)."
        )
    try:
        yield
    except _ExpansionError as error:
        raise ReadError(f"'{shown}' was not decompressed: {error}.") from None
    except Exception as error:  # noqa: BLE001 — each codec has exceptions of its own, and they mean the same here
        raise ReadError(
            f"'{shown}' is damaged or ends early: {type(error).__name__}: {error}. Write or copy it again."
        ) from None


def _gzip(data: pa.Buffer) -> Any:
    import zlib

    # zlib checks length and CRC of each member.
    return _streams(data, lambda: zlib.decompressobj(wbits=31), padding=1)


def _zstd(data: pa.Buffer) -> Any:
    plain = io.BytesIO()
    source = pa.BufferReader(data)
    with pa.CompressedInputStream(source, "zstd") as stream:
        while piece := stream.read(_OUTPUT_BYTES):
            plain.write(piece)
            _refuse_bomb(plain.tell(), source.tell())
    return plain.getbuffer()


def _bz2(data: pa.Buffer) -> Any:
    import bz2

    return _streams(data, bz2.BZ2Decompressor, padding=0)


def _xz(data: pa.Buffer) -> Any:
    import lzma

    return _streams(data, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ), padding=4)


def _streams(data: pa.Buffer, decompressor: Callable[[], Any], padding: int) -> bytes:
    """Return the content of all concatenated streams; only zeros may follow, in multiples of `padding`.

    The codecs' own `decompress` functions silently ignore damaged streams after the first.
    """
    view = memoryview(data)
    plain = io.BytesIO()
    position = 0
    while position < view.nbytes:
        stream = decompressor()
        while not stream.eof:
            piece = view[position : position + _PIECE_BYTES]
            if not piece.nbytes:
                raise EOFError("its last stream has no end")
            for output in _outputs(stream, piece):
                plain.write(output)
                _refuse_bomb(plain.tell(), position + piece.nbytes)
            position += piece.nbytes - len(stream.unused_data)
        zeros = _zeros(view, position) if padding else 0
        if zeros and zeros % padding:
            raise ValueError(f"{zeros} zero bytes follow a stream, no multiple of {padding}")
        position += zeros
    return plain.getvalue()


def _outputs(stream: Any, piece: memoryview) -> Iterator[bytes]:
    """Yield the output for a piece of input, in bounded pieces; zlib keeps the rest of the input, others hold it."""
    yield stream.decompress(piece, _OUTPUT_BYTES)
    while rest := getattr(stream, "unconsumed_tail", b""):
        yield stream.decompress(rest, _OUTPUT_BYTES)
    while not stream.eof and not getattr(stream, "needs_input", True):
        yield stream.decompress(b"", _OUTPUT_BYTES)


class _ExpansionError(Exception):
    """Raised for a file that expands as only one that is meant to fill the memory does."""


def _refuse_bomb(plain_bytes: int, packed_bytes: int) -> None:
    if plain_bytes > max(_UNSUSPICIOUS_BYTES, _MOST_EXPANSION * packed_bytes):
        raise _ExpansionError(
            f"its first {packed_bytes:,} bytes expand to {plain_bytes:,}, more than {_MOST_EXPANSION} times as many, "
            "as if to fill the memory. If that is meant, store it uncompressed or as Parquet"
        )


def _zeros(view: memoryview, start: int) -> int:
    """Return the number of zero bytes from a position on."""
    position = start
    while piece := view[position : position + _PIECE_BYTES].tobytes():
        rest = len(piece.lstrip(b"\0"))
        position += len(piece) - rest
        if rest:
            break
    return position - start


_DECOMPRESS = {"gzip": _gzip, "zstd": _zstd, "bz2": _bz2, "xz": _xz}
