"""Encode objects by class and state, without running code of the project."""

from __future__ import annotations

import enum
import functools
import gc
from collections.abc import Iterator
from types import (
    BuiltinFunctionType,
    FunctionType,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any

from caching.keys import lookup_tables as tables
from caching.keys.libraries import PROJECT, library_of_globals, library_of_module
from caching.keys.names import original_of
from caching.keys.values import Encoder, UnhashableError, frame, type_name

# What these make stands for a service, not for a value: a result does not depend on its state.
_SERVICES = frozenset(
    [
        "_thread",
        "threading",
        "logging",
        "warnings",
        "asyncio",
        "concurrent",
        "multiprocessing",
        "rich",
        "tqdm",
        "structlog",
        "loguru",
    ]
)
_QUEUES = frozenset({"queue", "_queue", "asyncio.queues", "multiprocessing.queues", "multiprocessing.connection"})
_HEAP_TYPE = 1 << 9
_MEMO = type(functools.cache(lambda: None))
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
_SLOT_TYPES = (MemberDescriptorType, GetSetDescriptorType)


def library_of_class(cls: type) -> str:
    """Return the library a class comes from, "python", or "" where it is the project's own."""
    if not cls.__flags__ & _HEAP_TYPE and cls.__module__ == "builtins":
        return "python"
    module = cls.__module__
    return library_of_module(module) if isinstance(module, str) else PROJECT


def is_memo(value: object) -> bool:
    """Return whether it is a Python function under `functools.cache` or `lru_cache`."""
    return isinstance(value, _MEMO) and isinstance(getattr(value, "__wrapped__", None), FunctionType)


def is_service(value: object) -> bool:
    """Return whether a value is a logger, a lock, a pool or the like, or a text stream of the process."""
    cls = type(value)
    if cls.__module__ == "_io":
        # Streams to write to; one to read from has a position that cannot be hashed.
        return "r" not in str(getattr(value, "mode", "r")) and "+" not in str(getattr(value, "mode", "+"))
    return any(
        base.__module__.partition(".")[0] in _SERVICES for base in cls.__mro__ if isinstance(base.__module__, str)
    )


def attributes_of(value: object) -> dict[str, Any]:
    """Return an object's attributes from its `__dict__` and slots, without cached properties."""
    found: dict[str, Any] = {}
    for cls in type(value).__mro__:
        own = type.__dict__["__dict__"].__get__(cls)
        dictionary = own.get("__dict__")
        if isinstance(dictionary, GetSetDescriptorType):
            held = dictionary.__get__(value)
            if isinstance(held, dict):
                found.update(held)
        for name, member in own.items():
            if isinstance(member, MemberDescriptorType) and name not in ("__weakref__", "__dict__"):
                try:
                    found.setdefault(name, member.__get__(value))
                except AttributeError:
                    continue
    return {name: held for name, held in found.items() if not _is_cached_property(type(value), name)}


def _is_cached_property(cls: type, name: str) -> bool:
    return any(isinstance(vars(base).get(name), functools.cached_property) for base in cls.__mro__)


def class_attributes(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield the attributes that a class defines itself, by name, without derived ones."""
    own = type.__dict__["__dict__"].__get__(cls)
    noise = _CLASS_NOISE | _ENUM_NOISE if issubclass(cls, enum.Enum) else _CLASS_NOISE
    if issubclass(cls, enum.Enum):
        yield "its members in order", tuple(cls.__members__)
    registered = registered_classes(cls)
    if registered:
        yield "its registered classes", registered
    for name in sorted(own):
        if name not in noise and not name.startswith(_DERIVED_PREFIX):
            yield name, own[name]
    # Where pydantic keeps what its models say of their fields: in no attribute of the class.
    for name, info in own.get("__pydantic_fields__", {}).items():
        for said in ("default", "default_factory", "alias", "metadata"):
            yield f"{name} ({said})", getattr(info, said, None)


def registered_classes(cls: type) -> list[type]:
    """Return the classes that `ABC.register` made subclasses of an abstract class, by name."""
    if "_abc_impl" not in type.__dict__["__dict__"].__get__(cls):
        return []
    from _abc import _get_dump  # type: ignore[import-not-found]

    found = [held for reference in _get_dump(cls)[0] if (held := reference()) is not None]
    return sorted(found, key=type_name)


def steady_values(own: MappingProxyType[str, Any]) -> Iterator[Any]:
    """Return the values in a class's dictionary that nobody changes but the project."""
    return (value for name, value in own.items() if name not in _CLASS_NOISE)


class ObjectEncoder(Encoder):
    """Encodes objects by class and state; functions, classes and modules are left to a subclass."""

    def code(self, value: Any) -> bytes:
        """Return the bytes that stand for a function, a class or a module."""
        raise NotImplementedError

    def service(self, value: Any) -> bytes:
        """Return a logger, lock or pool."""
        raise UnhashableError(value)

    def identity(self, value: Any) -> bytes:
        """Return a bare `object()`: nothing but itself."""
        raise UnhashableError(value, "has no content to compare")

    def library(self, top: str) -> None:
        """Record a library whose version is part of the key."""

    def reference(self, cls: type) -> bytes:
        """Return a class, as the type of a value."""
        return self.code(cls)

    def encode_object(self, value: Any) -> bytes:
        """Encode any object that is not a plain value."""
        original = original_of(value)
        if original is not value:
            return self.encode(original)
        table = tables.encode(self, value)
        if table is not None:
            return table
        if isinstance(value, FunctionType | type | ModuleType):
            return self.code(value)
        if isinstance(value, MethodType):
            return b"B" + self.encode(value.__func__) + self.encode(value.__self__)
        if isinstance(value, BuiltinFunctionType | MethodWrapperType):
            holder = value.__self__
            name = frame(b"J", f"{getattr(value, '__module__', '')}.{value.__qualname__}".encode())
            return name if holder is None or isinstance(holder, ModuleType) else name + self.encode(holder)
        if type(value).__name__ == "cython_function_or_method":
            return self._compiled(value)
        if isinstance(
            value, WrapperDescriptorType | MethodDescriptorType | MemberDescriptorType | GetSetDescriptorType
        ):
            return frame(b"W", f"{type_name(value.__objclass__)}.{value.__name__}".encode())
        if isinstance(value, functools.partial):
            inner = self.nested(value, lambda: self.encode((value.func, value.args, value.keywords)))
            return b"p" + self.reference(type(value)) + inner
        if isinstance(value, staticmethod | classmethod):
            return frame(b"k", type(value).__name__.encode()) + self.encode(value.__func__)
        if isinstance(value, property):
            return b"g" + self.reference(type(value)) + self.encode((value.fget, value.fset, value.fdel))
        if type(value) is object:
            return self.identity(value)
        if type(value).__module__ in _QUEUES:
            raise UnhashableError(value, "hands over what others put into it")
        if is_service(value):
            return self.service(value)
        return self.nested(value, lambda: self._instance(value))

    def _compiled(self, function: Any) -> bytes:
        """Return a function that Cython compiled: a library's, whose version stands for it."""
        top = library_of_module(str(function.__module__))
        if top == PROJECT:
            raise UnhashableError(function, "is compiled code")
        self.library(top)
        return frame(b"J", f"{function.__module__}.{function.__qualname__}".encode())

    def _instance(self, value: Any) -> bytes:
        cls = type(value)
        top = library_of_class(cls)
        state = attributes_of(value)
        if top != PROJECT and not hasattr(value, "__dict__"):
            # What functools.cmp_to_key returns does not show its function; the garbage collector does.
            hidden = (held for held in gc.get_referents(value) if isinstance(held, FunctionType))
            state.update((f"hidden {number}", held) for number, held in enumerate(hidden))
        content = self.encode_content(value)
        if isinstance(value, BaseException):
            content = self.encode(BaseException.__dict__["args"].__get__(value))
        known = content is not None or not any(_is_compiled(base) for base in cls.__mro__)
        if (
            not known
            or (top != PROJECT and not state and content is None)
            or (top in ("python",) and content is not None)
        ):
            if top == PROJECT:
                raise UnhashableError(value, "holds state of compiled code")
            return self.reference(cls) + self._reduced(value)
        items = [frame(b"", name.encode()) + self.encode(held) for name, held in sorted(state.items())]
        return b"I" + self.reference(cls) + (content or b"") + b"%d(%b)" % (len(items), b"".join(items))

    def _reduced(self, value: Any) -> bytes:
        # Library code only: how it would be rebuilt is what it is.
        if isinstance(value, Iterator):
            raise UnhashableError(value, "is used up by reading")
        try:
            reduced = value.__reduce_ex__(4)
        except Exception as error:
            raise UnhashableError(value) from error
        if isinstance(reduced, str):
            return frame(b"G", reduced.encode())
        parts = [list(part) if isinstance(part, Iterator) else part for part in reduced]
        return b"X" + self.encode_all(b"", parts)


def _is_compiled(cls: type) -> bool:
    return not cls.__flags__ & _HEAP_TYPE and cls is not object and not issubclass(cls, BaseException)


def project_functions(value: FunctionType) -> Iterator[Any]:
    """Yield the functions, classes and values in the closure and `__wrapped__` of a library's wrapper."""
    for cell in value.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:
            continue
    wrapped = vars(value).get("__wrapped__")
    if wrapped is not None:
        yield wrapped


def library_of_function(function: FunctionType) -> str:
    """Return the library a function comes from, "python", or "" where it is the project's own."""
    return library_of_globals(function.__globals__)


def cached_function(wrapper: Any) -> Any:
    """Return the `CachedFunction` of a wrapper made by `function_cache`; None for anything else.

    A decorator above it copies the wrapper's attributes (`functools.wraps`), but is not it.
    """
    found = getattr(wrapper, "__dict__", {}).get("__cached_function__")
    return found if found is not None and found.wrapper is wrapper else None
