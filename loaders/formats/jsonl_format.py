"""Parse JSON Lines: with Arrow if it reads the types exactly, otherwise with Python."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loaders.conforming.exact_cast import kind
from loaders.conforming.nested_arrays import shape
from loaders.conforming.violation import Origin, Violation, contract_error
from loaders.errors import ReadError
from loaders.formats.json_values import WRITTEN_AS_TEXT, parsed, repeated_names, typed_values
from loaders.formats.request import Request
from loaders.formats.text_encoding import as_utf8, not_encoded
from loaders.formats.text_values import typed_text
from loaders.names import quoted
from loaders.schema.dtypes import is_text

_BLOCK_BYTES = 8 << 20
_WHITESPACE = " \t\r\n\v\f"
# A name with an unnecessary escape; matching starts at its last escape, because texts full of them would take minutes.
_ESCAPED_NAME = re.compile(rb'\\[u/](?:[^"\\\n]|\\[^u/\n])*"\s*:')


def parse_jsonl(data: pa.Buffer, request: Request) -> pa.Table:
    """Return the wanted columns by node name, typed; a missing name is null."""
    data = as_utf8(data, request.options.encoding, request.shown)
    lines = _lines(data, request.shown)
    fields = request.match(_names(data, lines, request))
    table = _parsed_by_arrow(data, lines, fields, request)
    columns: dict[str, Any]
    if table is not None:
        rows = table.num_rows
        columns = {name: table[name] for name in fields}
    else:
        objects = list(_objects(lines, request.origin))
        # Now all names are known with certainty.
        fields = request.match(list(dict.fromkeys(name for _, found in objects for name in found)))
        _refuse_repeated(objects, fields, request.origin)
        rows = len(objects)
        strict = request.contract.extra_columns == "refuse"
        columns = {
            name: typed_values([found.get(name) for _, found in objects], field, strict_names=strict)
            for name, field in fields.items()
        }
    violations = []
    for name, field in fields.items():
        values = columns[name]
        if isinstance(values, pa.ChunkedArray) and is_text(values.type) and not is_text(field.type):
            values = columns[name] = typed_text(field.name, values, field.type)
        if isinstance(values, Violation):
            violations.append(values)
    if violations:
        raise contract_error(request.contract.name, violations, request.origin)
    if not fields:
        # Only its number of rows is used.
        return pa.table({"": pa.nulls(rows)})
    return pa.table({field.name: columns[name] for name, field in fields.items()})


def _parsed_by_arrow(
    data: pa.Buffer, lines: pa.Array, fields: Mapping[str, pa.Field], request: Request
) -> pa.Table | None:
    """Return the columns as Arrow parses them; None if it refuses them or may read them inexactly."""
    types = {name: _written_type(field.type) for name, field in fields.items()}
    if request.contract.extra_columns == "refuse" or not all(_parser_is_exact(each) for each in types.values()):
        return None
    import pyarrow.json as arrow_json

    try:
        table = arrow_json.read_json(
            pa.BufferReader(data),
            read_options=arrow_json.ReadOptions(block_size=_BLOCK_BYTES),
            parse_options=arrow_json.ParseOptions(
                explicit_schema=pa.schema(list(types.items())), unexpected_field_behavior="ignore"
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    return None if _lost(table) or not _is_object_a_line(lines, table.num_rows) else table


def _lost(table: pa.Table) -> bool:
    """Return whether a column may be missing or a float may have overflowed; Arrow reports neither."""
    for column in table.columns:
        if pa.types.is_floating(column.type) and pc.any(pc.is_inf(column), min_count=0).as_py():
            return True
        if table.num_rows and column.null_count == table.num_rows:
            return True
    return False


def _written_type(arrow_type: pa.DataType) -> pa.DataType:
    if kind(arrow_type) in WRITTEN_AS_TEXT or is_text(arrow_type):
        return pa.string()
    if pa.types.is_dictionary(arrow_type):
        return _written_type(arrow_type.value_type)
    return arrow_type


def _parser_is_exact(arrow_type: pa.DataType) -> bool:
    """Return whether Arrow's parser either reads values of the type exactly or refuses them.

    Its decimals overflow, and in nested values it drops fractions, accepts numbers as times, and ignores nullability.
    """
    return not pa.types.is_decimal(arrow_type) and shape(arrow_type) is None


def _is_object_a_line(lines: pa.Array, rows: int) -> bool:
    """Return whether each line is one object, given the number of values that the parser found.

    The parser accepts `null`, several objects in a line, and an object over several lines. Within a value no line ends
    between `}` and `{`; if all lines do, each line holds at least one object.
    """
    count = 0
    for some in _slices(lines):
        trimmed = pc.ascii_trim_whitespace(some)
        trimmed = trimmed.filter(pc.greater(pc.binary_length(trimmed), 0))
        is_object = pc.and_(pc.starts_with(trimmed, "{"), pc.ends_with(trimmed, "}"))
        if not pc.all(is_object, min_count=0).as_py():
            return False
        count += len(trimmed)
    return count == rows


def _lines(data: pa.Buffer, shown: str) -> pa.Array:
    """Return the lines with their ends, without copying; raise ReadError for bytes that are not UTF-8.

    Arrow's parser does not validate UTF-8.
    """
    array = np.frombuffer(data, np.uint8)
    starts = range(0, data.size, _BLOCK_BYTES)
    ends = [np.flatnonzero(array[start : start + _BLOCK_BYTES] == ord("\n")) + start + 1 for start in starts]
    offsets = np.concatenate([[0], *ends, [data.size]]).astype(np.int64)
    lines = pa.LargeStringArray.from_buffers(len(offsets) - 1, pa.py_buffer(offsets), data)
    try:
        lines.validate(full=True)
    except pa.ArrowInvalid:
        raise not_encoded(data, "utf-8", shown) from None
    return lines


def _slices(lines: pa.Array) -> Iterator[pa.Array]:
    step = max(1, _BLOCK_BYTES * len(lines) // max(lines.nbytes, 1))
    for start in range(0, len(lines), step):
        yield lines[start : start + step]


def _texts(lines: pa.Array) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not empty, and their numbers."""
    number = 0
    for some in _slices(lines):
        for text in some.to_pylist():
            number += 1
            if stripped := text.strip(_WHITESPACE):
                yield number, stripped


