"""What surrounds a function goes along with the work that it hands to threads: who records it, from where it reads.

Python starts a thread in an empty context. A function that reads ten files in a pool would read them from another
storage than its own, and nobody would note them. So from the first value of an `InheritedVar` on, the functions of the
standard library that start threads, or give work to those of a pool, are wrapped (as instrumentation for tracing does).
Other context variables are left alone. Work that reaches a thread some other way, by a queue say, is not followed.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from contextvars import ContextVar, Token, copy_context
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Surroundings = tuple[tuple[ContextVar[Any], Any], ...]

_variables: list[ContextVar[Any]] = []
_lock = threading.Lock()
_follows = False
# Their threads serve whoever asks; each piece of work brings its own surroundings.
_POOLS = ("concurrent.futures.thread", "multiprocessing.pool")


class InheritedVar(Generic[T]):
    """A context variable that is in threads what it is where their work comes from."""

    def __init__(self, name: str, *, default: T) -> None:
        variable = ContextVar(name, default=default)
        self._default = default
        self._variable = variable
        self.get: Callable[[], T] = variable.get
        self.reset: Callable[[Token[T]], None] = variable.reset
        _variables.append(variable)

    def set(self, value: T) -> Token[T]:
        """Set the variable in the current context."""
        if not _follows and value is not self._default:
            _follow_threads()
        return self._variable.set(value)


def _surroundings() -> Surroundings:
    context = copy_context()
    return tuple((variable, context[variable]) for variable in _variables if variable in context)


def _run(surroundings: Surroundings, work: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    tokens = [(variable, variable.set(value)) for variable, value in surroundings]
    try:
        return work(*args, **kwargs)
    finally:
        for variable, token in tokens:
            variable.reset(token)


def _follow_threads() -> None:
    global _follows
    # Imported here: only those who cache or read need to follow threads.
    from concurrent.futures import ThreadPoolExecutor
    from multiprocessing.pool import ThreadPool

    with _lock:
        if _follows:
            return
        _wrap(threading.Thread, "start", _starting)
        _wrap(ThreadPoolExecutor, "submit", _handing)
        # Every way into this pool is one of these.
        for name in ("apply_async", "_map_async", "imap", "imap_unordered"):
            _wrap(ThreadPool, name, _handing)
        _follows = True


def _wrap(owner: type, name: str, wrapper: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    original = getattr(owner, name)
    setattr(owner, name, functools.wraps(original)(wrapper(original)))


def _starting(start: Callable[..., None]) -> Callable[..., None]:
    def following(thread: threading.Thread) -> None:
        surroundings = _surroundings()
        if surroundings and getattr(getattr(thread, "_target", None), "__module__", "") not in _POOLS:
            vars(thread)["run"] = functools.partial(_run_thread, thread, surroundings)
        start(thread)

    return following


def _run_thread(thread: threading.Thread, surroundings: Surroundings) -> None:
    del vars(thread)["run"]
    _run(surroundings, thread.run)


def _handing(hand: Callable[..., Any]) -> Callable[..., Any]:
    def following(pool: object, /, *args: Any, **kwargs: Any) -> Any:
        surroundings = _surroundings()
        if surroundings and args:
            args = (functools.partial(_run, surroundings, args[0]), *args[1:])
        elif surroundings and "func" in kwargs:
            kwargs["func"] = functools.partial(_run, surroundings, kwargs["func"])
        return hand(pool, *args, **kwargs)

    return following
