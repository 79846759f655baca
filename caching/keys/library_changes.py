"""Changes that the project made in libraries: patched attributes, registered functions, and settings.

A library counts by its version, which does not tell that a test patched `pandas.read_csv`, that an accessor was
registered, or that `yaml.SafeLoader` got a constructor. So the modules of the libraries that code reaches, and the
classes that those publish, are searched for values that are the project's own.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from types import FunctionType, ModuleType
from typing import Any

from caching.keys.libraries import PROJECT, library_of_file, library_of_globals
from caching.keys.names import original_of

_CONTAINERS = (dict, list)
_PLAIN = (str, int, float, bool, bytes, tuple, type(None))
# Prefixes of the options that decide about values and dtypes; a hit asks for these alone, since it must be fast.
DATA_OPTIONS = ("future.", "mode.", "compute.")
_DRAWN = ("styler.", "plotting.")  # pandas options for pictures and pages
_MOST_MEMBERS = 300  # those of a larger library would cost each function a millisecond
_MOST_ITEMS = 10_000


def is_of_project(value: object) -> bool:
    """Return whether a value that a library holds was made by the project or is a mock."""
    value = original_of(value)
    if isinstance(value, FunctionType):
        file = value.__code__.co_filename
        # Code made from text names no file; where it was made, its globals tell.
        return library_of_globals(value.__globals__) == PROJECT if file.startswith("<") else _is_file_of_project(file)
    cls = value if isinstance(value, type) else type(value)
    return _is_class_of_project(cls)


@cache
def _is_file_of_project(file: str) -> bool:
    return library_of_file(file, "library") == PROJECT


def _is_class_of_project(cls: type) -> bool:
    if cls.__module__ == "unittest.mock":
        return True
    module = sys.modules.get(cls.__module__) if isinstance(cls.__module__, str) else None
    if module is not None and ("__file__" in vars(module) or cls.__module__ == "__main__"):
        return library_of_globals(vars(module)) == PROJECT
    # Made by `exec`, in a notebook or by compiled code: its methods tell.
    return any(isinstance(method, FunctionType) and is_of_project(method) for method in vars(cls).values())


def is_plain(name: str, value: object) -> bool:
    """Return whether an attribute of a library is a constant, which counts by its value."""
    return type(value) in _PLAIN and not name.startswith("__")


def members_to_watch(module: ModuleType, names: set[str]) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield the attributes of these names in the classes that a module publishes, each with the class's dictionary.

    Of a library with few classes, functions of the project under any other name as well: a library may call them by
    itself, as `json.dumps` calls `JSONEncoder.default`.
    """
    classes = _classes_of(module)
    is_small = sum(map(len, classes)) <= _MOST_MEMBERS
    for members in classes:
        own = {name for name, value in members.items() if name[0] != "_" and _is_own_code(value)} if is_small else set()
        for name in sorted((names & members.keys()) | own):
            yield members, name


def containers(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield the dictionaries and lists of a module and its classes that code may be registered in, with a label."""
    return ((label, held) for label, held in _containers_of(module) if len(held) <= _MOST_ITEMS)


def own_code(value: object) -> list[tuple[object, Any]]:
    """Return the functions and classes of the project that a library's value is or holds, each with its key there.

    A value that is the project's own in another way, such as a mock, stands for itself.
    """
    if is_of_project(value):
        return [("", value)]
    if isinstance(value, FunctionType | type | ModuleType):
        return []
    if isinstance(value, property):
        held: Iterable[tuple[object, Any]] = enumerate((value.fget, value.fset, value.fdel))
    elif isinstance(value, dict):
        held = tuple(value.items())
    elif isinstance(value, list | tuple):
        held = enumerate(tuple(value))
    else:
        # Values of attributes, and what compiled code keeps inside, as functools.partial does.
        held = enumerate((*getattr(value, "__dict__", {}).values(), *gc.get_referents(value)))
    return [(key, item) for key, item in held if _is_own_code(item)]


def _is_own_code(value: object) -> bool:
    return isinstance(value, FunctionType | type) and is_of_project(value)


@cache
def _classes_of(module: ModuleType) -> tuple[Mapping[str, Any], ...]:
    """Return the dictionaries of the classes that a module publishes, and of their bases."""
    published = [value for value in list(vars(module).values()) if isinstance(value, type)]
    bases = dict.fromkeys(base for cls in published for base in type.mro(cls) if base.__module__ != "builtins")
    return tuple(type.__dict__["__dict__"].__get__(base) for base in bases)


@cache
def _containers_of(module: ModuleType) -> tuple[tuple[str, Any], ...]:
    held: list[tuple[str, Mapping[str, Any]]] = [(module.__name__, vars(module))]
    held += [(f"{members.get('__module__')}.{_name(members)}", members) for members in _classes_of(module)]
    return tuple(
        (f"{label}.{name}", value)
        for label, names in held
        for name, value in list(names.items())
        if type(value) in _CONTAINERS and value is not sys.modules and not name.startswith("__")
    )


def _name(members: Mapping[str, Any]) -> str:
    return str(members.get("__qualname__", "class"))


def pandas_options() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield the dictionaries of pandas's options: prefix, all values by name, and those that were changed."""
    config = sys.modules.get("pandas._config.config")
    registered = getattr(config, "_registered_options", {})
    waiting = [("", getattr(config, "_global_config", {}))]
    while waiting:
        prefix, held = waiting.pop()
        waiting += [(f"{prefix}{name}.", value) for name, value in held.items() if isinstance(value, dict)]
        values = {name: value for name, value in held.items() if not isinstance(value, dict)}
        if values and not prefix.startswith(_DRAWN):
            yield prefix, held, {n: v for n, v in values.items() if _is_changed(registered.get(prefix + n), v)}


def _is_changed(option: Any, value: Any) -> bool:
    default = getattr(option, "defval", value)
    return value is not default and bool(value != default)
