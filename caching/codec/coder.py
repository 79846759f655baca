"""The walk over a value: which type is written how, and objects that occur more than once."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple, TypeAlias

from caching.errors import CachingException

Node: TypeAlias = Any
"""None, bool, int, float or str as themselves; everything else a list of a tag and what belongs to it."""

Buffer: TypeAlias = Any
"""Anything contiguous that `memoryview` takes."""

# The families of types that need a library. Values choose their family by the top package of their class,
# documents by the prefix of a tag; neither can name a module that is not in this table.
_FAMILIES = {
    "np": ("numpy", "caching.codec.arrays"),
    "pa": ("pyarrow", "caching.codec.arrow"),
    "pd": ("pandas", "caching.codec.frames"),
    "pl": ("polars", "caching.codec.polars_frames"),
    "tz": ("zoneinfo", "caching.codec.timezones"),
    "pytz": ("pytz", "caching.codec.timezones"),
    "dateutil": ("dateutil", "caching.codec.timezones"),
}
_FAMILY_OF_PACKAGE = dict(_FAMILIES.values())
_parse = json.JSONDecoder().raw_decode
_JSON_SCALARS = (str, int, float, bool, type(None))

# A document nested deeper than this would not fit the interpreter's stack on the way back.
_MAX_DEPTH = 100


class NotExact(CachingException):
    """The value could not come back exactly as it is."""


class Damaged(CachingException):
    """The bytes are not what their writer wrote."""


class Encoded(NamedTuple):
    """A value as bytes: its document, and the buffers that the document refers to by position."""

    document: bytes
    buffers: list[Buffer]


def encode(value: object) -> Encoded:
    """The value as document and buffers, which are views of the value's own memory where that is possible.

    Raises NotExact when any part of the value could not come back exactly.
    """
    encoder = Encoder()
    node = encoder.encode(value)
    encoder.check_shared_memory()
    return Encoded(json.dumps(node, separators=(",", ":")).encode("ascii"), encoder.buffers)


def decode(document: bytes | memoryview, buffers: Sequence[memoryview]) -> object:
    """The value that `encode` was given, on top of the buffers' memory.

    Raises Damaged, or whatever a constructor makes of nonsense, when the document is not one that `encode`
    wrote.
    """
    return Decoder(buffers).decode(_parse(str(document, "ascii"))[0])


def prepare() -> None:
    """Import what belongs to the libraries that are loaded already: the first hit shall not wait for it."""
    for package, module in _FAMILIES.values():
        if package in sys.modules:
            import_module(module)


class _Seen:
    """An object that was met before: it is written once and referred to afterwards."""

    __slots__ = ("node", "number", "value")

    def __init__(self, value: object) -> None:
        self.value = value  # keeps the object alive, so that its id stays its own
        self.node: list[Node] | None = None
        self.number: int | None = None


class Encoder:
    """Writes one value: nodes for the document, and buffers beside it."""

    def __init__(self) -> None:
        self.buffers: list[Buffer] = []
        self.arrays: list[Any] = []
        self._seen: dict[int, _Seen] = {}
        self._numbers = 0
        self._depth = 0

    def encode(self, value: object) -> Node:
        """The node that describes the value."""
        kind = type(value)
        write = WRITERS.get(kind) or find_writer(kind)
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
        """Announce the node of a container that may contain itself, before it is filled."""
        self._seen[id(value)].node = node

    def add_buffer(self, buffer: Buffer) -> int:
        """Put a buffer beside the document; its number is how the document refers to it."""
        self.buffers.append(buffer)
        return len(self.buffers) - 1

    def check_shared_memory(self) -> None:
        """Refuse arrays that are views of the same memory: their copies would no longer be connected."""
        if len(self.arrays) > 1:
            import_module("caching.codec.arrays").refuse_shared_memory(self.arrays)

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
    """Reads one document back. Whatever is wrong with it ends in an exception, never in a value."""

    def __init__(self, buffers: Sequence[memoryview]) -> None:
        self._buffers = buffers
        self._known: dict[int, object] = {}

    def decode(self, node: Node) -> Any:
        """The value that the node describes."""
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
                return find_reader(inner[0])(self, *inner[1:], number=number)
            value = self._known[number] = find_reader(inner[0])(self, *inner[1:])
            return value
        return find_reader(tag)(self, *node[1:])

    def know(self, number: int, value: object) -> None:
        """Announce a container that may contain itself, before it is filled."""
        self._known[number] = value

    def buffer(self, number: int) -> memoryview:
        """The buffer of that number."""
        if type(number) is not int or not 0 <= number < len(self._buffers):
            raise Damaged(f"the document refers to buffer {number!r} of {len(self._buffers)}")
        return self._buffers[number]


Writer: TypeAlias = Callable[[Encoder, Any], Node]
Reader: TypeAlias = Callable[..., Any]

WRITERS: dict[type, Writer] = {}
READERS: dict[str, Reader] = {}
IMMUTABLE: set[type] = set()
"""Types whose objects nobody can tell from an equal one: a second occurrence is simply written again."""

SELF_CONTAINING = {"list", "dict"}

_SPECIAL: dict[str, Callable[[type], Writer | None]] = {}


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
    """Register who finds the writer for those classes of a package that are made at run time."""

    def register(find: Callable[[type], Writer | None]) -> None:
        _SPECIAL[package] = find

    return register


def find_writer(kind: type) -> Writer:
    """How objects of exactly this type are written; NotExact when they are not."""
    writer = WRITERS.get(kind)
    if writer is None:
        package = kind.__module__.partition(".")[0]
        if package in _FAMILY_OF_PACKAGE:
            import_module(_FAMILY_OF_PACKAGE[package])
            writer = WRITERS.get(kind)
            if writer is None and package in _SPECIAL:
                writer = _SPECIAL[package](kind)
    if writer is None:
        raise NotExact(f"it contains a {kind.__module__}.{kind.__qualname__}, which has no exact form on disk")
    return writer


def find_reader(tag: object) -> Reader:
    """How nodes of this tag are read; Damaged when there is no such tag."""
    if type(tag) is not str:
        raise Damaged(f"the document has a {type(tag).__name__} where a tag belongs")
    reader = READERS.get(tag)
    if reader is None:
        family = tag.partition(".")[0]
        if family in _FAMILIES:
            import_module(_FAMILIES[family][1])
            reader = READERS.get(tag)
    if reader is None:
        raise Damaged(f"the document has the unknown tag {tag!r}")
    return reader
