"""Random Arrow arrays of any type that a contract may have, with values that a check allows."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loaders.errors import ConfigError
from loaders.generation.regular_texts import regular_texts
from loaders.generation.value_ranges import Range, checked_range, from_integers, usual_range
from loaders.schema import Check
from loaders.schema.dtypes import is_text

Numbers = np.ndarray[Any, Any]

_WORD = "[a-z]{3,10}"
_MOST_ITEMS = 3  # items in a list
# Texts repeat, as in real columns; this is also faster.
_MOST_TEXTS = 1000
_ROUNDS = 20
_MOST_NUMBERS = 2**62  # numpy draws and adds these without overflow


def random_values(
    arrow_type: pa.DataType,
    count: int,
    chance: np.random.Generator,
    check: Check | None = None,
    *,
    distinct: bool = False,
) -> pa.Array:
    """Return `count` values without nulls; fewer if `distinct` is set and there are no more."""
    return _Values(arrow_type, check or Check(), chance, distinct).take(count)


def with_nulls(values: pa.Array, share: float, chance: np.random.Generator) -> pa.Array:
    """Return the values with a share of them replaced with null."""
    return taken(values, pa.array(np.arange(len(values)), mask=chance.random(len(values)) < share))


def taken(values: pa.Array, positions: pa.Array) -> pa.Array:
    """Return the values at some positions; null for a null position."""
    try:
        return values.take(positions)
    except pa.ArrowNotImplementedError:  # views and nested views
        plain = values.to_pylist()
        picked = [None if position is None else plain[position] for position in positions.to_pylist()]
        return pa.array(picked, type=values.type)


def obeying(values: pa.Array, check: Check) -> pa.Array:
    """Return the values that a check allows."""
    if pa.types.is_string_view(values.type):  # Arrow cannot filter it
        return obeying(values.cast(pa.large_string()), check).cast(values.type)
    if check.minimum is not None:
        values = values.filter(pc.greater_equal(values, pa.scalar(check.minimum)))
    if check.maximum is not None:
        values = values.filter(pc.less_equal(values, pa.scalar(check.maximum)))
    if check.allowed:
        values = values.filter(pc.is_in(values, value_set=pa.array(check.allowed, type=values.type)))
    if check.pattern is not None:
        expression = re.compile(check.pattern)
        matched = [expression.fullmatch(text) is not None for text in values.to_pylist()]
        values = values.filter(pa.array(matched, type=pa.bool_()))
    return values


def lists_of(items: pa.Array, sizes: Numbers, arrow_type: pa.DataType) -> pa.Array:
    """Return lists with the given numbers of items, in any layout except fixed size."""
    wide = pa.types.is_large_list(arrow_type) or pa.types.is_large_list_view(arrow_type)
    starts = offsets(sizes).cast(pa.int64() if wide else pa.int32())
    if pa.types.is_list_view(arrow_type) or pa.types.is_large_list_view(arrow_type):
        kind = pa.LargeListViewArray if wide else pa.ListViewArray
        return kind.from_arrays(starts[:-1], pa.array(sizes, starts.type), items, type=arrow_type)
    kind = pa.LargeListArray if wide else pa.ListArray
    return kind.from_arrays(starts, items, type=arrow_type)


def offsets(sizes: Numbers) -> pa.Array:
    """Return the offsets of lists of the given sizes."""
    return pa.array(np.concatenate([[0], np.cumsum(sizes)]), type=pa.int32())


def distinct_numbers(below: int, count: int, chance: np.random.Generator) -> Numbers:
    """Return `count` different integers from 0 to `below` (exclusive), or all of them if there are fewer."""
    if below <= 4 * count:
        permuted: Numbers = chance.permutation(below)[:count]
        return permuted
    return _distinct_of(lambda size: chance.integers(0, min(below, _MOST_NUMBERS), size), count)


class _Values:
    def __init__(self, arrow_type: pa.DataType, check: Check, chance: np.random.Generator, distinct: bool) -> None:
        self._type = arrow_type
        self._check = check
        self._chance = chance
        self._distinct = distinct

    def take(self, count: int) -> pa.Array:
        if self._check.allowed:
            return self._of_allowed(count)
        limits = checked_range(self._type, self._check)
        if limits is not None:
            return from_integers(self._integers(*self._narrowed(limits, count), count), self._type)
        for belongs, make in self._makers():
            if belongs(self._type):
                return make(count)
        raise ConfigError(f"Examples of {self._type} cannot be generated.")

    def _makers(self) -> list[tuple[Callable[[pa.DataType], bool], Callable[[int], pa.Array]]]:
        types = pa.types
        return [
            (types.is_floating, self._floats),
            (is_text, self._texts),
            (types.is_dictionary, self._dictionary),
            (types.is_struct, self._structs),
            (types.is_map, self._maps),
            (types.is_fixed_size_list, self._fixed_size_lists),
            (types.is_nested, self._lists),
            (types.is_interval, self._intervals),
            (lambda _: True, self._binaries),
        ]

    def _of_allowed(self, count: int) -> pa.Array:
        allowed = [value for value in dict.fromkeys(self._check.allowed) if value is not None]
        plain = self._type.value_type if pa.types.is_dictionary(self._type) else self._type
        values = self._chosen(self._some_obeying(pa.array(allowed, type=plain)), count)
        return _encoded(values, self._type) if values.type != self._type else values

    def _some_obeying(self, values: pa.Array) -> pa.Array:
        found = obeying(values, self._check)
        if not len(found):
            raise ConfigError(f"No {self._type} that obeys {self._check} was found.")
        return found

    def _chosen(self, values: pa.Array, count: int) -> pa.Array:
        if self._distinct:
            return taken(values, pa.array(self._chance.permutation(len(values))[:count]))
        return taken(values, pa.array(self._chance.integers(0, len(values), count)))

    def _narrowed(self, limits: Range, count: int) -> Range:
        """Return a range of everyday values within the limits that is large enough for `count` values."""
        low, high = limits
        usual_low, usual_high = usual_range(self._type)
        width = usual_high - usual_low
        if self._check.minimum is None and self._check.maximum is None:
            near = (usual_low, usual_high)
        elif self._check.maximum is None:
            near = (low, min(high, low + width))
        elif self._check.minimum is None:
            near = (max(low, high - width), high)
        else:
            near = limits
        lacking = 4 * count - (near[1] - near[0] + 1)
        if self._distinct and lacking > 0:
            near = (near[0], min(high, near[1] + lacking))
            near = (max(low, near[1] - 4 * count), near[1])
        return near

    def _integers(self, low: int, high: int, count: int) -> Numbers | list[int]:
        span = high - low + 1
        if self._distinct:
            offsets = distinct_numbers(span, count, self._chance)
        else:
            offsets = self._chance.integers(0, min(span, _MOST_NUMBERS), count)
        if low >= -_MOST_NUMBERS and high < _MOST_NUMBERS:
            return offsets + low
        return [low + int(offset) for offset in offsets]

    def _floats(self, count: int) -> pa.Array:
        dtype = np.dtype(self._type.to_pandas_dtype())
        low, high = self._check.minimum, self._check.maximum
        least = float(low) if low is not None else -1000.0 if high is None else float(high) - 1000
        most = float(high) if high is not None else 1000.0 if low is None else least + 1000
        largest = float(np.finfo(dtype).max)
        ends = np.array([max(least, -largest), min(most, largest)]).astype(dtype)

        def draw(size: int) -> Numbers:
            share = self._chance.random(size)
            drawn = ends[0] * (1 - share) + ends[1] * share
            # Short numbers are easier to read, but there may be too few distinct ones.
            clipped: Numbers = np.clip(
                (drawn if self._distinct else np.round(drawn, 2)).astype(dtype), ends[0], ends[1]
            )
            return clipped

        return pa.array(_distinct_of(draw, count) if self._distinct else draw(count))

    def _texts(self, count: int) -> pa.Array:
        pattern = self._check.pattern if self._check.pattern is not None else _WORD
        wanted = count if self._distinct else min(count, _MOST_TEXTS)
        words = regular_texts(pattern, wanted, self._stdlib_chance(), distinct=self._distinct)
        texts = pa.array(words, type=pa.large_string())
        if self._check.minimum is not None or self._check.maximum is not None:
            limits = [limit for limit in (self._check.minimum, self._check.maximum) if limit is not None]
            texts = self._some_obeying(pc.unique(pa.concat_arrays([texts, pa.array(limits, type=texts.type)])))
        return (self._chosen(texts, count) if count else texts[:0]).cast(self._type)

    def _binaries(self, count: int) -> pa.Array:
        fixed = pa.types.is_fixed_size_binary(self._type)
        chance = self._stdlib_chance()
        sizes = [
            self._type.byte_width if fixed else 12 if self._distinct else chance.randrange(12) for _ in range(count)
        ]
        values = [chance.randbytes(size) for size in sizes]
        if self._distinct:
            values = list(dict.fromkeys(values))
        return pa.array(values, type=self._type)

    def _dictionary(self, count: int) -> pa.Array:
        room = 2 ** (self._type.index_type.bit_width - 1) - 1
        values = random_values(
            self._type.value_type, min(count, room), self._chance, self._check, distinct=self._distinct
        )
        codes = np.arange(len(values)) if self._distinct else self._chance.integers(0, max(len(values), 1), count)
        return _encoded(taken(values, pa.array(codes)), self._type)

    def _structs(self, count: int) -> pa.Array:
        fields = [self._type.field(position) for position in range(self._type.num_fields)]
        children = [_child(field, count, self._chance) for field in fields]
        return (
            pa.StructArray.from_arrays(children, fields=fields) if fields else pa.array([{}] * count, type=self._type)
        )

    def _maps(self, count: int) -> pa.Array:
        sizes = self._chance.integers(0, _MOST_ITEMS + 1, count)
        keys = random_values(self._type.key_type, int(sizes.sum()), self._chance, distinct=True)
        if len(keys) < sizes.sum():  # too few distinct keys: a map of at most one entry cannot repeat any
            sizes = np.minimum(sizes, 1)
            keys = random_values(self._type.key_type, int(sizes.sum()), self._chance)
        items = _child(self._type.item_field, len(keys), self._chance)
        return pa.MapArray.from_arrays(offsets(sizes), keys, items, type=self._type)

    def _fixed_size_lists(self, count: int) -> pa.Array:
        items = _child(self._type.value_field, count * self._type.list_size, self._chance)
        return pa.FixedSizeListArray.from_arrays(items, type=self._type)

    def _lists(self, count: int) -> pa.Array:
        sizes = self._chance.integers(0, _MOST_ITEMS + 1, count)
        return lists_of(_child(self._type.value_field, int(sizes.sum()), self._chance), sizes, self._type)

    def _intervals(self, count: int) -> pa.Array:
        numbers = self._chance.integers(0, 100, (count, 3)).tolist()
        return pa.array([pa.MonthDayNano(each) for each in numbers], type=self._type)

    def _stdlib_chance(self) -> random.Random:
        return random.Random(int(self._chance.integers(2**63)))  # noqa: S311 - examples, not secrets


def _distinct_of(draw: Callable[[int], Numbers], count: int) -> Numbers:
    found = draw(0)
    for _ in range(_ROUNDS):
        drawn = np.concatenate([found, draw(count + 8)])
        # The first of each in their order; np.unique alone would sort them.
        found = drawn[np.sort(np.unique(drawn, return_index=True)[1])][:count]
        if len(found) == count:
            break
    return found


def _encoded(values: pa.Array, arrow_type: pa.DataType) -> pa.Array:
    encoded = values.dictionary_encode()
    codes = encoded.indices.cast(arrow_type.index_type)
    return pa.DictionaryArray.from_arrays(codes, encoded.dictionary, ordered=arrow_type.ordered)


def _child(field: pa.Field, count: int, chance: np.random.Generator) -> pa.Array:
    values = random_values(field.type, count, chance)
    return with_nulls(values, 0.1, chance) if field.nullable else values
