"""The key of a call: one digest of the function, its reachable code, its arguments and its environment.

`get_key` gives the digest; the parts behind it explain a miss. What a call reads is not in the key but
recorded with the entry (`caching.tracking.sources`), because it is known only once the function has run.
"""

from __future__ import annotations

import collections.abc
import io
import types
import typing
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from caching.context import active_context
from caching.errors import CachingException
from caching.keys.error_context import UnkeyableError
from caching.keys.fingerprint import Fingerprint, fingerprint
from caching.keys.names import label_of
from caching.keys.objects import ObjectEncoder, cached_function
from caching.keys.values import UnhashableError, digest, frame, type_name

_NO_DEFAULT = object()
_CO_VARARGS, _CO_VARKEYWORDS = 0x04, 0x08  # as in `inspect`, which is slow to import
_USED_UP = (
    collections.abc.Iterator,
    collections.abc.Generator,
    collections.abc.AsyncIterator,
    collections.abc.Awaitable,
    io.IOBase,
    typing.IO,
    types.FrameType,
)
# Known by name: importing their modules only to compare with them would cost every user.
_NEVER_HASHABLE = frozenset(
    [
        "socket.socket",
        "_thread.lock",
        "_thread.RLock",
        "threading.Thread",
        "threading.Event",
        "sqlite3.Connection",
        "sqlite3.Cursor",
        "queue.Queue",
        "asyncio.queues.Queue",
        "asyncio.locks.Lock",
        "subprocess.Popen",
        "logging.Logger",
        "ssl.SSLContext",
    ]
)


class Unbound(Exception):  # noqa: N818 - a signal within the package: the call itself will raise TypeError
    """Raised when the arguments do not fit the function's parameters."""


