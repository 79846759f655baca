"""The fingerprint of a function: everything of the user's own that a call of it can reach, in named parts.

The walk goes from the function's bytecode to what its names mean now: helper functions, classes, constants,
modules of the project, closures, tables of functions. Each gets a part of its own, so that a miss can be
explained. Libraries are one part each: distribution and version. Nothing of the project is executed, but the
modules that bodies import.
"""

from __future__ import annotations

import enum
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from types import BuiltinFunctionType, CodeType, FunctionType, MappingProxyType, ModuleType, SimpleNamespace
from typing import Any

from caching.bytecode import Import, Use, read_code
from caching.known_paths import FILE_QUESTIONS, KnownPaths
from caching.libraries import PROJECT, STANDARD, library_of_module, version_of_library
from caching.objects import (
    ObjectEncoder,
    attributes_of,
    cached_function,
    library_of_class,
    library_of_function,
    project_functions,
)
from caching.values import UnhashableError, digest, frame, type_name
from caching.watch import Watch

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
        "gc.get_objects",
        "gc.get_referrers",
        "pydoc.locate",
    ]
)
_IMPORTERS = frozenset({"builtins.__import__", "importlib.import_module"})
_ENVIRONMENTS = frozenset(id(getattr(os, name)) for name in ("environ", "environb") if hasattr(os, name))
_GETENV = frozenset(id(getattr(os, name)) for name in ("getenv", "getenvb") if hasattr(os, name))
_FOLDER_FUNCTIONS = frozenset({id(os.getcwd), id(os.getcwdb), id(os.path.abspath), id(os.path.realpath)})
# Methods whose result depends on the working directory or on HOME, whatever object they are of.
_FOLDER_METHODS = frozenset({"getcwd", "getcwdb", "cwd", "abspath", "realpath", "absolute", "resolve"})
_HOME_METHODS = frozenset({"expanduser", "home"})
# Changed by every shell and every test: nobody reads them by a computed name.
_BOOKKEEPING = frozenset({"_", "SHLVL", "PYTEST_CURRENT_TEST"})
# Derived by Python or by a metaclass from what is there anyway, or of no influence.
_CLASS_NOISE = frozenset(
    [
        "__dict__",
        "__weakref__",
        "__doc__",
        "__module__",
        "__qualname__",
        "__firstlineno__",
        "__static_attributes__",
        "__abstractmethods__",
        "_abc_impl",
        "__annotate__",
        "__annotate_func__",
        "__annotations_cache__",
        "__signature__",
        "__subclasshook__",
        "__orig_bases__",
        "__parameters__",
        "__dataclass_params__",
    ]
)
_DERIVED_PREFIX = "__pydantic_"
_ENUM_NOISE = frozenset(
    ["_member_map_", "_value2member_map_", "_member_names_", "_unhashable_values_", "_hashable_values_"]
)
# What may be counted up without being an input; of other types the methods are the project's own.
_COUNTED = (list, dict, set, deque, int, float, str, type, FunctionType, SimpleNamespace)


class UnkeyableError(Exception):
    """A function whose result depends on what its code does not tell; the text says on what."""


@dataclass(frozen=True)
class Fingerprint:
    """What a function can reach, as named parts, and what of it may change between two calls."""

    parts: dict[str, str]
    environment: tuple[str, ...]
    whole_environment: bool
    working_directory: bool
    depends_on: tuple[Callable[[], bytes], ...]
    paths: KnownPaths
    watch: Watch

    @cached_property
    def digest(self) -> str:
        """All the parts in one."""
        return digest("\n".join(f"{name}\0{part}" for name, part in sorted(self.parts.items())).encode())

    def surroundings(self) -> dict[str, bytes]:
        """What is asked anew at each call: environment variables, working directory, `depends_on`."""
        found: dict[str, bytes] = {}
        if self.whole_environment:
            kept = sorted(item for item in os.environ.items() if item[0] not in _BOOKKEEPING)
            found["the environment"] = repr(kept).encode("utf-8", "surrogatepass")
        for name in self.environment:
            found[f"environment variable {name}"] = repr(os.environ.get(name)).encode("utf-8", "surrogatepass")
        if self.working_directory:
            found["the working directory"] = os.fsencode(os.getcwd())
        for number, ask in enumerate(self.depends_on):
            found[f"depends_on {number + 1}"] = ask()
        return found


_fingerprints: dict[tuple[int, bool], tuple[Any, Fingerprint]] = {}


def fingerprint(root: Any, *, as_value: bool = False) -> Fingerprint:
    """The fingerprint of a function, class or module as it stands now.

    The root is walked wherever it comes from; as a value (an argument) it is a library's where it is from
    one. Raises UnkeyableError where the code does not tell what it reaches.
    """
    known = _fingerprints.get((id(root), as_value))
    if known is not None and known[0] is root and known[1].watch.holds():
        return known[1]
    walked = Walk().run(root, as_value=as_value)
    if _is_global(root):  # others come and go; they would stay for ever
        _fingerprints[id(root), as_value] = (root, walked)
    return walked


