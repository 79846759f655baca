"""Draft a contract from a real file: exact for Parquet and Arrow, a guess for text formats."""

from __future__ import annotations

import keyword
import os
import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa

from loaders.clients.location import parse_location
from loaders.compression import split_compression
from loaders.errors import ConfigError, ReadError
from loaders.reading.parts import parts_of
from loaders.schema.dtypes import is_supported
from loaders.schema.format_options import FormatOptions

_NULLS = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")
_GUESSED = "Types are a guess from the first rows of a {format} file: check them before relying on them."


def inferred_arguments(location: str | os.PathLike[str], name: str | None = None) -> dict[str, Any]:
    """Return the arguments of a draft contract for the file at a location, or for the first of its parts.

    Raises ReadError for a location that cannot be read, and ConfigError for columns that no contract can have.
    """
    place = parse_location(location)
    part = parts_of(place, FormatOptions())[0].location
    dataset = _identifier(name or split_compression(PurePosixPath(place.path.rstrip("/*")).name)[0].split(".")[0])
    schema, nulls, text_format, options = _look(part)
    unsupported = [field.name for field in schema if not is_supported(field.type)]
    if unsupported:
        field = schema.field(unsupported[0])
        raise ConfigError(f"'{part.shown}': column '{field.name}' has type {field.type}, which no contract can have.")
    # Nullability comes from the schema: a column without nulls in one file may have nulls in the next.
    columns = dict(zip(_node_names(schema.names, dataset), schema, strict=True))
    renamed = {node: field.name for node, field in columns.items() if node != field.name}
    fields = [
        pa.field(node, field.type, nullable=field.nullable or bool(nulls.get(field.name)))
        for node, field in columns.items()
    ]
    description = f"Draft of {place.shown}."
    if text_format:
        description += " " + _GUESSED.format(format=text_format)
    return {
        "name": dataset,
        "schema": pa.schema(fields),
        "description": description,
        "source_names": renamed,
        "format": options,
    }


def _look(place: object) -> tuple[pa.Schema, dict[str, int], str, FormatOptions]:
    """Return schema, null counts, the text format's name (types are then a guess) or "", and the format options."""
    from loaders.formats.formats import compression_of, format_by_name, format_of
    from loaders.probing.ranged_file import RangedFile
    from loaders.probing.text_files import TextProbe
    from loaders.probing.typed_files import feather_facts, parquet_facts

    options = FormatOptions()
    file = RangedFile(place)  # type: ignore[arg-type]  # a Location; imported where it is used
    try:
        if not file.size_bytes:
            raise ReadError(f"'{file.location.shown}' is empty; there is nothing to infer from.")
        plain, compression = compression_of(file.location.name, options)
        found = format_by_name(plain, options)
        if compression is None and found is None:
            found = format_of(plain, options, pa.py_buffer(file.head()), file.location.shown)
        if found in ("parquet", "feather"):
            facts = parquet_facts(file, None) if found == "parquet" else feather_facts(file)
            for _, problem in facts.problems:
                raise ReadError(f"'{file.location.shown}': {problem}.")
            return pa.schema(list(facts.types.values())), dict(facts.nulls), "", options
        probe = TextProbe(file, options, compression, found or "csv")
        if not probe.head.strip():
            raise ReadError(f"'{file.location.shown}' has no whole line within the first bytes.")
        if found == "jsonl":
            return _json_schema(probe.head, file.location.shown), {}, "JSON Lines", options
        schema, written = _csv_schema(probe.head, file.location.name, file.location.shown)
        return schema, {}, "CSV", written
    finally:
        file.release()


def _csv_schema(text: str, name: str, shown: str) -> tuple[pa.Schema, FormatOptions]:
    import pyarrow.csv as arrow_csv

    delimiter = "\t" if ".tsv" in name.lower() else _delimiter(text)
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(text.encode()),
            parse_options=arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                null_values=list(_NULLS), strings_can_be_null=True, quoted_strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        raise ReadError(f"'{shown}' is not readable as CSV: {str(error).splitlines()[0][:200]}") from None
    lines = text.splitlines()[1:]
    used = [null for null in _NULLS if null and any(null in line.split(delimiter) for line in lines)]
    options = FormatOptions(
        delimiter=delimiter if delimiter not in (",", "\t") else None,
        null_values=("", *used) if used else ("",),
    )
    return pa.schema([_guessed(column) for column in zip(table.column_names, table.columns, strict=True)]), options


def _delimiter(text: str) -> str:
    header = text.partition("\n")[0]
    return max(",;\t|", key=header.count) if any(mark in header for mark in ",;\t|") else ","


def _guessed(column: tuple[str, pa.ChunkedArray]) -> pa.Field:
    """Return a nullable field for an inferred type; a column without values becomes text."""
    name, values = column
    found = values.type
    if pa.types.is_null(found):
        found = pa.string()
    if pa.types.is_timestamp(found):
        # Text has no unit; most writers use microseconds.
        found = pa.timestamp("us", tz=found.tz)
    return pa.field(name, found)


def _json_schema(text: str, shown: str) -> pa.Schema:
    import pyarrow.json as arrow_json

    if text.lstrip().startswith("["):
        raise ReadError(
            f"'{shown}' is a JSON array, not JSON Lines. Write one object per line; `jq -c '.[]'` converts an array of "
            "objects."
        )
    try:
        table = arrow_json.read_json(pa.BufferReader(text.encode()))
    except pa.ArrowInvalid as error:
        raise ReadError(f"'{shown}' is not readable as JSON Lines: {str(error).splitlines()[0][:200]}") from None
    return pa.schema([_guessed(column) for column in zip(table.column_names, table.columns, strict=True)])


def _node_names(names: Iterable[str], dataset: str) -> list[str]:
    """Return a unique node name for each column."""
    found: list[str] = []
    for name in names:
        node = _identifier(name)
        node = f"{dataset}_{node}" if node == dataset else node
        plain, number = node, 2
        while node in found:
            node, number = f"{plain}_{number}", number + 1
        found.append(node)
    return found


def _identifier(name: str) -> str:
    """Return a name as a Python identifier in the style of functions.

    >>> _identifier("Order ID"), _identifier("2024"), _identifier("class")
    ('order_id', 'column_2024', 'class_')
    """
    if name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("_"):
        return name
    plain = re.sub(r"\W+", "_", name).strip("_").lower()
    if not plain or plain[0].isdigit():
        plain = f"column_{plain}".rstrip("_")
    return f"{plain}_" if keyword.iskeyword(plain) else plain
