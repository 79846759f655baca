"""Convert text from CSV and JSON to the types of a contract, strictly and exactly.

Arrow's parsers convert most values at full speed. Values that they refuse or cannot read are converted here: other
lossless spellings (`12.0` for an integer, midnight for a date, pandas' durations). Other texts are reported with their
rows.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loaders.conforming.exact_cast import InexactError, cast_violation, exact_cast, failing_rows, kind, type_name
from loaders.conforming.violation import MAX_EXAMPLES, Violation

_MOST_ARROW_DIGITS = 38
_EXACTLY = decimal.Context(prec=decimal.MAX_PREC, Emin=decimal.MIN_EMIN, Emax=decimal.MAX_EMAX)
_INTEGER = r"^[+-]?[0-9]+(\.0*)?$"
_NUMBER = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_SPECIAL = r"^(?i:[+-]?(nan|inf|infinity))$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
_CLOCK = r"[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?"
# After a date, the hour alone is a valid time.
_HOUR_OR_CLOCK = f"({_CLOCK}|[0-9]{{2}})"
_ZONE = r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)"
_DURATION = (
    r"^(?P<days>[+-]?[0-9]+) days?(?: (?P<sign>[+-]?)(?P<hours>[0-9]{2}):(?P<minutes>[0-9]{2}):(?P<seconds>[0-9]{2})"
    r"(?:\.(?P<fraction>[0-9]{1,9}))?)?$"
)
_SYNTAX = {
    "integer": _INTEGER,
    "float": f"{_NUMBER}|{_SPECIAL}",
    "decimal": _NUMBER,
    "bool": r"^(?i:true|false)$|^[01]$",
    "date": _DATE + r"([T ]00:00(:00(\.0{1,9})?)?)?$",
    "time": f"^{_CLOCK}$",
    "local time": _DATE + f"([T ]{_HOUR_OR_CLOCK})?$",
    "instant": _DATE + f"[T ]{_HOUR_OR_CLOCK}{_ZONE}$",
    "duration": _DURATION,
}


def typed_text(column: str, texts: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray | Violation:
    """Return the values of texts in a type, or the violation of the first wrong one."""
    value_type = target.value_type if pa.types.is_dictionary(target) else target
    meaning = kind(value_type)
    if meaning in ("text", "binary"):
        return _as_written(column, texts, value_type, target)
    syntax = _SYNTAX.get(meaning)
    if syntax is None:
        return Violation(column, f"text cannot hold {type_name(target)}; use Parquet or Feather")
    trimmed = pc.utf8_trim_whitespace(texts)
    right = pc.fill_null(pc.match_substring_regex(trimmed, syntax), True)
    good = trimmed if pc.all(right, min_count=0).as_py() else pc.if_else(right, trimmed, None)
    wrong = np.flatnonzero(pc.invert(right).to_numpy())
    counted_all = True
    try:
        values = _parse(good, value_type, meaning)
    except (InexactError, pa.ArrowInvalid):
        unfit, counted_all = failing_rows(len(good), lambda start, end: _parse(good[start:end], value_type, meaning))
        wrong = np.union1d(wrong, np.array(unfit, dtype=np.int64))
    else:
        if not len(wrong):
            return _encoded(column, values, target)
    examples = tuple((int(row), texts[int(row)].as_py()) for row in wrong[:MAX_EXAMPLES])
    return Violation(column, f"text that is not a valid {type_name(target)}", len(wrong), examples, counted_all)


def _as_written(
    column: str, texts: pa.ChunkedArray, value_type: pa.DataType, target: pa.DataType
) -> pa.ChunkedArray | Violation:
    """Return texts that are the values themselves, as text or bytes."""
    if pa.types.is_fixed_size_binary(value_type):
        other = pc.fill_null(pc.not_equal(pc.binary_length(texts), value_type.byte_width), False)
        wrong = np.flatnonzero(other.to_numpy())
        if len(wrong):
            examples = tuple((int(row), texts[int(row)].as_py()) for row in wrong[:MAX_EXAMPLES])
            return Violation(column, f"text that is not {value_type.byte_width} bytes long", len(wrong), examples)
    try:
        return _encoded(column, texts.cast(value_type), target)
    except pa.ArrowInvalid as error:
        return Violation(column, f"text that cannot be {type_name(target)}: {str(error).splitlines()[0]}")


def _encoded(column: str, values: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray | Violation:
    """Return the values as dictionary codes of the target, or the violation if it has too few codes."""
    try:
        return exact_cast(values, target)
    except InexactError as error:
        return cast_violation(column, values, target, error)


def _parse(texts: pa.ChunkedArray, target: pa.DataType, meaning: str) -> pa.ChunkedArray:
    try:
        return _PARSERS[meaning](texts, target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OverflowError) as error:
        raise InexactError(str(error)) from None


def _integer(texts: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    digits = pc.replace_substring_regex(texts, r"^\+|\.0*$", "")
    return digits.cast(target)


def _float(texts: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    plain = pc.replace_substring_regex(texts, r"^\+", "")
    values = plain.cast(pa.float64()).cast(target) if pa.types.is_float16(target) else plain.cast(target)
    overflowed = pc.and_(pc.is_inf(values), pc.match_substring_regex(texts, "[0-9]"))
    if pc.any(overflowed, min_count=0).as_py():
        raise InexactError(f"beyond the range of {target}")
    return values


def _decimal(texts: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    # This number of digits, and as many zeros, fits in 256 bits; beyond them Arrow overflows.
    longest = pc.max(pc.utf8_length(texts)).as_py() or 0
    exponents = pc.any(pc.match_substring_regex(texts, "[eE]"), min_count=0).as_py()
    if not exponents and longest <= _MOST_ARROW_DIGITS and 0 <= target.scale <= _MOST_ARROW_DIGITS:
        plain = pc.replace_substring_regex(texts, r"^\+", "")
        return exact_cast(plain.cast(pa.decimal256(76, target.scale)), target)
    digits = pa.array([_digits(text, target) for text in texts.to_pylist()], _unscaled(target))
    return pa.chunked_array([digits.view(target)])


def _digits(text: str | None, target: pa.DataType) -> decimal.Decimal | None:
    """Return the integer that a decimal type stores for a number."""
    if text is None:
        return None
    try:
        number = _EXACTLY.normalize(decimal.Decimal(text))
    except decimal.InvalidOperation:
        # An exponent of more than 18 digits.
        raise InexactError(f"beyond the range of {target}") from None
    if number and number.adjusted() >= target.precision - target.scale:
        raise InexactError(f"beyond the range of {target}")
    if number and number.as_tuple().exponent < -target.scale:
        raise InexactError(f"more digits than {target} has")
    return _EXACTLY.scaleb(number, target.scale) if number else decimal.Decimal(0)


def _unscaled(target: pa.DataType) -> pa.DataType:
    makers = {32: pa.decimal32, 64: pa.decimal64, 128: pa.decimal128, 256: pa.decimal256}
    return makers[target.bit_width](target.precision, 0)


def _bool(texts: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    return pc.utf8_lower(texts).cast(target)


def _date(texts: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    return pc.utf8_slice_codeunits(texts, 0, 10).cast(pa.date32()).cast(target)


def _time(texts: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    # Arrow does not parse a time of day, but a time on a date.
    on_a_day = pc.binary_join_element_wise(pa.scalar("1970-01-01T", texts.type), texts, pa.scalar("", texts.type))
    return on_a_day.cast(pa.timestamp("ns")).cast(pa.time64("ns")).cast(target)


def _timestamp(texts: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    try:
        return texts.cast(target)
    except pa.ArrowInvalid:
        # More digits than the unit has; they may be zeros. Nanoseconds can hold them if the year is in their range.
        digits = pc.replace_substring_regex(texts, r"(\.[0-9]*?)0+(Z|[+-]|$)", r"\1\2")
        shorter = pc.replace_substring_regex(digits, r"\.(Z|[+-]|$)", r"\1")
        return shorter.cast(target) if target.unit != "ns" else _nanosecond_timestamp(texts).cast(target)


def _nanosecond_timestamp(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return timestamps in the full range; Arrow's own parser refuses the first and last second."""
    seconds = pc.replace_substring_regex(texts, r"\.[0-9]+", "")
    zone = pc.any(pc.match_substring_regex(texts, _ZONE + "$"), min_count=0).as_py()
    seconds = seconds.cast(pa.timestamp("s", "UTC" if zone else None)).cast(pa.int64())
    fraction = pc.struct_field(pc.extract_regex(texts, r"\.(?P<digits>[0-9]+)"), "digits")
    fraction = pc.utf8_rpad(pc.coalesce(fraction, pa.scalar("0", texts.type)), 9, "0").cast(pa.int64())
    # In 64 bits the whole seconds alone may overflow, before the fraction brings them back into range.
    product = pc.multiply(seconds.cast(pa.decimal128(19, 0)), pa.scalar(10**9, pa.decimal128(10, 0)))
    total = pc.add(product, fraction.cast(pa.decimal128(19, 0))).cast(pa.int64())
    return pc.if_else(pc.is_null(texts), None, total).cast(pa.timestamp("ns", "UTC" if zone else None))


