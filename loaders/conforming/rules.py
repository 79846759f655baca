"""Check the rules of a contract: nulls, key and value checks."""

from __future__ import annotations

import decimal
import math
import numbers
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loaders.conforming.exact_cast import widened
from loaders.conforming.violation import MAX_EXAMPLES, Violation, example
from loaders.errors import ConfigError
from loaders.schema import Check, DatasetSchema

# More than any type holds.
_MOST_DIGITS = 80
Columns = dict[str, pa.ChunkedArray]


def broken_rules(columns: Columns, contract: DatasetSchema) -> Iterator[Violation]:
    """Yield the violations of typed columns; rules about absent columns are skipped."""
    for name, values in columns.items():
        if not contract.schema.field(name).nullable and values.null_count:
            yield _violation(name, "null in a column that is not nullable", pc.is_null(values), values)
        if pa.types.is_timestamp(values.type) or pa.types.is_duration(values.type):
            least = pc.equal(_viewed(values, pa.int64()), np.iinfo(np.int64).min)
            yield from _where(name, "the smallest 64-bit integer, which pandas reads as a null", least, values)
    for name, check in contract.checks.items():
        if name in columns:
            try:
                for broken in _broken_check(name, columns[name], check):
                    yield replace(broken, is_warning=check.severity == "warning")
            except (pa.ArrowException, TypeError) as error:
                kind = contract.schema.field(name).type
                raise ConfigError(
                    f"Contract '{contract.name}': the check of column '{name}' ({check}) means nothing for {kind}: "
                    f"{str(error).splitlines()[0]}"
                ) from None
    if contract.key and all(name in columns for name in contract.key):
        yield from _broken_key(columns, contract.key)


def _broken_check(name: str, values: pa.ChunkedArray, check: Check) -> Iterator[Violation]:
    values = widened(values)
    if check.minimum is not None:
        low = pc.less(values, _bound(check.minimum, values.type, decimal.ROUND_CEILING))
        yield from _where(name, f"below the minimum {check.minimum!r}", low, values)
    if check.maximum is not None:
        high = pc.greater(values, _bound(check.maximum, values.type, decimal.ROUND_FLOOR))
        yield from _where(name, f"above the maximum {check.maximum!r}", high, values)
    if check.allowed:
        plain = values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values
        known = pc.is_in(plain, value_set=_allowed(check.allowed, plain.type))
        other = pc.and_(pc.invert(known), pc.is_valid(values))
        yield from _where(name, f"not among the allowed values {_listed(check.allowed)}", other, values)
    if check.pattern is not None:
        yield from _where(name, f"does not match {check.pattern!r}", _unmatched(values, check.pattern), values)


def _bound(limit: Any, arrow_type: pa.DataType, rounding: str) -> pa.Scalar:
    """Return the limit of a check, or the next value that the type can represent.

    `pa.scalar` would drop the fraction or the time of day, so that the check used another limit.
    """
    number = _exact_number(limit, arrow_type)
    if number is None:
        try:
            typed = _exact_scalar(limit, arrow_type)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            # A limit of another type that orders the values too, such as a date for timestamps.
            typed = None
        return pa.scalar(limit) if typed is None else typed
    if number.is_finite():
        rounded = _in_steps(number, arrow_type, rounding)
        try:
            return pa.scalar(rounded if pa.types.is_decimal(arrow_type) else int(rounded), arrow_type)
        except (pa.ArrowInvalid, OverflowError):
            number = rounded
    # A limit beyond all values of the type; infinity gives the same order.
    return pa.scalar(math.copysign(math.inf, number) if number == number else math.nan)


def _allowed(allowed: tuple[Any, ...], arrow_type: pa.DataType) -> pa.Array:
    """Return the allowed values that the type can represent."""
    possible = []
    for value in allowed:
        number = _exact_number(value, arrow_type)
        if number is not None:
            exact = number.is_finite() and _in_steps(number, arrow_type, decimal.ROUND_FLOOR) == number
            value = (number if pa.types.is_decimal(arrow_type) else int(number)) if exact else None
        try:
            scalar = None if value is None else _exact_scalar(value, arrow_type)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            if not isinstance(value, int | float | decimal.Decimal) or not _is_number(arrow_type):
                raise
            scalar = None
        if scalar is not None:
            possible.append(scalar)
    return pa.array(possible, arrow_type)


def _exact_number(value: Any, arrow_type: pa.DataType) -> decimal.Decimal | None:
    """Return a number as the decimal of its text; None if it or the type is not an integer or decimal."""
    in_steps = pa.types.is_integer(arrow_type) or pa.types.is_decimal(arrow_type)
    if not in_steps or isinstance(value, bool) or not isinstance(value, numbers.Number | decimal.Decimal):
        return None
    return decimal.Decimal(str(value))


def _in_steps(number: decimal.Decimal, arrow_type: pa.DataType, rounding: str) -> decimal.Decimal:
    """Return the next number with as many decimal places as the type has."""
    scale = arrow_type.scale if pa.types.is_decimal(arrow_type) else 0
    context = decimal.Context(prec=decimal.MAX_PREC, Emin=decimal.MIN_EMIN, Emax=decimal.MAX_EMAX)
    if number.adjusted() > _MOST_DIGITS:
        return number
    return number.quantize(decimal.Decimal((0, (1,), -scale)), rounding, context)


