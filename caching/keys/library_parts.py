"""The parts of a key that libraries account for: what the project changed in them, and what they say of its code."""

from __future__ import annotations

import sys
from types import FunctionType, ModuleType
from typing import Any

from caching.keys.bytecode import read_code
from caching.keys.code_encoder import CodeEncoder
from caching.keys.error_context import ErrorContext
from caching.keys.libraries import STANDARD
from caching.keys.library_changes import (
    DATA_OPTIONS,
    holds_of_project,
    is_of_project,
    is_plain,
    items_of,
    pandas_options,
    registries,
    replaced_members,
)
from caching.keys.names import original_of
from caching.keys.values import frame

# What describes functions and classes counts where the code asks for it, by these names.
_DESCRIPTIONS = {
    "docstring": ("__doc__", "getdoc", "inspect.getdoc"),
    "annotations": ("__annotations__", "typing.get_type_hints", "get_type_hints", "inspect.signature", "signature"),
    "subclasses": ("__subclasses__",),
}


class LibraryParts(CodeEncoder):
    """Adds parts for attributes of libraries that the project changed, and for descriptions that the code asks for."""

    def __init__(self) -> None:
        super().__init__()
        self._called: set[str] = set()  # functions of libraries
        self._attributes: set[str] = set()  # that functions use, of whatever object
        self._libraries: dict[str, ModuleType] = {}  # modules of libraries that are reached

    def _library_value(self, held: dict[str, Any], library: str, name: str) -> None:
        """Add an attribute of a library that is not as the library made it, or a constant."""
        value = original_of(held[name])
        self.watch.name(held, name)
        odd_name = isinstance(value, FunctionType) and value.__name__ != name
        if holds_of_project(value) or is_plain(name, value) or odd_name:
            with ErrorContext(f"{library}.{name}"):
                self._add("value", f"{library}.{name}", self._code_of(value))

    def _code_of(self, value: Any) -> bytes:
        """Encode a value that a library holds; of its own function whose code was replaced, that code."""
        if isinstance(value, FunctionType) and is_of_project(value):
            return self.encode(value) + frame(b"", read_code(value.__code__).digest.encode())
        return self.encode(value)

    def _library_changes(self) -> None:
        """Add what the project patched or registered in the libraries that are reached, and pandas's options."""
        for top in [part.partition(" ")[2] for part in self.parts if part.startswith("library ")]:
            if top in sys.modules and top not in ("sourceswap", STANDARD):
                self._libraries[top] = sys.modules[top]
        for module in [self._libraries[name] for name in sorted(self._libraries)]:
            for members, name in replaced_members(module, self._attributes):
                self.watch.library_member(members, name)
                if holds_of_project(members[name]):
                    self._replaced(f"{members.get('__module__')}.{name}", members[name])
            for label, registry in registries(module):
                self.watch.members(registry, dict.values if isinstance(registry, dict) else tuple)
                self._replaced(label, registry)
        options = pandas_options()
        if options is not None:
            for prefix, holder in options[0]:
                if prefix in DATA_OPTIONS:
                    self.watch.members(holder, dict.values)
                else:
                    for name in holder:
                        self.watch.library_member(holder, name)
            if options[1]:
                self._add("value", "pandas.options", options[1])

    def _descriptions(self) -> None:
        """Add the docstrings, annotations or subclasses of all that was reached, where the code asks for them."""
        wanted = self._attributes | self.texts | self._called
        for kind, names in _DESCRIPTIONS.items():
            if wanted.isdisjoint(names):
                continue
            for value in list(self._kept):
                if isinstance(value, FunctionType | type):
                    with ErrorContext(f"{kind} of {self._labels[id(value)]}"):
                        self._add(kind, self._labels[id(value)], self.encode(_described(value, kind)))
                    if kind == "subclasses" and isinstance(value, type):
                        self.watch.members(value, type.__subclasses__)

    def _replaced(self, label: str, value: Any) -> None:
        values = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
        with ErrorContext(label):
            if values is None:
                held: list[Any] = [value] if is_of_project(value) else items_of(value)
                if isinstance(value, property):
                    held = [value.fget]
                own = [self._code_of(item) for item in held if is_of_project(item)]
            else:
                own = [
                    frame(b"", repr(key).encode()) + self.encode(item)
                    for key, item in values
                    if isinstance(item, FunctionType | type) and is_of_project(item)
                ]
        self._add("value", label, b"".join(own))


def _described(value: Any, kind: str) -> Any:
    if kind == "docstring":
        return value.__doc__
    if kind == "annotations":
        return dict(getattr(value, "__annotations__", {}))
    return type.__subclasses__(value) if isinstance(value, type) else None
