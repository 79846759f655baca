"""Plain Python values, which need no library."""

from __future__ import annotations

import datetime
import json
import math
import struct
from collections import Counter, OrderedDict, deque
from decimal import Decimal
from fractions import Fraction
from pathlib import PosixPath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import Any
from uuid import UUID, SafeUUID

from caching.codec.coder import Damaged, Decoder, Encoder, Node, NotExact, reads, writes

_INT64 = range(-(2**63), 2**63)
_PLAIN_NAN = struct.pack("<d", math.nan)
_LONG = 4096
_JSON_TYPES = {str, int, float, bool, type(None)}
_PATHS = {kind.__name__: kind for kind in (PosixPath, WindowsPath, PurePosixPath, PureWindowsPath)}


@writes(type(None), bool, immutable=True)
def _write_itself(encoder: Encoder, value: object) -> Node:
    return value


@writes(int, immutable=True)
def _write_int(encoder: Encoder, value: int) -> Node:
    # Not as decimal digits: converting those is quadratic and limited by the interpreter.
    return value if value in _INT64 else ["int", hex(value)]


@reads("int")
def _read_int(decoder: Decoder, digits: str) -> int:
    return int(digits, 16)


@writes(float, immutable=True)
def _write_float(encoder: Encoder, value: float) -> Node:
    return value if math.isfinite(value) else ["float", struct.pack("<d", value).hex()]


@reads("float")
def _read_float(decoder: Decoder, digits: str) -> float:
    number: float = struct.unpack("<d", bytes.fromhex(digits))[0]
    return number


@writes(complex, immutable=True)
def _write_complex(encoder: Encoder, value: complex) -> Node:
    return ["complex", struct.pack("<dd", value.real, value.imag).hex()]


@reads("complex")
def _read_complex(decoder: Decoder, digits: str) -> complex:
    return complex(*struct.unpack("<dd", bytes.fromhex(digits)))


@writes(str, immutable=True)
def _write_str(encoder: Encoder, value: str) -> Node:
    if value.isascii() and len(value) <= _LONG:
        return value
    # JSON would join two lone surrogates to one character.
    encoded = value.encode("utf-8", "surrogatepass")
    if len(encoded) <= _LONG and not _has_surrogates(value):
        return value
    return ["str", encoder.add_buffer(encoded)]


def _has_surrogates(value: str) -> bool:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


@reads("str")
def _read_str(decoder: Decoder, number: int) -> str:
    return str(decoder.buffer(number), "utf-8", "surrogatepass")


@writes(bytes, immutable=True)
def _write_bytes(encoder: Encoder, value: bytes) -> Node:
    return ["bytes", value.hex()] if len(value) <= 64 else ["bytes", encoder.add_buffer(value)]


@reads("bytes")
def _read_bytes(decoder: Decoder, content: str | int) -> bytes:
    return bytes.fromhex(content) if type(content) is str else bytes(decoder.buffer(content))  # type: ignore[arg-type]


@writes(bytearray)
def _write_bytearray(encoder: Encoder, value: bytearray) -> Node:
    return ["bytearray", encoder.add_buffer(value)]


@reads("bytearray")
def _read_bytearray(decoder: Decoder, number: int) -> bytearray:
    return bytearray(decoder.buffer(number))


@writes(type(Ellipsis), immutable=True)
def _write_ellipsis(encoder: Encoder, value: object) -> Node:
    return ["..."]


@reads("...")
def _read_ellipsis(decoder: Decoder) -> object:
    return ...


def write_items(encoder: Encoder, items: list[Any]) -> Node:
    """Return a sequence of items; long ones of JSON's own types at the speed of the json module."""
    packed = _pack(encoder, items)
    return [encoder.encode(item) for item in items] if packed is None else packed


def _pack(encoder: Encoder, items: list[Any]) -> int | None:
    """Return the number of a buffer with the items as JSON; None where that is not exact or not worth it."""
    if len(items) < 16:
        return None
    kinds = set(map(type, items))
    if not kinds <= _JSON_TYPES:
        return None
    if int in kinds and any(type(item) is int and item not in _INT64 for item in items):
        return None
    if float in kinds and any(item != item and struct.pack("<d", item) != _PLAIN_NAN for item in items):
        return None  # JSON has one NaN, without sign and payload
    try:
        return encoder.add_buffer(json.dumps(items, ensure_ascii=False, separators=(",", ":")).encode("utf-8"))
    except UnicodeEncodeError:  # a lone surrogate
        return None


