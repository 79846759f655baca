"""Context variables that the threads and pools started by a function inherit.

Python starts a thread in an empty context, so a function that reads ten files in a pool would read them with other
storage settings than its own, unnoticed. When an `InheritedVar` is first set, the functions of the standard library
that start threads or submit work to pools are wrapped (as instrumentation for tracing does). Other context variables
are left alone. Work that reaches a thread in another way, such as a queue, inherits nothing.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar, Token, copy_context
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from caching.import_hooks import on_import

T = TypeVar("T")
Wrapper = Callable[[Callable[..., Any]], Callable[..., Any]]

_variables: list[ContextVar[Any]] = []
_lock = threading.Lock()
_follows = False
# The threads of these pools serve many callers; each piece of work brings its own values.
_POOLS = ("concurrent.futures.thread", "multiprocessing.pool")


@dataclass(slots=True)
class _Held(Generic[T]):
    """A value of a variable, valid until the variable is reset."""

    value: T
    is_over: bool = False


@dataclass(slots=True)
class _Lent(Generic[T]):
    """A value inherited by a thread; it becomes the default when its owner resets the variable."""

    held: _Held[T]
    default: T

    @property
    def value(self) -> T:
        return self.default if self.held.is_over else self.held.value


class InheritedVar(Generic[T]):
    """A context variable whose value threads and pools inherit from the code that gives them work."""

    def __init__(self, name: str, *, default: T) -> None:
        self._default = default
        self._variable: ContextVar[_Held[T] | _Lent[T]] = ContextVar(name, default=_Held(default))  # noqa: B039 — never set
        _variables.append(self._variable)

    def get(self) -> T:
        """Return the value in the current context."""
        return self._variable.get().value

    def set(self, value: T) -> Token[Any]:
        """Set the variable in the current context."""
        if not _follows and value is not self._default:
            _follow_threads()
        return self._variable.set(_Held(value))

    def reset(self, token: Token[Any]) -> None:
        """Restore what the variable was before it was set."""
        held = self._variable.get()
        self._variable.reset(token)
        if isinstance(held, _Held):
            held.is_over = True


class _InheritedValues:
    """The values of all inherited variables at the place where work was submitted."""

    def __init__(self) -> None:
        context = copy_context()
        self._values = [(variable, context[variable]) for variable in _variables if variable in context]

    def __bool__(self) -> bool:
        return bool(self._values)

    def run(self, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Run work with these values, in a thread that also serves others."""
        tokens = [(variable, variable.set(value)) for variable, value in self._values]
        try:
            return work(*args, **kwargs)
        finally:
            for variable, token in tokens:
                variable.reset(token)

    def around(self, work: Any) -> Any:
        """Return the work bound to these values."""
        return functools.partial(self.run, work) if callable(work) else work

    def through(self, items: Iterable[T]) -> Iterator[T]:
        """Yield items from an iterator that is advanced with these values."""
        iterator = iter(items)
        end = object()
        while (item := self.run(next, iterator, end)) is not end:
            yield item

    def enter(self) -> None:
        """Set these values in the present thread."""
        for variable, held in self._values:
            default = variable.get().value
            variable.set(_Lent(held, default) if isinstance(held, _Held) else held)


def _follow_threads() -> None:
    global _follows
    with _lock:
        if _follows:
            return
        _follows = True
        _wrap(threading.Thread, "start", _starting)
        on_import("concurrent.futures._base", _follow_futures)
        on_import("concurrent.futures.thread", _follow_executors)
        on_import("multiprocessing.pool", _follow_thread_pools)


def _follow_futures(module: Any) -> None:
    _wrap(module.Future, "add_done_callback", _handing(0, "fn"))


def _follow_executors(module: Any) -> None:
    _wrap(module.ThreadPoolExecutor, "submit", _handing(0, "fn"))
    _wrap(module.ThreadPoolExecutor, "__init__", _handing(2, "initializer"))


def _follow_thread_pools(module: Any) -> None:
    _wrap(module.ThreadPool, "__init__", _handing(1, "initializer"))
    # Every way into this pool is one of these.
    for name in ("apply_async", "_map_async", "imap", "imap_unordered"):
        _wrap(module.ThreadPool, name, _handing(0, "func"))
    # Generators among these are gone through in a thread of the pool.
    for name in ("imap", "imap_unordered"):
        _wrap(module.ThreadPool, name, _handing(1, "iterable", _InheritedValues.through))


def _wrap(owner: type, name: str, wrapper: Wrapper) -> None:
    original = getattr(owner, name)
    setattr(owner, name, functools.wraps(original)(wrapper(original)))


def _starting(start: Callable[..., None]) -> Callable[..., None]:
    def following(thread: threading.Thread) -> None:
        inherited = _InheritedValues()
        if not inherited or getattr(getattr(thread, "_target", None), "__module__", "") in _POOLS:
            start(thread)
            return
        own = vars(thread).get("run")

        def restore() -> None:
            if own is None:
                vars(thread).pop("run", None)
            else:
                vars(thread)["run"] = own

        # Others that wrap what a thread runs may hand the thread to it.
        def run(*_: object) -> None:
            restore()
            inherited.enter()
            thread.run()

        vars(thread)["run"] = run
        try:
            start(thread)
        except BaseException:
            restore()
            raise

    return following


def _handing(
    position: int, keyword: str, around: Callable[[_InheritedValues, Any], Any] = _InheritedValues.around
) -> Wrapper:
    """Return a wrapper for a method that takes work, by position or by name."""

    def wrapper(hand: Callable[..., Any]) -> Callable[..., Any]:
        def following(pool: object, /, *args: Any, **kwargs: Any) -> Any:
            inherited = _InheritedValues()
            if inherited and position < len(args):
                args = (*args[:position], around(inherited, args[position]), *args[position + 1 :])
            elif inherited and keyword in kwargs:
                kwargs[keyword] = around(inherited, kwargs[keyword])
            return hand(pool, *args, **kwargs)

        return following

    return wrapper
