"""Parse CSV with Arrow's parser into the contract's types, without inference."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from loaders.conforming.exact_cast import kind
from loaders.conforming.violation import Violation, contract_error
from loaders.formats.csv_reader import CsvReader, UnfitTextError
from loaders.formats.request import Request
from loaders.formats.text_encoding import as_utf8
from loaders.formats.text_values import typed_text
from loaders.schema.dtypes import is_text, storage_type

_TEXT = pa.large_string()


def parse_csv(data: pa.Buffer, request: Request) -> pa.Table:
    """Return the wanted columns by their node names, typed.

    Raises:
        ReadError: the bytes are not CSV in the contract's format.
        ContractError: a column is missing, or a text is not a value of its type.
    """
    data = as_utf8(data, request.options.encoding, request.shown)
    reader = CsvReader(data, request.options, request.shown)
    fields = request.match(reader.header)
    if not fields:
        # Only its number of rows is used.
        return reader.read({reader.header[0]: pa.large_binary()})
    types = {name: _parsed_type(field.type) for name, field in fields.items()}
    integers = [name for name in types if pa.types.is_integer(types[name])]
    if integers and reader.holds_hexadecimal():
        types |= dict.fromkeys(integers, _TEXT)
    decimals = [name for name in types if pa.types.is_decimal(types[name])]
    if decimals and reader.holds_negative_exponent():
        types |= dict.fromkeys(decimals, _TEXT)
    try:
        table = reader.read(types)
        exact = not _doubtful(table, data)
    except UnfitTextError:
        exact = False
    if not exact:
        # Bytes need not be text, so they are not decoded.
        types = {name: arrow_type if _is_binary(arrow_type) else _TEXT for name, arrow_type in types.items()}
        table = reader.read(types)
    return _typed(table, fields, request)


def _parsed_type(arrow_type: pa.DataType) -> pa.DataType:
    """Return the type for Arrow's CSV parser: the contract's if it parses its texts correctly, otherwise text."""
    return storage_type(arrow_type) if _parser_knows(arrow_type) else _TEXT


def _is_binary(arrow_type: pa.DataType) -> bool:
    return bool(pa.types.is_binary(arrow_type) or pa.types.is_large_binary(arrow_type))


def _parser_knows(arrow_type: pa.DataType) -> bool:
    """Return whether Arrow's CSV parser reads the type exactly as contracts define it."""
    return bool(
        (pa.types.is_integer(arrow_type) or pa.types.is_boolean(arrow_type) or is_text(arrow_type))
        or (pa.types.is_floating(arrow_type) and not pa.types.is_float16(arrow_type))
        # The parser overflows if the digits of the text plus the scale may exceed 38.
        or (pa.types.is_decimal128(arrow_type) and 0 <= arrow_type.scale <= 38 - arrow_type.precision)
        or (pa.types.is_date(arrow_type) or pa.types.is_time(arrow_type) or pa.types.is_timestamp(arrow_type))
        or _is_binary(arrow_type)
    )


def _doubtful(table: pa.Table, data: pa.Buffer) -> bool:
    """Return whether a float may differ from its text: the parser reads `1e999` as infinity and `nan(1)` as NaN."""
    floats = [column for column in table.columns if pa.types.is_floating(column.type)]
    return any(pc.any(pc.is_inf(column), min_count=0).as_py() for column in floats) or (
        any(pc.any(pc.is_nan(column), min_count=0).as_py() for column in floats)
        and re.search(rb"nan\(", memoryview(data), re.IGNORECASE) is not None
    )


def _typed(table: pa.Table, fields: Mapping[str, pa.Field], request: Request) -> pa.Table:
    """Return the table with its text columns converted to the types of their fields."""
    violations = []
    columns: dict[str, Any] = {}
    for name, field in fields.items():
        values = table[name]
        if pa.types.is_large_string(values.type) and not is_text(field.type):
            if not may_be_empty(field.type):
                # Parsed as text, a quoted null is not null; for a number or a date it can only mean null.
                null = pc.is_in(values, value_set=pa.array(request.options.null_values, _TEXT))
                values = pc.if_else(null, None, values)
            values = typed_text(field.name, values, field.type)
        if isinstance(values, Violation):
            violations.append(values)
        columns[field.name] = values
    if violations:
        raise contract_error(request.contract.name, violations, request.origin)
    return pa.table(columns)


def may_be_empty(arrow_type: pa.DataType) -> bool:
    """Return whether an empty quoted field is a value of the type."""
    plain = arrow_type.value_type if pa.types.is_dictionary(arrow_type) else arrow_type
    return kind(plain) in ("text", "binary")
