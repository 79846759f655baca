"""Arrow arrays, tables, schemas and scalars.

Flat types keep their own buffers, one of ours for each of Arrow's, so that neither writing nor reading copies
them. Everything else (nested, dictionary, view and run-end types) goes through Arrow's IPC format, which is
exact for it.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pyarrow as pa

from caching.codec.coder import Damaged, Decoder, Encoder, Node, NotExact, reads, writes, writes_special
from caching.codec.coder import Writer as NodeWriter

_STRINGS = {
    pa.string(): np.int32,
    pa.binary(): np.int32,
    pa.large_string(): np.int64,
    pa.large_binary(): np.int64,
}
_NAMED = {
    str(kind): kind
    for kind in (
        *_STRINGS, pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(),
        pa.uint32(), pa.uint64(), pa.float16(), pa.float32(), pa.float64(), pa.date32(), pa.date64(),
        pa.null(),
    )
}  # fmt: skip

_EMPTY = pa.py_buffer(b"")
_OFFSETS_AT_ONCE = 1 << 15


def write_type(kind: pa.DataType) -> Node:
    """Return a type by name, or as the schema message of Arrow's IPC format."""
    if _NAMED.get(str(kind)) == kind:
        return str(kind)
    return [base64.b85encode(_write_schema(pa.schema([pa.field("", kind)]))).decode("ascii")]


def _write_schema(schema: pa.Schema) -> bytes:
    for field in schema:
        _refuse_foreign(field.type)
    message = schema.serialize()
    if not pa.ipc.read_schema(message).equals(schema, check_metadata=True):
        raise NotExact("it contains an Arrow type that does not survive Arrow's own format")
    return bytes(message)


def _refuse_foreign(kind: pa.DataType) -> None:
    """Refuse extension types, because reading one runs the code that is registered for its name."""
    if isinstance(kind, pa.BaseExtensionType):
        raise NotExact(f"it contains the Arrow extension type {kind}")
    for number in range(kind.num_fields):
        _refuse_foreign(kind.field(number).type)
    if pa.types.is_dictionary(kind):
        _refuse_foreign(kind.value_type)


def read_type(node: Node) -> pa.DataType:
    """Read what `write_type` wrote."""
    if type(node) is str:
        return _NAMED[node]
    return pa.ipc.read_schema(pa.py_buffer(base64.b85decode(node[0]))).field(0).type


def write_chunks(encoder: Encoder, kind: pa.DataType, chunks: list[pa.Array]) -> Node:
    """Write arrays of one type."""
    if kind in _STRINGS or (_bit_width(kind) and not isinstance(kind, pa.BaseExtensionType)):
        return [write_type(kind), [_write_flat(encoder, kind, chunk) for chunk in chunks]]
    sink = pa.BufferOutputStream()
    _refuse_foreign(kind)
    with pa.ipc.new_stream(sink, pa.schema([pa.field("", kind)])) as stream:
        for chunk in chunks:
            stream.write_batch(pa.record_batch([chunk], names=[""]))
    return [write_type(kind), encoder.add_buffer(sink.getvalue())]


def _bit_width(kind: pa.DataType) -> int:
    """Return the bits of one item of a flat type; 0 for every other type."""
    if kind.num_fields or not (pa.types.is_primitive(kind) or pa.types.is_decimal(kind)):
        return 8 * kind.byte_width if pa.types.is_fixed_size_binary(kind) else 0
    return int(kind.bit_width)


