"""Cast Arrow values to the type of a contract without loss, or refuse."""

from __future__ import annotations

import decimal
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loaders.conforming.nested_arrays import children, holds_required, list_array, shape, struct_array
from loaders.conforming.violation import MAX_EXAMPLES, Violation, example
from loaders.schema.dtypes import is_text

# Beyond it several integers become the same float, so that the integer is no longer known.
_LARGEST_EXACT_INTEGER = float(2**53)
# The limit of casts in the search for rows that cannot be cast; it bounds the time.
_SEARCH_BUDGET = 4000


class InexactError(ValueError):
    """Raised when a value would change in the cast."""


class KindError(InexactError):
    """Raised when values of one type cannot be values of the other."""


def exact_cast(values: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    """Return the values in the `target` type, each unchanged; raise InexactError or KindError.

    Representations may differ (widths, units, decimals stored as floats that convert back exactly). Meanings may not:
    text is not a number, a bool is not an integer, a local time is not an instant.

    Raises:
        KindError: the types mean different things.
        InexactError: a value would change, or does not fit.
    """
    source = values.type
    if isinstance(source, pa.BaseExtensionType) and kind(source.storage_type) in ("text", "binary"):
        # The storage of other extension types is a code: a period's ordinal is not an integer value.
        values = pa.chunked_array([chunk.storage for chunk in values.chunks], source.storage_type)
        source = values.type
    if source == target and not holds_required(target) and _codes_are_sound(values):
        return values
    if pa.types.is_dictionary(source) and not pa.types.is_dictionary(target):
        return exact_cast(_decoded(values), target)
    if pa.types.is_null(source):
        return pa.chunked_array([pa.nulls(len(values), target)])
    cast = _CASTS.get((kind(source), kind(target)))
    if cast is None:
        raise KindError(f"expected {type_name(target)}, found {type_name(source, found=True)}")
    try:
        return cast(values, target)
    except InexactError:
        raise
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OverflowError) as error:
        raise InexactError(str(error)) from None


def cast_violation(column: str, values: pa.ChunkedArray, target: pa.DataType, error: InexactError) -> Violation:
    """Return the violation for an array that `exact_cast` refused, with its rows."""
    if isinstance(error, KindError):
        return Violation(column, str(error))
    rows, all_found = failing_rows(len(values), lambda start, end: exact_cast(values[start:end], target))
    examples = tuple(example(values, row) for row in rows[:MAX_EXAMPLES])
    rule = f"{type_name(values.type, found=True)} that is not an exact {type_name(target)}"
    return Violation(column, rule, len(rows) or None, examples, counted_all=all_found)


def type_name(arrow_type: pa.DataType, *, found: bool = False) -> str:
    """Return the name of a type as used in contracts; all layouts of text have one name."""
    if found and is_text(arrow_type):
        return "text"
    names = {
        pa.float16(): "float16",
        pa.float32(): "float32",
        pa.float64(): "float64",
        pa.date32(): "date32",
        pa.date64(): "date64",
        pa.large_string(): "string",
    }
    return names.get(arrow_type, str(arrow_type))


def failing_rows(count: int, attempt: Callable[[int, int], object]) -> tuple[list[int], bool]:
    """Return the rows for which a function fails, found by bisection, and whether these are all of them.

    `attempt(start, end)` raises InexactError if a row from start to end (exclusive) is wrong.
    """
    found: list[int] = []
    waiting = [(0, count)]
    for _ in range(_SEARCH_BUDGET):
        if not waiting:
            return found, True
        start, end = waiting.pop()
        try:
            attempt(start, end)
        except InexactError:
            if end - start == 1:
                found.append(start)
            elif end > start:
                middle = (start + end) // 2
                waiting += [(middle, end), (start, middle)]
    return found, False


def kind(arrow_type: pa.DataType) -> str:
    """Return the kind of a type's values, such as "integer", independent of their layout."""
    for name, belongs in _KINDS:
        if belongs(arrow_type):
            return name
    return str(arrow_type)


_KINDS: tuple[tuple[str, Callable[[pa.DataType], bool]], ...] = (
    ("bool", pa.types.is_boolean),
    ("integer", pa.types.is_integer),
    ("float", pa.types.is_floating),
    ("decimal", pa.types.is_decimal),
    ("text", is_text),
    ("date", pa.types.is_date),
    ("time", pa.types.is_time),
    ("duration", pa.types.is_duration),
    ("local time", lambda t: pa.types.is_timestamp(t) and t.tz is None),
    ("instant", lambda t: pa.types.is_timestamp(t) and t.tz is not None),
    ("dictionary", pa.types.is_dictionary),
    (
        "binary",
        lambda t: (
            pa.types.is_binary(t)
            or pa.types.is_large_binary(t)
            or pa.types.is_fixed_size_binary(t)
            or pa.types.is_binary_view(t)
        ),
    ),
    ("nested", pa.types.is_nested),
)


