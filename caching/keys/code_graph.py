"""The walk over what a function can reach: from its bytecode to what its names mean now.

Helper functions, classes, constants, modules of the project, closures, tables of functions: each gets a part of
its own, so that a miss can be explained. Libraries are one part each: distribution and version. Nothing of the
project is executed, but the modules that bodies import.
"""

from __future__ import annotations

import enum
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import PurePath
from types import CodeType, FunctionType, MappingProxyType, ModuleType, SimpleNamespace
from typing import Any

from caching.keys import lookup_tables as tables
from caching.keys.bytecode import Import, Use, read_code
from caching.keys.environment import Surroundings
from caching.keys.error_context import Blame, UnkeyableError
from caching.keys.known_paths import FILE_QUESTIONS
from caching.keys.libraries import PROJECT, STANDARD, library_of_module, version_of_library
from caching.keys.names import label_of, name_in_module, name_of
from caching.keys.objects import (
    ObjectEncoder,
    attributes_of,
    cached_function,
    class_attributes,
    is_memo,
    library_of_class,
    library_of_function,
    project_functions,
    steady_values,
)
from caching.keys.operands import Arguments, text_of
from caching.keys.pandas_queries import Queries
from caching.keys.values import UnhashableError, digest, frame, type_name
from caching.keys.watch import Watch

_ABSENT = object()
_LIMIT = 20_000  # of functions, classes and modules that one function may reach

# Where these are used, nothing in the code tells what is reached. By name: some of their modules are slow to
# import.
_UNKNOWABLE = frozenset(
    [
        "builtins.eval",
        "builtins.exec",
        "builtins.compile",
        "sys._getframe",
        "sys._current_frames",
        "inspect.stack",
        "inspect.currentframe",
        "importlib.reload",
        "runpy.run_path",
        "runpy.run_module",
        "importlib.util.spec_from_file_location",
        "_frozen_importlib_external.spec_from_file_location",
        "pkgutil.resolve_name",
        "gc.get_objects",
        "gc.get_referrers",
        "pydoc.locate",
    ]
)
_IMPORTERS = frozenset({"builtins.__import__", "importlib.import_module"})
# What may be changed or counted up without being an input; of other types the methods are the project's own.
_CHANGED = (list, dict, set, deque)
_COUNTED = (*_CHANGED, int, float, str, type, FunctionType, SimpleNamespace)


