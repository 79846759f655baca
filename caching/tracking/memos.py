"""Record what the project's memoised helpers (`functools.cache`, `lru_cache`) read when they were filled.

Two cached functions share a helper that reads a file once. So that the second one's result counts on the file as well,
what the first one's run reads within the helper is noted for the memo, and every later run that reaches the memo takes
it over. What a memo was filled with before the first run that reaches it is not known: where its function may read,
results that may hold it are not cached.
"""

from __future__ import annotations

import builtins
import re
import sys
from collections.abc import Iterable
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from caching.keys.bytecode import read_code
from caching.keys.libraries import PROJECT
from caching.keys.objects import library_of_function
from caching.locations import shown
from caching.tracking.source import Source
from caching.tracking.sources import stale_reason

Sources = dict[str, Source]

_sources: WeakKeyDictionary[Any, Sources] = WeakKeyDictionary()
_filled_unseen: WeakSet[Any] = WeakSet()
# What computes, and reads nothing.
_COMPUTING = frozenset(
    [
        *("builtins", "cmath", "collections", "copy", "dataclasses", "datetime", "decimal", "enum", "fractions"),
        *("functools", "hashlib", "heapq", "itertools", "math", "operator", "re", "statistics", "string", "textwrap"),
        *("typing", "unicodedata"),
    ]
)
_READING_BUILTINS = (open, input, eval, exec, compile, __import__, globals, getattr, vars)
_QUESTIONS = {"exists", "lexists", "isfile", "is_file", "isdir", "is_dir", "islink", "is_symlink", "stat", "lstat"}
_QUESTIONS |= {"getsize", "getmtime", "getctime", "access"}
_READING_METHODS = _QUESTIONS | {"open", "read", "read_bytes", "read_text", "iterdir", "glob", "rglob", "walk"}
_PLAIN = (bool, int, float, complex, str, bytes, type(None), re.Pattern)


class Memos:
    """The memoised helpers that a run may use."""

    def __init__(self, memos: Iterable[Any] = ()) -> None:
        self._memos = list(memos)
        self._by_code: dict[CodeType, list[Sources]] = {}
        for memo in self._memos:
            empty = memo.cache_info().misses == 0
            if not empty and memo not in _sources and not _only_computes(memo.__wrapped__, []):
                _filled_unseen.add(memo)
            held = _sources.setdefault(memo, {})
            if empty:
                held.clear()  # it was emptied
                _filled_unseen.discard(memo)
            self._by_code.setdefault(memo.__wrapped__.__code__, []).append(held)

    def note(self, source: Source) -> None:
        """Record a source for the memoised helpers that are running in this thread."""
        if not self._by_code:
            return
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            for held in self._by_code.get(frame.f_code, ()):
                held[source.location] = source
            frame = frame.f_back

    def sources(self) -> Sources:
        """Return the sources of all remembered results."""
        return {location: source for memo in self._memos for location, source in list(_sources[memo].items())}

    def stale(self) -> str:
        """Return why what one of them holds is not what it would read now, or may not be, or an empty text."""
        for memo in self._memos:
            if memo in _filled_unseen:
                name = memo.__qualname__
                return (
                    f"{name}() was called before any cached function that uses it, and remembers what it may have "
                    f"read then; {name}.cache_clear() has it read anew"
                )
            for source in list(_sources[memo].values()):
                if stale_reason(source):
                    name = memo.__qualname__
                    return (
                        f"{name}() remembers what it read of {shown(source.location)} before that changed; "
                        f"{name}.cache_clear() has it read anew"
                    )
        return ""


def _only_computes(function: FunctionType, known: list[FunctionType]) -> bool:
    """Return whether it certainly reads nothing, nor does any function of the project that it calls."""
    known.append(function)
    facts = read_code(function.__code__)
    if not (facts.attributes.isdisjoint(_READING_METHODS) and _COMPUTING.issuperset(i.module for i in facts.imports)):
        return False
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    for use in facts.uses:
        try:
            value = cells[use.name].cell_contents if use.scope == "free" else function.__globals__[use.name]
        except (KeyError, ValueError):
            value = getattr(builtins, use.name, None)
        if not (isinstance(value, _PLAIN) or _is_computing(value, known)):
            return False
    return True


def _is_computing(value: Any, known: list[FunctionType]) -> bool:
    wrapped = getattr(value, "__wrapped__", value)
    if isinstance(wrapped, FunctionType) and library_of_function(wrapped) == PROJECT:
        return any(wrapped is each for each in known) or _only_computes(wrapped, known)
    home = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
    return home in _COMPUTING and not any(value is each for each in _READING_BUILTINS)