def _decoded(values: pa.ChunkedArray) -> pa.ChunkedArray:
    chunks = [chunk.dictionary_decode() for chunk in values.chunks]
    return pa.chunked_array(chunks, values.type.value_type)


def _safe(values: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    return values.cast(target)


def _round_trip(values: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    """Cast to the target and back; a value that changes is not an exact value of the target."""
    if pa.types.is_float16(values.type):
        # Arrow cannot compare half floats.
        values = values.cast(pa.float32())
    there = pc.cast(values, options=pc.CastOptions.unsafe(target))
    back = pc.cast(there, options=pc.CastOptions.unsafe(values.type))
    same = pc.equal(back, values)
    if pa.types.is_floating(values.type):
        same = pc.or_(same, pc.and_(pc.is_nan(back), pc.is_nan(values)))
    if not pc.all(same, min_count=0).as_py() or there.null_count != values.null_count:
        raise InexactError(f"a {type_name(values.type)} value does not fit {type_name(target)}")
    return there


def _from_float(values: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    """Cast integers held as floats, as pandas does for columns with missing values."""
    values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    if pa.types.is_integer(target):
        largest = pc.max(pc.abs(values)).as_py()
        if largest is not None and (math.isinf(largest) or largest > _LARGEST_EXACT_INTEGER):
            raise InexactError(f"a float beyond 2**53 is not an exact {target}")
    elif pc.any(pc.is_inf(values), min_count=0).as_py():
        raise InexactError(f"infinity is not an {target}")
    return _round_trip(values, target)


def _integer_to_decimal(values: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    _refuse_too_large(values, target)
    # Arrow requires room for the largest integer of the type, regardless of the values.
    return _decimal_to_decimal(values.cast(pa.decimal256(76, max(target.scale, 0))), target)


def _decimal_to_decimal(values: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    """Cast to the target's scale in a width with room for every digit, then to its width; Arrow itself overflows."""
    values = widened(values)
    _refuse_too_large(values, target)
    small = max(values.type.bit_width, target.bit_width) <= 128 and min(values.type.scale, target.scale) >= 0
    if small:
        return values.cast(pa.decimal128(38, target.scale)).cast(target)
    return values.cast(pa.decimal256(76, values.type.scale)).cast(pa.decimal256(76, target.scale)).cast(target)


def _decimal_to_integer(values: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    return widened(values).cast(target)


def widened(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return half floats and narrow decimals in a wider type, because some Arrow functions do not support them."""
    arrow_type = values.type
    if pa.types.is_float16(arrow_type):
        return values.cast(pa.float32())
    if pa.types.is_decimal32(arrow_type) or pa.types.is_decimal64(arrow_type):
        return values.cast(pa.decimal128(arrow_type.precision, arrow_type.scale))
    return values


def _refuse_too_large(values: pa.ChunkedArray, target: pa.DataType) -> None:
    """Raise InexactError if a number has more integer digits than a decimal type; Arrow drops them."""
    extremes = [value for value in pc.min_max(values).as_py().values() if value is not None]
    if any(abs(value) >= decimal.Decimal(10) ** (target.precision - target.scale) for value in extremes):
        raise InexactError(f"a value does not fit {type_name(target)}")


def _decimal_to_float(values: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_float16(target):
        # Arrow has no cast between decimals and half floats.
        return _round_trip(_round_trip(values, pa.float32()), target)
    return _round_trip(values, target)


def _codes_are_sound(values: pa.ChunkedArray) -> bool:
    """Return whether codes identify values: a dictionary may repeat values and contain uncounted nulls."""
    if not pa.types.is_dictionary(values.type):
        return True
    dictionaries = [chunk.dictionary for chunk in values.chunks]
    if any(each.null_count for each in dictionaries):
        return False
    try:
        return all(len(pc.unique(each)) == len(each) for each in dictionaries)
    except pa.ArrowNotImplementedError:
        # Such values cannot be encoded again or be part of a key either.
        return True


def _reencoded(values: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    plain = _decoded(values) if pa.types.is_dictionary(values.type) else values
    chunks = [chunk.dictionary_encode() for chunk in exact_cast(plain, target.value_type).unify_dictionaries().chunks]
    encoded = pa.chunked_array(chunks, pa.dictionary(pa.int32(), target.value_type)).unify_dictionaries()
    try:
        return encoded.cast(target)
    except pa.ArrowInvalid:
        # The violation concerns the whole column, not single rows.
        raise KindError(f"more distinct values than {type_name(target)} has codes") from None


def _nested(values: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    """Cast nested values by the same rules as columns; Arrow's own cast converts text to numbers."""
    try:
        return pa.chunked_array([_nested_chunk(chunk, target) for chunk in values.chunks], target)
    except KindError as error:
        raise KindError(f"expected {type_name(target)}, found {type_name(values.type, found=True)} ({error})") from None


def _nested_chunk(chunk: pa.Array, target: pa.DataType) -> pa.Array:
    if shape(chunk.type) != shape(target) or shape(target) is None:
        raise KindError(f"not a {shape(target) or target}")
    valid = chunk.is_valid().to_numpy(zero_copy_only=False)
    if pa.types.is_struct(target):
        names = [field.name for field in children(chunk.type)]
        if sorted(names) != sorted(field.name for field in children(target)):
            raise KindError("the field names differ")
        columns = dict(zip(names, chunk.flatten(), strict=True))
        return struct_array([_inner(columns[field.name], field, valid) for field in children(target)], valid, target)
    if pa.types.is_map(target):
        # Entries are structs, and writers name their fields differently.
        entries = chunk.cast(pa.list_(_entries_type(chunk.type)))
        field = pa.field("entry", _entries_type(target))
        return list_array(_inner(entries.flatten(), field), _lengths(entries), valid, target)
    items, lengths = chunk.flatten(), _lengths(chunk)
    if pa.types.is_fixed_size_list(target):
        if (lengths[valid] != target.list_size).any():
            raise InexactError(f"a list does not have {target.list_size} items")
        items = items.take(_places(valid, target.list_size))
        within = np.repeat(valid, target.list_size)
        return list_array(_inner(items, target.value_field, within), lengths, valid, target)
    return list_array(_inner(items, target.value_field), lengths, valid, target)


def _entries_type(map_type: pa.DataType) -> pa.DataType:
    return pa.struct([map_type.key_field.with_name("key"), map_type.item_field.with_name("value")])


def _lengths(lists: pa.Array) -> np.ndarray[Any, Any]:
    lengths = pc.list_value_length(lists).fill_null(0)
    return np.asarray(lengths.to_numpy(zero_copy_only=False), np.int64)


def _places(valid: np.ndarray[Any, Any], size: int) -> pa.Array:
    """Return the positions of the items of fixed-size lists among the items of the lists that are not null."""
    within = np.repeat(valid, size)
    return pa.array(np.cumsum(within) - 1, mask=~within)


def _inner(values: pa.Array, field: pa.Field, within: np.ndarray[Any, Any] | None = None) -> pa.Array:
    """Return the cast children of nested values; children of a null value may be null even if the field forbids it."""
    typed = exact_cast(pa.chunked_array([values]), field.type).combine_chunks()
    if not field.nullable:
        null = typed.is_null().to_numpy(zero_copy_only=False)
        if (null if within is None else null & within).any():
            raise InexactError(f"null in '{field.name}', which is not nullable")
    return typed


_CASTS: dict[tuple[str, str], Callable[[pa.ChunkedArray, pa.DataType], pa.ChunkedArray]] = {
    ("integer", "integer"): _safe,
    ("integer", "float"): _round_trip,
    ("integer", "decimal"): _integer_to_decimal,
    ("float", "float"): _round_trip,
    ("float", "integer"): _from_float,
    ("float", "decimal"): _from_float,
    ("decimal", "decimal"): _decimal_to_decimal,
    ("decimal", "float"): _decimal_to_float,
    ("decimal", "integer"): _decimal_to_integer,
    ("text", "text"): _safe,
    ("binary", "binary"): _safe,
    ("date", "date"): _round_trip,
    ("date", "local time"): _round_trip,
    ("local time", "date"): _round_trip,
    ("local time", "local time"): _safe,
    ("instant", "instant"): _safe,
    ("time", "time"): _safe,
    ("duration", "duration"): _safe,
    ("nested", "nested"): _nested,
}
_CASTS |= {(name, "dictionary"): _reencoded for name, _ in _KINDS}