def _is_global(root: Any) -> bool:
    module = sys.modules.get(getattr(root, "__module__", None) or "")
    return module is None or "<locals>" not in str(getattr(root, "__qualname__", ""))


def canonical_module(name: str, attributes: dict[str, Any] | None = None) -> str:
    """The name of a module; that of `__main__` is the one it would be imported by.

    >>> canonical_module("json")
    'json'
    """
    if name != "__main__":
        return name
    attributes = attributes if attributes is not None else vars(sys.modules["__main__"])
    spec = attributes.get("__spec__")
    if spec is not None:
        return str(spec.name)
    file = attributes.get("__file__")
    return os.path.splitext(os.path.basename(file))[0] if isinstance(file, str) else name


def label_of(value: Any) -> str:
    """Module and qualified name of a function or class."""
    if isinstance(value, FunctionType):
        name = value.__module__ or value.__globals__.get("__name__") or "?"
        return f"{canonical_module(str(name), value.__globals__)}.{value.__qualname__}"
    module = value.__module__ if isinstance(value.__module__, str) else "?"
    return f"{canonical_module(module)}.{value.__qualname__}"


class Walk(ObjectEncoder):
    """One walk over what a function reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.watch = Watch()
        self.parts: dict[str, str] = {}
        self.environment: set[str] = set()
        self.whole_environment = False
        self.working_directory = False
        self.depends_on: list[Callable[[], bytes]] = []
        self.texts: set[str] = set()
        self.asks_for_files = False
        self._labels: dict[int, str] = {}
        self._taken: set[str] = set()
        self._kept: list[Any] = []
        self._waiting: deque[Any] = deque()

    def run(self, root: Any, *, as_value: bool) -> Fingerprint:
        """The fingerprint of what is reached from here."""
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
        for top in ("pandas", "pyarrow", STANDARD):
            self.library(top)
        return Fingerprint(
            self.parts,
            tuple(sorted(self.environment)),
            self.whole_environment,
            self.working_directory,
            tuple(self.depends_on),
            KnownPaths.among(self.texts, asks=self.asks_for_files),
            self.watch,
        )

    def library(self, top: str) -> None:
        """A library that is used."""
        self.parts.setdefault(f"library {top}", version_of_library(top))

    def service(self, value: Any) -> bytes:
        """A logger or a lock in a global: its class is all that counts."""
        return frame(b"O", type_name(type(value)).encode())

    def identity(self, value: Any) -> bytes:
        """A bare object(): which one it is, among those met."""
        return frame(b"@", self._label(value, "object").encode())

    def code(self, value: Any) -> bytes:
        """A function, class or module: its label; what it does is a part of its own."""
        if isinstance(value, FunctionType):
            cached = cached_function(value)
            if cached is not None:
                self.depends_on += [ask for ask in cached.depends_on if ask not in self.depends_on]
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
                self.whole_environment |= value is os
                return frame(b"V", value.__name__.encode())
        else:
            top = library_of_class(value)
            if top != PROJECT:
                self.library(top)
                return frame(b"V", type_name(value).encode())
        return frame(b"@", self._node(value).encode())

    def encode(self, value: Any) -> bytes:
        """Encode, and take note of what may change in place."""
        encoded = super().encode(value)
        kind = type(value)
        if isinstance(value, PurePath):
            self.texts.add(f"{value}{os.sep}")
        elif kind is str and len(value) < 256:
            self.texts.add(value)
        if kind in _MUTABLE:
            _MUTABLE[kind](self.watch, value)
        elif kind not in _UNCHANGING and not isinstance(value, FunctionType | type | ModuleType):
            self._watch_object(value, encoded)
        return encoded

    def _watch_object(self, value: Any, encoded: bytes) -> None:
        if isinstance(value, dict):
            self.watch.members(value, lambda held: (*dict.keys(held), *dict.values(held)))
        elif isinstance(value, list):
            self.watch.members(value, list.__iter__)
        elif isinstance(value, set):
            self.watch.members(value, set.__iter__)
        if library_of_class(type(value)) == PROJECT:
            self.watch.members(value, lambda held: _flat(attributes_of(held)))
        elif not isinstance(value, enum.Enum) and encoded[:1] not in b"OVJWpgkBZTRP":
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
            with _Blame(f"a default of {label}()"):
                defaults = self.encode((function.__defaults__, function.__kwdefaults__))
        self._add("function", label, frame(b"", facts.digest.encode()) + defaults)
        self.working_directory |= not facts.attributes.isdisjoint(_FOLDER_METHODS)
        if not facts.attributes.isdisjoint(_HOME_METHODS):
            self.environment.add("HOME")
        for item in facts.imports:
            self._import(function.__globals__, item)
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        for use in facts.uses:
            self._use(function, label, use, cells)

    def _use(self, function: FunctionType, label: str, use: Use, cells: dict[str, Any]) -> None:
        namespace = function.__globals__
        if use.scope == "import" and use.imported is not None:
            module = self._import(namespace, use.imported._replace(attributes=()))
            if module is not None:
                self._follow(module, (*use.imported.attributes, *use.attributes), use, namespace, label)
            return
        if use.scope == "free":
            cell = cells[use.name]
            value = _cell_contents(cell)
            if use.written_only and type(value) in _COUNTED:
                return
            self.watch.cell(cell)
            if value is not _ABSENT:
                self._value(f"{label}.{use.name}", value, use.attributes, use, namespace, label)
            return
        if use.name in namespace:
            value = namespace[use.name]
            if use.written_only and type(value) in _COUNTED:
                return
            self.watch.name(namespace, use.name)
            self._value(_in_module(namespace, use.name), value, use.attributes, use, namespace, label)
            return
        self.watch.absence(namespace, use.name)
        value = _builtins_of(function).get(use.name, _ABSENT)
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
            with _Blame(part):
                encoded = self.encode(value)
            if encoded != frame(b"@", part.encode()):
                self._add("value", part, encoded)
            if attributes and isinstance(value, FunctionType) and attributes[0] in vars(value):
                self.watch.name(vars(value), attributes[0])
                with _Blame(f"{part}.{attributes[0]}"):
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
            self._value(_in_module(held, first), held[first], rest, use, namespace, label)
        else:
            self.watch.absence(held, first)
            if "__getattr__" in held:
                self._value(_in_module(held, "__getattr__"), held["__getattr__"], (), use, namespace, label)

    def _special(
        self, value: Any, attributes: tuple[str, ...], use: Use, namespace: dict[str, Any], label: str
    ) -> bool:
        """What reaches beyond itself: the environment, imports by name, code made from text."""
        identity, name_of = id(value), _name_of(value)
        if identity in _ENVIRONMENTS or identity in _GETENV:
            name = self._text(use.operand, namespace)
            if name is not None and attributes in ((), ("get",)):
                self.environment.add(name)
            else:
                self.whole_environment = True
        elif name_of in _UNKNOWABLE or value is sys.modules:
            used = f"{name_of.removeprefix('builtins.')}()" if name_of else "sys.modules"
            raise UnkeyableError(f"{label}() uses {used}")
        elif name_of in _IMPORTERS:
            name = self._text(use.operand, namespace)
            if name is None:
                raise UnkeyableError(f"{label}() imports a module by a name that is computed")
            module = self._import(namespace, Import(name.lstrip("."), len(name) - len(name.lstrip("."))))
            if module is not None:
                self.code(module)
        elif identity in _FOLDER_FUNCTIONS:
            self.working_directory = True
        elif value is os.path.expandvars:
            self.whole_environment = True
        elif value is os.path.expanduser:
            self.environment.add("HOME")
        else:
            return False
        return True

    @staticmethod
    def _text(operand: str | tuple[str, str] | None, namespace: dict[str, Any]) -> str | None:
        value = namespace.get(operand[1]) if isinstance(operand, tuple) else operand
        return value if isinstance(value, str) else None

    def _import(self, namespace: dict[str, Any], item: Import) -> ModuleType | None:
        """The module that an import in a body gives; imported now, as the call would."""
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
        """A module handed about as a value: anything in it may be used."""
        self.watch.mapping(held)
        for name in sorted(held):
            if name.startswith("__") and name.endswith("__"):
                continue
            part = _in_module(held, name)
            with _Blame(part):
                self._add("value", part, self.encode(held[name]))

    def _class(self, cls: type, label: str) -> None:
        own = type.__dict__["__dict__"].__get__(cls)
        self.watch.members(own, _steady_values)
        is_enum = issubclass(cls, enum.Enum)
        shape = [frame(b"", type_name(type(cls)).encode()), self.code(type(cls))]
        shape += [self.code(base) for base in cls.__bases__]
        for name in sorted(own):
            if name in _CLASS_NOISE or name.startswith(_DERIVED_PREFIX) or (is_enum and name in _ENUM_NOISE):
                continue
            value = own[name]
            if name == "__annotations__":
                shape.append(self._annotations(value))
                continue
            with _Blame(f"{label}.{name}"):
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
        """A function made by a library's decorator: the library, and what it wraps."""
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


class _Blame:
    """Turns a value that cannot be encoded into a function that cannot be keyed, saying where the value lies."""

    def __init__(self, part: str) -> None:
        self.part = part

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, UnhashableError):
            raise UnkeyableError(f"{self.part} holds a {error}") from error


def _builtins_of(function: Any) -> Any:
    return function.__builtins__  # not in typeshed


def _name_of(value: Any) -> str:
    """Module and name of a library's function."""
    if isinstance(value, FunctionType | BuiltinFunctionType):
        return f"{value.__module__}.{value.__name__}"
    return ""


def _cell_contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _ABSENT


def _in_module(namespace: dict[str, Any], name: str) -> str:
    return f"{canonical_module(str(namespace.get('__name__', '?')), namespace)}.{name}"


def _flat(attributes: dict[str, Any]) -> Iterator[Any]:
    yield from attributes
    yield from attributes.values()


def _steady_values(own: MappingProxyType[str, Any]) -> Iterator[Any]:
    return (value for name, value in own.items() if name not in _CLASS_NOISE)


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