def _names(data: pa.Buffer, lines: pa.Array, request: Request) -> list[str]:
    """Return the names in the first line, and the contract's names that may occur in any line."""
    first = next(_texts(lines), None)
    if first is None:
        raise ReadError(f"'{request.shown}' is empty: it has no line. Write it again, or correct the location.")
    names = list(_object(*first, request.origin))
    contract = request.contract
    sought = [*contract.columns, *(contract.source_name(name) for name in contract.columns)]
    absent = [name for name in dict.fromkeys(sought) if name not in names]
    if not absent:
        return names
    view = memoryview(data)
    if _ESCAPED_NAME.search(view):
        return list(dict.fromkeys(name for _, found in _objects(lines, request.origin) for name in found))
    return names + [
        name for name in absent if re.search(re.escape(json.dumps(name, ensure_ascii=False).encode()), view)
    ]


def _objects(lines: pa.Array, origin: Origin) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, text in _texts(lines):
        yield number, _object(number, text, origin)


def _object(number: int, text: str, origin: Origin) -> dict[str, Any]:
    if text.startswith("["):
        raise ReadError(
            f"'{origin.location}' is not JSON Lines: line {number} begins an array. Write one object per line, as "
            "`jq -c '.[]'` does from an array of objects."
        )
    try:
        found = parsed(text)
    except ValueError as error:
        raise ReadError(
            f"'{origin.location}' is not JSON Lines: line {number} is not JSON ({error}). Each line is one object; the "
            "file may be cut short."
        ) from None
    if not isinstance(found, dict):
        raise ReadError(
            f"'{origin.location}' is not JSON Lines: line {number} is not an object. Write one object per line."
        )
    return found


def _refuse_repeated(
    objects: Sequence[tuple[int, dict[str, Any]]], wanted: Mapping[str, pa.Field], origin: Origin
) -> None:
    for number, found in objects:
        if repeated := repeated_names(found) & wanted.keys():
            raise ReadError(
                f"'{origin.location}' has {quoted(sorted(repeated))} more than once in the object of line {number:,}. "
                "Write each name once."
            )
