"""Encode a dataset's frame as a file that reads back as the same frame."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
from collections.abc import Callable, Iterator

import pandas as pd
import pyarrow as pa

from loaders.contract import DatasetContract
from loaders.errors import ConfigError
from loaders.formats.csv_format import may_be_empty
from loaders.formats.csv_reader import delimiter_of
from loaders.formats.formats import compression_of, format_by_name
from loaders.schema.format_options import FORMATS, FormatOptions

_COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda data: pa.compress(data, "zstd", asbytes=True),
}


def encode_table(frame: pd.DataFrame, contract: DatasetContract, name: str) -> bytes:
    """Return the bytes of a file for a frame, with the source's column names.

    Format and compression are those of the contract if it has them, otherwise those of the name, as for a read. Raises
    ConfigError for an unknown ending, and for a type that the format cannot hold.
    """
    table = _source_table(frame, contract)
    plain, compression = compression_of(name, contract.format)
    kind = format_by_name(plain, contract.format)
    if kind is None:
        raise ConfigError(
            f"Dataset '{contract.name}' cannot be written as '{name}': files with this ending cannot be written. "
            f"Set FormatOptions(format=…) in its contract to one of {', '.join(FORMATS)}, or end the name with one."
        )
    writers: dict[str, Callable[[], bytes]] = {
        "parquet": lambda: _parquet(table),
        "csv": lambda: _csv(table, contract.format, delimiter_of(contract.format, name)),
        "feather": lambda: _feather(table),
        "jsonl": lambda: _json_lines(table, contract.format),
    }
    try:
        data = writers[kind]()
    except (ValueError, pa.ArrowNotImplementedError, TypeError) as error:
        raise ConfigError(f"Dataset '{contract.name}' cannot be written as '{name}': {error}.") from None
    return _COMPRESSORS[compression](data) if compression else data


def _source_table(frame: pd.DataFrame, contract: DatasetContract) -> pa.Table:
    fields = [column.with_name(contract.source_name(column.name)) for column in contract.schema]
    arrays = [pa.Array.from_pandas(frame[column.name], type=column.type) for column in contract.schema]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _parquet(table: pa.Table) -> bytes:
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, write_page_checksum=True)
    return bytes(sink.getvalue())


def _feather(table: pa.Table) -> bytes:
    import pyarrow.feather as feather

    sink = pa.BufferOutputStream()
    feather.write_feather(table, sink, compression="uncompressed")
    return bytes(sink.getvalue())


def _csv(table: pa.Table, options: FormatOptions, delimiter: str) -> bytes:
    import pyarrow.csv as csv

    if options.quote_char != '"' or "" not in options.null_values:
        # Arrow always writes these quotes, and an empty field for a null.
        return "".join(_csv_lines(table, options, delimiter)).encode(options.encoding)
    sink = pa.BufferOutputStream()
    csv.write_csv(table, sink, csv.WriteOptions(delimiter=delimiter, quoting_style="needed"))
    data = bytes(sink.getvalue())
    return data if _is_utf8(options) else data.decode().encode(options.encoding)


def _csv_lines(table: pa.Table, options: FormatOptions, delimiter: str) -> Iterator[str]:
    """Yield the header and the rows; raise ValueError for a value that the options cannot write."""
    quote = options.quote_char
    special = {delimiter, quote, "\r", "\n"} - {""}
    null = next((text for text in options.null_values if not special.intersection(text)), None)

    def field(value: str, *, looks_null: bool = False) -> str:
        if not looks_null and not special.intersection(value):
            return value
        if not quote:
            raise ValueError(f"{value[:40]!r} would need quotes, and the contract has FormatOptions(quote_char='')")
        return f"{quote}{value.replace(quote, 2 * quote)}{quote}"

    def fields(column: pa.ChunkedArray) -> Iterator[str]:
        quotes_mark_text = may_be_empty(column.type)
        for value in column.cast(pa.large_string()).to_pylist():
            looks_null = value in options.null_values
            if value is None and null is None:
                raise ValueError(f"there is no way to write null with FormatOptions(null_values={options.null_values})")
            if looks_null and not quotes_mark_text:
                raise ValueError(f"{value!r} would be read as null with FormatOptions(null_values=…)")
            yield null or "" if value is None else field(value, looks_null=looks_null)

    yield delimiter.join(map(field, table.column_names)) + "\n"
    for row in zip(*map(fields, table.columns), strict=True):
        yield delimiter.join(row) + "\n"


def _json_lines(table: pa.Table, options: FormatOptions) -> bytes:
    import json

    lines = (json.dumps(row, default=str, ensure_ascii=False) for row in table.to_pylist())
    return "".join(f"{line}\n" for line in lines).encode(options.encoding)


def _is_utf8(options: FormatOptions) -> bool:
    return codecs.lookup(options.encoding).name == "utf-8"
