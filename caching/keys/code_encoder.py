"""Encode values that code reaches: functions and classes by label, to be visited later, and all else by content."""

from __future__ import annotations

import enum
import os
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import PurePath
from types import CodeType, FunctionType, MappingProxyType, ModuleType, SimpleNamespace
from typing import Any

from caching.keys import lookup_tables as tables
from caching.keys.environment import UsedEnvironment
from caching.keys.libraries import PROJECT, library_of_module, version_of_library
from caching.keys.names import label_of
from caching.keys.objects import (
    ObjectEncoder,
    attributes_of,
    cached_function,
    is_memo,
    library_of_class,
    library_of_function,
    project_functions,
    registered_classes,
)
from caching.keys.values import UnhashableError, digest, frame, type_name
from caching.keys.watch import Watch


class CodeEncoder(ObjectEncoder):
    """Encodes values, and collects parts, labels, texts and what must be watched for changes."""

    def __init__(self) -> None:
        super().__init__()
        self.watch = Watch()
        self.parts: dict[str, str] = {}
        self.used_environment = UsedEnvironment()
        self.texts: set[str] = set()
        self.memos: list[Any] = []
        self._in_table = False
        self._labels: dict[int, str] = {}
        self._taken: set[str] = set()
        self._kept: list[Any] = []
        self._waiting: deque[Any] = deque()

    def library(self, top: str) -> None:
        """Add a library with its version as a part."""
        self.parts.setdefault(f"library {top}", version_of_library(top))

    def service(self, value: Any) -> bytes:
        """Encode a logger or lock in a global by its class."""
        return frame(b"O", type_name(type(value)).encode())

    def identity(self, value: Any) -> bytes:
        """Encode a bare object() by its number among those met."""
        return frame(b"@", self._label(value, "object").encode())

    def code(self, value: Any) -> bytes:
        """Encode a function, class or module by its label; its content becomes a part of its own."""
        if isinstance(value, FunctionType):
            cached = cached_function(value)
            if cached is not None:
                known = self.used_environment.depends_on
                known += [ask for ask in cached.depends_on if ask not in known]
                return self.code(cached.function)
            top = library_of_function(value)
            if top != PROJECT and "__wrapped__" not in vars(value) and not value.__closure__:
                self.library(top)
                return frame(b"V", f"{value.__module__}.{value.__qualname__}".encode())
            if top != PROJECT:
                return self._library_wrapper(value, top)
        elif isinstance(value, ModuleType):
            top = library_of_module(value)
            if top != PROJECT:
                self.library(top)
                self.used_environment.whole_environment |= value is os
                return frame(b"V", value.__name__.encode())
        else:
            top = library_of_class(value)
            if top != PROJECT:
                self.library(top)
                own = [cls for cls in registered_classes(value) if library_of_class(cls) == PROJECT]
                return frame(b"V", type_name(value).encode()) + b"".join(self.code(cls) for cls in own)
        return frame(b"@", self._node(value).encode())

    def encode(self, value: Any) -> bytes:
        """Encode a value, and watch it for later changes if it is mutable."""
        outside = self._in_table
        self._in_table = outside or tables.is_known(value)
        try:
            encoded = super().encode(value)
        finally:
            self._in_table = outside
        kind = type(value)
        if isinstance(value, PurePath):
            self.texts.add(f"{value}{os.sep}")
        elif kind is str:
            self.texts.add(value)
        elif is_memo(value):
            self.memos.append(value)
        if kind in _MUTABLE:
            _MUTABLE[kind](self.watch, value)
        elif kind not in _UNCHANGING and not isinstance(value, FunctionType | type | ModuleType):
            self._watch_object(value, encoded)
        return encoded

    def _watch_object(self, value: Any, encoded: bytes) -> None:
        if isinstance(value, dict):
            self.watch.members(value, _items)
        elif isinstance(value, list):
            self.watch.members(value, list.__iter__)
        elif isinstance(value, set):
            self.watch.members(value, set.__iter__)
        if library_of_class(type(value)) == PROJECT:
            self.watch.members(value, _attributes)
        elif encoded[:1] == b"V" and self._in_table:
            return  # a table's columns and index are encoded again with the table
        elif not isinstance(value, enum.Enum) and encoded[:1] not in b"OJWpgkBZTRP":
            self.watch.content(value, _encode_again, _encode_again(value))

    def _node(self, value: Any) -> str:
        known = self._labels.get(id(value))
        if known is not None:
            return known
        label = self._label(value, f"module {value.__name__}" if isinstance(value, ModuleType) else label_of(value))
        self._waiting.append(value)
        return label

    def _label(self, value: Any, wanted: str) -> str:
        if id(value) not in self._labels:
            label, number = wanted, 1
            while label in self._taken:
                number += 1
                label = f"{wanted}#{number}"
            self._labels[id(value)] = label
            self._taken.add(label)
            self._kept.append(value)
        return self._labels[id(value)]

    def _add(self, kind: str, name: str, encoded: bytes) -> None:
        self.parts[f"{kind} {name}"] = digest(encoded)

    def _library_wrapper(self, function: FunctionType, top: str) -> bytes:
        """Encode a wrapper made by a library's decorator: the library, and what it wraps."""
        if id(function) in self._labels:
            return frame(b"@", self._labels[id(function)].encode())
        label = self._label(function, label_of(function))
        self.library(top)
        parts = []
        for held in project_functions(function):
            try:
                parts.append(self.encode(held))
            except UnhashableError:  # the library's own machinery; its version stands for it
                parts.append(frame(b"", type_name(type(held)).encode()))
        self._add("function", label, b"".join(parts))
        return frame(b"V", label.encode()) + b"".join(parts)


def _attributes(held: Any) -> Iterator[Any]:
    attributes = attributes_of(held)
    yield from attributes
    yield from attributes.values()


def _items(held: dict[Any, Any]) -> tuple[Any, ...]:
    return (*dict.keys(held), *dict.values(held))


class _Again(CodeEncoder):
    """Encodes a library's object a second time, to compare the two encodings."""

    def encode(self, value: Any) -> bytes:
        return ObjectEncoder.encode(self, value)


def _encode_again(value: Any) -> bytes:
    try:
        return _Again().encode(value)
    except UnhashableError:
        return b"?"


_MUTABLE: dict[type, Callable[[Watch, Any], None]] = {
    dict: Watch.mapping,
    list: Watch.sequence,
    set: Watch.sequence,
    deque: Watch.sequence,
    MappingProxyType: Watch.mapping,
    SimpleNamespace: lambda watch, value: watch.mapping(vars(value)),
}
_UNCHANGING = frozenset({type(None), bool, int, float, complex, str, bytes, tuple, frozenset, range, slice, CodeType})