def read_items(decoder: Decoder, items: list[Node] | int) -> list[Any]:
    """Read what `write_items` wrote."""
    if type(items) is list:
        decode = decoder.decode
        return [decode(item) if type(item) is list else item for item in items]
    loaded = json.loads(bytes(decoder.buffer(items)))  # type: ignore[arg-type]
    if type(loaded) is not list or not set(map(type, loaded)) <= _JSON_TYPES:
        raise Damaged("a sequence is not a list of plain items")
    return loaded


@writes(list)
def _write_list(encoder: Encoder, value: list[Any]) -> Node:
    packed = _pack(encoder, value)
    if packed is not None:
        return ["list", packed]
    items: list[Node] = []
    node: list[Node] = ["list", items]
    encoder.begin(value, node)
    items.extend(encoder.encode(item) for item in value)
    return node


@reads("list")
def _read_list(decoder: Decoder, items: list[Node] | int, number: int | None = None) -> list[Any]:
    value: list[Any] = []
    if number is not None:
        decoder.know(number, value)
    value.extend(read_items(decoder, items))
    return value


@writes(dict)
def _write_dict(encoder: Encoder, value: dict[Any, Any]) -> Node:
    keys = write_items(encoder, list(value))
    packed = _pack(encoder, list(value.values()))
    if packed is not None:
        return ["dict", keys, packed]
    items: list[Node] = []
    node: list[Node] = ["dict", keys, items]
    encoder.begin(value, node)
    items.extend(encoder.encode(item) for item in value.values())
    return node


@reads("dict")
def _read_dict(
    decoder: Decoder, keys: list[Node] | int, values: list[Node] | int, number: int | None = None
) -> dict[Any, Any]:
    value: dict[Any, Any] = {}
    names = read_items(decoder, keys)
    if number is not None:
        decoder.know(number, value)
    value.update(zip(names, read_items(decoder, values), strict=True))
    return value


@writes(OrderedDict, Counter)
def _write_mapping(encoder: Encoder, value: OrderedDict[Any, Any] | Counter[Any]) -> Node:
    if vars(value):
        raise NotExact(f"it contains a {type(value).__name__} with attributes of its own")
    kind = "ordered" if type(value) is OrderedDict else "counter"
    return [kind, write_items(encoder, list(value)), write_items(encoder, list(value.values()))]


@reads("ordered")
def _read_ordered(decoder: Decoder, keys: Any, values: Any) -> OrderedDict[Any, Any]:
    return OrderedDict(zip(read_items(decoder, keys), read_items(decoder, values), strict=True))


@reads("counter")
def _read_counter(decoder: Decoder, keys: Any, values: Any) -> Counter[Any]:
    return Counter(dict(zip(read_items(decoder, keys), read_items(decoder, values), strict=True)))


@writes(tuple)
def _write_tuple(encoder: Encoder, value: tuple[Any, ...]) -> Node:
    return ["tuple", write_items(encoder, list(value))]


@reads("tuple")
def _read_tuple(decoder: Decoder, items: Any) -> tuple[Any, ...]:
    return tuple(read_items(decoder, items))


@writes(set)
def _write_set(encoder: Encoder, value: set[Any]) -> Node:
    return ["set", write_items(encoder, list(value))]


@reads("set")
def _read_set(decoder: Decoder, items: Any) -> set[Any]:
    return set(read_items(decoder, items))


@writes(frozenset)
def _write_frozenset(encoder: Encoder, value: frozenset[Any]) -> Node:
    return ["frozenset", write_items(encoder, list(value))]


@reads("frozenset")
def _read_frozenset(decoder: Decoder, items: Any) -> frozenset[Any]:
    return frozenset(read_items(decoder, items))


@writes(deque)
def _write_deque(encoder: Encoder, value: deque[Any]) -> Node:
    return ["deque", write_items(encoder, list(value)), value.maxlen]


@reads("deque")
def _read_deque(decoder: Decoder, items: Any, maxlen: int | None) -> deque[Any]:
    return deque(read_items(decoder, items), maxlen)


