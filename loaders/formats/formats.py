"""Determine the format of a location and parse its data."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from loaders.clients.source import Source
from loaders.compression import decompressed, split_compression
from loaders.errors import ReadError
from loaders.formats.csv_format import parse_csv
from loaders.formats.feather_format import parse_feather
from loaders.formats.jsonl_format import parse_jsonl
from loaders.formats.parquet_format import parse_parquet, parse_parquet_ranges
from loaders.formats.request import Request
from loaders.schema.format_options import FORMATS, FormatOptions

Parse = Callable[[pa.Buffer, Request], pa.Table]

PARSERS: dict[str, Parse] = {
    "csv": parse_csv,
    "parquet": parse_parquet,
    "feather": parse_feather,
    "jsonl": parse_jsonl,
}

_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "csv",
    ".tab": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".feather": "feather",
    ".arrow": "feather",
    ".ipc": "feather",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
}
_MAGIC = {b"PAR1": "parquet", b"ARROW1": "feather"}


def parse(source: Source, request: Request) -> pa.Table:
    """Return the wanted columns of one object by node name, and possibly another column for the number of rows."""
    plain_name, compression = compression_of(source.location.name, request.options)
    if compression is None and not source.prefers_whole and format_by_name(plain_name, request.options) == "parquet":
        return parse_parquet_ranges(source, request)
    data = source.read()
    if compression is not None:
        data = decompressed(data, compression, request.shown)
    return PARSERS[format_of(plain_name, request.options, data, request.shown)](data, request)


def compression_of(name: str, options: FormatOptions) -> tuple[str, str | None]:
    """Return the name without compression suffix, and the compression; the contract has precedence over the name."""
    plain, from_name = split_compression(name)
    chosen = options.compression or from_name
    return plain, None if chosen == "none" else chosen


def format_by_name(name: str, options: FormatOptions) -> str | None:
    """Return the format given by the contract or the name; None if neither gives one."""
    if options.format is not None:
        return options.format
    return next((found for suffix, found in _SUFFIXES.items() if name.lower().endswith(suffix)), None)


def format_of(name: str, options: FormatOptions, data: pa.Buffer, shown: str) -> str:
    """Return the format of the data from the contract, the name, or the first bytes."""
    start = memoryview(data)[:6].tobytes()
    by_bytes = next((found for magic, found in _MAGIC.items() if start.startswith(magic)), None)
    by_name = format_by_name(name, options)
    if by_name in ("csv", "jsonl") and by_bytes is not None:
        raise ReadError(
            f"'{shown}' contains {by_bytes}, but its name or its contract's format is {by_name}. "
            "Correct the location, or set FormatOptions(format=…)."
        )
    found = by_name or by_bytes
    if found is None:
        raise ReadError(
            f"The format of '{shown}' cannot be recognized by its name. Set "
            f"FormatOptions(format=…) in its contract to one of {', '.join(FORMATS)}."
        )
    return found
