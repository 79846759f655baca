"""Build arrays of lists, maps and structs from their parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

Flags = np.ndarray[Any, np.dtype[np.bool_]]
Counts = np.ndarray[Any, np.dtype[np.int64]]


def shape(arrow_type: pa.DataType) -> str | None:
    """Return the shape of a nested type ("list", "map" …), independent of its layout; None for a flat type."""
    if pa.types.is_struct(arrow_type):
        return "struct"
    if pa.types.is_map(arrow_type):
        return "map"
    is_list = (
        pa.types.is_list(arrow_type)
        or pa.types.is_large_list(arrow_type)
        or pa.types.is_fixed_size_list(arrow_type)
        or pa.types.is_list_view(arrow_type)
        or pa.types.is_large_list_view(arrow_type)
    )
    return "list" if is_list else None


def children(arrow_type: pa.DataType) -> list[pa.Field]:
    """Return the fields inside a nested type; none for a flat type."""
    return [arrow_type.field(position) for position in range(arrow_type.num_fields)] if shape(arrow_type) else []


def holds_required(arrow_type: pa.DataType) -> bool:
    """Return whether a field within the type is not nullable."""
    return any(not child.nullable or holds_required(child.type) for child in children(arrow_type))


def list_array(items: pa.Array, lengths: Counts, valid: Flags, target: pa.DataType) -> pa.Array:
    """Return lists, or maps of entries, of the given lengths; null where not valid.

    A null has the length 0, except in fixed-size lists, where every list has all its items.

    Raises ArrowInvalid if the layout has no room for so many items.
    """
    mask = pa.array(~valid)
    if pa.types.is_fixed_size_list(target):
        if len(items):
            return pa.FixedSizeListArray.from_arrays(items, type=target, mask=mask)
        return pa.array([[] if each else None for each in valid.tolist()], target)
    large = pa.types.is_large_list(target) or pa.types.is_large_list_view(target)
    offset_type = pa.int64() if large else pa.int32()
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int64()).cast(offset_type)
    if pa.types.is_map(target):
        keys, values = items.flatten()
        return pa.MapArray.from_arrays(offsets, keys, values, type=target, mask=mask)
    if pa.types.is_list_view(target) or pa.types.is_large_list_view(target):
        sizes = pa.array(lengths, pa.int64()).cast(offset_type)
        array = pa.LargeListViewArray if large else pa.ListViewArray
        return array.from_arrays(offsets[:-1], sizes, items, type=target, mask=mask)
    array = pa.LargeListArray if large else pa.ListArray
    return array.from_arrays(offsets, items, type=target, mask=mask)


def struct_array(columns: list[pa.Array], valid: Flags, target: pa.DataType) -> pa.Array:
    """Return structs of the columns, null where not valid."""
    if not columns:
        # A struct without fields has no column to take the length from.
        return pa.array([{} if each else None for each in valid.tolist()], target)
    return pa.StructArray.from_arrays(columns, fields=children(target), mask=pa.array(~valid))