@writes(range, slice, immutable=True)
def _write_steps(encoder: Encoder, value: range | slice) -> Node:
    return [type(value).__name__, *(encoder.encode(part) for part in (value.start, value.stop, value.step))]


@reads("range")
def _read_range(decoder: Decoder, *parts: Node) -> range:
    return range(*(decoder.decode(part) for part in parts))


@reads("slice")
def _read_slice(decoder: Decoder, *parts: Node) -> slice:
    return slice(*(decoder.decode(part) for part in parts))


@writes(datetime.date, immutable=True)
def _write_date(encoder: Encoder, value: datetime.date) -> Node:
    return ["date", value.toordinal()]


@reads("date")
def _read_date(decoder: Decoder, ordinal: int) -> datetime.date:
    return datetime.date.fromordinal(ordinal)


@writes(datetime.datetime, immutable=True)
def _write_datetime(encoder: Encoder, value: datetime.datetime) -> Node:
    clock = value.replace(tzinfo=None, fold=0).isoformat()
    return ["datetime", clock, encoder.encode(value.tzinfo), value.fold]


@reads("datetime")
def _read_datetime(decoder: Decoder, clock: str, zone: Node, fold: int) -> datetime.datetime:
    return datetime.datetime.fromisoformat(clock).replace(tzinfo=decoder.decode(zone), fold=fold)


@writes(datetime.time, immutable=True)
def _write_time(encoder: Encoder, value: datetime.time) -> Node:
    return ["time", value.replace(tzinfo=None, fold=0).isoformat(), encoder.encode(value.tzinfo), value.fold]


@reads("time")
def _read_time(decoder: Decoder, clock: str, zone: Node, fold: int) -> datetime.time:
    return datetime.time.fromisoformat(clock).replace(tzinfo=decoder.decode(zone), fold=fold)


@writes(datetime.timedelta, immutable=True)
def _write_timedelta(encoder: Encoder, value: datetime.timedelta) -> Node:
    return ["timedelta", value.days, value.seconds, value.microseconds]


@reads("timedelta")
def _read_timedelta(decoder: Decoder, days: int, seconds: int, microseconds: int) -> datetime.timedelta:
    return datetime.timedelta(days, seconds, microseconds)


@writes(datetime.timezone, immutable=True)
def _write_timezone(encoder: Encoder, value: datetime.timezone) -> Node:
    # The arguments that it was made of: a name that equals the default one is still a name of its own.
    offset, *name = value.__getinitargs__()  # type: ignore[attr-defined]
    return ["timezone", encoder.encode(offset), *(encoder.encode(part) for part in name)]


@reads("timezone")
def _read_timezone(decoder: Decoder, offset: Node, *name: Node) -> datetime.timezone:
    shift = decoder.decode(offset)
    return datetime.timezone(shift, *(decoder.decode(part) for part in name)) if name or shift else datetime.UTC


@writes(Decimal, immutable=True)
def _write_decimal(encoder: Encoder, value: Decimal) -> Node:
    return ["decimal", str(value)]


@reads("decimal")
def _read_decimal(decoder: Decoder, digits: str) -> Decimal:
    return Decimal(digits)


@writes(Fraction, immutable=True)
def _write_fraction(encoder: Encoder, value: Fraction) -> Node:
    return ["fraction", encoder.encode(value.numerator), encoder.encode(value.denominator)]


@reads("fraction")
def _read_fraction(decoder: Decoder, numerator: Node, denominator: Node) -> Fraction:
    return Fraction(decoder.decode(numerator), decoder.decode(denominator))


@writes(UUID, immutable=True)
def _write_uuid(encoder: Encoder, value: UUID) -> Node:
    return ["uuid", value.hex, value.is_safe.value]


@reads("uuid")
def _read_uuid(decoder: Decoder, digits: str, is_safe: int | None) -> UUID:
    return UUID(hex=digits, is_safe=SafeUUID(is_safe))


@writes(*_PATHS.values(), immutable=True)
def _write_path(encoder: Encoder, value: PurePosixPath) -> Node:
    return ["path", type(value).__name__, encoder.encode(str(value))]


@reads("path")
def _read_path(decoder: Decoder, kind: str, path: Node) -> Any:
    return _PATHS[kind](decoder.decode(path))