class ArgumentEncoder(ObjectEncoder):
    """Encodes arguments; a function or class among them counts with all the code it reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.used_environment: dict[str, bytes] = {}

    def code(self, value: Any) -> bytes:
        """Return a function or class given as an argument: its fingerprint."""
        if isinstance(value, types.FunctionType):
            # A cached function is the function itself.
            cached = cached_function(value)
            value = cached.function if cached is not None else value
        if isinstance(value, type) and value.__module__ == "builtins":
            return frame(b"C", value.__qualname__.encode())
        found = fingerprint(value, as_value=True)
        self.used_environment.update(found.used_environment.ask())
        name = value.__name__ if isinstance(value, types.ModuleType) else label_of(value)
        return frame(b"@", f"{name} {found.digest}".encode())


@dataclass(frozen=True)
class Parameters:
    """The parameters of a function; binds arguments several times faster than `Signature.bind`."""

    code: types.CodeType
    names: tuple[str, ...]
    positional_only: int
    keyword_only: tuple[str, ...]
    rest: str | None
    rest_by_name: str | None

    @classmethod
    def of(cls, function: types.FunctionType) -> Parameters:
        """Read the parameters from the function's code."""
        code = function.__code__
        count, only = code.co_argcount, code.co_kwonlyargcount
        names = code.co_varnames
        more = iter(names[count + only :])
        rest = next(more) if code.co_flags & _CO_VARARGS else None
        rest_by_name = next(more) if code.co_flags & _CO_VARKEYWORDS else None
        return cls(code, names[:count], code.co_posonlyargcount, names[count : count + only], rest, rest_by_name)

    def bind(
        self, function: types.FunctionType, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> list[tuple[str, Any, Any]]:
        """Return name, value and default of each parameter, in the order of the signature."""
        names, given, defaults = self.names, len(args), function.__defaults__ or ()
        if given > len(names) and self.rest is None:
            raise Unbound
        without_default, used = len(names) - len(defaults), 0
        bound: list[tuple[str, Any, Any]] = []
        for index, name in enumerate(names):
            default = defaults[index - without_default] if index >= without_default else _NO_DEFAULT
            by_name = name in kwargs and index >= self.positional_only
            value = args[index] if index < given else kwargs[name] if by_name else default
            if value is _NO_DEFAULT or (by_name and index < given):
                raise Unbound
            used += by_name
            bound.append((name, value, default))
        if self.rest is not None:
            bound.append((self.rest, tuple(args[len(names) :]), _NO_DEFAULT))
        for name in self.keyword_only:
            default = (function.__kwdefaults__ or {}).get(name, _NO_DEFAULT)
            value = kwargs.get(name, default)
            if value is _NO_DEFAULT:
                raise Unbound
            used += name in kwargs
            bound.append((name, value, default))
        if self.rest_by_name is not None:
            known = {*names[self.positional_only :], *self.keyword_only}
            more = {name: value for name, value in kwargs.items() if name not in known}
            bound.append((self.rest_by_name, more, _NO_DEFAULT))
        elif used < len(kwargs):
            raise Unbound
        return bound


@dataclass(slots=True)
class CallKey:
    """The key of one call, and the parts it was made from."""

    namespace: str
    digest: str
    values: list[Any]
    code: Fingerprint
    arguments: list[tuple[str, bytes]]
    used_environment: dict[str, bytes]

    @property
    def key(self) -> tuple[str, str]:
        """The tuple of namespace and digest under which entries are saved."""
        return self.namespace, self.digest

    def parts(self) -> dict[str, str]:
        """Return the named parts, each as a digest (libraries as their versions): never a value itself."""
        named = {f"argument {name}": digest(encoded)[:16] for name, encoded in self.arguments}
        asked = {name: digest(encoded)[:16] for name, encoded in self.used_environment.items()}
        code = {
            name: part if name.startswith(("library ", "import ")) else part[:16]
            for name, part in self.code.parts.items()
        }
        return {**code, **asked, **named}


# Told apart by type and equality: there is no -0.0 that equals 0.0, no object with an equality of its own.
_REMEMBERED = frozenset({str, int, bool, type(None)})
_MOST_REMEMBERED, _LONGEST_REMEMBERED = 256, 1024


@dataclass
class FunctionKey:
    """Makes the keys of a function's calls; keeps what is the same for all of them."""

    function: types.FunctionType
    depends_on: tuple[Callable[[], bytes], ...] = ()
    parameters: Parameters = field(init=False)
    namespace: str = field(init=False)
    # The fingerprint that the code has now, and keys made with it, by the calls they were made for.
    _known: tuple[Fingerprint, dict[Hashable, CallKey]] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.parameters = Parameters.of(self.function)
        self.namespace = label_of(self.function)

    def of(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], settings: Mapping[str, object] | None = None
    ) -> CallKey:
        """Return the key of a call; raise UnkeyableError or Unbound.

        Raises Unbound where the arguments do not fit, CachingException for one that cannot be hashed,
        UnkeyableError where the code does not tell what it reaches.
        """
        function = self.function
        if function.__code__ is not self.parameters.code:
            self.parameters = Parameters.of(function)
        call = None if settings or self.depends_on else _call_of(args, kwargs)
        known = self._known
        if known is not None and not known[0].watch.holds():
            known = None
        if known is not None and known[1] and call is not None:
            remembered = known[1].get((call, *known[0].used_environment.ask().items()))
            if remembered is not None:
                return remembered
        encoder = ArgumentEncoder()
        values, arguments = [], []
        for name, value, default in self.parameters.bind(function, args, kwargs):
            values.append(value)
            try:
                arguments.append((name, encoder.encode(value)))
            except UnhashableError as error:
                if value is not default:
                    raise CachingException(self._unhashable(name, value, error)) from None
                arguments.append((name, b"default"))
        if known is None:
            # Both at once: a thread that still works with the older code remembers its keys with that.
            known = self._known = fingerprint(function), {}
        code, keys = known
        used_environment = code.used_environment.ask()
        for name, value in (settings or {}).items():
            used_environment[f"setting {name}"] = encoder.encode(value)
        if encoder.used_environment:
            used_environment.update(encoder.used_environment)
        for number, ask in enumerate(self.depends_on):
            used_environment[f"depends_on of its own {number + 1}"] = ask()
        material = [f"{self.namespace}\0{code.digest}".encode()]
        material += [b"%b\0%d:%b" % (name.encode(), len(encoded), encoded) for name, encoded in arguments]
        material += [b"%b\0%d:%b" % (name.encode(), len(asked), asked) for name, asked in used_environment.items()]
        made = CallKey(self.namespace, digest(b"\0".join(material)), values, code, arguments, used_environment)
        if call is not None and not code.used_environment.depends_on and _are_remembered(values):
            if len(keys) >= _MOST_REMEMBERED:
                keys.clear()
            keys[call, *used_environment.items()] = made
        return made

    def _unhashable(self, name: str, value: object, error: UnhashableError) -> str:
        inside = "" if error.value is value else f" holding a {error}"
        why = f" ({error.why})" if error.why and not inside else ""
        return (
            f"{self.namespace}() cannot be cached: parameter '{name}' is a {type_name(type(value))}{inside}{why}, "
            f"which has no content to make a key of. Pass a path or a plain value instead, "
            f"or leave the function without @function_cache."
        )

    def check_annotations(self) -> None:
        """Raise CachingException for a parameter whose annotation names a type that can never be hashed."""
        for name, annotation in self.function.__annotations__.items():
            if name == "return":
                continue
            if isinstance(annotation, str):
                annotation = self._evaluated(annotation)
            found = _unhashable_type(annotation)
            if found is not None:
                raise CachingException(
                    f"{self.namespace}() cannot be cached: parameter '{name}' is annotated as {found}, "
                    f"which has no content to make a key of. Pass a path or a plain value instead, "
                    f"or leave the function without @function_cache."
                )

    def _evaluated(self, annotation: str) -> Any:
        """Return the type that a postponed annotation means; None if it cannot be resolved yet."""
        if not annotation.replace(".", "").replace("_", "").split("[")[0].isalnum():
            return None
        head, *attributes = annotation.split("[")[0].split(".")
        value: Any = self.function.__globals__.get(head)
        for attribute in attributes:
            value = vars(value).get(attribute) if isinstance(value, types.ModuleType | type) else None
        return value


