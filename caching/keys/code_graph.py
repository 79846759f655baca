"""The reachable code of a function: helpers, classes, constants and modules, found from its bytecode.

Helper functions, classes, constants, modules of the project, closures, tables of functions: each gets a part of
its own, so that a miss can be explained. Libraries are one part each: distribution and version. Nothing of the
project is executed, but the modules that bodies import.
"""

from __future__ import annotations

import sys
from collections import deque
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any

from caching.keys.bytecode import Import, Use, read_code
from caching.keys.error_context import ErrorContext, UnkeyableError
from caching.keys.libraries import PROJECT, STANDARD, installed_distributions, library_of_module
from caching.keys.library_parts import LibraryParts
from caching.keys.named_variables import Queries
from caching.keys.names import name_in_module, name_of
from caching.keys.objects import (
    class_attributes,
    steady_values,
)
from caching.keys.operands import Arguments, text_of
from caching.keys.values import UnhashableError, frame, type_name

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
        "builtins.input",
        "getpass.getpass",
        "fileinput.input",
    ]
)
# Methods of pyarrow's file systems, and libraries, that read in native code, unseen.
_NATIVE_METHODS = frozenset({"open_input_file", "open_input_stream", "get_file_info", "OSFile"})
_NATIVE_LIBRARIES = ("obstore", "connectorx")
_IMPORTERS = frozenset({"builtins.__import__", "importlib.import_module"})
# What may be changed or counted up without being an input; of other types the methods are the project's own.
_CHANGED = (list, dict, set, deque)
_COUNTED = (*_CHANGED, int, float, str, type, FunctionType, SimpleNamespace)


class CodeGraph(LibraryParts):
    """Collects the code that a function reaches, each function, class and constant as a named part."""

    def __init__(self) -> None:
        super().__init__()
        self.queries = Queries()
        self.unversioned = ""  # what reads without being seen

    def run(self, root: Any, *, as_value: bool) -> None:
        """Visit all code that is reachable from this function, class or module."""
        if as_value:
            self._add("value", "itself", self.code(root))
        else:
            self._node(root)
        self._run_waiting(root, as_value=as_value)
        for top in ("pandas", "pyarrow", STANDARD):
            self.library(top)
        self._library_changes()
        self._descriptions()
        self._run_waiting()

    def _run_waiting(self, root: Any = None, *, as_value: bool = False) -> None:
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

    def _function(self, function: FunctionType, label: str, *, is_root: bool) -> None:
        self.watch.function(function)
        facts = read_code(function.__code__)
        self.texts |= facts.texts
        self._attributes |= facts.attributes
        defaults = b""
        if not is_root:  # a root's defaults are bound with its arguments
            with ErrorContext(f"a default of {label}()"):
                defaults = self.encode((function.__defaults__, function.__kwdefaults__))
        self._add("function", label, frame(b"", facts.digest.encode()) + defaults)
        self.used_environment.use_attributes(facts.attributes)
        for name in sorted(facts.attributes & _NATIVE_METHODS):
            self.unversioned = self.unversioned or f"{label}() uses {name}, whose reads are not seen"
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
        elif value is not _ABSENT and not self._special(value, use.attributes, use, namespace, label):
            self._library_value(_builtins_of(function), "builtins", use.name)

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
            with ErrorContext(part):
                encoded = self.encode(value)
            if encoded != frame(b"@", part.encode()):
                self._add("value", part, encoded)
            if attributes and isinstance(value, FunctionType) and attributes[0] in vars(value):
                self.watch.name(vars(value), attributes[0])
                with ErrorContext(f"{part}.{attributes[0]}"):
                    self._add("value", f"{part}.{attributes[0]}", self.encode(vars(value)[attributes[0]]))

    def _follow(
        self, module: ModuleType, attributes: tuple[str, ...], use: Use, namespace: dict[str, Any], label: str
    ) -> None:
        """Resolve `package.module.name` through the modules of the project."""
        if type(module) is not ModuleType:
            self.code(type(module))  # it may have properties
        if not attributes:
            self.code(module)
            return
        held = vars(module)
        first, rest = attributes[0], attributes[1:]
        if (library := library_of_module(module)) != PROJECT:
            self.library(library)
            if library in _NATIVE_LIBRARIES:
                self.unversioned = self.unversioned or f"{label}() reads through {library}"
            self._libraries[module.__name__] = module
            value = held.get(first, _ABSENT)
            if value is sys.stdin and value is not None:
                raise UnkeyableError(f"{label}() reads sys.stdin")
            if module.__name__.startswith("importlib.metadata"):
                self.parts["installed distributions"] = installed_distributions()
            if isinstance(value, ModuleType):
                if rest or library_of_module(value) == PROJECT:
                    self._follow(value, rest, use, namespace, label)
            elif not self._special(value, rest, use, namespace, label) and value is not _ABSENT:
                self._library_value(held, module.__name__, first)
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
        """Handle names that reach further: the environment, imports by name, and code made from text."""
        called, text = name_of(value), text_of(use.arguments.get(0, "key", "name"), namespace)
        self.queries.call(called, use.arguments, namespace)
        self._called.add(called)
        if self.used_environment.use(value, attributes, text):
            return True
        if value is getattr:
            self._named_attribute(use, namespace, label)
            return True
        if called in _UNKNOWABLE or value is sys.modules:
            used = f"{called.removeprefix('builtins.')}()" if called else "sys.modules"
            raise UnkeyableError(f"{label}() uses {used}")
        if called not in _IMPORTERS:
            return False
        self._import_by_name(called, text, use.arguments, namespace, label)
        return True

    def _named_attribute(self, use: Use, namespace: dict[str, Any], label: str) -> None:
        """Follow `getattr(module, "name")`."""
        holder, name = use.arguments.get(0), text_of(use.arguments.get(1), namespace)
        module = namespace.get(holder[1]) if isinstance(holder, tuple) else None
        if isinstance(module, ModuleType) and name is not None:
            self._follow(module, (name,), use, namespace, label)

    def _import_by_name(
        self, importer: str, text: str | None, given: Arguments, namespace: dict[str, Any], label: str
    ) -> None:
        """Follow `import_module("name")` and `__import__("name")`."""
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
        """Visit everything in a module that is passed as a value."""
        self.watch.mapping(held)
        for name in sorted(held):
            if name.startswith("__") and name.endswith("__"):
                continue
            part = name_in_module(held, name)
            with ErrorContext(part):
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
            with ErrorContext(f"{label}.{name}"):
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