def _write_flat(encoder: Encoder, kind: pa.DataType, array: pa.Array) -> Node:
    """Write length, offset, nulls and buffers of a slice; bitmaps are cut at a byte, hence the offset."""
    length, skipped = len(array), array.offset % 8
    first, last = array.offset - skipped, array.offset + length
    buffers = array.buffers()
    nulls = array.null_count
    numbers = [-1 if not nulls else encoder.add_buffer(buffers[0][first // 8 : (last + 7) // 8])]
    if kind in _STRINGS:
        numbers += _write_strings(encoder, _STRINGS[kind], buffers, first, last)
    else:
        bits = _bit_width(kind)
        numbers.append(_add(encoder, buffers[1], first * bits // 8, (last * bits + 7) // 8))
    return [length, skipped, nulls, numbers]


def _write_strings(encoder: Encoder, offset_type: Any, buffers: list[Any], first: int, last: int) -> list[int]:
    if buffers[1] is None or not buffers[1].size:
        return [-1, -1]
    offsets = np.frombuffer(buffers[1], offset_type)[first : last + 1]
    start, end = int(offsets[0]), int(offsets[-1])
    if start:
        offsets = offsets - offsets[0]
    return [encoder.add_buffer(offsets.view(np.uint8).data), _add(encoder, buffers[2], start, end)]


def _add(encoder: Encoder, buffer: Any, start: int, end: int) -> int:
    return -1 if buffer is None or start == end else encoder.add_buffer(buffer[start:end])


def read_chunks(decoder: Decoder, node: Node) -> tuple[pa.DataType, list[pa.Array]]:
    """Read what `write_chunks` wrote, on the buffers' own memory."""
    kind = read_type(node[0])
    if type(node[1]) is list:
        return kind, [_read_flat(decoder, kind, *chunk) for chunk in node[1]]
    with pa.ipc.open_stream(pa.py_buffer(decoder.buffer(node[1]))) as stream:
        if len(stream.schema) != 1 or stream.schema.field(0).type != kind:
            raise Damaged("an Arrow array is of another type than announced")
        chunks = [batch.column(0) for batch in stream]
    for chunk in chunks:
        chunk.validate(full=True)
    return kind, chunks


def _read_flat(
    decoder: Decoder, kind: pa.DataType, length: int, skipped: int, nulls: int, numbers: list[int]
) -> pa.Array:
    bits = 0 if kind in _STRINGS else _bit_width(kind)
    if type(length) is not int or length < 0 or skipped not in range(8) or nulls not in range(length + 1):
        raise Damaged("an Arrow array has an impossible length")
    # A missing bitmap says that there are no nulls; any other missing buffer is an empty one.
    buffers: list[Any] = [
        pa.py_buffer(decoder.buffer(number)) if number != -1 else (_EMPTY if place else None)
        for place, number in enumerate(numbers)
    ]
    if (buffers[0] is None) != (nulls == 0) or (not bits and kind not in _STRINGS):
        raise Damaged("an Arrow array lacks its buffers")
    if buffers[0] is not None and buffers[0].size * 8 < skipped + length:
        raise Damaged("an Arrow array is longer than its bitmap")
    if kind in _STRINGS:
        _check_offsets(_STRINGS[kind], buffers, skipped + length)
    elif len(buffers) != 2 or buffers[1].size * 8 < (skipped + length) * bits:
        raise Damaged("an Arrow array is longer than its buffer")
    return pa.Array.from_buffers(kind, length, buffers, nulls, skipped)


def _check_offsets(offset_type: Any, buffers: list[Any], length: int) -> None:
    """Raise Damaged for offsets that leave the buffer; Arrow does not check them."""
    if len(buffers) != 3:
        raise Damaged("an Arrow array lacks its buffers")
    offsets = np.frombuffer(buffers[1], offset_type)
    if not len(offsets) and not length:
        return
    if len(offsets) != length + 1 or offsets[0] != 0 or offsets[-1] != buffers[2].size:
        raise Damaged("the offsets of an Arrow array do not fit its buffer")
    for start in range(0, length, _OFFSETS_AT_ONCE):
        # A piece stays in the processor's cache while both of its shifts are compared.
        piece = offsets[start : start + _OFFSETS_AT_ONCE + 1]
        if (piece[1:] < piece[:-1]).any():
            raise Damaged("the offsets of an Arrow array run backwards")


@writes(pa.ChunkedArray)
def _write_chunked(encoder: Encoder, value: pa.ChunkedArray) -> Node:
    return ["pa.chunked", write_chunks(encoder, value.type, value.chunks)]


@reads("pa.chunked")
def read_chunked(decoder: Decoder, node: Node) -> pa.ChunkedArray:
    """Read a chunked array."""
    kind, chunks = read_chunks(decoder, node)
    return pa.chunked_array(chunks, kind)


def _write_array(encoder: Encoder, value: pa.Array) -> Node:
    return ["pa.array", write_chunks(encoder, value.type, [value])]


@reads("pa.array")
def _read_array(decoder: Decoder, node: Node) -> pa.Array:
    _, (array,) = read_chunks(decoder, node)
    return array


def _write_scalar(encoder: Encoder, value: pa.Scalar) -> Node:
    return ["pa.scalar", write_chunks(encoder, value.type, [pa.array([value], value.type)])]


@reads("pa.scalar")
def _read_scalar(decoder: Decoder, node: Node) -> pa.Scalar:
    _, (array,) = read_chunks(decoder, node)
    return array[0]


@writes(pa.Table)
def _write_table(encoder: Encoder, value: pa.Table) -> Node:
    schema = encoder.add_buffer(_write_schema(value.schema))
    columns = [write_chunks(encoder, column.type, column.chunks) for column in value.columns]
    return ["pa.table", schema, columns, value.num_rows]


@reads("pa.table")
def _read_table(decoder: Decoder, schema: int, columns: list[Node], rows: int) -> pa.Table:
    arrays = [read_chunked(decoder, column) for column in columns]
    table = pa.Table.from_arrays(arrays, schema=_read_schema(decoder, schema))
    table.validate()
    return _with_rows(table, rows)


@writes(pa.RecordBatch)
def _write_batch(encoder: Encoder, value: pa.RecordBatch) -> Node:
    schema = encoder.add_buffer(_write_schema(value.schema))
    columns = [write_chunks(encoder, column.type, [column]) for column in value.columns]
    return ["pa.batch", schema, columns, value.num_rows]


@reads("pa.batch")
def _read_batch(decoder: Decoder, schema: int, columns: list[Node], rows: int) -> pa.RecordBatch:
    arrays = [read_chunks(decoder, column)[1][0] for column in columns]
    batch = pa.RecordBatch.from_arrays(arrays, schema=_read_schema(decoder, schema))
    batch.validate()
    return _with_rows(batch, rows)


def _with_rows(value: Any, rows: int) -> Any:
    if value.num_rows != rows:
        raise Damaged("a table has another number of rows than announced")
    return value


@writes(pa.Schema)
def _write_schema_itself(encoder: Encoder, value: pa.Schema) -> Node:
    return ["pa.schema", encoder.add_buffer(_write_schema(value))]


@reads("pa.schema")
def _read_schema(decoder: Decoder, number: int) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(bytes(decoder.buffer(number))))


@writes(pa.Field)
def _write_field(encoder: Encoder, value: pa.Field) -> Node:
    return ["pa.field", encoder.add_buffer(_write_schema(pa.schema([value])))]


@reads("pa.field")
def _read_field(decoder: Decoder, number: int) -> pa.Field:
    return _read_schema(decoder, number).field(0)


def _write_type_itself(encoder: Encoder, value: pa.DataType) -> Node:
    return ["pa.type", write_type(value)]


@reads("pa.type")
def _read_type_itself(decoder: Decoder, node: Node) -> pa.DataType:
    return read_type(node)


@writes_special("pyarrow")
def _find_writer(kind: type) -> NodeWriter | None:
    # Arrow has a class for each type's arrays and scalars; only its own count, not what users derive from
    # them.
    if not kind.__module__.startswith("pyarrow."):
        return None
    for base, write in (
        (pa.Array, _write_array),
        (pa.Scalar, _write_scalar),
        (pa.DataType, _write_type_itself),
    ):
        if issubclass(kind, base):
            return write
    return None
