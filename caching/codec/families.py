"""Encode and decode whole values; modules for other libraries' types are imported when such a type is met."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib import import_module

from caching.codec import plain as _plain  # noqa: F401 - registers how plain values are written and read
from caching.codec.coder import (
    READERS,
    WRITER_FINDERS,
    WRITERS,
    Damaged,
    Decoder,
    Encoded,
    Encoder,
    NotExact,
    Reader,
    Writer,
)

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


def encode(value: object) -> Encoded:
    """Return the value as document and buffers, which are views of the value's own memory where that is possible.

    Raises NotExact when any part of the value could not come back exactly.
    """
    encoder = Encoder(find_writer)
    node = encoder.encode(value)
    if len(encoder.arrays) > 1:
        from caching.codec.arrays import refuse_shared_memory

        refuse_shared_memory(encoder.arrays)
    return Encoded(json.dumps(node, separators=(",", ":")).encode("ascii"), encoder.buffers)


def decode(document: bytes | memoryview, buffers: Sequence[memoryview]) -> object:
    """Return the value that `encode` was given, on top of the buffers' memory.

    Raises Damaged, or whatever a constructor makes of nonsense, when the document is not one that `encode`
    wrote.
    """
    return Decoder(buffers, find_reader).decode(_parse(str(document, "ascii"))[0])


def prepare() -> None:
    """Import the codec modules of libraries that are loaded already, so that the first hit does not wait for it."""
    for package, module in _FAMILIES.values():
        if package in sys.modules:
            import_module(module)


def find_writer(kind: type) -> Writer:
    """Return how objects of exactly this type are written; NotExact when they are not."""
    writer = WRITERS.get(kind)
    if writer is None:
        package = kind.__module__.partition(".")[0]
        if package in _FAMILY_OF_PACKAGE:
            import_module(_FAMILY_OF_PACKAGE[package])
            writer = WRITERS.get(kind)
            if writer is None and package in WRITER_FINDERS:
                writer = WRITER_FINDERS[package](kind)
    if writer is None:
        raise NotExact(f"it contains a {kind.__module__}.{kind.__qualname__}, which has no exact form on disk")
    return writer


def find_reader(tag: object) -> Reader:
    """Return how nodes of this tag are read; Damaged when there is no such tag."""
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