def _exact_scalar(value: Any, arrow_type: pa.DataType) -> pa.Scalar | None:
    """Return a value in the type, floats rounded to its width; None for a value that needs a finer type."""
    typed = pa.scalar(value, type=arrow_type)
    if pa.types.is_temporal(arrow_type):
        found = pa.scalar(value)
        return typed if typed.cast(found.type).equals(found) else None
    return typed


def _is_number(arrow_type: pa.DataType) -> bool:
    return bool(pa.types.is_integer(arrow_type) or pa.types.is_floating(arrow_type) or pa.types.is_decimal(arrow_type))


def _unmatched(values: pa.ChunkedArray, pattern: str) -> pa.ChunkedArray:
    """Return which texts the pattern does not match completely.

    Python's `re` checks the distinct values: RE2, which Arrow uses, lacks parts of Python's syntax.
    """
    import re

    compiled = re.compile(pattern)
    distinct = pc.unique(values)
    bad = [text for text in distinct.to_pylist() if text is not None and compiled.fullmatch(text) is None]
    return pc.is_in(values, value_set=pa.array(bad, type=values.type))


def _broken_key(columns: Columns, key: tuple[str, ...]) -> Iterator[Violation]:
    label = ", ".join(key)
    for name in key:
        missing = pc.is_null(columns[name], nan_is_null=pa.types.is_floating(columns[name].type))
        yield from _where(name, "null in a column of the key", missing, columns[name])
    repeated = _repeated_rows(columns, key)
    if len(repeated):
        rows = repeated[:MAX_EXAMPLES]
        examples = tuple((int(row), _key_value(columns, key, int(row))) for row in rows)
        yield Violation(label, "key that occurs in more than one row", len(repeated), examples)


def _repeated_rows(columns: Columns, key: tuple[str, ...]) -> np.ndarray[Any, Any]:
    """Return the rows whose key an earlier row has already."""
    codes = [_codes(columns[name]) for name in key]
    if _increasing(codes):
        return np.empty(0, dtype=np.int64)
    code, *others = (each.astype(np.int64, copy=False) for each in codes)
    for other in others:
        if _span(code) * _span(other) >= 2**62:
            code, other = _ranks(code), _ranks(other)
        code = (code - _least(code)) * _span(other) + (other - _least(other))
    order = np.argsort(code, kind="stable")
    same = code[order][1:] == code[order][:-1]
    repeated: np.ndarray[Any, Any] = np.sort(order[1:][same])
    return repeated


def _increasing(codes: list[np.ndarray[Any, Any]]) -> bool:
    """Return whether each row's key is greater than the previous one, so that no key is repeated."""
    greater = np.zeros(max(len(codes[0]) - 1, 0), dtype=bool)
    equal = ~greater
    for code in codes:
        greater |= equal & (code[1:] > code[:-1])
        equal &= code[1:] == code[:-1]
        if not (greater | equal).all():
            return False
    return bool(greater.all())


def _codes(values: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """Return an integer for each value; equal values have equal integers."""
    if not len(values):
        return np.empty(0, dtype=np.int64)
    values = widened(values)
    arrow_type = values.type
    small = pa.types.is_integer(arrow_type) and not pa.types.is_uint64(arrow_type)
    if not small:
        for numbers in (pa.int64(), pa.int32()):
            if pa.types.is_temporal(arrow_type) and arrow_type.bit_width == numbers.bit_width:
                values, small = values.view(numbers) if hasattr(values, "view") else _viewed(values, numbers), True
                break
    if small and not values.null_count:
        return np.asarray(values.to_numpy())
    if pa.types.is_dictionary(arrow_type):
        # The dictionaries of several chunks together may have more values than codes.
        values = values.cast(pa.dictionary(pa.int32(), arrow_type.value_type))
    encoded = values if pa.types.is_dictionary(arrow_type) else pc.dictionary_encode(values)
    encoded = encoded.unify_dictionaries().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0) if encoded.num_chunks else pa.array([], type=encoded.type)
    return np.asarray(encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64)


def _viewed(values: pa.ChunkedArray, numbers: pa.DataType) -> pa.ChunkedArray:
    return pa.chunked_array([chunk.view(numbers) for chunk in values.chunks], numbers)


def _ranks(code: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.unique(code, return_inverse=True)[1]


def _least(code: np.ndarray[Any, Any]) -> int:
    return int(code.min()) if len(code) else 0


def _span(code: np.ndarray[Any, Any]) -> int:
    return int(code.max()) - int(code.min()) + 1 if len(code) else 1


def _key_value(columns: Columns, key: tuple[str, ...], row: int) -> Any:
    values = tuple(example(columns[name], row)[1] for name in key)
    return values[0] if len(values) == 1 else values


def _where(name: str, rule: str, bad: Any, values: pa.ChunkedArray) -> Iterator[Violation]:
    if pc.any(bad, min_count=0).as_py():
        yield _violation(name, rule, bad, values)


def _violation(name: str, rule: str, bad: Any, values: pa.ChunkedArray) -> Violation:
    rows = np.flatnonzero(bad.fill_null(False).to_numpy(zero_copy_only=False))
    examples = tuple(example(values, int(row)) for row in rows[:MAX_EXAMPLES])
    return Violation(name, rule, len(rows), examples)


def _listed(values: tuple[Any, ...]) -> str:
    shown = ", ".join(repr(value) for value in values[:MAX_EXAMPLES])
    return shown + (", …" if len(values) > MAX_EXAMPLES else "")
