"""What the project has changed in libraries: patched attributes, functions that it registered, and settings.

A library counts by its version, which does not tell that a test patched `pandas.read_csv`, that an accessor was
registered, or that `yaml.SafeLoader` got a constructor. So what reached code may use is looked for in the modules of
the libraries that it reaches, and in the classes that those publish: values that are the project's own.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Mapping
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


def replaced_members(module: ModuleType, names: frozenset[str] | set[str]) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield the attributes of these names in the classes that a module publishes, each with the class's dictionary.

    Of a library with few classes, the attributes of any name that the project replaced as well: a library may call them
    by itself, as `json.dumps` calls `JSONEncoder.default`.
    """
    classes = _classes_of(module)
    is_small = sum(map(len, classes)) <= _MOST_MEMBERS
    for members in classes:
        own = {name for name, value in members.items() if _is_replaced(name, value)} if is_small else set()
        for name in sorted((names & members.keys()) | own):
            yield members, name


def _is_replaced(name: str, value: object) -> bool:
    return isinstance(value, FunctionType) and not name.startswith("_") and is_of_project(value)


def registries(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield the dictionaries and lists of a module and its classes that hold something of the project, with a label."""
    for label, container in _containers_of(module):
        values = container.values() if isinstance(container, dict) else container
        if len(container) <= _MOST_ITEMS and any(
            isinstance(value, FunctionType | type) and is_of_project(value) for value in tuple(values)
        ):
            yield label, container


def holds_of_project(value: object) -> bool:
    """Return whether it is of the project, or an object of a library that has something of the project in it."""
    if is_of_project(value):
        return True
    if isinstance(value, FunctionType | type):
        return False
    if isinstance(value, property):
        return is_of_project(value.fget)
    return any(is_of_project(item) for item in items_of(value) if isinstance(item, FunctionType | type))


def items_of(value: object) -> list[object]:
    """Return what an object of a library holds: the values of its attributes, and what compiled code keeps inside."""
    return [*getattr(value, "__dict__", {}).values(), *(gc.get_referents(value) if _may_hold(value) else ())]


def _may_hold(value: object) -> bool:
    return not isinstance(value, ModuleType | dict | list | tuple | set | frozenset)


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


def pandas_options() -> tuple[list[tuple[str, dict[str, Any]]], bytes] | None:
    """Return the dictionaries of pandas's options by prefix, and the options that were changed, as bytes."""
    config = sys.modules.get("pandas._config.config")
    options = getattr(config, "_global_config", None)
    registered = getattr(config, "_registered_options", None)
    if not isinstance(options, dict) or not isinstance(registered, dict):
        return None
    holders: list[tuple[str, dict[str, Any]]] = []
    changed: list[str] = []
    waiting = [("", options)]
    while waiting:
        prefix, held = waiting.pop()
        leaves = {name: value for name, value in held.items() if not isinstance(value, dict)}
        waiting += [(f"{prefix}{name}.", value) for name, value in held.items() if isinstance(value, dict)]
        if leaves and not prefix.startswith(_DRAWN):
            holders.append((prefix, held))
        for name, value in leaves.items():
            default = getattr(registered.get(prefix + name), "defval", value)
            if value is not default and value != default:
                changed.append(f"{prefix}{name}={value!r}")
    return holders, "\n".join(sorted(changed)).encode()
