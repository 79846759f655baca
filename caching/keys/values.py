"""Encode values: equal bytes exactly for values of the same type and content, in every process.

The encoding is self-delimiting, so that no two nestings of the same parts meet, and it never runs code of the
value's own (`__eq__`, `__hash__`, properties, `__reduce__` of a project's class): what a value is, is read,
not asked.
"""

from __future__ import annotations

import array
import datetime
import enum
import hashlib
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from pathlib import PurePath
from types import GenericAlias, MappingProxyType, SimpleNamespace, UnionType
from typing import Any

import xxhash

# Buffers above this are hashed by xxh3 (27 GB/s here, blake2b 1): accidents are excluded by its 128 bits.
_LARGE = 1024


class UnhashableError(Exception):
    """Raised for a value whose content cannot be compared; names the object."""

    def __init__(self, value: object, why: str = "") -> None:
        self.value = value
        self.why = why
        super().__init__(f"{type_name(type(value))}{f': {why}' if why else ''}")


def type_name(cls: type) -> str:
    """Return the name that a message shows: `module.Class`, without the module for the built-in ones.

    >>> type_name(int), type_name(deque)
    ('int', 'collections.deque')
    """
    module = type.__dict__["__module__"].__get__(cls)
    name = type.__dict__["__qualname__"].__get__(cls)
    return str(name) if module == "builtins" else f"{module}.{name}"


def digest(data: bytes) -> str:
    """Return 40 hexadecimal digits that identify these bytes."""
    return hashlib.blake2b(data, digest_size=20).hexdigest()


def frame(tag: bytes, payload: bytes) -> bytes:
    """Return the payload with its length in front, so that what follows cannot run into it."""
    return b"%b%d:%b" % (tag, len(payload), payload)


def buffer(tag: bytes, data: bytes | bytearray | memoryview) -> bytes:
    """Return a buffer of any size: itself where short, else its digest."""
    if len(data) <= _LARGE:
        return frame(tag, bytes(data))
    return b"%b#%d:%b" % (tag, len(data), xxhash.xxh3_128_digest(data))


class Encoder:
    """Encodes plain values; a subclass encodes functions, classes and other objects."""

    def __init__(self) -> None:
        self._open: dict[int, int] = {}

    def encode(self, value: Any) -> bytes:
        """Return the bytes that stand for this value.

        >>> len({Encoder().encode(v) for v in (1, True, 1.0, "1", b"1", [1], (1,))})
        7
        """
        known = _KNOWN.get(type(value))
        if known is not None:
            return known(self, value)
        return self.encode_other(value)

    def encode_all(self, tag: bytes, values: Iterable[Any]) -> bytes:
        """Return a sequence of values, counted."""
        parts = [self.encode(value) for value in values]
        return b"%b%d(%b)" % (tag, len(parts), b"".join(parts))

    def nested(self, container: Any, encode: Callable[[], bytes]) -> bytes:
        """Encode the content of a container; a container in itself is encoded by its depth."""
        identity = id(container)
        depth = self._open.get(identity)
        if depth is not None:
            return b"^%d;" % (len(self._open) - depth)
        self._open[identity] = len(self._open)
        try:
            return encode()
        except RecursionError as error:
            raise UnhashableError(container, "nested too deeply") from error
        finally:
            del self._open[identity]

    def encode_other(self, value: Any) -> bytes:
        """Return a value whose exact type is not among the plain ones."""
        cls = type(value)
        if isinstance(value, enum.Enum):
            return b"E" + self.reference(cls) + frame(b"", str(value._name_).encode()) + self.encode(value._value_)
        if cls.__module__ == "zoneinfo" and cls.__name__ == "ZoneInfo" and value.key is not None:
            return frame(b"Z", value.key.encode())
        if cls.__module__ in _BY_TEXT:
            return frame(b"T", type_name(cls).encode()) + frame(b"", repr(value).encode())
        if cls.__module__ == "re" and cls.__name__ == "Pattern":
            return b"R" + self.encode((value.pattern, value.flags))
        if isinstance(value, PurePath):
            return frame(b"P", cls.__name__.encode()) + frame(b"", str(value).encode("utf-8", "surrogatepass"))
        return self.encode_object(value)

    def encode_object(self, value: Any) -> bytes:
        """Return a function, class, module or an object of a class that has no encoding of its own."""
        raise UnhashableError(value)

    def reference(self, cls: type) -> bytes:
        """Return the bytes that stand for a class as the type of a value."""
        return frame(b"C", type_name(cls).encode())

    def encode_content(self, value: Any) -> bytes | None:
        """Encode the built-in part of a value of a subclass; None for other objects."""
        for base in _CONTENT_TYPES:
            if isinstance(value, base):
                if base is dict:
                    return _dict_items(self, dict.items(value))
                plain = base(base.__iter__(value)) if base in _CONTAINERS else _PLAIN[base](value)
                return _KNOWN[base](self, plain)
        return None


