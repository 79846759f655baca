"""JSON Lines: Arrow's parser where it types exactly, Python's where Arrow refuses a line, to say which and why."""

from __future__ import annotations

import decimal
import json
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from loaders.conforming.conformity import match_columns
from loaders.conforming.exact_cast import InexactError, kind, type_name
from loaders.conforming.violation import MAX_EXAMPLES, Origin, Violation, contract_error
from loaders.contract import DatasetContract
from loaders.contract.dtypes import is_text
from loaders.errors import ReadError
from loaders.reading.request import Request
from loaders.reading.text_encoding import as_utf8
from loaders.reading.text_values import typed_text

_BLOCK_BYTES = 8 << 20
# What JSON has no notation for stands in it as text.
_WRITTEN_AS_TEXT = ("date", "time", "local time", "instant", "duration", "binary")


def parse_jsonl(data: pa.Buffer, request: Request) -> pa.Table:
    """Return the wanted columns by their node names, typed; a name that a line lacks is null there."""
    contract, origin = request.contract, request.origin
    data = as_utf8(data, request.options.encoding, request.shown)
    fields = request.match(_names(data, contract, origin))
    if not fields:
        # Only the number of rows is asked of it.
        return pa.table({"": pa.nulls(sum(1 for line in memoryview(data).tobytes().splitlines() if line.strip()))})
    strict_names = contract.extra_columns == "refuse"
    try:
        table = _read(data, {name: _written_type(field.type) for name, field in fields.items()})
        exact = not strict_names and not _lost(table, data)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        exact = False
    columns: dict[str, Any]
    columns = {name: table[name] for name in fields} if exact else _columns_by_python(data, fields, contract, origin)
    violations = []
    for name, field in fields.items():
        values = columns[name]
        if isinstance(values, pa.ChunkedArray) and is_text(values.type) and not is_text(field.type):
            values = columns[name] = typed_text(field.name, values, field.type)
        if isinstance(values, Violation):
            violations.append(values)
    if violations:
        raise contract_error(contract.name, violations, origin)
    return pa.table({field.name: columns[name] for name, field in fields.items()})


def _read(data: pa.Buffer, types: Mapping[str, pa.DataType]) -> pa.Table:
    import pyarrow.json as arrow_json

    if not memoryview(data).nbytes:
        return pa.table({name: pa.array([], arrow_type) for name, arrow_type in types.items()})
    return arrow_json.read_json(
        pa.BufferReader(data),
        read_options=arrow_json.ReadOptions(block_size=_BLOCK_BYTES),
        parse_options=arrow_json.ParseOptions(
            explicit_schema=pa.schema(list(types.items())), unexpected_field_behavior="ignore"
        ),
    )


def _lost(table: pa.Table, data: pa.Buffer) -> bool:
    """Tell whether a column may be missing, or a float may have overflowed: Arrow says neither."""
    import pyarrow.compute as pc

    for column in table.columns:
        if pa.types.is_floating(column.type) and pc.any(pc.is_inf(column), min_count=0).as_py():
            return True
        if table.num_rows and column.null_count == table.num_rows:
            return True
    return False


def _written_type(arrow_type: pa.DataType) -> pa.DataType:
    if kind(arrow_type) in _WRITTEN_AS_TEXT or is_text(arrow_type):
        return pa.string()
    if pa.types.is_dictionary(arrow_type):
        return _written_type(arrow_type.value_type)
    if pa.types.is_decimal(arrow_type) and arrow_type.bit_width < 128:
        return pa.decimal128(38, arrow_type.scale)
    return arrow_type


def _names(data: pa.Buffer, contract: DatasetContract, origin: Origin) -> list[str]:
    """Return the names in the first line, and those of the contract that any line has."""
    view = memoryview(data)
    first = b""
    for line in view[: 16 << 20].tobytes().splitlines():
        if line.strip():
            first = line
            break
    if not first:
        raise ReadError(f"'{origin.location}' is empty: it has no line. Write it again, or correct the location.")
    names = list(_object(first, 1, origin))
    sought = [*contract.columns, *(contract.source_name(name) for name in contract.columns)]
    absent = [name for name in dict.fromkeys(sought) if name not in names]
    if absent:
        whole = view.tobytes()
        names += [name for name in absent if json.dumps(name, ensure_ascii=False).encode() in whole]
    return names


