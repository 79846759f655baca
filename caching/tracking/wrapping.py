"""Wrap functions of libraries, so that the running recorder is told of each call before it is made.

A wrapper keeps its original, which stands for it in a key.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from types import ModuleType
from typing import Any

from caching.keys.names import ORIGINAL, original_of
from caching.tracking.active_recorder import current_recorder

# Called with the recorder and the arguments; what it returns surrounds the call.
Note = Callable[..., AbstractContextManager[None] | None]
# Imports look for files through these; what they find is code.
_IMPORTING = ("posix", "nt", "importlib._bootstrap_external", "_frozen_importlib_external")
# By the identity of the original, which its wrapper keeps.
_wrapped: dict[int, Any] = {}


def wrapped(function: Callable[..., Any], note: Note) -> Callable[..., Any]:
    """Return a wrapper that calls `note` first, where a cached function runs."""

    @functools.wraps(function)
    def noting(*args: Any, **kwargs: Any) -> Any:
        recorder = current_recorder()
        surrounding = None if recorder is None else note(recorder, *args, **kwargs)
        if surrounding is None:
            return function(*args, **kwargs)
        with surrounding:
            return function(*args, **kwargs)

    vars(noting)[ORIGINAL] = function
    return noting


def wrap_methods(owner: type, names: Iterable[str], note: Note) -> None:
    """Replace methods of a class by their wrappers, once."""
    for name in names:
        method = getattr(owner, name)
        if original_of(method) is method:
            setattr(owner, name, wrapped(method, note))


def register_wrapper(wrapper: Callable[..., Any]) -> None:
    """Register a wrapper as the replacement of its original."""
    _wrapped[id(original_of(wrapper))] = wrapper


def install_wrappers(*libraries: str) -> None:
    """Replace originals by their wrappers, under whatever name, in the modules of these libraries; else in all."""
    for module, holder in list(sys.modules.items()):
        if isinstance(holder, ModuleType) and (not libraries or module.partition(".")[0] in libraries):
            names = object.__getattribute__(holder, "__dict__")  # of a lazy module without loading it
            if names.get("__name__") not in _IMPORTING:
                names.update({name: _wrapped[id(held)] for name, held in list(names.items()) if id(held) in _wrapped})
