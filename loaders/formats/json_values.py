"""Convert parsed JSON values to the types of a contract, strictly and at any depth."""

from __future__ import annotations

import decimal
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from loaders.conforming.exact_cast import InexactError, exact_cast, kind, type_name
from loaders.conforming.nested_arrays import children, list_array, shape, struct_array
from loaders.conforming.violation import MAX_EXAMPLES, Violation
from loaders.formats.text_values import typed_text

# Types without a JSON notation are written as text.
WRITTEN_AS_TEXT = ("date", "time", "local time", "instant", "duration", "binary")


class _Number(str):
    """A number as the text in the file."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class _Repeating(dict[str, Any]):
    """A JSON object with repeated names."""

    repeated: frozenset[str] = frozenset()


def parsed(text: str) -> Any:
    """Parse JSON text, keeping numbers as written.

    Raises:
        ValueError: the text is not JSON, or is nested too deeply for Python's parser.
    """
    try:
        return json.loads(text, parse_float=_Number, parse_int=_Number, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def repeated_names(value: Any) -> frozenset[str]:
    """Return the names that occur more than once in an object, so that their value is ambiguous."""
    return value.repeated if isinstance(value, _Repeating) else frozenset()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    names = [name for name, _ in pairs]
    repeating = _Repeating(found)
    repeating.repeated = frozenset(name for name in found if names.count(name) > 1)
    return repeating


def typed_values(values: list[Any], field: pa.Field, *, strict_names: bool) -> pa.ChunkedArray | Violation:
    """Return a column in the type of its field, or the violation of its first wrong value.

    Args:
        values: the result of `parsed` for each row.
        field: the column.
        strict_names: whether names that a struct lacks are refused instead of dropped.
    """
    try:
        found = _Values(field.name, field.name, values, range(len(values)), strict_names)
        return pa.chunked_array([_array(found, field.type)])
    except _WrongError as wrong:
        return wrong.violation


class _WrongError(Exception):
    def __init__(self, violation: Violation) -> None:
        super().__init__(violation.rule)
        self.violation = violation


@dataclass(frozen=True)
class _Values:
    """The values at one level of a column, such as the items of its lists, with the row of each."""

    column: str
    place: str
    values: list[Any]
    rows: Sequence[int]
    strict_names: bool

    def refuse(self, rule: str, positions: Sequence[int]) -> None:
        """Raise the violation of the values at these positions; do nothing without positions."""
        if positions:
            examples = tuple((position, self.values[position]) for position in positions[:MAX_EXAMPLES])
            raise self.wrong(Violation(self.column, rule, len(positions), examples))

    def wrong(self, violation: Violation) -> _WrongError:
        """Return the violation of the values at some positions, by row."""
        if self.place == self.column:
            return _WrongError(violation)
        examples = tuple((self.rows[position], value) for position, value in violation.examples)
        rows = len({row for row, _ in examples})
        all_shown = violation.counted_all and violation.count in (None, len(examples))
        return _WrongError(
            replace(
                violation,
                rule=f"{violation.rule} (in {self.place})",
                count=rows or None,
                examples=examples,
                counted_all=all_shown,
            )
        )

    def inner(self, field: pa.Field, positions: Sequence[int], values: list[Any]) -> pa.Array:
        """Return the typed values within these values; a null contains none."""
        rows = [self.rows[position] for position in positions]
        found = replace(self, place=f"{self.place}.{field.name}", values=values, rows=rows)
        if not field.nullable:
            within = [self.values[position] is not None for position in positions]
            nulls = [place for place, value in enumerate(values) if value is None and within[place]]
            found.refuse("null in a value that is not nullable", nulls)
        return _array(found, field.type)


def _array(found: _Values, target: pa.DataType) -> pa.Array:
    build = _NESTED.get(shape(target) or "", _single)
    return build(found, target)


def _list(found: _Values, target: pa.DataType) -> pa.Array:
    values = found.values
    _refuse_kinds(found, target, lambda value: isinstance(value, list))
    size = target.list_size if pa.types.is_fixed_size_list(target) else None
    if size is not None:
        other = [place for place, value in enumerate(values) if value is not None and len(value) != size]
        found.refuse(f"list without exactly {size} items", other)
    lists = [([None] * (size or 0)) if value is None else value for value in values]
    lengths = np.array([len(each) for each in lists], np.int64)
    positions = np.repeat(np.arange(len(lists)), lengths).tolist()
    items = found.inner(target.value_field, positions, [item for each in lists for item in each])
    return list_array(items, lengths, _valid(values), target)


def _map(found: _Values, target: pa.DataType) -> pa.Array:
    """Read maps as objects, or as arrays of pairs, each an array of two or an object of `key` and `value`."""
    entries = [_entries(value) for value in found.values]
    wrong = [place for place, value in enumerate(found.values) if value is not None and entries[place] is None]
    found.refuse(f"expected {type_name(target)}, found neither an object nor an array of pairs", wrong)
    maps = [each or [] for each in entries]
    lengths = np.array([len(each) for each in maps], np.int64)
    positions = np.repeat(np.arange(len(maps)), lengths).tolist()
    keys = found.inner(target.key_field, positions, [key for each in maps for key, _ in each])
    items = found.inner(target.item_field, positions, [item for each in maps for _, item in each])
    pairs = pa.struct([target.key_field, target.item_field])
    everywhere = np.ones(len(positions), bool)
    return list_array(struct_array([keys, items], everywhere, pairs), lengths, _valid(found.values), target)


def _entries(value: Any) -> list[tuple[Any, Any]] | None:
    if isinstance(value, dict):
        return None if repeated_names(value) else list(value.items())
    if not isinstance(value, list):
        return None
    entries = []
    for pair in value:
        if isinstance(pair, dict) and pair.keys() == {"key", "value"} and not repeated_names(pair):
            entries.append((pair["key"], pair["value"]))
        elif isinstance(pair, list) and len(pair) == 2:
            entries.append((pair[0], pair[1]))
        else:
            return None
    return entries


def _struct(found: _Values, target: pa.DataType) -> pa.Array:
    values = found.values
    _refuse_kinds(found, target, lambda value: isinstance(value, dict))
    found.refuse("object with a name more than once", [p for p, value in enumerate(values) if repeated_names(value)])
    fields = children(target)
    if found.strict_names:
        known = {field.name for field in fields}
        unknown = [place for place, value in enumerate(values) if value is not None and not value.keys() <= known]
        found.refuse(f"names that are not in {type_name(target)}; the contract refuses extra columns", unknown)
    everywhere = range(len(values))
    columns = [
        found.inner(field, everywhere, [None if value is None else value.get(field.name) for value in values])
        for field in fields
    ]
    return struct_array(columns, _valid(values), target)


def _valid(values: list[Any]) -> np.ndarray[Any, Any]:
    return np.array([value is not None for value in values], bool)


def _single(found: _Values, target: pa.DataType) -> pa.Array:
    plain = target.value_type if pa.types.is_dictionary(target) else target
    if shape(plain):
        typed = _array(found, plain)
        try:
            return exact_cast(pa.chunked_array([typed]), target).combine_chunks()
        except InexactError as error:
            raise _WrongError(Violation(found.column, str(error))) from None
    meaning = kind(plain)
    _refuse_kinds(found, target, _ACCEPTED.get(meaning, _is_interval))
    if meaning not in _ACCEPTED:
        return _intervals(found, target)
    texts = [json.dumps(value) if isinstance(value, bool) else value for value in found.values]
    texts = [str(value) if isinstance(value, float) else value for value in texts]
    try:
        array = pa.array(texts, pa.large_string())
    except (UnicodeEncodeError, pa.ArrowException):
        found.refuse("text with half a surrogate pair", [p for p, text in enumerate(texts) if not _encodes(text)])
        raise
    typed = typed_text(found.column, pa.chunked_array([array]), target)
    if isinstance(typed, Violation):
        raise found.wrong(typed)
    return typed.combine_chunks()


def _intervals(found: _Values, target: pa.DataType) -> pa.Array:
    try:
        return pa.array([None if value is None else tuple(map(int, value)) for value in found.values], target)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise _WrongError(Violation(found.column, f"no {type_name(target)}: {error}")) from None


def _refuse_kinds(found: _Values, target: pa.DataType, accepts: Callable[[Any], bool]) -> None:
    """Refuse values of another kind than the type's, such as text for a number."""
    wrong = [place for place, value in enumerate(found.values) if value is not None and not accepts(value)]
    if wrong:
        kinds = ", ".join(sorted({_json_kind(found.values[place]) for place in wrong}))
        found.refuse(f"expected {type_name(target)}, found {kinds}", wrong)


def _json_kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if _is_number(value):
        return "number"
    return "text" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def _is_number(value: Any) -> bool:
    # Python's parser returns floats for NaN and Infinity.
    return isinstance(value, _Number | float)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not isinstance(value, _Number)


def _is_decimal(value: Any) -> bool:
    if isinstance(value, str):
        try:
            return decimal.Decimal(value).is_finite()
        except decimal.InvalidOperation:
            return False
    return isinstance(value, float) and math.isfinite(value)


def _is_interval(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 3 and all(isinstance(part, _Number) for part in value)


def _encodes(text: str | None) -> bool:
    try:
        (text or "").encode()
    except UnicodeEncodeError:
        return False
    return True


_NESTED: dict[str, Callable[[_Values, pa.DataType], pa.Array]] = {"list": _list, "map": _map, "struct": _struct}
_ACCEPTED: dict[str, Callable[[Any], bool]] = {
    "bool": lambda value: isinstance(value, bool),
    "integer": _is_number,
    "float": _is_number,
    "decimal": _is_decimal,
    "text": _is_text,
    **dict.fromkeys(WRITTEN_AS_TEXT, _is_text),
}
