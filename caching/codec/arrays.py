"""numpy arrays, scalars and dtypes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from caching.codec.coder import (
    Damaged,
    Decoder,
    Encoder,
    Node,
    NotExact,
    Writer,
    reads,
    writes,
    writes_special,
)
from caching.codec.plain import read_items, write_items

# How many steps of the exact test for shared memory are worth taking before the answer is "perhaps".
_MAX_OVERLAP_WORK = 10_000


def write_dtype(dtype: np.dtype[Any]) -> Node:
    """Return a dtype as a string, or as the parts of a structure."""
    if dtype.metadata is not None:
        raise NotExact("it contains a numpy dtype with metadata")
    if dtype.subdtype is not None:
        item, shape = dtype.subdtype
        return {"item": write_dtype(item), "shape": list(shape)}
    if dtype.names is not None:
        return _write_structure(dtype)
    if dtype.kind not in "biufcmMOSUV" or type(dtype).__module__ != "numpy.dtypes":
        raise NotExact(f"it contains an array of the numpy dtype {dtype}")
    # On most platforms two C types share a size, and numpy tells them apart.
    return dtype.str if np.dtype(dtype.str).char == dtype.char else f"{dtype.byteorder}{dtype.char}"


def _write_structure(dtype: np.dtype[Any]) -> Node:
    if dtype.type is not np.void:
        raise NotExact(f"it contains an array of the numpy dtype {dtype}")
    fields = [dtype.fields[name] for name in dtype.names or ()] if dtype.fields is not None else []
    titles = [field[2] if len(field) > 2 else None for field in fields]
    if not all(title is None or type(title) is str for title in titles):
        raise NotExact("it contains a numpy dtype whose titles are no texts")
    return {
        **({"titles": titles} if any(titles) else {}),
        "names": list(dtype.names or ()),
        "formats": [write_dtype(field[0]) for field in fields],
        "offsets": [field[1] for field in fields],
        "itemsize": dtype.itemsize,
        "aligned": dtype.isalignedstruct,
    }


def read_dtype(node: Node) -> np.dtype[Any]:
    """Read what `write_dtype` wrote."""
    if type(node) is str:
        return np.dtype(node)
    if type(node) is not dict:
        raise Damaged("a dtype is neither a string nor a structure")
    if "item" in node:
        return np.dtype((read_dtype(node["item"]), tuple(node["shape"])))
    structure: Any = {
        "names": node["names"],
        "formats": [read_dtype(item) for item in node["formats"]],
        "offsets": node["offsets"],
        "itemsize": node["itemsize"],
        **({"titles": node["titles"]} if "titles" in node else {}),
    }
    dtype: np.dtype[Any] = np.dtype(structure, align=bool(node["aligned"]))
    return dtype


def write_array(encoder: Encoder, array: np.ndarray[Any, Any]) -> Node:
    """Return an array, whose memory becomes a buffer as it is when it is contiguous in either order."""
    if array.dtype.hasobject:
        return _write_objects(encoder, array)
    order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    node = [write_dtype(array.dtype), list(array.shape), order, -1]
    if array.nbytes:
        flat = (array.T if order == "F" else np.ascontiguousarray(array)).reshape(-1)
        node[3] = encoder.add_buffer(flat.view(np.uint8).data)
    return node


def _write_objects(encoder: Encoder, array: np.ndarray[Any, Any]) -> Node:
    if array.dtype != np.dtype(object):
        raise NotExact("it contains a structured array with Python objects in it")
    order: Any = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    items = array.ravel(order).tolist()
    return ["O", list(array.shape), order, write_items(encoder, items)]


def read_array(decoder: Decoder, node: Node) -> np.ndarray[Any, Any]:
    """Read what `write_array` wrote, on the buffer's own memory."""
    kind, shape, order, content = node
    if kind == "O":
        items = read_items(decoder, content)
        return np.fromiter(items, dtype=object, count=len(items)).reshape(shape, order=order)
    dtype = read_dtype(kind)
    if dtype.hasobject:
        raise Damaged("a buffer is declared to hold Python objects")
    if content == -1:
        array = np.empty(shape, dtype, order)
        if array.nbytes:
            raise Damaged("an array has no buffer")
        return array
    buffer = decoder.buffer(content)
    array = np.ndarray(shape, dtype, buffer, order=order)
    if array.nbytes != len(buffer):
        raise Damaged("an array and its buffer differ in size")
    return array


