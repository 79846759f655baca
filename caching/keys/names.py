"""Names of modules, functions and classes that are the same in a script and where it is imported."""

from __future__ import annotations

import os
import sys
from types import BuiltinFunctionType, FunctionType
from typing import Any

ORIGINAL = "__unrecorded__"  # the attribute of a recording wrapper that holds the function it wraps


def canonical_module(name: str, attributes: dict[str, Any] | None = None) -> str:
    """Return the name of a module; that of `__main__` is the one it would be imported by.

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


def name_of(value: Any) -> str:
    """Module and name of a library's function."""
    if isinstance(value, FunctionType | BuiltinFunctionType):
        return f"{value.__module__}.{value.__name__}"
    return ""


def name_in_module(namespace: dict[str, Any], name: str) -> str:
    """Return a name bound in a module, with the module's own name."""
    return f"{canonical_module(str(namespace.get('__name__', '?')), namespace)}.{name}"


def original_of(function: Any) -> Any:
    """Return the function that a recording wrapper wraps, or the function itself; in a key both are the same."""
    return vars(function).get(ORIGINAL, function) if isinstance(function, FunctionType) else function