def _text(_: Encoder, value: str) -> bytes:
    return buffer(b"s", value.encode("utf-8", "surrogatepass"))


def _float(_: Encoder, value: float) -> bytes:
    # hex() tells -0.0 from 0.0 and keeps every bit; all NaN are one, since no operator tells them apart.
    return b"f%b;" % value.hex().encode()


def _mapping(encoder: Encoder, value: Any) -> bytes:
    return encoder.nested(value, lambda: _dict_items(encoder, value.items()))


def _dict_items(encoder: Encoder, items: Iterable[tuple[Any, Any]]) -> bytes:
    # In order: a function can observe it. Keys of the project's own are encoded, never hashed or compared.
    parts = [encoder.encode(key) + encoder.encode(item) for key, item in items]
    return b"d%d(%b)" % (len(parts), b"".join(parts))


def _set(encoder: Encoder, value: Any) -> bytes:
    def encode() -> bytes:
        parts = sorted(encoder.encode(item) for item in value)
        return b"%b%d(%b)" % (b"S" if type(value) is set else b"F", len(parts), b"".join(parts))

    return encoder.nested(value, encode)


def _sequence(tag: bytes) -> Callable[[Encoder, Any], bytes]:
    return lambda encoder, value: encoder.nested(value, lambda: encoder.encode_all(tag, value))


def _named(tag: bytes, parts: Callable[[Any], Iterable[Any]]) -> Callable[[Encoder, Any], bytes]:
    return lambda encoder, value: encoder.nested(value, lambda: encoder.encode_all(tag, parts(value)))


def _time_parts(value: Any) -> tuple[Any, ...]:
    return (value.replace(tzinfo=None).isoformat(), value.fold, value.tzinfo)


_KNOWN: dict[type, Callable[[Encoder, Any], bytes]] = {
    type(None): lambda _, value: b"N",
    bool: lambda _, value: b"b1" if value else b"b0",
    int: lambda _, value: b"i%x;" % value,
    float: _float,
    complex: lambda _, value: b"c%b,%b;" % (value.real.hex().encode(), value.imag.hex().encode()),
    str: _text,
    bytes: lambda _, value: buffer(b"y", value),
    bytearray: lambda _, value: buffer(b"Y", value),
    memoryview: lambda encoder, value: (
        b"M" + encoder.encode((value.format, value.shape)) + buffer(b"", value.tobytes())
    ),
    tuple: _sequence(b"t"),
    list: _sequence(b"l"),
    dict: _mapping,
    MappingProxyType: lambda encoder, value: b"m" + _mapping(encoder, value),
    OrderedDict: lambda encoder, value: b"o" + _mapping(encoder, value),
    set: _set,
    frozenset: _set,
    deque: _named(b"q", lambda value: (value.maxlen, list(value))),
    range: _named(b"r", lambda value: (value.start, value.stop, value.step)),
    slice: _named(b"x", lambda value: (value.start, value.stop, value.step)),
    array.array: lambda _, value: frame(b"a", value.typecode.encode()) + buffer(b"", value.tobytes()),
    SimpleNamespace: lambda encoder, value: b"n" + _mapping(encoder, vars(value)),
    type(Ellipsis): lambda _, value: b"e",
    type(NotImplemented): lambda _, value: b"!",
    datetime.date: lambda _, value: frame(b"D", value.isoformat().encode()),
    datetime.datetime: _named(b"H", _time_parts),
    datetime.time: _named(b"h", _time_parts),
    datetime.timedelta: _named(b"L", lambda value: (value.days, value.seconds, value.microseconds)),
    datetime.timezone: _named(b"z", lambda value: (value.utcoffset(None), value.tzname(None))),
    # Spelled as types: list[int], int | None.
    GenericAlias: lambda _, value: frame(b"A", repr(value).encode()),
    UnionType: lambda _, value: frame(b"U", repr(value).encode()),
}

# repr() of these is exact and runs only library code.
_BY_TEXT = frozenset({"decimal", "fractions", "uuid", "ipaddress", "typing", "datetime"})

_PLAIN: dict[type, Callable[[Any], Any]] = {
    int: int.__index__,
    float: float.__pos__,
    complex: complex.__pos__,
    str: str.__str__,
    bytes: bytes.__bytes__,
    bytearray: lambda value: bytearray(memoryview(value)),
}
_CONTAINERS: tuple[Any, ...] = (list, tuple, set, frozenset)
_CONTENT_TYPES: tuple[Any, ...] = (dict, *_CONTAINERS, *_PLAIN)