@writes(np.ndarray)
def _write_ndarray(encoder: Encoder, value: np.ndarray[Any, Any]) -> Node:
    if not value.dtype.hasobject:
        encoder.arrays.append(value)
    return ["np.array", write_array(encoder, value), value.flags.writeable]


@reads("np.array")
def _read_ndarray(decoder: Decoder, node: Node, writeable: bool) -> np.ndarray[Any, Any]:
    array = read_array(decoder, node)
    if not writeable:
        array.flags.writeable = False
    return array


def refuse_shared_memory(arrays: list[np.ndarray[Any, Any]]) -> None:
    """Raise NotExact when two of the arrays are views of the same memory."""
    bounds = sorted(
        ((*np.lib.array_utils.byte_bounds(array), number) for number, array in enumerate(arrays) if array.size)
    )
    for (_, end, first), (start, _, second) in pairwise(bounds):
        if start < end and _may_share(arrays[first], arrays[second]):
            raise NotExact("it contains arrays that are views of the same memory")


def _may_share(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> bool:
    try:
        return np.shares_memory(first, second, max_work=_MAX_OVERLAP_WORK)  # type: ignore[arg-type] # any number
    except np.exceptions.TooHardError:
        return True


def _write_dtype_itself(encoder: Encoder, value: np.dtype[Any]) -> Node:
    return ["np.dtype", write_dtype(value)]


@reads("np.dtype")
def _read_dtype_itself(decoder: Decoder, node: Node) -> np.dtype[Any]:
    return read_dtype(node)


def _write_scalar(encoder: Encoder, value: np.generic) -> Node:
    if value.dtype.hasobject:
        raise NotExact("it contains a structured scalar with Python objects in it")
    return ["np.scalar", write_dtype(value.dtype), value.tobytes().hex()]


@reads("np.scalar")
def _read_scalar(decoder: Decoder, dtype: Node, digits: str) -> np.generic:
    kind = read_dtype(dtype)
    if kind.hasobject:
        raise Damaged("a scalar is declared to hold Python objects")
    scalar = np.frombuffer(bytearray.fromhex(digits), kind, 1)[0]
    # A structured scalar is a view of the array it came from.
    return scalar.copy() if kind.kind == "V" else scalar  # type: ignore[no-any-return]


@writes(np.str_, immutable=True)
def _write_numpy_str(encoder: Encoder, value: np.str_) -> Node:
    # Not str(value), which drops zeros at the end.
    return ["np.str", encoder.encode("".join(value))]


@reads("np.str")
def _read_numpy_str(decoder: Decoder, node: Node) -> np.str_:
    return np.str_(decoder.decode(node))


@writes(np.bytes_, immutable=True)
def _write_numpy_bytes(encoder: Encoder, value: np.bytes_) -> Node:
    return ["np.bytes", encoder.encode(bytes(value))]


@reads("np.bytes")
def _read_numpy_bytes(decoder: Decoder, node: Node) -> np.bytes_:
    return np.bytes_(decoder.decode(node))


_SCALARS = {np.dtype(char).type for char in np.typecodes["All"]} - {np.object_, np.str_, np.bytes_}
writes(*_SCALARS - {np.void}, immutable=True)(_write_scalar)
writes(np.void)(_write_scalar)


@writes_special("numpy")
def _find_writer(kind: type) -> Writer | None:
    # Each dtype has a class of its own; libraries may add theirs, `write_dtype` refuses those.
    return _write_dtype_itself if issubclass(kind, np.dtype) else None
