"""Encoder and decoder: how each type is written and read, and objects that occur more than once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from caching.errors import CachingException

Node: TypeAlias = Any
"""None, bool, int, float or str as themselves; everything else a list of a tag and what belongs to it."""

Buffer: TypeAlias = Any
"""Anything contiguous that `memoryview` takes."""

_JSON_SCALARS = (str, int, float, bool, type(None))

# A document nested deeper than this would not fit the interpreter's stack on the way back.
_MAX_DEPTH = 100


class NotExact(CachingException):
    """Raised for a value that could not be restored exactly."""


class Damaged(CachingException):
    """Raised for bytes that differ from what was written."""


class Encoded(NamedTuple):
    """A value as bytes: its document, and the buffers that the document refers to by position."""

    document: bytes
    buffers: list[Buffer]


class _Seen:
    """An object that was encoded before: it is written once and referred to afterwards."""

    __slots__ = ("node", "number", "value")

    def __init__(self, value: object) -> None:
        self.value = value  # keeps the object alive, so that its id stays its own
        self.node: list[Node] | None = None
        self.number: int | None = None


class Encoder:
    """Writes one value: nodes for the document, and buffers beside it."""

    def __init__(self, find_writer: Callable[[type], Writer]) -> None:
        self._find_writer = find_writer
        self.buffers: list[Buffer] = []
        self.arrays: list[Any] = []
        self._seen: dict[int, _Seen] = {}
        self._numbers = 0
        self._depth = 0

    def encode(self, value: object) -> Node:
        """Return the node that describes the value."""
        kind = type(value)
        write = WRITERS.get(kind) or self._find_writer(kind)
        if kind in IMMUTABLE:
            return write(self, value)
        seen = self._seen.get(id(value))
        if seen is not None:
            return self._refer(seen)
        seen = self._seen[id(value)] = _Seen(value)
        if self._depth >= _MAX_DEPTH:
            raise NotExact(f"it is nested more than {_MAX_DEPTH} levels deep")
        self._depth += 1
        node = write(self, value)
        self._depth -= 1
        seen.node = node
        return node

    def begin(self, value: object, node: list[Node]) -> None:
        """Register the node of a container that may contain itself, before it is filled."""
        self._seen[id(value)].node = node

    def add_buffer(self, buffer: Buffer) -> int:
        """Put a buffer beside the document; its number is how the document refers to it."""
        self.buffers.append(buffer)
        return len(self.buffers) - 1

    def _refer(self, seen: _Seen) -> Node:
        node = seen.node
        if node is None:
            raise NotExact(f"it contains itself by way of a {type(seen.value).__name__}")
        if seen.number is None:
            seen.number = self._numbers
            self._numbers += 1
            node[:] = ["def", seen.number, list(node)]
        return ["ref", seen.number]


class Decoder:
    """Reads one document back; a damaged document raises an exception, never gives a value."""

    def __init__(self, buffers: Sequence[memoryview], find_reader: Callable[[object], Reader]) -> None:
        self._find_reader = find_reader
        self._buffers = buffers
        self._known: dict[int, object] = {}

    def decode(self, node: Node) -> Any:
        """Return the value that the node describes."""
        if type(node) is not list:
            if type(node) in _JSON_SCALARS:
                return node
            raise Damaged(f"the document has a {type(node).__name__} where a node belongs")
        tag = node[0]
        reader = READERS.get(tag) if type(tag) is str else None
        if reader is not None:
            return reader(self, *node[1:])
        if tag == "ref":
            return self._known[node[1]]
        if tag == "def":
            _, number, inner = node
            if inner[0] in SELF_CONTAINING:
                return self._find_reader(inner[0])(self, *inner[1:], number=number)
            value = self._known[number] = self._find_reader(inner[0])(self, *inner[1:])
            return value
        return self._find_reader(tag)(self, *node[1:])

    def know(self, number: int, value: object) -> None:
        """Register a container that may contain itself, before it is filled."""
        self._known[number] = value

    def buffer(self, number: int) -> memoryview:
        """Return the buffer of that number."""
        if type(number) is not int or not 0 <= number < len(self._buffers):
            raise Damaged(f"the document refers to buffer {number!r} of {len(self._buffers)}")
        return self._buffers[number]


Writer: TypeAlias = Callable[[Encoder, Any], Node]
Reader: TypeAlias = Callable[..., Any]

WRITERS: dict[type, Writer] = {}
READERS: dict[str, Reader] = {}
IMMUTABLE: set[type] = set()
"""Types whose objects cannot be distinguished from an equal one: a second occurrence is written again."""

SELF_CONTAINING = {"list", "dict"}

WRITER_FINDERS: dict[str, Callable[[type], Writer | None]] = {}


def writes(*kinds: type, immutable: bool = False) -> Callable[[Writer], Writer]:
    """Register how objects of exactly these types are written."""

    def register(writer: Writer) -> Writer:
        WRITERS.update(dict.fromkeys(kinds, writer))
        if immutable:
            IMMUTABLE.update(kinds)
        return writer

    return register


def reads(tag: str) -> Callable[[Reader], Reader]:
    """Register how nodes of this tag are read."""

    def register(reader: Reader) -> Reader:
        READERS[tag] = reader
        return reader

    return register


def writes_special(package: str) -> Callable[[Callable[[type], Writer | None]], None]:
    """Register the function that finds the writer for classes that a package makes at run time."""

    def register(find: Callable[[type], Writer | None]) -> None:
        WRITER_FINDERS[package] = find

    return register