def _object(line: bytes, number: int, origin: Origin) -> dict[str, Any]:
    if line.lstrip().startswith(b"["):
        raise ReadError(
            f"'{origin.location}' is no JSON Lines: line {number} begins an array. Write one object a line, as "
            "`jq -c '.[]'` does from an array of objects."
        )
    try:
        found = json.loads(line, parse_float=_Number)
    except UnicodeDecodeError as error:
        raise ReadError(f"'{origin.location}' is not UTF-8 in line {number}: {error.reason}.") from None
    except ValueError as error:
        raise ReadError(
            f"'{origin.location}' is no JSON Lines: line {number} is no JSON ({error}). The file may be cut short."
        ) from None
    if not isinstance(found, dict):
        raise ReadError(
            f"'{origin.location}' is no JSON Lines: line {number} is no object in braces. Write one object a line."
        )
    return found


class _Number(str):
    """A number with a fraction or an exponent, as it is written."""

    __slots__ = ()


def _columns_by_python(
    data: pa.Buffer, fields: Mapping[str, pa.Field], contract: DatasetContract, origin: Origin
) -> dict[str, pa.ChunkedArray | Violation]:
    rows = [
        _object(line, number, origin)
        for number, line in enumerate(memoryview(data).tobytes().split(b"\n"), 1)
        if line.strip()
    ]
    if contract.extra_columns == "refuse":
        known = set(fields) | {contract.source_name(name) for name in contract.columns} | set(contract.columns)
        extra = dict.fromkeys(name for row in rows for name in row if name not in known)
        if extra:
            match_columns([*fields, *extra], contract, [], origin)
    return {name: _column([row.get(name) for row in rows], field) for name, field in fields.items()}


def _column(values: list[Any], field: pa.Field) -> pa.ChunkedArray | Violation:
    plain = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    accepts, convert = _ACCEPTED.get(kind(plain), (lambda value: True, _plain))
    wrong = [row for row, value in enumerate(values) if value is not None and not accepts(value)]
    if wrong:
        examples = tuple((row, values[row]) for row in wrong[:MAX_EXAMPLES])
        found = ", ".join(sorted({_json_kind(values[row]) for row in wrong}))
        return Violation(field.name, f"expected {type_name(field.type)}, found {found}", len(wrong), examples)
    try:
        return convert(values, field, plain)
    except (InexactError, pa.ArrowException, OverflowError, ValueError, TypeError) as error:
        return Violation(field.name, f"values that are no {type_name(field.type)}: {str(error).splitlines()[0]}")


def _as_texts(values: list[Any], field: pa.Field, plain: pa.DataType) -> pa.ChunkedArray | Violation:
    texts = [
        None if value is None else json.dumps(value) if isinstance(value, bool) else str(value) for value in values
    ]
    return typed_text(field.name, pa.chunked_array([pa.array(texts, pa.large_string())]), field.type)


def _plain(values: list[Any], field: pa.Field, plain: pa.DataType) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(_numbers(values), plain)])


def _numbers(value: Any) -> Any:
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    if isinstance(value, dict):
        return {name: _numbers(item) for name, item in value.items()}
    return float(value) if isinstance(value, _Number) else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | _Number) and not isinstance(value, bool)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(value, _Number)


def _is_decimal(value: Any) -> bool:
    if _is_text(value):
        try:
            return decimal.Decimal(value).is_finite()
        except decimal.InvalidOperation:
            return False
    return _is_number(value)


def _json_kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if _is_number(value):
        return "number"
    return {"str": "text", "list": "array", "dict": "object"}.get(type(value).__name__, type(value).__name__)


_Convert = Callable[[list[Any], pa.Field, pa.DataType], pa.ChunkedArray | Violation]
_ACCEPTED: dict[str, tuple[Callable[[Any], bool], _Convert]] = {
    "bool": (lambda value: isinstance(value, bool), _as_texts),
    "integer": (_is_number, _as_texts),
    "float": (_is_number, _as_texts),
    "decimal": (_is_decimal, _as_texts),
    "text": (_is_text, _as_texts),
    **dict.fromkeys(_WRITTEN_AS_TEXT, (_is_text, _as_texts)),
}
