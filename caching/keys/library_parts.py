"""Parts of a key for changes that the project made in libraries, and for descriptions of its code."""

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
    containers,
    is_plain,
    members_to_watch,
    own_code,
    pandas_options,
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
        if is_plain(name, value) or (isinstance(value, FunctionType) and value.__name__ != name):
            self._add("value", f"{library}.{name}", self.encode(value))
        self._add_own(f"{library}.{name}", value)

    def _add_own(self, label: str, value: Any) -> None:
        """Add the code of the project that a value of a library is or holds, if any."""
        own = own_code(value)
        if own:
            with ErrorContext(label):
                encoded = [self.encode(key) + self._code_of(item) for key, item in own]
            self._add("value", label, b"".join(encoded))

    def _code_of(self, value: Any) -> bytes:
        """Encode a value that a library holds; of a library's function whose code was replaced, that code too."""
        if isinstance(value, FunctionType):
            return self.encode(value) + frame(b"", read_code(value.__code__).digest.encode())
        return self.encode(value)

    def _library_changes(self) -> None:
        """Add what the project patched or registered in the libraries that are reached, and pandas's options."""
        for top in [part.partition(" ")[2] for part in self.parts if part.startswith("library ")]:
            if top in sys.modules and top not in ("sourceswap", STANDARD):
                self._libraries[top] = sys.modules[top]
        for module in [self._libraries[name] for name in sorted(self._libraries)]:
            for members, name in members_to_watch(module, self._attributes):
                self.watch.library_member(members, name)
                self._add_own(f"{members.get('__module__')}.{name}", members[name])
            for label, container in containers(module):
                if own_code(container):
                    self.watch.members(container, dict.values if isinstance(container, dict) else tuple)
                    self._add_own(label, container)
        for prefix, options, changed in pandas_options():
            if prefix in DATA_OPTIONS:
                self.watch.members(options, dict.values)
            else:
                for name in options:
                    self.watch.library_member(options, name)
            if changed:
                with ErrorContext(f"pandas.options.{prefix.rstrip('.')}"):
                    self._add("value", f"pandas.options.{prefix.rstrip('.')}", self.encode(changed))

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


def _described(value: Any, kind: str) -> Any:
    if kind == "docstring":
        return value.__doc__
    if kind == "annotations":
        return dict(getattr(value, "__annotations__", {}))
    return type.__subclasses__(value) if isinstance(value, type) else None