class Walk(ObjectEncoder):
    """One walk over what a function reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.watch = Watch()
        self.parts: dict[str, str] = {}
        self.surroundings = Surroundings()
        self.texts: set[str] = set()
        self.queries = Queries()
        self.asks_for_files = False
        self.memos: list[Any] = []
        self._in_table = False
        self._labels: dict[int, str] = {}
        self._taken: set[str] = set()
        self._kept: list[Any] = []
        self._waiting: deque[Any] = deque()

    def run(self, root: Any, *, as_value: bool) -> None:
        """Walk over all that is reached from here."""
        if as_value:
            self._add("value", "itself", self.code(root))
        else:
            self._node(root)
        while self._waiting:
            value = self._waiting.popleft()
            if len(self._kept) > _LIMIT:
                raise UnkeyableError(f"it reaches more than {_LIMIT} functions and classes")
            label = self._labels[id(value)]
            if isinstance(value, FunctionType):
                self._function(value, label, is_root=value is root and not as_value)
            elif isinstance(value, ModuleType):
                self._whole_namespace(vars(value))
            else:
                self._class(value, label)
            while not self._waiting and (named := self.queries.uses(self.texts)):
                for function, label, use in named:
                    self._use(function, label, use)
        for top in ("pandas", "pyarrow", STANDARD):
            self.library(top)

    def library(self, top: str) -> None:
        """Return a library that is used."""
        self.parts.setdefault(f"library {top}", version_of_library(top))

    def service(self, value: Any) -> bytes:
        """Return a logger or a lock in a global: its class is all that counts."""
        return frame(b"O", type_name(type(value)).encode())

    def identity(self, value: Any) -> bytes:
        """Return a bare object(): which one it is, among those met."""
        return frame(b"@", self._label(value, "object").encode())

    def code(self, value: Any) -> bytes:
        """Return a function, class or module: its label; what it does is a part of its own."""
        if isinstance(value, FunctionType):
            cached = cached_function(value)
            if cached is not None:
                known = self.surroundings.depends_on
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
                self.surroundings.whole_environment |= value is os
                return frame(b"V", value.__name__.encode())
        else:
            top = library_of_class(value)
            if top != PROJECT:
                self.library(top)
                return frame(b"V", type_name(value).encode())
        return frame(b"@", self._node(value).encode())

    def encode(self, value: Any) -> bytes:
        """Encode, and take note of what may change in place."""
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

    # What is reached, node by node.

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

    def _function(self, function: FunctionType, label: str, *, is_root: bool) -> None:
        self.watch.function(function)
        facts = read_code(function.__code__)
        self.texts |= facts.texts
        self.asks_for_files |= not facts.attributes.isdisjoint(FILE_QUESTIONS)
        defaults = b""
        if not is_root:  # a root's defaults are bound with its arguments
            with Blame(f"a default of {label}()"):
                defaults = self.encode((function.__defaults__, function.__kwdefaults__))
        self._add("function", label, frame(b"", facts.digest.encode()) + defaults)
        self.surroundings.use_attributes(facts.attributes)
        for item in facts.imports:
            self._import(function.__globals__, item)
        self.queries.function(function, label, facts)
        for use in facts.uses:
            self._use(function, label, use)

    def _use(self, function: FunctionType, label: str, use: Use) -> None:
        namespace = function.__globals__
        if use.scope == "import" and use.imported is not None:
            module = self._import(namespace, use.imported._replace(attributes=()))
            if module is not None:
                self._follow(module, (*use.imported.attributes, *use.attributes), use, namespace, label)
            return
        if use.scope == "free":
            cell = (function.__closure__ or ())[function.__code__.co_freevars.index(use.name)]
            value = _cell_contents(cell)
            if _is_only_written(use, value):
                return
            self.watch.cell(cell)
            if value is not _ABSENT:
                self._value(f"{label}.{use.name}", value, use.attributes, use, namespace, label)
            return
        if use.name in namespace:
            value = namespace[use.name]
            if _is_only_written(use, value):
                return
            self.watch.name(namespace, use.name)
            self._value(name_in_module(namespace, use.name), value, use.attributes, use, namespace, label)
            return
        self.watch.absence(namespace, use.name)
        value = _ABSENT if use.scope == "named" else _builtins_of(function).get(use.name, _ABSENT)
        if value is globals:
            self._whole_namespace(namespace)
        elif value is not _ABSENT:
            self._special(value, use.attributes, use, namespace, label)

    def _value(
        self,
        part: str,
        value: Any,
        attributes: tuple[str, ...],
        use: Use,
        namespace: dict[str, Any],
        label: str,
    ) -> None:
        if isinstance(value, ModuleType):
            self._follow(value, attributes, use, namespace, label)
        elif not self._special(value, attributes, use, namespace, label):
            with Blame(part):
                encoded = self.encode(value)
            if encoded != frame(b"@", part.encode()):
                self._add("value", part, encoded)
            if attributes and isinstance(value, FunctionType) and attributes[0] in vars(value):
                self.watch.name(vars(value), attributes[0])
                with Blame(f"{part}.{attributes[0]}"):
                    self._add("value", f"{part}.{attributes[0]}", self.encode(vars(value)[attributes[0]]))

    def _follow(
        self, module: ModuleType, attributes: tuple[str, ...], use: Use, namespace: dict[str, Any], label: str
    ) -> None:
        """`package.module.name`: what it means, through the modules of the project."""
        if not attributes:
            self.code(module)
            return
        held = vars(module)
        first, rest = attributes[0], attributes[1:]
        if library_of_module(module) != PROJECT:
            self.library(library_of_module(module))
            value = held.get(first, _ABSENT)
            if isinstance(value, ModuleType):
                if rest or library_of_module(value) == PROJECT:
                    self._follow(value, rest, use, namespace, label)
            else:
                self._special(value, rest, use, namespace, label)
        elif first in held:
            self.watch.name(held, first)
            self._value(name_in_module(held, first), held[first], rest, use, namespace, label)
        else:
            self.watch.absence(held, first)
            if "__getattr__" in held:
                self._value(name_in_module(held, "__getattr__"), held["__getattr__"], (), use, namespace, label)

    def _special(
        self, value: Any, attributes: tuple[str, ...], use: Use, namespace: dict[str, Any], label: str
    ) -> bool:
        """What reaches beyond itself: the environment, imports by name, code made from text."""
        called, text = name_of(value), text_of(use.arguments.get(0, "key", "name"), namespace)
        self.queries.call(called, use.arguments, namespace)
        if self.surroundings.use(value, attributes, text):
            return True
        if called in _UNKNOWABLE or value is sys.modules:
            used = f"{called.removeprefix('builtins.')}()" if called else "sys.modules"
            raise UnkeyableError(f"{label}() uses {used}")
        if called not in _IMPORTERS:
            return False
        self._import_by_name(called, text, use.arguments, namespace, label)
        return True

    def _import_by_name(
        self, importer: str, text: str | None, given: Arguments, namespace: dict[str, Any], label: str
    ) -> None:
        """`import_module("name")` and `__import__("name")`."""
        dots = 0 if text is None else len(text) - len(text.lstrip("."))
        package = text_of(given.get(1, "package"), namespace) if dots else ""
        is_relative = importer == "builtins.__import__" and given.has(4, "level")
        if text is None or package is None or is_relative:
            raise UnkeyableError(f"{label}() imports a module by a name that is computed")
        module = self._import({"__package__": package} if dots else namespace, Import(text.lstrip("."), dots))
        if module is not None:
            self.code(module)
        # __import__("a.b") gives a.
        top = sys.modules.get(text.partition(".")[0]) if importer == "builtins.__import__" else None
        if top is not None:
            self.code(top)

    def _import(self, namespace: dict[str, Any], item: Import) -> ModuleType | None:
        """Return the module that an import in a body gives; imported now, as the call would."""
        name = item.module
        if item.level:
            package = namespace.get("__package__") or str(namespace.get("__name__", "")).rpartition(".")[0]
            parents = package.split(".")
            name = ".".join([*parents[: len(parents) - item.level + 1], *([item.module] if item.module else [])])
        if name not in sys.modules and library_of_module(name) != PROJECT:
            self.library(library_of_module(name))
            # Its functions are not looked into; but what gives access to the environment must be seen.
            return sys.modules.get(name)
        try:
            __import__(name)
            for attribute in item.attributes:
                if attribute not in vars(sys.modules[name]) and library_of_module(name) == PROJECT:
                    __import__(f"{name}.{attribute}")
        except Exception as error:  # noqa: BLE001 - the body may catch it; that it fails is part of the key
            if name not in sys.modules:
                self.parts[f"import of {name}"] = f"fails: {type(error).__name__}"
        module = sys.modules.get(name)
        if module is not None:
            self.watch.name(sys.modules, name)
        return module

    def _whole_namespace(self, held: dict[str, Any]) -> None:
        """Return a module handed about as a value: anything in it may be used."""
        self.watch.mapping(held)
        for name in sorted(held):
            if name.startswith("__") and name.endswith("__"):
                continue
            part = name_in_module(held, name)
            with Blame(part):
                self._add("value", part, self.encode(held[name]))

    def _class(self, cls: type, label: str) -> None:
        own = type.__dict__["__dict__"].__get__(cls)
        self.watch.members(own, steady_values)
        shape = [frame(b"", type_name(type(cls)).encode()), self.code(type(cls))]
        shape += [self.code(base) for base in cls.__bases__]
        for name, value in class_attributes(cls):
            if name == "__annotations__":
                shape.append(self._annotations(value))
                continue
            with Blame(f"{label}.{name}"):
                encoded = self.encode(value)
            shape.append(frame(b"", name.encode()))
            if encoded != frame(b"@", f"{label}.{name}".encode()):
                self._add("value", f"{label}.{name}", encoded)
        self._add("class", label, b"".join(shape))

    def _annotations(self, annotations: Any) -> bytes:
        parts = []
        for name, annotation in annotations.items():
            try:
                encoded = self.encode(annotation)
            except UnhashableError:
                encoded = frame(b"", type_name(type(annotation)).encode())
            parts.append(frame(b"", name.encode()) + encoded)
        return b"".join(parts)

    def _library_wrapper(self, function: FunctionType, top: str) -> bytes:
        """Return a function made by a library's decorator: the library, and what it wraps."""
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


def _builtins_of(function: Any) -> Any:
    return function.__builtins__  # not in typeshed


def _cell_contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _ABSENT


def _is_only_written(use: Use, value: Any) -> bool:
    # `C.write(x)` runs a method of the project's, `C.n += 1` and `ITEMS.append(x)` do not.
    return use.written_only and type(value) in (_CHANGED if use.attributes else _COUNTED)


def _attributes(held: Any) -> Iterator[Any]:
    attributes = attributes_of(held)
    yield from attributes
    yield from attributes.values()


def _items(held: dict[Any, Any]) -> tuple[Any, ...]:
    return (*dict.keys(held), *dict.values(held))


class _Again(Walk):
    """Encodes a library's object once more, for comparison only."""

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
