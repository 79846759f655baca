"""Read and validate a Parquet footer: position and size of each column's chunks."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import NamedTuple

import pyarrow as pa
from pyarrow.parquet import FileMetaData, ParquetFile, read_metadata, write_table

from loaders.errors import ReadError

MAGIC = b"PAR1"
_ENCRYPTED_MAGIC = b"PARE"
# The message of Arrow 20 to 26 for a valid chunk in a file that ends before it.
_MISSING_CHUNK = "Invalid column metadata (corrupt file?)"


class Chunk(NamedTuple):
    """The values of one column in one row group; `path` is the column's name, or a path into a nested column."""

    path: str
    group: int
    begin: int
    end: int
    uncompressed_bytes: int
    values: int
    has_dictionary: bool


@contextmanager
def refusing_damage(shown: str, what: str = "is damaged") -> Iterator[None]:
    """Raise a ReadError for an Arrow error about a file."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        message = (str(error).splitlines() or [type(error).__name__])[0][:300]
        raise ReadError(f"'{shown}' {what}: {message}") from None


def refuse_other_formats(start: memoryview, end: memoryview, size_bytes: int, shown: str) -> None:
    """Raise ReadError for a file that does not begin and end like Parquet."""
    if _ENCRYPTED_MAGIC in (start, end):
        raise ReadError(f"'{shown}' is encrypted Parquet, which cannot be read here. Write it without encryption.")
    if size_bytes < 12 or start != MAGIC or end != MAGIC:
        why = "its footer is missing, so it may be cut short" if size_bytes else "it is empty"
        raise ReadError(f"'{shown}' is not a complete Parquet file: {why}. Write or copy it again.")


def footer_metadata(footer: pa.Buffer, shown: str) -> FileMetaData:
    """Return the metadata in the bytes of a footer."""
    with refusing_damage(shown, "has a damaged footer"):
        return read_metadata(pa.BufferReader(footer))


def chunks_of(metadata: FileMetaData, names: Collection[str], size_bytes: int, shown: str) -> list[Chunk]:
    """Return the chunks of some columns, in the order of the footer."""
    with refusing_damage(shown, "has a damaged footer"):
        paths = [metadata.schema.column(position).path for position in range(metadata.num_columns)]
        wanted = {position: path for position, path in enumerate(paths) if column_of(path, names) is not None}
        _refuse_what_kills(metadata, list(wanted.values()))
        found = []
        for group in range(metadata.num_row_groups):
            row_group = metadata.row_group(group)
            for position in wanted:
                chunk = row_group.column(position)
                dictionary = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
                begin = min(dictionary, chunk.data_page_offset)
                end = begin + chunk.total_compressed_size
                if not 0 <= begin <= end <= size_bytes or chunk.total_uncompressed_size < 0 or chunk.num_values < 0:
                    raise OSError(f"column {chunk.path_in_schema!r} lies outside of the file")
                sizes = (chunk.total_uncompressed_size, chunk.num_values, chunk.has_dictionary_page)
                found.append(Chunk(chunk.path_in_schema, group, begin, end, *sizes))
        return found


def column_of(path: str, names: Collection[str]) -> str | None:
    """Return the column that a path belongs to: the column itself, or a nested one."""
    while path not in names:
        path, dot, _ = path.rpartition(".")
        if not dot:
            return None
    return path


def _refuse_what_kills(metadata: FileMetaData, paths: Sequence[str]) -> None:
    """Validate the chunks of some columns, for which Arrow may abort the process instead of raising.

    A row group's `column()` does not catch C++ exceptions for a damaged or encrypted chunk, and they end the process. A
    read validates the same chunks before it fetches bytes, and raises; so each is read from an empty file.
    """
    file = ParquetFile(pa.BufferReader(MAGIC), metadata=metadata)
    for group in range(metadata.num_row_groups):
        for path in paths:
            message = _message_of(file, group, path)
            if message not in ("", _MISSING_CHUNK) and message != _missing_chunk():
                raise OSError(message)


def _message_of(file: ParquetFile, group: int, path: str) -> str:
    try:
        file.read_row_group(group, [path], use_threads=False)
    except OSError as error:
        return str(error)
    return ""


@lru_cache(maxsize=1)
def _missing_chunk() -> str:
    """Return the installed Arrow's message for that case, which may differ from the known one."""
    sink = io.BytesIO()
    write_table(pa.table({"a": [1]}), sink)
    metadata = read_metadata(pa.BufferReader(sink.getvalue()))
    return _message_of(ParquetFile(pa.BufferReader(MAGIC), metadata=metadata), 0, "a")
