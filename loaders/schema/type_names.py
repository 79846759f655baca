"""Convert Arrow types to the text used in YAML, and back."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pyarrow as pa

from loaders.errors import ConfigError
from loaders.names import did_you_mean

_SHORTER = {
    "double": "float64",
    "float": "float32",
    "halffloat": "float16",
    "date32[day]": "date32",
    "date64[ms]": "date64",
}
_SIMPLE = {
    name: pa.type_for_alias(name)
    for name in (
        *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64", "string", "large_string", "string_view"),
        *("binary", "large_binary", "binary_view", "date32", "date64", "null"),
    )
}
_TIMED = {"timestamp": pa.timestamp, "duration": pa.duration, "time32": pa.time32, "time64": pa.time64}
_DECIMALS = {
    name: getattr(pa, name) for name in ("decimal32", "decimal64", "decimal128", "decimal256") if hasattr(pa, name)
}
_LISTS = {
    "list": pa.list_,
    "large_list": pa.large_list,
    "list_view": pa.list_view,
    "large_list_view": pa.large_list_view,
}
_WITH_UNIT = re.compile(r"(\w+)\[(s|ms|us|ns)(?:,\s*tz=(.+))?\]")
_DECIMAL = re.compile(r"(decimal\d*)\(\s*(\d+)\s*,\s*(-?\d+)\s*\)")
_FIXED_BINARY = re.compile(r"fixed_size_binary\[(\d+)\]")
_NESTED = re.compile(r"(\w+)<(.*)>(?:\[(\d+)\])?", re.DOTALL)


def type_text(arrow_type: pa.DataType) -> str:
    """Return a type as text that `parse_type` can parse.

    >>> type_text(pa.list_(pa.float64()))
    'list<item: float64>'
    """
    if pa.types.is_struct(arrow_type):
        return f"struct<{', '.join(map(_field_text, arrow_type))}>"
    if pa.types.is_dictionary(arrow_type):
        ordered = ", ordered" if arrow_type.ordered else ""
        return f"dictionary<{type_text(arrow_type.index_type)}, {type_text(arrow_type.value_type)}{ordered}>"
    if pa.types.is_map(arrow_type):
        return f"map<{type_text(arrow_type.key_type)}, {_field_text(arrow_type.item_field).partition(': ')[2]}>"
    if pa.types.is_fixed_size_list(arrow_type):
        return f"fixed_size_list<{_field_text(arrow_type.value_field)}>[{arrow_type.list_size}]"
    for name in _LISTS:
        if str(arrow_type).startswith(f"{name}<"):
            return f"{name}<{_field_text(arrow_type.value_field)}>"
    return _SHORTER.get(str(arrow_type), str(arrow_type))


def parse_type(text: str) -> pa.DataType:
    """Return the type that a text names; raise ConfigError for an unknown one.

    >>> parse_type("timestamp[us, tz=UTC]")
    TimestampType(timestamp[us, tz=UTC])
    >>> parse_type("struct<name: string not null, sizes: list<item: int64>>")
    StructType(struct<name: string not null, sizes: list<item: int64>>)
    """
    text = text.strip()
    try:
        return _parse(text)
    except (pa.ArrowException, ValueError, TypeError, KeyError):
        known = [*_SIMPLE, *_LISTS, "timestamp[us]", "timestamp[us, tz=UTC]", "decimal128(12, 2)", "struct<name: type>"]
        raise ConfigError(
            f"'{text}' is not an Arrow type.{did_you_mean(text, known)} Types are for example 'int64', 'string', "
            "'date32', 'timestamp[us, tz=UTC]', 'decimal128(12, 2)', 'list<item: string>'."
        ) from None


def _parse(text: str) -> pa.DataType:
    if text in _SIMPLE:
        return _SIMPLE[text]
    if found := _WITH_UNIT.fullmatch(text):
        make = _TIMED[found[1]]
        return make(found[2], tz=found[3]) if found[3] else make(found[2])
    if found := _DECIMAL.fullmatch(text):
        return _DECIMALS[found[1] if found[1] != "decimal" else "decimal128"](int(found[2]), int(found[3]))
    if found := _FIXED_BINARY.fullmatch(text):
        return pa.binary(int(found[1]))
    if found := _NESTED.fullmatch(text):
        return _nested(found[1], list(_parts(found[2])), found[3])
    return pa.type_for_alias(text)


def _nested(name: str, parts: list[str], size: str | None) -> pa.DataType:
    if name == "struct":
        return pa.struct([_field(part) for part in parts])
    if name == "dictionary":
        return pa.dictionary(_parse(parts[0]), _parse(parts[1]), ordered="ordered" in parts[2:])
    if name == "map":
        return pa.map_(_parse(parts[0]), _field(f"value: {parts[1]}"))
    (part,) = parts
    value = _field(part if ":" in part.partition("<")[0] else f"item: {part}")
    return pa.list_(value, int(size or 0)) if name == "fixed_size_list" else _LISTS[name](value)


def _field(text: str) -> pa.Field:
    name, _, kind = text.partition(":")
    plain = kind.strip().removesuffix(" not null")
    return pa.field(name.strip(), _parse(plain.strip()), nullable=plain == kind.strip())


def _field_text(field: pa.Field) -> str:
    return f"{field.name}: {type_text(field.type)}" + ("" if field.nullable else " not null")


def _parts(text: str) -> Iterator[str]:
    """Yield the parts of a text between commas outside brackets."""
    depth = start = 0
    for position, character in enumerate(text):
        if character in "<[(":
            depth += 1
        elif character in ">])":
            depth -= 1
        elif character == "," and depth == 0:
            yield text[start:position].strip()
            start = position + 1
    if text[start:].strip():
        yield text[start:].strip()
