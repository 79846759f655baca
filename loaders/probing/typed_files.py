"""Probe Parquet and Arrow files by their footers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from loaders.conforming.exact_cast import kind
from loaders.probing.budget import OverBudgetError
from loaders.probing.probe import FileFacts
from loaders.probing.ranged_file import RangedFile
from loaders.schema import DatasetSchema
from loaders.schema.dtypes import is_text

if TYPE_CHECKING:
    from pyarrow.parquet import FileMetaData


def parquet_facts(file: RangedFile, contract: DatasetSchema | None) -> FileFacts:
    """Return the facts of a Parquet footer: rows, types, nulls, and ranges of values."""
    from pyarrow.parquet import ParquetFile

    tail = file.tail()
    if len(tail) < 12 or tail[-4:] != b"PAR1":
        what = "it is too short" if len(tail) < 12 else "its footer is missing, so it may be cut short"
        return FileFacts("parquet", problems=(("live-damaged", f"not a complete Parquet file: {what}"),))
    if file.is_small and tail[:4] != b"PAR1":
        return FileFacts(
            "parquet", problems=(("live-damaged", "not a complete Parquet file: its beginning is missing"),)
        )
    try:
        metadata = ParquetFile(pa.PythonFile(file, mode="r")).metadata
    except OverBudgetError as error:
        return FileFacts("parquet", problems=(("live-unknown", f"its footer is too large: {error}"),))
    except (pa.ArrowException, OSError) as error:
        problem = str(error).splitlines()[0][:200]
        return FileFacts("parquet", problems=(("live-damaged", f"its footer cannot be read: {problem}"),))
    schema = metadata.schema.to_arrow_schema()
    problems = list(_out_of_bounds(metadata, file.size_bytes))
    if contract is not None:
        problems += _out_of_range(metadata, contract)
    nulls = _null_counts(metadata)
    types = {field.name: field for field in schema}
    return FileFacts("parquet", tuple(schema.names), types, nulls, metadata.num_rows, None, tuple(problems))


def feather_facts(file: RangedFile) -> FileFacts:
    """Return the facts of an Arrow file's footer or an Arrow stream's head."""
    head = file.head()
    is_file = head.startswith(b"ARROW1")
    if is_file and not file.tail().endswith(b"ARROW1"):
        return FileFacts(
            "feather",
            problems=(("live-damaged", "not a complete Arrow file: its footer is missing; it may be cut short"),),
        )
    open_reader = pa.ipc.open_file if is_file else pa.ipc.open_stream
    try:
        if not file.is_small:
            reader = open_reader(pa.PythonFile(file, mode="r"))
            return FileFacts("feather", tuple(reader.schema.names), {field.name: field for field in reader.schema})
        table = open_reader(pa.BufferReader(file.whole())).read_all()
    except (pa.ArrowException, OSError, OverBudgetError) as error:
        problem = str(error).splitlines()[0][:200]
        return FileFacts("feather", problems=(("live-damaged", f"not a complete Arrow file: {problem}"),))
    nulls = {name: column.null_count for name, column in zip(table.column_names, table.columns, strict=True)}
    types = {field.name: field for field in table.schema}
    return FileFacts("feather", tuple(table.column_names), types, nulls, table.num_rows)


def type_problem(found: pa.DataType, expected: pa.DataType) -> tuple[str, str] | None:
    """Return severity and reason if a column's type differs from the type that the format stores for the contract's.

    Another width or unit of the same kind is read exactly if each value fits; another kind is an error.
    """
    if plain_type(found) in (plain_type(expected), plain_type(_stored(expected))):
        return None
    if kind(_value_type(found)) == kind(_value_type(expected)):
        return "warning", "read exactly if every value fits"
    return "error", "a different kind of value"


def plain_type(arrow_type: pa.DataType) -> str:
    """Return a type as text without its layout, so that dictionary-encoded text is text."""
    arrow_type = _value_type(arrow_type)
    if is_text(arrow_type):
        return "string"
    if kind(arrow_type) == "binary":
        return "binary"
    if pa.types.is_list(arrow_type) or pa.types.is_large_list(arrow_type):
        return f"list<{plain_type(arrow_type.value_type)}>"
    return str(arrow_type)


def _value_type(arrow_type: pa.DataType) -> pa.DataType:
    return arrow_type.value_type if pa.types.is_dictionary(arrow_type) else arrow_type


@lru_cache(maxsize=256)
def _stored(arrow_type: pa.DataType) -> pa.DataType:
    """Return the type that a Parquet file stores for a type; it has no seconds, for example."""
    from pyarrow.parquet import ParquetFile, ParquetWriter

    sink = pa.BufferOutputStream()
    try:
        with ParquetWriter(sink, pa.schema([("c", arrow_type)])):
            pass
        return ParquetFile(pa.BufferReader(sink.getvalue())).schema_arrow.field(0).type
    except (pa.ArrowException, OSError):
        return arrow_type


def _chunks(metadata: FileMetaData) -> Iterator[tuple[str, Any]]:
    """Yield the column chunks of flat columns, with their names."""
    for group in range(metadata.num_row_groups):
        row_group = metadata.row_group(group)
        for index in range(row_group.num_columns):
            chunk = row_group.column(index)
            yield chunk.path_in_schema, chunk


def _null_counts(metadata: FileMetaData) -> dict[str, int]:
    counts: dict[str, int] = {}
    unknown = set()
    for name, chunk in _chunks(metadata):
        statistics = chunk.statistics
        if statistics is None or not statistics.has_null_count:
            unknown.add(name)
        else:
            counts[name] = counts.get(name, 0) + statistics.null_count
    return {name: count for name, count in counts.items() if name not in unknown}


def _out_of_bounds(metadata: FileMetaData, size_bytes: int) -> Iterator[tuple[str, str]]:
    """Yield the problem that column chunks lie outside the file, which was cut."""
    footer = size_bytes - metadata.serialized_size - 8
    for _, chunk in _chunks(metadata):
        start = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
        if start + chunk.total_compressed_size > footer:
            yield "live-damaged", "its footer describes more data than the file holds; it may be cut short"
            return


def _out_of_range(metadata: FileMetaData, contract: DatasetSchema) -> Iterator[tuple[str, str]]:
    """Yield columns whose statistics show values that the contract's checks refuse."""
    for name, check in contract.checks.items():
        if check.severity == "warning":
            continue  # a read reports it, and how many rows there are
        source_names = {name, contract.source_name(name)}
        ranges = [
            chunk.statistics
            for path, chunk in _chunks(metadata)
            if path in source_names and chunk.statistics is not None and chunk.statistics.has_min_max
        ]
        try:
            low = min((found.min for found in ranges), default=None)
            high = max((found.max for found in ranges), default=None)
            if low is not None and check.minimum is not None and low < check.minimum:
                yield "live-values", f"column '{name}' has {low!r}, below the minimum {check.minimum!r}"
            if high is not None and check.maximum is not None and high > check.maximum:
                yield "live-values", f"column '{name}' has {high!r}, above the maximum {check.maximum!r}"
        except TypeError:
            # Statistics of a column of another type; the type is reported elsewhere.
            continue