def _call_of(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Hashable:
    """Return a call that may have been met before, with the types of its arguments; None where those are not plain."""
    kinds = (*map(type, args), *map(type, kwargs.values()))
    return (*args, *kwargs.items(), *kinds) if _REMEMBERED.issuperset(kinds) else None


def _are_remembered(values: list[Any]) -> bool:
    # Defaults and what *rest collects are among them.
    return all(
        type(value) in _REMEMBERED and (type(value) is not str or len(value) <= _LONGEST_REMEMBERED) for value in values
    )


def _unhashable_type(annotation: Any) -> str | None:
    origin = typing.get_origin(annotation)
    if origin is typing.Union or origin is types.UnionType:
        names = [_unhashable_type(option) for option in typing.get_args(annotation) if option is not type(None)]
        return " | ".join(name for name in names if name) if names and all(names) else None
    kind = origin or annotation
    if isinstance(kind, types.BuiltinFunctionType) and kind.__name__ == "allocate_lock":
        return "threading.Lock"
    if not isinstance(kind, type):
        return None
    if type_name(kind) in _NEVER_HASHABLE:
        return type_name(kind)
    return type_name(kind) if issubclass(kind, _USED_UP) else None


def get_key(
    fn: Callable[..., Any], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
) -> tuple[str, str]:
    """Return the key of a call: the tuple of namespace and digest. The function may be cached or not.

    Raises CachingException where the call cannot be keyed, TypeError where the arguments do not fit.

    >>> def spend(week, scale=1): return week * scale
    >>> get_key(spend, (1,)) == get_key(spend, (), {"scale": 1, "week": 1})
    True
    """
    cached = cached_function(fn)
    keys = cached.keys if cached is not None else FunctionKey(plain_function(fn))
    try:
        environment = active_context().environment
        call = keys.of(args, kwargs or {}, environment.settings(keys.namespace) if environment else None)
    except UnkeyableError as error:
        raise CachingException(f"{keys.namespace}() cannot be keyed: {error}.") from error
    except Unbound:
        from inspect import signature

        signature(keys.function).bind(*args, **(kwargs or {}))
        raise
    return call.key


def plain_function(fn: object) -> types.FunctionType:
    """Return the function itself; CachingException for what is none."""
    if isinstance(fn, types.FunctionType):
        return fn
    raise CachingException(
        f"{fn!r} is a {type_name(type(fn))}: only functions and methods written in Python can be cached."
    )