_NANOSECONDS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}


def _duration(texts: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    """Return durations in pandas' notation: `1 days 02:03:04.5`, `-1 days +23:59:59`, `-1 days -02:00:00`."""
    # In Python, whose integers do not overflow; columns of durations in text files are rare.
    import re

    pattern = re.compile(_DURATION)
    unit = _NANOSECONDS[target.unit]
    counts = []
    for text in texts.to_pylist():
        found = pattern.match(text) if text is not None else None
        nanoseconds = None if found is None else _nanoseconds(found.groupdict())
        if nanoseconds is not None and nanoseconds % unit:
            raise InexactError(f"finer than {target}")
        counts.append(None if nanoseconds is None else nanoseconds // unit)
    return pa.chunked_array([pa.array(counts, pa.int64()).view(target)])


def _nanoseconds(parts: dict[str, Any]) -> int:
    clock = (int(parts["hours"] or 0) * 60 + int(parts["minutes"] or 0)) * 60 + int(parts["seconds"] or 0)
    of_day = clock * 1_000_000_000 + int((parts["fraction"] or "").ljust(9, "0"))
    return int(parts["days"]) * 86_400_000_000_000 + (-of_day if parts["sign"] == "-" else of_day)


_PARSERS: dict[str, Callable[[pa.ChunkedArray, pa.DataType], pa.ChunkedArray]] = {
    "integer": _integer,
    "float": _float,
    "decimal": _decimal,
    "bool": _bool,
    "date": _date,
    "time": _time,
    "local time": _timestamp,
    "instant": _timestamp,
    "duration": _duration,
}
